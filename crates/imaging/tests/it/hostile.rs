//! Hostile files: each gives a named error or an image, never a panic, and bombs cost nothing.

use std::time::{Duration, Instant};

use retouch_imaging::{Format, Limits, decode, probe, read_parameters};
use serde::Deserialize;

use crate::goldens::Goldens;

#[derive(Deserialize)]
struct Case {
    name: String,
}

/// The files of the decoder's goldens.
fn files() -> Vec<(String, Vec<u8>)> {
    let goldens = Goldens::open("decode");
    let cases: Vec<Case> = goldens.cases();
    cases.into_iter().map(|case| (case.name.clone(), goldens.bytes(&format!("file/{}", case.name)))).collect()
}

fn code_of(bytes: &[u8]) -> &'static str {
    decode(bytes, &Limits::default()).map(|_| "ok").unwrap_or_else(|error| error.code())
}

const DECODE_CODES: [&str; 7] = [
    "ok",
    "image_corrupt",
    "image_empty",
    "image_feature_unsupported",
    "image_format_unsupported",
    "image_too_large",
    "image_truncated",
];

#[test]
fn empty_and_foreign_files_are_named() {
    assert_eq!(code_of(b""), "image_empty");
    let refused = |bytes: &[u8], name: &str| {
        let error = decode(bytes, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "image_format_unsupported");
        assert_eq!(error.to_string(), format!("unsupported format ({name}), use JPEG, PNG or WebP"));
        assert_eq!(read_parameters(bytes).unwrap_err().code(), "image_format_unsupported");
    };
    refused(b"GIF89a\x01\0\x01\0", "GIF");
    refused(b"BM\x3a\0\0\0", "BMP");
    refused(b"II*\0\x08\0\0\0", "TIFF");
    refused(b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC");
    refused(b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF");
    refused(b"<!DOCTYPE html><html>", "HTML");
    refused(b"x", "no known image");
    refused(b"RIFF\0\0\0\0WAVE", "no known image");
}

#[test]
fn a_file_cut_anywhere_is_refused_or_complete() {
    for (name, file) in files() {
        let whole = decode(&file, &Limits::default()).unwrap().pixels;
        for length in (1..file.len()).step_by(64).chain([file.len() - 1]) {
            match decode(&file[..length], &Limits::default()) {
                // Only what follows the pixels is missing: the end mark, or the EXIF block after them.
                Ok(decoded) => {
                    assert!(name.ends_with(".png"), "{name} cut at {length} decoded");
                    let upright = name == "exif_after_data.png" || decoded.pixels == whole;
                    assert!(upright, "{name} cut at {length} decoded to something else");
                }
                Err(error) => {
                    assert!(DECODE_CODES.contains(&error.code()), "{name} cut at {length}: {error}")
                }
            }
            let _ = read_parameters(&file[..length]);
        }
    }
}

#[test]
fn a_cut_file_says_so() {
    let goldens = Goldens::open("decode");
    for (name, format) in
        [("rgb.png", Format::Png), ("full_colour.jpg", Format::Jpeg), ("lossy.webp", Format::WebP)]
    {
        let file = goldens.bytes(&format!("file/{name}"));
        let half = &file[..file.len() / 2];
        let error = decode(half, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "image_truncated", "{name}: {error:?}");
        let message = format!("the {format} file is cut short ({} bytes arrived), send it again", half.len());
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn flipped_bits_are_harmless() {
    let limits = Limits { pixels: 1 << 20, alloc_bytes: 64 << 20, ..Limits::default() };
    for (name, file) in files() {
        for at in (0..file.len()).step_by(5) {
            let mut broken = file.clone();
            broken[at] ^= 1 << (at % 8);
            let result = decode(&broken, &limits);
            let code = result.as_ref().map(|_| "ok").unwrap_or_else(|error| error.code());
            assert!(DECODE_CODES.contains(&code), "{name} broken at {at}: {code}");
            let _ = read_parameters(&broken);
        }
    }
}

fn png(width: u32, height: u32, extra: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        file.extend((data.len() as u32).to_be_bytes());
        let start = file.len();
        file.extend(kind);
        file.extend(data);
        let mut crc = flate2::Crc::new();
        crc.update(&file[start..]);
        file.extend(crc.sum().to_be_bytes());
    };
    chunk(b"IHDR", &header);
    for (kind, data) in extra {
        chunk(kind, data);
    }
    chunk(b"IDAT", &deflated(1000));
    chunk(b"IEND", b"");
    file
}

fn deflated(zeros: usize) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; zeros]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn huge_headers_cost_nothing() {
    let jpeg = |width: u16, height: u16, kind: u8| {
        let [a, b] = height.to_be_bytes();
        let [c, d] = width.to_be_bytes();
        let mut file = vec![0xff, 0xd8, 0xff, kind, 0, 17, 8, a, b, c, d, 3];
        file.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
        file.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0, 0x55, 0xff, 0xd9]);
        file
    };
    let webp = |width: u16, height: u16| {
        let mut file = b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\x30\x01\0\x9d\x01\x2a".to_vec();
        file.extend(width.to_le_bytes());
        file.extend(height.to_le_bytes());
        file
    };
    let files = [
        png(0x7fff_ffff, 0x7fff_ffff, &[]),
        png(16_384, 16_384, &[]),
        png(1, 200_000_000, &[]),
        jpeg(65_535, 65_535, 0xc0),
        jpeg(16_384, 16_384, 0xc2),
        webp(16_383, 16_383),
    ];
    let started = Instant::now();
    for (number, file) in files.iter().enumerate() {
        let error = probe(file, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "image_too_large", "file {number}: {error:?}");
        assert_eq!(code_of(file), "image_too_large", "file {number}");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // Within the limits of pixels, but the coefficients of a file in several scans would not fit the memory.
    let limits = Limits { alloc_bytes: 500 << 20, ..Limits::default() };
    let progressive = jpeg(10_000, 10_000, 0xc2);
    let mut apart = jpeg(10_000, 10_000, 0xc0);
    let scan = apart.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    apart.splice(scan.., [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x55, 0xff, 0xd9]);
    for file in [progressive, apart] {
        let error = decode(&file, &limits).unwrap_err();
        assert_eq!(error.code(), "image_too_large");
        let message = "decoding the JPEG file takes more than 524288000 bytes of memory";
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn a_small_canvas_cannot_hide_a_huge_frame() {
    let mut frame = vec![0x30, 1, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f];
    frame.extend([0; 30]);
    let chunk = |id: &[u8; 4], data: &[u8]| [&id[..], &(data.len() as u32).to_le_bytes(), data].concat();
    let file = |flags: u8, frames: &[u8]| {
        let canvas = [flags, 0, 0, 0, 7, 0, 0, 7, 0, 0]; // 8x8
        let body = [b"WEBP".as_slice(), &chunk(b"VP8X", &canvas), frames].concat();
        chunk(b"RIFF", &body)
    };
    let started = Instant::now();
    let still = file(0, &chunk(b"VP8 ", &frame));
    assert_eq!(code_of(&still), "image_corrupt");
    let alpha = [chunk(b"ALPH", &[0; 66]), chunk(b"VP8 ", &frame)].concat();
    for bitstream in [chunk(b"VP8 ", &frame), alpha] {
        let placed = [[0_u8, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0, 1, 0, 0, 0].as_slice(), &bitstream].concat();
        let frames = [chunk(b"ANIM", &[0; 6]), chunk(b"ANMF", &placed)].concat();
        let error = decode(&file(0b10, &frames), &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("size of a frame"), "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn compressed_text_cannot_swell() {
    let bomb = deflated(64 << 20);
    assert!(bomb.len() < 100_000);
    let text = [b"parameters\0\0".as_slice(), &bomb].concat();
    let file = png(4, 4, &[(b"zTXt", text)]);
    assert_eq!(read_parameters(&file).unwrap_err().code(), "image_corrupt");
    let profile = [b"icc\0\0".as_slice(), &bomb].concat();
    let file = png(18, 18, &[(b"iCCP", profile)]);
    let small = Limits { alloc_bytes: 1 << 20, ..Limits::default() };
    let started = Instant::now();
    let code = decode(&file, &small).map(|_| "ok").unwrap_or_else(|error| error.code());
    assert!(["ok", "image_too_large"].contains(&code), "{code}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn odd_metadata_is_not_fatal() {
    let goldens = Goldens::open("decode");
    let file = goldens.bytes("file/orientation_6.jpg");
    let at = file.windows(4).position(|bytes| bytes == b"Exif").unwrap();
    let upright = decode(&file, &Limits::default()).unwrap().pixels.dimensions();
    for byte in at + 6..at + 6 + 26 {
        let mut broken = file.clone();
        broken[byte] = 0xff;
        let decoded = decode(&broken, &Limits::default()).unwrap();
        let size = decoded.pixels.dimensions();
        assert!(size == upright || size == (upright.1, upright.0), "byte {byte}");
    }
}
