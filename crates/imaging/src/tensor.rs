//! Pixels to and from the planar floats that models take and give. Slices only: no tensor type lives here.

use image::RgbImage;

use crate::error::ImageError;
use crate::resample::image_of;

/// The pixels as `[3, h, w]` in −1..=1, equal to the bit to diffusers v0.42.1
/// `src/diffusers/image_processor.py`, `VaeImageProcessor.pil_to_numpy` and `normalize`.
pub fn to_model_input(image: &RgbImage) -> Vec<f32> {
    planes_by_channel(image, |_, sample| 2.0 * (f32::from(sample) / 255.0) - 1.0)
}

/// `[3, h, w]` of a function of channel and sample, which is called once per level.
pub(crate) fn planes_by_channel(image: &RgbImage, value: impl Fn(usize, u8) -> f32) -> Vec<f32> {
    let mut planes = Vec::with_capacity(image.as_raw().len());
    for channel in 0..3 {
        let levels: [f32; 256] = std::array::from_fn(|level| value(channel, level as u8));
        planes.extend(
            image.as_raw().iter().skip(channel).step_by(3).map(|&sample| levels[usize::from(sample)]),
        );
    }
    planes
}

/// The image whose samples in 0..=1 are given as `[3, h, w]`, as diffusers v0.42.1
/// `src/diffusers/image_processor.py`, `VaeImageProcessor.numpy_to_pil`: times 255, rounded half to even.
/// What is outside 0..=1 is saturated, as the reference's clamp before it does; NaN becomes 0.
///
/// # Errors
/// [`ImageError::PlanesMismatch`] if there are not 3·h·w samples, [`ImageError::Empty`] if there are none.
pub fn from_unit_range(planes: &[f32], width: u32, height: u32) -> Result<RgbImage, ImageError> {
    let plane = width as usize * height as usize;
    if plane.checked_mul(3) != Some(planes.len()) {
        return Err(ImageError::PlanesMismatch { found: planes.len(), width, height });
    }
    if planes.is_empty() {
        return Err(ImageError::Empty);
    }
    let mut samples = vec![0; planes.len()];
    for (channel, plane) in planes.chunks_exact(plane).enumerate() {
        for (sample, &value) in samples.iter_mut().skip(channel).step_by(3).zip(plane) {
            *sample = (value * 255.0).round_ties_even() as u8;
        }
    }
    Ok(image_of(width, height, samples))
}
