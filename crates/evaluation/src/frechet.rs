//! The Fréchet distance between two sets of pictures, on features of our own. It is not FID, which is Inception's.

use retouch_imaging::RgbImage;

/// Cells along each side that a picture is described by.
const CELLS: u32 = 4;
/// Of each cell: mean red, green and blue, and the mean difference between neighbours.
const OF_CELL: usize = 4;
/// Numbers of a picture.
const FEATURES: usize = (CELLS * CELLS) as usize * OF_CELL;
/// Rounds of rotations; each makes the rest smaller by orders of magnitude, so that far fewer are needed.
const SWEEPS: usize = 60;

/// What the features are, for whoever reads a distance.
pub const FEATURES_ARE: &str = "colour and edge means of 4 x 4 cells, 64 numbers";

type Square = Vec<Vec<f64>>;

/// Means and covariances of the features of a set of pictures.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    features: Vec<Vec<f64>>,
}

impl Statistics {
    /// Adds a picture.
    pub fn add(&mut self, image: &RgbImage) {
        self.features.push(features(image));
    }

    /// ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½) (Dowson and Landau 1982); `None` of fewer than two pictures.
    pub fn distance(&self, other: &Self) -> Option<f64> {
        let ((mean, covariance), (other_mean, other_covariance)) = (self.moments()?, other.moments()?);
        let means: f64 = mean.iter().zip(&other_mean).map(|(a, b)| (a - b).powi(2)).sum();
        let trace = |of: &Square| (0..FEATURES).map(|i| of[i][i]).sum::<f64>();
        // The eigenvalues of Σ₁ Σ₂ are those of the symmetric Σ₁^½ Σ₂ Σ₁^½.
        let root = root(&covariance);
        let (values, _) = eigen(product(&product(&root, &other_covariance), &root));
        let cross: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        Some((means + trace(&covariance) + trace(&other_covariance) - 2.0 * cross).max(0.0))
    }

    fn moments(&self) -> Option<(Vec<f64>, Square)> {
        let count = self.features.len();
        if count < 2 {
            return None;
        }
        let mean: Vec<f64> =
            (0..FEATURES).map(|i| self.features.iter().map(|f| f[i]).sum::<f64>() / count as f64).collect();
        let mut covariance = vec![vec![0.0; FEATURES]; FEATURES];
        for features in &self.features {
            for i in 0..FEATURES {
                for j in 0..FEATURES {
                    covariance[i][j] +=
                        (features[i] - mean[i]) * (features[j] - mean[j]) / (count - 1) as f64;
                }
            }
        }
        Some((mean, covariance))
    }
}

fn features(image: &RgbImage) -> Vec<f64> {
    let (width, height) = image.dimensions();
    let mut sums = vec![0.0; FEATURES];
    let mut counts = vec![0.0; (CELLS * CELLS) as usize];
    let value = |x: u32, y: u32| image.get_pixel(x, y).0.map(f64::from);
    for (x, y, _) in image.enumerate_pixels() {
        let cell = (y * CELLS / height * CELLS + x * CELLS / width) as usize;
        let here = value(x, y);
        let (right, below) = (value((x + 1).min(width - 1), y), value(x, (y + 1).min(height - 1)));
        let edge: f64 = (0..3).map(|c| (right[c] - here[c]).abs() + (below[c] - here[c]).abs()).sum();
        let features = &mut sums[cell * OF_CELL..(cell + 1) * OF_CELL];
        for (feature, value) in features.iter_mut().zip([here[0], here[1], here[2], edge]) {
            *feature += value;
        }
        counts[cell] += 1.0;
    }
    sums.iter().enumerate().map(|(at, sum)| sum / counts[at / OF_CELL] / 255.0).collect()
}

fn product(a: &Square, b: &Square) -> Square {
    let row =
        |of: &Vec<f64>| (0..b[0].len()).map(|j| of.iter().zip(b).map(|(x, row)| x * row[j]).sum()).collect();
    a.iter().map(row).collect()
}

/// The symmetric root of a symmetric matrix without negative eigenvalues.
fn root(of: &Square) -> Square {
    let (values, vectors) = eigen(of.clone());
    let n = values.len();
    let scaled: Square =
        (0..n).map(|i| (0..n).map(|k| vectors[i][k] * values[k].max(0.0).sqrt()).collect()).collect();
    let transposed: Square = (0..n).map(|i| (0..n).map(|j| vectors[j][i]).collect()).collect();
    product(&scaled, &transposed)
}

/// Eigenvalues and, as columns, eigenvectors of a symmetric matrix, by Jacobi's rotations.
fn eigen(mut a: Square) -> (Vec<f64>, Square) {
    let n = a.len();
    let mut vectors: Square = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let scale: f64 = a.iter().flatten().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        if off <= 1e-24 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    ((0..n).map(|i| a[i][i]).collect(), vectors)
}

/// Makes the entry (p, q) zero.
fn rotate(a: &mut Square, vectors: &mut Square, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    let turned = |x: f64, y: f64| (c * x - s * y, s * x + c * y);
    for row in a.iter_mut().chain(vectors) {
        (row[p], row[q]) = turned(row[p], row[q]);
    }
    let (above, below) = a.split_at_mut(q);
    for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
        (*x, *y) = turned(*x, *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 16 × 16 pixels of a pattern, brighter by `shift`.
    fn picture(seed: u32, shift: u8) -> RgbImage {
        let pixel = |at: u32| {
            let mixed = (at * 7 + seed * 131).wrapping_mul(2_654_435_761) >> 25;
            [mixed as u8 + shift, (mixed / 2) as u8 + shift, (seed % 100) as u8 + shift]
        };
        RgbImage::from_raw(16, 16, (0..256).flat_map(pixel).collect()).expect("three bytes a pixel")
    }

    fn set(shift: u8) -> Statistics {
        let mut statistics = Statistics::default();
        (0..80).for_each(|seed| statistics.add(&picture(seed, shift)));
        statistics
    }

    #[test]
    fn equal_sets_have_no_distance_and_a_shift_has_its_square() {
        assert!(set(0).distance(&set(0)).expect("enough") < 1e-6);
        // Every one of 48 means of colour moves by 51/255, nothing else.
        let distance = set(0).distance(&set(51)).expect("enough");
        assert!((distance - 48.0 * 0.04).abs() < 1e-6, "{distance}");
        assert_eq!(Statistics::default().distance(&set(0)), None);
    }

    #[test]
    fn roots_squared_are_what_they_are_of() {
        let (_, covariance) = set(0).moments().expect("enough");
        let root = root(&covariance);
        let again = product(&root, &root);
        let pairs = again.iter().flatten().zip(covariance.iter().flatten());
        assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-12);
    }
}
