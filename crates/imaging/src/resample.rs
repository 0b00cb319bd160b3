//! Resizing with Pillow's results to the bit: separable convolution in 8-bit fixed point.
//!
//! The reference libraries resize with Pillow, and a model sees every level that differs. The usual fast
//! crates keep 16-bit coefficients and are off by up to tens of levels on noise, so the small algorithm of
//! Pillow `src/libImaging/Resample.c` (precompute_coeffs, normalize_coeffs_8bpc, ImagingResample*_8bpc) is
//! ported here. One thing is added: only a window of the output need be computed, so that a crop after a
//! resize costs (and allocates) no more than the crop.
//!
//! The results are those of Pillow 13.0. Earlier versions filter the columns first whatever the sizes, and differ
//! where the height shrinks by more than twice as many pixels as the width (see `rows_first`).

use image::RgbImage;

use crate::error::ImageError;

/// The most pixels that a resize may produce.
pub const MAX_OUTPUT_PIXELS: u64 = 100_000_000;

/// The longest side that a resize may produce.
pub const MAX_OUTPUT_SIDE: u32 = 32_768;

/// Fraction bits of the coefficients: 32 less 8 for the sample and 2 for negative lobes and overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// A resampling kernel. Shrinking widens the kernel by the scale, as Pillow does, so there is no aliasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Cubic convolution with a = −1/2, support 2 (`PIL.Image.BICUBIC`).
    Bicubic,
    /// Sinc windowed by sinc, support 3 (`PIL.Image.LANCZOS`).
    Lanczos,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Bicubic => bicubic(x.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// A rectangle of the source in pixels with fractions, as the `box` of `PIL.Image.resize`.
///
/// The fields are single precision because Pillow's are: the rounding is part of its results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CropBox {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge, exclusive.
    pub right: f32,
    /// Lower edge, exclusive.
    pub bottom: f32,
}

impl CropBox {
    /// The whole of an image.
    pub fn whole(image: &RgbImage) -> Self {
        Self { left: 0.0, top: 0.0, right: image.width() as f32, bottom: image.height() as f32 }
    }
}

/// A rectangle of whole output pixels: `start .. start + len` on each axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The image resized to `width` × `height`: `PIL.Image.resize((width, height), filter)`.
///
/// # Errors
/// [`ImageError::SizeInvalid`] for a side of 0 or beyond [`MAX_OUTPUT_SIDE`] or [`MAX_OUTPUT_PIXELS`], and
/// [`ImageError::Empty`] for an image without pixels.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage, ImageError> {
    resize_box(image, CropBox::whole(image), width, height, filter)
}

/// The rectangle `crop` of the image resized to `width` × `height`:
/// `PIL.Image.resize((width, height), filter, box=crop)`. The kernel reaches beyond the rectangle.
///
/// # Errors
/// As [`resize`], and [`ImageError::CropInvalid`] for a rectangle that is empty, not finite or not inside the
/// image.
pub fn resize_box(
    image: &RgbImage,
    crop: CropBox,
    width: u32,
    height: u32,
    filter: Filter,
) -> Result<RgbImage, ImageError> {
    resize_window(image, crop, (width, height), Window { x: 0, y: 0, width, height }, filter)
}

/// The part `window` of what [`resize_box`] to `size` would give; nothing outside it is computed.
pub(crate) fn resize_window(
    image: &RgbImage,
    crop: CropBox,
    size: (u32, u32),
    window: Window,
    filter: Filter,
) -> Result<RgbImage, ImageError> {
    check(image, crop, size, window)?;
    let mut columns =
        Axis::new(image.width(), (crop.left, crop.right), size.0, (window.x, window.width), filter);
    let mut rows =
        Axis::new(image.height(), (crop.top, crop.bottom), size.1, (window.y, window.height), filter);
    Ok(if rows_first(image.dimensions(), size) {
        let band = filter_rows(image, &rows, columns.source);
        columns.shift();
        filter_columns(&band, &columns, (0, window.height))
    } else {
        let band = filter_columns(image, &columns, rows.source);
        rows.shift();
        filter_rows(&band, &rows, (0, window.width))
    })
}

