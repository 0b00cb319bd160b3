//! The outer structure of the three file formats: PNG chunks, RIFF chunks, JPEG segments.
//!
//! No pixel is decoded here. The walkers borrow from the file, allocate nothing, and stop quietly where the
//! file stops making sense: what the decoder needs is the decoder's to refuse.

use crate::error::ImageError;
use crate::format::Format;

/// `(type, data)` of each complete chunk of a PNG file.
pub(crate) fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let (kind, tail) = tail.split_at_checked(4)?;
        let (data, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = tail.get(4..)?; // the checksum
        Some((kind, data))
    })
}

/// The size in the header of a PNG file.
pub(crate) fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let (_, header) = png_chunks(bytes).next().filter(|(kind, _)| kind == b"IHDR")?;
    let (width, rest) = header.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*rest.first_chunk::<4>()?)))
}

/// `(id, data)` of each chunk of a WebP file; data that the file does not hold in full is cut.
pub(crate) fn webp_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    riff_chunks(bytes.get(12..).unwrap_or_default())
}

fn riff_chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (id, tail) = rest.split_at_checked(4)?;
        let (length, tail) = tail.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let data = &tail[..length.min(tail.len())];
        rest = tail.get(length + length % 2..).unwrap_or_default();
        Some((id, data))
    })
}

/// A segment of a JPEG file.
struct Segment<'a> {
    marker: u8,
    payload: &'a [u8],
    /// The file behind it.
    rest: &'a [u8],
}

/// The segments of a JPEG file up to and with the first start of scan.
fn jpeg_segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            // Stray bytes before a marker and repeated 0xff are skipped, as every decoder does.
            let at = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
            let (marker, tail) = (rest[at + 1], &rest[at + 2..]);
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                rest = tail; // these have no length
                continue;
            }
            let length = usize::from(u16::from_be_bytes(*tail.first_chunk::<2>()?));
            let payload = tail.get(2..length)?;
            let behind = &tail[length..];
            rest = if marker == START_OF_SCAN { &[] } else { behind };
            return Some(Segment { marker, payload, rest: behind });
        }
    })
}

const START_OF_SCAN: u8 = 0xda;

/// What follows `prefix` in the first application segment 1 that begins with it.
fn jpeg_app1<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    jpeg_segments(bytes)
        .filter(|segment| segment.marker == 0xe1)
        .find_map(|app1| app1.payload.strip_prefix(prefix))
}

/// The EXIF block (a TIFF header and what it points to) of a file, if it has one.
pub(crate) fn exif(format: Format, bytes: &[u8]) -> Option<&[u8]> {
    const PREFIX: &[u8] = b"Exif\0\0";
    match format {
        Format::Jpeg => jpeg_app1(bytes, PREFIX),
        Format::Png => png_chunks(bytes).find(|(kind, _)| kind == b"eXIf").map(|(_, data)| data),
        Format::WebP => webp_chunks(bytes)
            .find(|(id, _)| id == b"EXIF")
            .map(|(_, data)| data.strip_prefix(PREFIX).unwrap_or(data)),
    }
}

/// The XMP packet of a file, if it has one (in PNG: an uncompressed one).
pub(crate) fn xmp(format: Format, bytes: &[u8]) -> Option<&[u8]> {
    match format {
        Format::Jpeg => jpeg_app1(bytes, b"http://ns.adobe.com/xap/1.0/\0"),
        Format::Png => png_chunks(bytes)
            .find_map(|(kind, data)| data.strip_prefix(b"XML:com.adobe.xmp\0").filter(|_| kind == b"iTXt")),
        Format::WebP => webp_chunks(bytes).find(|(id, _)| id == b"XMP ").map(|(_, data)| data),
    }
}

/// Checks that the decoders leave out and that need no pixel decoded. Gives the bytes of memory that decoding
/// takes beside the output.
///
/// # Errors
/// [`ImageError::Truncated`] and [`ImageError::Corrupt`].
pub(crate) fn check(format: Format, bytes: &[u8], (width, height): (u32, u32)) -> Result<u64, ImageError> {
    let pixels = u64::from(width) * u64::from(height);
    match format {
        Format::Png => Ok(0), // it decodes by rows, and its decoder notices where the data end
        Format::Jpeg => check_jpeg(bytes).map(|coefficients| pixels * coefficients * 2),
        Format::WebP => check_webp(bytes, (width, height)).map(|()| pixels * 4),
    }
}

/// Gives how many whole planes of coefficients the decoder keeps: one per component if the frame comes in
/// several scans (progressive, or components apart), else none.
///
/// Decoders paint what is missing grey and call it a success. No marker but restarts can occur inside a scan,
/// so a file whose scans are complete has an end-of-image marker after the first of them.
fn check_jpeg(bytes: &[u8]) -> Result<u64, ImageError> {
    let mut components = 0;
    let mut progressive = false;
    for Segment { marker, payload, rest } in jpeg_segments(bytes) {
        match marker {
            0xc0..=0xc2 => {
                components = payload.get(5).copied().unwrap_or_default();
                progressive = marker == 0xc2;
            }
            START_OF_SCAN => {
                if !rest.windows(2).any(|pair| pair == b"\xff\xd9") {
                    break;
                }
                let several_scans = progressive || payload.first() != Some(&components);
                return Ok(if several_scans { u64::from(components) } else { 0 });
            }
            _ => {}
        }
    }
    Err(truncated(Format::Jpeg, bytes))
}

/// A lossy frame repeats its size in its own header and is decoded at that size before anyone compares: a
/// small canvas could hide a frame of 268 million pixels.
fn check_webp(bytes: &[u8], canvas: (u32, u32)) -> Result<(), ImageError> {
    let declared =
        bytes.get(4..8).and_then(|size| size.first_chunk::<4>()).map(|&size| u32::from_le_bytes(size));
    if declared.is_none_or(|size| (bytes.len() as u64) < u64::from(size) + 8) {
        return Err(truncated(Format::WebP, bytes));
    }
    let mut first_frame = true;
    for (id, data) in webp_chunks(bytes) {
        let fits = match id {
            b"VP8 " => lossy_size(data) == Some(canvas),
            b"ANMF" if std::mem::take(&mut first_frame) => frame_fits(data, canvas),
            _ => true,
        };
        if !fits {
            return Err(ImageError::corrupt(Format::WebP, "size of a frame"));
        }
    }
    Ok(())
}

/// Whether the bitstream inside an animation frame has the size that the frame declares.
fn frame_fits(frame: &[u8], canvas: (u32, u32)) -> bool {
    let (Some(width), Some(height)) = (u24(frame, 6), u24(frame, 9)) else { return false };
    let size = (width + 1, height + 1);
    let mut parts = riff_chunks(frame.get(16..).unwrap_or_default()).skip_while(|(id, _)| id == b"ALPH");
    size.0 <= canvas.0
        && size.1 <= canvas.1
        && match parts.next() {
            Some((b"VP8 ", data)) => lossy_size(data) == Some(size),
            Some((id, _)) => id == b"VP8L",
            None => false,
        }
}

/// The size in the header of a VP8 key frame.
fn lossy_size(data: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| {
        let bytes = data.get(at..)?.first_chunk::<2>()?;
        Some(u32::from(u16::from_le_bytes(*bytes) & 0x3fff))
    };
    Some((side(6)?, side(8)?))
}

fn u24(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..)?.first_chunk::<3>()?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
}

fn truncated(format: Format, bytes: &[u8]) -> ImageError {
    ImageError::Truncated { format, bytes: bytes.len() }
}
