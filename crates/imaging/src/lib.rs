//! Everything that turns hostile bytes into pixels, and pixels into model inputs and files.
//!
//! - [`decode()`] and [`probe`]: JPEG, PNG and WebP, within [`Limits`] that are checked on the header;
//! - [`resize`], [`resize_box`] and [`SizeRule`]: equal to Pillow, diffusers and the original InstructPix2Pix;
//! - [`to_model_input`], [`from_unit_range`], [`ClipPreprocessor`]: pixels to planar floats and back;
//! - [`encode()`] and [`read_parameters`]: files that carry the parameters of their edit.
//!
//! No tensors, no files, no network, nothing asynchronous: bytes and slices only.
//!
//! ```
//! use retouch_imaging::{EncodeOptions, Limits, OutputFormat, SizeRule, decode, encode, read_parameters};
//!
//! # fn main() -> Result<(), retouch_imaging::ImageError> {
//! # let picture = image::RgbImage::from_pixel(70, 50, image::Rgb([10, 20, 30]));
//! # let upload = encode(&picture, &EncodeOptions::new(OutputFormat::Jpeg), None)?;
//! let source = decode(&upload, &Limits::default())?;
//! let input = SizeRule::Diffusers.apply(&source.pixels, 8)?;
//! assert_eq!(input.dimensions(), (64, 48));
//!
//! let file = encode(&input, &EncodeOptions::new(OutputFormat::WebP), Some(r#"{"seed":7}"#))?;
//! assert_eq!(read_parameters(&file)?.as_deref(), Some(r#"{"seed":7}"#));
//! # Ok(())
//! # }
//! ```

mod clip;
mod container;
mod decode;
mod encode;
mod error;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod metadata;
mod resample;
mod sizing;
mod tensor;

pub use image::RgbImage;

pub use self::clip::ClipPreprocessor;
pub use self::decode::{Decoded, Header, Limits, decode, probe};
pub use self::encode::{EncodeOptions, encode};
pub use self::error::ImageError;
pub use self::format::{Format, OutputFormat};
pub use self::metadata::{PARAMETERS_KEYWORD, read_parameters};
pub use self::resample::{CropBox, Filter, MAX_OUTPUT_PIXELS, MAX_OUTPUT_SIDE, resize, resize_box};
pub use self::sizing::{SizePlan, SizeRule};
pub use self::tensor::{from_unit_range, to_model_input};
