//! What a file is, told by its first bytes: the name and the declared type that come with it are not trusted.

use std::fmt;
use std::path::Path;

use crate::error::ImageError;

/// A format that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG, also the first picture of an animated one.
    Png,
    /// WebP, lossy or lossless, also the first frame of an animated one.
    WebP,
}

impl Format {
    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }

    /// The format of a file, by its signature.
    ///
    /// # Errors
    /// [`ImageError::Empty`] without bytes; [`ImageError::FormatUnsupported`] names what was recognised.
    pub fn sniff(bytes: &[u8]) -> Result<Self, ImageError> {
        if bytes.is_empty() {
            return Err(ImageError::Empty);
        }
        if bytes.starts_with(b"\xff\xd8\xff") {
            Ok(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Ok(Self::Png)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice()) {
            Ok(Self::WebP)
        } else {
            Err(ImageError::FormatUnsupported { found: name_of_other(bytes) })
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
        })
    }
}

/// Formats that people send and that are refused, for the message: (offset, signature, name).
const OTHERS: [(usize, &[u8], &str); 20] = [
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyp", "MP4 video"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\0\0\x01\0", "ICO"),
    (0, b"8BPS", "PSD"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "ZIP archive"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML"),
    (0, b"<!DOCTYPE", "HTML"),
    (0, b"<html", "HTML"),
];

fn name_of_other(bytes: &[u8]) -> &'static str {
    OTHERS
        .iter()
        .find(|(offset, signature, _)| bytes.get(*offset..).is_some_and(|rest| rest.starts_with(signature)))
        .map_or("no known image", |(_, _, name)| name)
}

/// A format that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// PNG; the quality is not used.
    Png,
    /// JPEG by quality.
    Jpeg,
    /// Lossy WebP by quality.
    WebP,
    /// Lossless WebP; the quality is not used.
    WebPLossless,
}

impl OutputFormat {
    /// The format that a file name asks for: `.png`, `.jpg`, `.jpeg` or `.webp` (lossy), in any case.
    ///
    /// # Errors
    /// [`ImageError::ExtensionUnsupported`] for anything else.
    pub fn from_path(path: &Path) -> Result<Self, ImageError> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "png" => Ok(Self::Png),
            "jpg" | "jpeg" => Ok(Self::Jpeg),
            "webp" => Ok(Self::WebP),
            _ => Err(ImageError::ExtensionUnsupported { path: path.to_owned() }),
        }
    }

    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP | Self::WebPLossless => "image/webp",
        }
    }

    /// The usual file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP | Self::WebPLossless => "webp",
        }
    }
}
