//! Square pictures as numbers.

use retouch_imaging::RgbImage;

/// RGB in levels of 8 bits, row by row.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) side: usize,
    pub(super) rgb: Vec<[f32; 3]>,
}

/// The sum of the squared differences of the channels.
pub(super) fn squared(a: [f32; 3], b: [f32; 3]) -> f32 {
    let [r, g, b] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    r * r + g * g + b * b
}

impl Field {
    /// Of a square image.
    pub(super) fn of(image: &RgbImage) -> Self {
        let rgb = image.pixels().map(|pixel| pixel.0.map(f32::from)).collect();
        Self { side: image.width() as usize, rgb }
    }

    /// At half the size.
    pub(super) fn half(&self) -> Self {
        let side = self.side / 2;
        let mean = |at: usize| {
            let corner = (at / side) * 2 * self.side + (at % side) * 2;
            let four = [corner, corner + 1, corner + self.side, corner + self.side + 1];
            std::array::from_fn(|channel| four.iter().map(|at| self.rgb[*at][channel]).sum::<f32>() / 4.0)
        };
        Self { side, rgb: (0..side * side).map(mean).collect() }
    }

    /// Each pixel the mean of those within `radius` along both axes.
    pub(super) fn smooth(&self, radius: usize) -> Self {
        let along = |rgb: &[[f32; 3]], step: usize, across: usize| -> Vec<[f32; 3]> {
            let mut out = vec![[0.0; 3]; rgb.len()];
            for line in 0..self.side {
                for at in 0..self.side {
                    let (first, last) = (at.saturating_sub(radius), (at + radius).min(self.side - 1));
                    let count = (last - first + 1) as f32;
                    out[line * across + at * step] = std::array::from_fn(|channel| {
                        let sum: f32 = (first..=last).map(|i| rgb[line * across + i * step][channel]).sum();
                        sum / count
                    });
                }
            }
            out
        };
        let rows = along(&self.rgb, 1, self.side);
        Self { side: self.side, rgb: along(&rows, self.side, 1) }
    }

    /// The root of the mean squared difference of the channels, pixel by pixel.
    pub(super) fn difference(&self, other: &Self) -> Vec<f32> {
        self.rgb.iter().zip(&other.rgb).map(|(a, b)| (squared(*a, *b) / 3.0).sqrt()).collect()
    }

    /// The sum of squared differences over the pixels of these places.
    pub(super) fn distance(&self, other: &Self, places: &[usize]) -> f32 {
        places.iter().map(|at| squared(self.rgb[*at], other.rgb[*at])).sum()
    }

    /// Where the two differ visibly.
    pub(super) fn changed(&self, other: &Self) -> Vec<usize> {
        /// In levels: less is lost in the noise of a decoder.
        const VISIBLE: f32 = 14.0;
        let difference = self.difference(other);
        (0..difference.len()).filter(|at| difference[*at] > VISIBLE).collect()
    }
}

/// The largest value within `radius` along both axes.
pub(super) fn spread(values: &[f32], side: usize, radius: usize) -> Vec<f32> {
    let along = |values: &[f32], step: usize, across: usize| {
        let mut out = vec![0.0f32; values.len()];
        for line in 0..side {
            for at in 0..side {
                let window = at.saturating_sub(radius)..=(at + radius).min(side - 1);
                out[line * across + at * step] =
                    window.map(|i| values[line * across + i * step]).fold(0.0, f32::max);
            }
        }
        out
    };
    along(&along(values, 1, side), side, 1)
}
