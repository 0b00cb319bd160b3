//! What a file says beside its pixels: the orientation, and the parameters of the edit that made it.
//!
//! Parameters are one JSON string. In PNG they are a text chunk with the keyword `parameters` (`tEXt` for plain
//! ASCII, else `iTXt`, in UTF-8); in JPEG and WebP the EXIF field UserComment, in big-endian UTF-16 under the
//! character code `UNICODE`, which EXIF tools agree on.

use std::io::Read;

use exif::{Exif, In, Tag, Value};

use crate::container;
use crate::error::ImageError;
use crate::format::Format;

/// The keyword of the PNG chunk that holds the parameters.
pub const PARAMETERS_KEYWORD: &str = "parameters";

/// Compressed text is inflated to this length at most.
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// The parameters written into a file by [`crate::encode()`] (or by a program with the same convention); `None`
/// where there are none.
///
/// # Errors
/// [`ImageError::Empty`] and [`ImageError::FormatUnsupported`] as in decoding, [`ImageError::Corrupt`] for a
/// field that is there and is not text.
pub fn read_parameters(bytes: &[u8]) -> Result<Option<String>, ImageError> {
    let format = Format::sniff(bytes)?;
    let corrupt = || ImageError::corrupt(format, "text of the parameters");
    let text = match format {
        Format::Png => match container::png_chunks(bytes).find_map(|(kind, data)| png_text(kind, data)) {
            Some(text) => Some(text.map_err(|NotText| corrupt())?),
            None => None,
        },
        Format::Jpeg | Format::WebP => match exif_of(format, bytes) {
            Some(exif) => user_comment(&exif).map_err(|NotText| corrupt())?,
            None => None,
        },
    };
    Ok(text.filter(|text| !text.is_empty()))
}

/// The EXIF orientation, 1 to 8; 1 where the file does not say.
///
/// As `PIL.Image.getexif`: EXIF first, and only where EXIF has no such field at all, XMP.
pub(crate) fn orientation(format: Format, bytes: &[u8]) -> u8 {
    let in_exif = exif_of(format, bytes).and_then(|exif| {
        let value = &exif.get_field(Tag::Orientation, In::PRIMARY)?.value;
        // A field that is there but odd (several values, text) means "as stored" and hides XMP.
        Some(if count(value) == 1 { value.get_uint(0).unwrap_or(1) } else { 1 })
    });
    let value = in_exif.or_else(|| container::xmp(format, bytes).and_then(xmp_orientation));
    value.and_then(|value| u8::try_from(value).ok()).filter(|value| (1..=8).contains(value)).unwrap_or(1)
}

fn count(value: &Value) -> usize {
    match value {
        Value::Byte(values) => values.len(),
        Value::Short(values) => values.len(),
        Value::Long(values) => values.len(),
        _ => 0,
    }
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6`.
fn xmp_orientation(xmp: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    xmp.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME).find_map(|(at, _)| {
        let rest = &xmp[at + NAME.len()..];
        let digit = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?.first()?;
        digit.is_ascii_digit().then(|| u32::from(digit - b'0'))
    })
}

/// The EXIF fields of a file, as many as can be read.
fn exif_of(format: Format, bytes: &[u8]) -> Option<Exif> {
    let block = container::exif(format, bytes)?.to_vec();
    match exif::Reader::new().continue_on_error(true).read_raw(block) {
        Ok(exif) => Some(exif),
        Err(exif::Error::PartialResult(partial)) => Some(partial.into_inner().0),
        Err(_) => None,
    }
}

/// A field that should be text and is not.
struct NotText;

fn user_comment(exif: &Exif) -> Result<Option<String>, NotText> {
    let Some(field) = exif.get_field(Tag::UserComment, In::PRIMARY) else { return Ok(None) };
    // The standard says "undefined"; some programs, Pillow among them, write "byte".
    let (Value::Undefined(data, _) | Value::Byte(data)) = &field.value else { return Err(NotText) };
    let Some((code, text)) = data.split_first_chunk::<8>() else { return Ok(None) };
    let text = match code {
        b"UNICODE\0" if exif.little_endian() => utf16(text, u16::from_le_bytes)?,
        b"UNICODE\0" => utf16(text, u16::from_be_bytes)?,
        b"ASCII\0\0\0" | b"\0\0\0\0\0\0\0\0" => utf8(text)?,
        _ => return Err(NotText),
    };
    Ok(Some(text.trim_end_matches(['\0', ' ']).to_owned()))
}

/// A byte order mark wins over the byte order of the block.
fn utf16(bytes: &[u8], unit_of: fn([u8; 2]) -> u16) -> Result<String, NotText> {
    let (bytes, unit_of): (_, fn([u8; 2]) -> u16) = match bytes {
        [0xfe, 0xff, rest @ ..] => (rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => (rest, u16::from_le_bytes),
        _ => (bytes, unit_of),
    };
    let units = bytes.chunks_exact(2).map(|pair| unit_of([pair[0], pair[1]]));
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| NotText)
}

fn utf8(bytes: &[u8]) -> Result<String, NotText> {
    String::from_utf8(bytes.to_vec()).map_err(|_| NotText)
}

/// The text of a PNG chunk if it is one of ours.
fn png_text(kind: &[u8], data: &[u8]) -> Option<Result<String, NotText>> {
    let data = data.strip_prefix(PARAMETERS_KEYWORD.as_bytes())?.strip_prefix(b"\0")?;
    match kind {
        b"tEXt" => Some(Ok(latin1(data))),
        b"zTXt" => Some(inflate(data.get(1..).unwrap_or_default()).map(|text| latin1(&text))),
        b"iTXt" => Some(international_text(data)),
        _ => None,
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The rest of an `iTXt` chunk: compression flag and method, language, translated keyword, text.
fn international_text(data: &[u8]) -> Result<String, NotText> {
    let (&[compressed, _method], rest) = data.split_first_chunk::<2>().ok_or(NotText)?;
    let text = rest.splitn(3, |&byte| byte == 0).nth(2).ok_or(NotText)?;
    if compressed == 0 { utf8(text) } else { utf8(&inflate(text)?) }
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, NotText> {
    let mut text = Vec::new();
    let read = flate2::read::ZlibDecoder::new(bytes).take(MAX_TEXT_BYTES + 1).read_to_end(&mut text);
    match read {
        Ok(length) if length as u64 <= MAX_TEXT_BYTES => Ok(text),
        _ => Err(NotText),
    }
}

/// An EXIF block whose one field of interest is UserComment.
pub(crate) fn exif_with_comment(text: &str) -> Vec<u8> {
    const EXIF_IFD_AT: u32 = 26; // after the header (8) and a directory of one entry (2 + 12 + 4)
    const COMMENT_AT: u32 = EXIF_IFD_AT + 2 + 2 * 12 + 4;
    const LONG: u16 = 4;
    const UNDEFINED: u16 = 7;
    let mut comment = b"UNICODE\0".to_vec();
    comment.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let one_entry = 1_u16.to_be_bytes();
    let two_entries = 2_u16.to_be_bytes();
    let no_next = 0_u32.to_be_bytes();
    [
        b"MM\0\x2a\0\0\0\x08".as_slice(),
        &one_entry,
        &entry(0x8769, LONG, 1, EXIF_IFD_AT.to_be_bytes()),
        &no_next,
        &two_entries,
        &entry(0x9000, UNDEFINED, 4, *b"0232"), // ExifVersion, which the standard requires
        &entry(0x9286, UNDEFINED, comment.len() as u32, COMMENT_AT.to_be_bytes()),
        &no_next,
        &comment,
    ]
    .concat()
}
