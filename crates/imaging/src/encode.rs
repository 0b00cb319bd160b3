//! RGB pixels to files, with the parameters of the edit in the metadata.

use image::RgbImage;
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, SamplingFactor};

use crate::error::ImageError;
use crate::format::{Format, OutputFormat};
use crate::metadata::{PARAMETERS_KEYWORD, exif_with_comment};

/// How to write a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// The format.
    pub format: OutputFormat,
    /// 1 to 100, for JPEG and lossy WebP. JPEG keeps the full colour resolution (4:4:4) from 90 on and halves
    /// it (4:2:0) below.
    pub quality: u8,
}

impl EncodeOptions {
    /// The format at quality 95.
    pub fn new(format: OutputFormat) -> Self {
        Self { format, quality: 95 }
    }
}

/// The bytes of an image file, with `parameters` (one JSON string) where [`crate::read_parameters`] and the
/// usual image tools find them.
///
/// # Errors
/// [`ImageError::Empty`], [`ImageError::QualityInvalid`], [`ImageError::Encode`] for an image that the format
/// cannot hold (a side over 65,535 in JPEG or 16,383 in WebP), [`ImageError::ParametersInvalid`].
pub fn encode(
    image: &RgbImage,
    options: &EncodeOptions,
    parameters: Option<&str>,
) -> Result<Vec<u8>, ImageError> {
    if image.width() == 0 || image.height() == 0 {
        return Err(ImageError::Empty);
    }
    let quality = options.quality;
    if !(1..=100).contains(&quality) {
        return Err(ImageError::QualityInvalid { quality });
    }
    match options.format {
        OutputFormat::Png => encode_png(image, parameters),
        OutputFormat::Jpeg => encode_jpeg(image, quality, parameters),
        OutputFormat::WebP => encode_webp(image, WebPMode::Lossy { quality }, parameters),
        OutputFormat::WebPLossless => encode_webp(image, WebPMode::Lossless, parameters),
    }
}

fn failed(
    format: Format,
    image: &RgbImage,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ImageError {
    ImageError::Encode { format, width: image.width(), height: image.height(), source: source.into() }
}

fn encode_png(image: &RgbImage, parameters: Option<&str>) -> Result<Vec<u8>, ImageError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    if let Some(text) = parameters {
        if text.contains('\0') {
            let reason = "a text chunk cannot hold a NUL, write it as \\u0000 in JSON";
            return Err(ImageError::ParametersInvalid { format: Format::Png, bytes: text.len(), reason });
        }
        let keyword = PARAMETERS_KEYWORD.to_owned();
        if text.is_ascii() {
            encoder.add_text_chunk(keyword, text.to_owned())
        } else {
            encoder.add_itxt_chunk(keyword, text.to_owned())
        }
        .map_err(|source| failed(Format::Png, image, source))?;
    }
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(image.as_raw())?;
            writer.finish()
        })
        .map_err(|source| failed(Format::Png, image, source))?;
    Ok(file)
}

fn encode_jpeg(image: &RgbImage, quality: u8, parameters: Option<&str>) -> Result<Vec<u8>, ImageError> {
    let side = |side: u32| {
        u16::try_from(side).map_err(|_| failed(Format::Jpeg, image, "a side is over 65535 pixels"))
    };
    let (width, height) = (side(image.width())?, side(image.height())?);
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, quality);
    let whole = quality >= 90;
    encoder.set_sampling_factor(if whole { SamplingFactor::R_4_4_4 } else { SamplingFactor::R_4_2_0 });
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    // With these the encoder writes a scan for each component, which zune-jpeg misreads where colour is halved.
    encoder.set_optimized_huffman_tables(whole);
    if let Some(text) = parameters {
        encoder.add_exif_metadata(&exif_with_comment(text)).map_err(|_| ImageError::ParametersInvalid {
            format: Format::Jpeg,
            bytes: text.len(),
            reason: "an EXIF block ends at 64 KiB (about 32,000 characters), write PNG or WebP",
        })?;
    }
    encoder
        .encode(image.as_raw(), width, height, ColorType::Rgb)
        .map_err(|source| failed(Format::Jpeg, image, source))?;
    Ok(file)
}

#[derive(Clone, Copy)]
enum WebPMode {
    Lossy { quality: u8 },
    Lossless,
}

fn encode_webp(image: &RgbImage, mode: WebPMode, parameters: Option<&str>) -> Result<Vec<u8>, ImageError> {
    if image.width().max(image.height()) > 16_383 {
        return Err(failed(Format::WebP, image, "a side is over 16383 pixels"));
    }
    let encoder = webp::Encoder::from_rgb(image.as_raw(), image.width(), image.height());
    let file = match mode {
        WebPMode::Lossy { quality } => encoder.encode_simple(false, f32::from(quality)),
        // The quality of a lossless file is the effort; this is libwebp's default.
        WebPMode::Lossless => encoder.encode_simple(true, 75.0),
    }
    .map_err(|error| failed(Format::WebP, image, format!("libwebp: {error:?}")))?;
    Ok(match parameters {
        Some(text) => webp_with_exif(image, &file, &exif_with_comment(text)),
        None => file.to_vec(),
    })
}

/// A simple WebP file (one chunk after the 12-byte header) made an extended one with EXIF.
fn webp_with_exif(image: &RgbImage, simple: &[u8], exif: &[u8]) -> Vec<u8> {
    const HAS_EXIF: u32 = 0b1000;
    let chunk = |id: &[u8], data: &[u8]| {
        let padding: &[u8] = if data.len() % 2 == 1 { &[0] } else { &[] };
        [id, &(data.len() as u32).to_le_bytes(), data, padding].concat()
    };
    let header = [
        &HAS_EXIF.to_le_bytes()[..],
        &(image.width() - 1).to_le_bytes()[..3],
        &(image.height() - 1).to_le_bytes()[..3],
    ]
    .concat();
    let body = [b"WEBP".as_slice(), &chunk(b"VP8X", &header), &simple[12..], &chunk(b"EXIF", exif)].concat();
    chunk(b"RIFF", &body)
}
