//! What can go wrong with an image, each with a stable code for clients.

use std::path::PathBuf;

use crate::format::Format;
use crate::resample::CropBox;

/// An error of this crate. The message says what, where and what to do; [`ImageError::code`] is for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No bytes, or an image without pixels.
    #[error("the image is empty, send a JPEG, PNG or WebP file")]
    Empty,

    /// The file itself is over the limit; nothing of it was read.
    #[error("the image file has {bytes} bytes, the limit is {limit}; send a smaller file")]
    FileTooLarge {
        /// Size of the file.
        bytes: usize,
        /// [`crate::Limits::bytes`].
        limit: usize,
    },

    /// The dimensions in the header are over a limit; no pixel was decoded.
    #[error("the {format} image has {width}x{height} pixels, {limit}; scale it down first")]
    TooLarge {
        /// Format of the file.
        format: Format,
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// The limit that it breaks, in words.
        limit: String,
    },

    /// Decoding would take more memory than it may; no pixel was decoded.
    #[error(
        "decoding the {format} file takes more than {limit} bytes of memory, scale it down or save it again"
    )]
    MemoryLimit {
        /// Format of the file.
        format: Format,
        /// [`crate::Limits::alloc_bytes`].
        limit: u64,
    },

    /// The signature is not one of a format that is decoded.
    #[error("unsupported format ({found}), use JPEG, PNG or WebP")]
    FormatUnsupported {
        /// What the signature says.
        found: &'static str,
    },

    /// A known format with a feature that is not decoded.
    #[error("the {format} file uses a feature that is not supported, save it as an ordinary {format}")]
    FeatureUnsupported {
        /// Format of the file.
        format: Format,
        /// The decoder's own words.
        #[source]
        source: image::ImageError,
    },

    /// The file ends before the image does.
    #[error("the {format} file is cut short ({bytes} bytes arrived), send it again")]
    Truncated {
        /// Format of the file.
        format: Format,
        /// Bytes that are there.
        bytes: usize,
    },

    /// The bytes contradict their format.
    #[error("the {format} file is damaged ({part}), save it again with another program")]
    Corrupt {
        /// Format of the file.
        format: Format,
        /// Where in the file.
        part: &'static str,
        /// The decoder's own words, where it gave any.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },

    /// A rectangle to crop that is not inside the image.
    #[error(
        "the crop box ({}, {}, {}, {}) is empty or not inside the {width}x{height} image",
        crop.left, crop.top, crop.right, crop.bottom
    )]
    CropInvalid {
        /// The rectangle.
        crop: CropBox,
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
    },

    /// A size that was asked for and cannot be.
    #[error("the size {width}x{height} cannot be used: {reason}")]
    SizeInvalid {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
        /// Why, and what can.
        reason: String,
    },

    /// The image gives less than one latent on an axis.
    #[error("the {width}x{height} image is too small, each side needs at least {minimum} pixels")]
    TooSmall {
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
        /// The VAE's factor.
        minimum: u32,
    },

    /// Samples that do not fill three planes of the size given.
    #[error("{found} samples do not make an image of 3x{height}x{width}")]
    PlanesMismatch {
        /// Number of samples given.
        found: usize,
        /// Width given.
        width: u32,
        /// Height given.
        height: u32,
    },

    /// A file name that does not say a format that can be written.
    #[error("cannot tell an image format from the file name {path:?}, end it in .png, .jpg, .jpeg or .webp")]
    ExtensionUnsupported {
        /// The file name.
        path: PathBuf,
    },

    /// A quality that is not 1 to 100.
    #[error("the quality {quality} is not between 1 and 100")]
    QualityInvalid {
        /// The quality given.
        quality: u8,
    },

    /// The image could not be written in this format.
    #[error("a {width}x{height} image cannot be written as {format}")]
    Encode {
        /// Format to write.
        format: Format,
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
        /// The encoder's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The parameters do not fit the metadata of this format.
    #[error("{bytes} bytes of parameters do not fit in the metadata of a {format} file: {reason}")]
    ParametersInvalid {
        /// Format to write.
        format: Format,
        /// Length of the parameters in UTF-8.
        bytes: usize,
        /// Why, and what to do.
        reason: &'static str,
    },

    /// A `preprocessor_config.json` that is not JSON, or has unknown keys or types.
    #[error("preprocessor_config.json is not a CLIP image processor's configuration")]
    ClipConfigMalformed {
        /// The parser's own words.
        #[source]
        source: serde_json::Error,
    },

    /// A value in `preprocessor_config.json` that is known and not supported.
    #[error("preprocessor_config.json: {key} = {value} is not supported, {supported}")]
    ClipConfigUnsupported {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is supported.
        supported: &'static str,
    },
}

impl ImageError {
    /// A name that never changes once released, for clients and for the job's record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "image_empty",
            Self::FileTooLarge { .. } | Self::TooLarge { .. } | Self::MemoryLimit { .. } => "image_too_large",
            Self::FormatUnsupported { .. } => "image_format_unsupported",
            Self::FeatureUnsupported { .. } => "image_feature_unsupported",
            Self::Truncated { .. } => "image_truncated",
            Self::Corrupt { .. } => "image_corrupt",
            Self::CropInvalid { .. } => "crop_invalid",
            Self::SizeInvalid { .. } => "size_invalid",
            Self::TooSmall { .. } => "image_too_small",
            Self::PlanesMismatch { .. } => "planes_mismatch",
            Self::ExtensionUnsupported { .. } => "output_format_unsupported",
            Self::QualityInvalid { .. } => "quality_invalid",
            Self::Encode { .. } => "image_encode_failed",
            Self::ParametersInvalid { .. } => "parameters_invalid",
            Self::ClipConfigMalformed { .. } | Self::ClipConfigUnsupported { .. } => "clip_config_invalid",
        }
    }

    pub(crate) fn corrupt(format: Format, part: &'static str) -> Self {
        Self::Corrupt { format, part, source: None }
    }
}