/// Which pass comes first shows in the result, since the samples between the passes are rounded to 8 bits.
///
/// Pillow 13.0 begins with the rows where the height shrinks much more than the width. Only the whole sizes count,
/// not the crop. The inequality was found by experiment on 13.0.0 (random sizes, half of them at its edge), not read
/// in its source; it also keeps the samples between the passes no larger than the source or the result.
fn rows_first(from: (u32, u32), to: (u32, u32)) -> bool {
    let shrinks_by = |from: u32, to: u32| i64::from(from) - i64::from(to);
    to.1 < from.1 && shrinks_by(from.1, to.1) > 2 * shrinks_by(from.0, to.0)
}

fn check(image: &RgbImage, crop: CropBox, size: (u32, u32), window: Window) -> Result<(), ImageError> {
    if image.width() == 0 || image.height() == 0 {
        return Err(ImageError::Empty);
    }
    let pixels = u64::from(window.width) * u64::from(window.height);
    let longest = window.width.max(window.height);
    if size.0 == 0 || size.1 == 0 || pixels == 0 || pixels > MAX_OUTPUT_PIXELS || longest > MAX_OUTPUT_SIDE {
        return Err(ImageError::SizeInvalid {
            width: size.0,
            height: size.1,
            reason: format!("ask for 1 to {MAX_OUTPUT_SIDE} a side and at most {MAX_OUTPUT_PIXELS} pixels"),
        });
    }
    let (right, bottom) = (image.width() as f32, image.height() as f32);
    // Written so that a NaN fails too.
    let inside = crop.left >= 0.0 && crop.top >= 0.0 && crop.right <= right && crop.bottom <= bottom;
    if !(inside && crop.left < crop.right && crop.top < crop.bottom) {
        return Err(ImageError::CropInvalid { crop, width: image.width(), height: image.height() });
    }
    Ok(())
}

/// One axis of a resize: the source samples that a window of the output reads, and how.
struct Axis {
    /// `first .. end`.
    source: (u32, u32),
    /// `None` where the axis keeps its size and is not cropped: the pixels are copied.
    taps: Option<Taps>,
}

impl Axis {
    /// Outputs `window.0 .. window.0 + window.1` of `out_size`, from the interval `crop` of `in_size` samples.
    fn new(in_size: u32, crop: (f32, f32), out_size: u32, window: (u32, u32), filter: Filter) -> Self {
        if in_size == out_size && crop == (0.0, out_size as f32) {
            return Self { source: (window.0, window.0 + window.1), taps: None };
        }
        let taps = Taps::new(in_size, crop, out_size, window, filter);
        let first = taps.bounds.first().map_or(0, |&(first, _)| first);
        let end = taps.bounds.last().map_or(0, |&(first, len)| first + len);
        Self { source: (first as u32, end as u32), taps: Some(taps) }
    }

    /// To be applied to an image that holds nothing but the source samples of this axis.
    fn shift(&mut self) {
        let by = self.source.0;
        self.source = (0, self.source.1 - by);
        for (first, _) in self.taps.iter_mut().flat_map(|taps| &mut taps.bounds) {
            *first -= by as usize;
        }
    }
}

/// For each output position of a window: which source samples, and with what fixed-point weights.
struct Taps {
    /// First source sample and number of samples per output.
    bounds: Vec<(usize, usize)>,
    /// `stride` weights per output, unused ones 0.
    weights: Vec<i32>,
    stride: usize,
}

