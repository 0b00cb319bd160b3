//! Hostile bytes to RGB pixels.
//!
//! # What comes out, beside Pillow
//! The result is that of `PIL.ImageOps.exif_transpose(image).convert("RGB")`:
//! - the orientation (EXIF, else XMP) is applied, all eight of them;
//! - **alpha is dropped, not blended**: a transparent pixel shows the colour stored under it. [`Decoded::had_alpha`]
//!   keeps that there was some;
//! - grey and palette images become RGB; an embedded colour profile is not applied;
//! - the first frame of an animation, the default picture of an animated PNG.
//!
//! Where it differs: 16-bit samples are divided by 257 and rounded, while Pillow takes the high byte of 16-bit
//! RGB and clips 16-bit grey at 255, which turns nearly all of it white; and JPEG, CMYK included, is decoded to
//! within 5 levels of libjpeg-turbo and half a level in the mean (measured: 0.45 on small images with steep
//! colours, 0.14 on a large photograph-like one, both at half colour resolution). PNG and WebP are exact.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, RgbImage};

use crate::container;
use crate::error::ImageError;
use crate::format::Format;
use crate::metadata;

/// What an image may be at most. All but `alloc_bytes` are the promise to the user, checked before any pixel is
/// decoded; `alloc_bytes` guards the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file, 64 MiB by default.
    pub bytes: usize,
    /// Width in pixels, 16,384 by default.
    pub width: u32,
    /// Height in pixels, 16,384 by default.
    pub height: u32,
    /// Width × height, 100 million by default.
    pub pixels: u64,
    /// Memory that decoding may take, 1 GiB by default.
    pub alloc_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, width: 16_384, height: 16_384, pixels: 100_000_000, alloc_bytes: 1 << 30 }
    }
}

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Format of the file.
    pub format: Format,
    /// Width as stored, before the orientation is applied.
    pub width: u32,
    /// Height as stored, before the orientation is applied.
    pub height: u32,
    /// EXIF orientation, 1 (as stored) to 8.
    pub orientation: u8,
    /// Whether the file has an alpha channel or a transparent colour.
    pub has_alpha: bool,
}

/// A decoded image.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The pixels, upright.
    pub pixels: RgbImage,
    /// Format of the file.
    pub format: Format,
    /// Width as stored, before the orientation was applied.
    pub stored_width: u32,
    /// Height as stored, before the orientation was applied.
    pub stored_height: u32,
    /// Whether there was an alpha channel or a transparent colour, which is dropped.
    pub had_alpha: bool,
}

/// Reads only the header, with the checks of [`decode()`] that need no pixels.
///
/// # Errors
/// As [`decode()`].
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Header, ImageError> {
    guarded(bytes, limits, |format| open(format, bytes, limits).map(|(header, _)| header))
}

/// Decodes a JPEG, PNG or WebP file to upright RGB. The module documentation says how alpha, depth and
/// orientation are treated.
///
/// # Errors
/// `image_empty`, `image_too_large`, `image_format_unsupported`, `image_feature_unsupported`,
/// `image_truncated` or `image_corrupt` (see [`ImageError::code`]), whatever the bytes are; it never panics.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, ImageError> {
    guarded(bytes, limits, |format| {
        let (header, decoder) = open(format, bytes, limits)?;
        let image = DynamicImage::from_decoder(decoder)
            .map_err(|source| classify(format, bytes, "picture data", limits, source))?;
        let mut image = DynamicImage::ImageRgb8(image.into_rgb8());
        let orientation = Orientation::from_exif(header.orientation).unwrap_or(Orientation::NoTransforms);
        image.apply_orientation(orientation);
        Ok(Decoded {
            pixels: image.into_rgb8(),
            format,
            stored_width: header.width,
            stored_height: header.height,
            had_alpha: header.has_alpha,
        })
    })
}

/// Sniffs the format and runs `work`, turning a panic of a third party's decoder into a corrupt file: the
/// bytes are a stranger's, and one file must not take the others down with it.
fn guarded<T>(
    bytes: &[u8],
    limits: &Limits,
    work: impl FnOnce(Format) -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    if bytes.len() > limits.bytes {
        return Err(ImageError::FileTooLarge { bytes: bytes.len(), limit: limits.bytes });
    }
    let format = Format::sniff(bytes)?;
    catch_unwind(AssertUnwindSafe(|| work(format)))
        .unwrap_or_else(|_| Err(ImageError::corrupt(format, "the decoder could not go on")))
}

type BoxedDecoder<'a> = Box<dyn ImageDecoder + 'a>;

/// Reads the header, applies every check, and gives the decoder, which has not touched a pixel yet.
fn open<'a>(
    format: Format,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(Header, BoxedDecoder<'a>), ImageError> {
    if let Some(size) = container::png_size(bytes).filter(|_| format == Format::Png) {
        // Before the decoder sees it, which makes room for a row at once.
        check_size(format, size, limits)?;
    }
    let failed = |source| classify(format, bytes, "header", limits, source);
    let decoder = decoder(format, bytes, limits).map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(format, (width, height), limits)?;
    let working = container::check(format, bytes, (width, height))?;
    let color = decoder.color_type();
    let converted = if color == ColorType::Rgb8 { 0 } else { u64::from(width) * u64::from(height) * 3 };
    if decoder.total_bytes().saturating_add(working).saturating_add(converted) > limits.alloc_bytes {
        return Err(ImageError::MemoryLimit { format, limit: limits.alloc_bytes });
    }
    let orientation = metadata::orientation(format, bytes);
    Ok((Header { format, width, height, orientation, has_alpha: color.has_alpha() }, decoder))
}

fn decoder<'a>(
    format: Format,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<BoxedDecoder<'a>, image::ImageError> {
    let source = Cursor::new(bytes);
    Ok(match format {
        Format::Jpeg => Box::new(JpegDecoder::new(source)?),
        Format::Png => {
            // Text and profiles are inflated while the header is read, so the limit is needed already here.
            let mut at_most = image::Limits::no_limits();
            at_most.max_alloc = Some(limits.alloc_bytes);
            Box::new(PngDecoder::with_limits(source, at_most)?)
        }
        Format::WebP => Box::new(WebPDecoder::new(source)?),
    })
}

fn check_size(format: Format, (width, height): (u32, u32), limits: &Limits) -> Result<(), ImageError> {
    let limit = if width == 0 || height == 0 {
        return Err(ImageError::Empty);
    } else if width > limits.width || height > limits.height {
        format!("at most {}x{} are allowed", limits.width, limits.height)
    } else if u64::from(width) * u64::from(height) > limits.pixels {
        format!("at most {} pixels in all are allowed", limits.pixels)
    } else {
        return Ok(());
    };
    Err(ImageError::TooLarge { format, width, height, limit })
}

fn classify(
    format: Format,
    bytes: &[u8],
    part: &'static str,
    limits: &Limits,
    source: image::ImageError,
) -> ImageError {
    match source {
        image::ImageError::Limits(_) => ImageError::MemoryLimit { format, limit: limits.alloc_bytes },
        image::ImageError::Unsupported(_) => ImageError::FeatureUnsupported { format, source },
        image::ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated { format, bytes: bytes.len() }
        }
        source => ImageError::Corrupt { format, part, source: Some(Box::new(source)) },
    }
}
