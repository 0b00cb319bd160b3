//! Decoding equals Pillow's `ImageOps.exif_transpose(image).convert("RGB")`.

use retouch_imaging::{Format, ImageError, Limits, decode, probe, read_parameters};
use serde::Deserialize;

use crate::goldens::{Goldens, difference};

#[derive(Deserialize)]
struct Case {
    name: String,
    stored: [u32; 2],
    alpha: bool,
}

/// Largest and mean difference from libjpeg-turbo that a JPEG may have, in levels.
///
/// The two round differently in the inverse cosine transform and in the colour conversion, and at half colour
/// resolution they spread colour over edges a little differently.
fn tolerance(name: &str) -> (u8, f64) {
    if name.ends_with(".jpg") { (5, 0.5) } else { (0, 0.0) }
}

#[test]
fn equals_pillow() {
    let goldens = Goldens::open("decode");
    let cases: Vec<Case> = goldens.cases();
    assert_eq!(cases.len(), 40);
    let mut failures = Vec::new();
    for Case { name, stored, alpha } in cases {
        let file = goldens.bytes(&format!("file/{name}"));
        let decoded = match decode(&file, &Limits::default()) {
            Ok(decoded) => decoded,
            Err(error) => panic!("{name}: {error}: {error:?}"),
        };
        let expected = goldens.image(&format!("rgb/{name}"));
        let (most, mean) = difference(&decoded.pixels, &expected);
        let (most_allowed, mean_allowed) = tolerance(&name);
        if most > most_allowed || mean > mean_allowed {
            failures.push(format!("{name}: at most {most}, mean {mean:.3}"));
        }
        let format = match name.rsplit_once('.').unwrap().1 {
            "png" => Format::Png,
            "jpg" => Format::Jpeg,
            _ => Format::WebP,
        };
        assert_eq!(decoded.format, format, "{name}");
        assert_eq!([decoded.stored_width, decoded.stored_height], stored, "{name}");
        assert_eq!(decoded.had_alpha, alpha, "{name}");
        let header = probe(&file, &Limits::default()).unwrap();
        assert_eq!(([header.width, header.height], header.has_alpha), (stored, alpha), "{name}");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn parameters_written_by_pillow_are_read() {
    let goldens = Goldens::open("decode");
    let read = |name: &str| read_parameters(&goldens.bytes(&format!("file/{name}"))).unwrap();
    assert_eq!(read("parameters.png").as_deref(), Some("plain text"));
    assert_eq!(read("comment.jpg").as_deref(), Some("ghi chú tiếng Việt"));
    assert_eq!(read("comment_little_endian.jpg").as_deref(), Some("ghi chú tiếng Việt"));
    assert_eq!(read("comment.webp").as_deref(), Some(r#"{"seed": 3}"#));
    assert_eq!(read("rgb.png"), None);
    assert_eq!(read("grey.jpg"), None);
    assert_eq!(read("lossy.webp"), None);
}

#[test]
fn limits_hold_on_the_header() {
    let file = Goldens::open("decode").bytes("file/rgb.png");
    let with = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        decode(&file, &limits).map(|image| image.pixels.dimensions())
    };
    assert_eq!(with(|_| ()).unwrap(), (21, 13));
    assert_eq!(with(|limits| limits.width = 21).unwrap(), (21, 13));
    let message = |error: ImageError| (error.code(), error.to_string());
    let (code, text) = message(with(|limits| limits.width = 20).unwrap_err());
    assert_eq!(code, "image_too_large");
    assert_eq!(text, "the PNG image has 21x13 pixels, at most 20x16384 are allowed; scale it down first");
    let (code, text) = message(with(|limits| limits.pixels = 21 * 13 - 1).unwrap_err());
    assert_eq!(code, "image_too_large");
    assert!(text.contains("at most 272 pixels in all"), "{text}");
    assert_eq!(with(|limits| limits.height = 12).unwrap_err().code(), "image_too_large");
    let (code, text) = message(with(|limits| limits.bytes = 100).unwrap_err());
    assert_eq!(code, "image_too_large");
    assert!(text.contains("the limit is 100"), "{text}");
    assert_eq!(with(|limits| limits.alloc_bytes = 800).unwrap_err().code(), "image_too_large");
}