impl Taps {
    /// `precompute_coeffs` followed by `normalize_coeffs_8bpc` of Pillow.
    fn new(in_size: u32, (in0, in1): (f32, f32), out_size: u32, window: (u32, u32), filter: Filter) -> Self {
        let scale = f64::from(in1 - in0) / f64::from(out_size);
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let stride = (support.ceil() as usize * 2 + 1).min(in_size as usize);
        let mut bounds = Vec::with_capacity(window.1 as usize);
        let mut weights = Vec::with_capacity(window.1 as usize * stride);
        let mut exact = Vec::with_capacity(stride);
        for out in window.0..window.0 + window.1 {
            let center = f64::from(in0) + (f64::from(out) + 0.5) * scale;
            // The casts truncate towards zero and so does Pillow's `(int)`.
            let first = ((center - support + 0.5) as i64).max(0);
            let end = ((center + support + 0.5) as i64).min(i64::from(in_size));
            exact.clear();
            exact.extend(
                (first..end).map(|x| filter.weight((x as f64 - center + 0.5) * (1.0 / filter_scale))),
            );
            let total: f64 = exact.iter().sum();
            bounds.push((first as usize, exact.len()));
            weights.extend(exact.iter().map(|weight| fixed_point(weight / total)));
            weights.resize(bounds.len() * stride, 0);
        }
        Self { bounds, weights, stride }
    }

    /// `(first source sample, weights)` per output.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.weights.chunks_exact(self.stride);
        self.bounds.iter().zip(weights).map(|(&(first, len), weights)| (first, &weights[..len]))
    }
}

/// Rounds half away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1_u32 << PRECISION_BITS);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

/// Rounds a fixed-point sum that started at one half, and saturates it to 0..=255.
fn clip8(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Brings the columns of the given rows of an image to their new number.
fn filter_columns(image: &RgbImage, axis: &Axis, rows: (u32, u32)) -> RgbImage {
    let Some(taps) = &axis.taps else { return part(image, axis.source, rows) };
    let (width, height) = (taps.bounds.len(), (rows.1 - rows.0) as usize);
    let mut out = Vec::with_capacity(width * height * 3);
    for row in lines(image).skip(rows.0 as usize).take(height) {
        for (first, weights) in taps.iter() {
            let mut sums = [HALF; 3];
            for (pixel, &weight) in row[first * 3..].chunks_exact(3).zip(weights) {
                for (sum, &sample) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(sample) * weight;
                }
            }
            out.extend(sums.map(clip8));
        }
    }
    image_of(width as u32, height as u32, out)
}

/// Brings the rows of the given columns of an image to their new number.
fn filter_rows(image: &RgbImage, axis: &Axis, columns: (u32, u32)) -> RgbImage {
    let Some(taps) = &axis.taps else { return part(image, columns, axis.source) };
    let samples = columns.0 as usize * 3..columns.1 as usize * 3;
    let mut out = Vec::with_capacity(samples.len() * taps.bounds.len());
    let mut sums = vec![HALF; samples.len()];
    for (first, weights) in taps.iter() {
        sums.fill(HALF);
        for (row, &weight) in lines(image).skip(first).zip(weights) {
            for (sum, &sample) in sums.iter_mut().zip(&row[samples.clone()]) {
                *sum += i32::from(sample) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| clip8(sum)));
    }
    image_of(columns.1 - columns.0, taps.bounds.len() as u32, out)
}

fn part(image: &RgbImage, columns: (u32, u32), rows: (u32, u32)) -> RgbImage {
    let samples = columns.0 as usize * 3..columns.1 as usize * 3;
    let height = rows.1 - rows.0;
    let kept = lines(image).skip(rows.0 as usize).take(height as usize);
    image_of(columns.1 - columns.0, height, kept.flat_map(|row| &row[samples.clone()]).copied().collect())
}

fn lines(image: &RgbImage) -> std::slice::ChunksExact<'_, u8> {
    image.as_raw().chunks_exact(image.width() as usize * 3)
}

pub(crate) fn image_of(width: u32, height: u32, samples: Vec<u8>) -> RgbImage {
    RgbImage::from_raw(width, height, samples).expect("one sample per channel was written for every pixel")
}
