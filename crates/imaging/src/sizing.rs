//! Which size an image is edited at, and the resize to it.

use image::RgbImage;

use crate::error::ImageError;
use crate::resample::{CropBox, Filter, MAX_OUTPUT_PIXELS, MAX_OUTPUT_SIDE, resize_box};

/// How the size of the model's input follows from the size of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeRule {
    /// As diffusers edits: each side floored to a multiple of the VAE's factor, the image squeezed into it.
    /// (diffusers v0.42.1 `src/diffusers/image_processor.py`, `VaeImageProcessor.get_default_height_width` and
    /// `preprocess`, as `StableDiffusionInstructPix2PixPipeline.__call__` uses them, without a size.)
    Diffusers,
    /// As the original InstructPix2Pix edits: the long side near `resolution`, both sides multiples of 64, what
    /// does not fit the new shape cut off evenly (instruct-pix2pix `edit_cli.py`, `main`).
    ///
    /// One difference: for a short side of 49 pixels and its like the reference's rounding gives 0 pixels and it
    /// fails; here such a side becomes 64.
    Original {
        /// The long side to aim at; the reference's default is 512.
        resolution: u32,
    },
    /// This size, the image squeezed into it. Both sides must be multiples of the VAE's factor.
    Exact {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// The sides that the original implementation rounds to.
const ORIGINAL_MULTIPLE: f64 = 64.0;

/// A size to edit at, and the part of the source that is brought to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizePlan {
    /// Width of the model's input, a multiple of the VAE's factor.
    pub width: u32,
    /// Height of the model's input, a multiple of the VAE's factor.
    pub height: u32,
    /// The rectangle of the source.
    pub crop: CropBox,
}

impl SizeRule {
    /// The plan for a source of `width` × `height` and a VAE that shrinks by `factor` per side
    /// (2^(levels − 1), 8 in Stable Diffusion).
    ///
    /// # Errors
    /// [`ImageError::Empty`]; [`ImageError::TooSmall`] if a side gives less than one latent;
    /// [`ImageError::SizeInvalid`] for an exact size that is no multiple of the factor (with the nearest that
    /// are), a result that is too large to make, and a factor of 0 or one that does not divide 64 under the
    /// original rule.
    pub fn plan(self, width: u32, height: u32, factor: u32) -> Result<SizePlan, ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::Empty);
        }
        let invalid = |width, height, reason| ImageError::SizeInvalid { width, height, reason };
        if factor == 0 {
            return Err(invalid(
                width,
                height,
                "the factor of the VAE is 0, check its config.json".to_owned(),
            ));
        }
        let plan = match self {
            Self::Diffusers => squeeze((width, height), (width - width % factor, height - height % factor)),
            Self::Exact { width: to_width, height: to_height } => {
                if let Some(reason) = exact_problem(to_width, to_height, factor) {
                    return Err(invalid(to_width, to_height, reason));
                }
                squeeze((width, height), (to_width, to_height))
            }
            Self::Original { resolution: 0 } => {
                return Err(invalid(0, 0, "the resolution is 0, the usual one is 512".to_owned()));
            }
            Self::Original { resolution } => {
                let plan = original(width, height, resolution);
                if !plan.width.is_multiple_of(factor) || !plan.height.is_multiple_of(factor) {
                    let reason =
                        format!("the VAE's factor {factor} does not divide it, use the diffusers rule");
                    return Err(invalid(plan.width, plan.height, reason));
                }
                plan
            }
        };
        if plan.width == 0 || plan.height == 0 {
            return Err(ImageError::TooSmall { width, height, minimum: factor });
        }
        let pixels = u64::from(plan.width) * u64::from(plan.height);
        if plan.width.max(plan.height) > MAX_OUTPUT_SIDE || pixels > MAX_OUTPUT_PIXELS {
            let reason =
                format!("the sides of the {width}x{height} image are too unequal or the size is too large");
            return Err(invalid(plan.width, plan.height, reason));
        }
        Ok(plan)
    }

    /// The image at the size of its plan, resampled by Lanczos as both references do.
    ///
    /// # Errors
    /// As [`SizeRule::plan`].
    pub fn apply(self, image: &RgbImage, factor: u32) -> Result<RgbImage, ImageError> {
        let plan = self.plan(image.width(), image.height(), factor)?;
        resize_box(image, plan.crop, plan.width, plan.height, Filter::Lanczos)
    }
}

fn squeeze(from: (u32, u32), to: (u32, u32)) -> SizePlan {
    let crop = CropBox { left: 0.0, top: 0.0, right: from.0 as f32, bottom: from.1 as f32 };
    SizePlan { width: to.0, height: to.1, crop }
}

/// Why a size cannot be used, with the nearest that can.
fn exact_problem(width: u32, height: u32, factor: u32) -> Option<String> {
    if width > 0 && height > 0 && width.is_multiple_of(factor) && height.is_multiple_of(factor) {
        return None;
    }
    let near = |side: u32| {
        let below = side - side % factor;
        let above = below.saturating_add(factor);
        match (side.is_multiple_of(factor), below) {
            (true, 1..) => below.to_string(),
            (_, 0) => above.to_string(),
            _ => format!("{below} or {above}"),
        }
    };
    Some(format!(
        "each side must be a multiple of {factor}; nearest are a width of {} and a height of {}",
        near(width),
        near(height)
    ))
}

/// In double precision throughout, in the reference's order of operations.
fn original(width: u32, height: u32, resolution: u32) -> SizePlan {
    let (w, h) = (f64::from(width), f64::from(height));
    let factor = f64::from(resolution) / w.max(h);
    let factor = (w.min(h) * factor / ORIGINAL_MULTIPLE).ceil() * ORIGINAL_MULTIPLE / w.min(h);
    let side =
        |side: f64| ((side * factor / ORIGINAL_MULTIPLE).floor() * ORIGINAL_MULTIPLE).max(ORIGINAL_MULTIPLE);
    let (to_w, to_h) = (side(w), side(h));
    SizePlan { width: to_w as u32, height: to_h as u32, crop: centred_crop((w, h), to_w / to_h) }
}

/// The largest centred rectangle of the wanted shape: `PIL.ImageOps.fit` without bleed.
fn centred_crop((width, height): (f64, f64), ratio: f64) -> CropBox {
    let own = width / height;
    let (crop_width, crop_height) = if own == ratio {
        (width, height)
    } else if own >= ratio {
        (ratio * height, height)
    } else {
        (width, width / ratio)
    };
    let left = (width - crop_width) * 0.5;
    let top = (height - crop_height) * 0.5;
    CropBox {
        left: left as f32,
        top: top as f32,
        right: (left + crop_width) as f32,
        bottom: (top + crop_height) as f32,
    }
}
