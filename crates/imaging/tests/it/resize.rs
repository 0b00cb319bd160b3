//! Resizing equals Pillow to the bit.

use retouch_imaging::{CropBox, Filter, RgbImage, resize, resize_box};
use serde::Deserialize;

use crate::goldens::{Goldens, difference};

#[derive(Deserialize)]
struct Case {
    result: String,
    source: String,
    filter: String,
    #[serde(rename = "box")]
    crop: Option<[f32; 4]>,
}

#[test]
fn equals_pillow_to_the_bit() {
    let goldens = Goldens::open("resize");
    let cases: Vec<Case> = goldens.cases();
    assert_eq!(cases.len(), 50);
    for case in cases {
        let source = goldens.image(&case.source);
        let expected = goldens.image(&case.result);
        let filter = match case.filter.as_str() {
            "bicubic" => Filter::Bicubic,
            "lanczos" => Filter::Lanczos,
            other => panic!("{other}"),
        };
        let crop = case.crop.map_or(CropBox::whole(&source), |[left, top, right, bottom]| CropBox {
            left,
            top,
            right,
            bottom,
        });
        let ours = resize_box(&source, crop, expected.width(), expected.height(), filter).unwrap();
        assert_eq!(difference(&ours, &expected), (0, 0.0), "{} of {}", case.result, case.source);
    }
}

#[test]
fn refuses_what_cannot_be_made() {
    let image = RgbImage::new(4, 4);
    let crop = |left, top, right, bottom| {
        resize_box(&image, CropBox { left, top, right, bottom }, 2, 2, Filter::Lanczos)
            .map(|image| image.dimensions())
            .map_err(|error| error.code())
    };
    assert_eq!(crop(0.0, 0.0, 4.0, 4.0), Ok((2, 2)));
    assert_eq!(crop(-0.1, 0.0, 4.0, 4.0), Err("crop_invalid"));
    assert_eq!(crop(0.0, 0.0, 4.1, 4.0), Err("crop_invalid"));
    assert_eq!(crop(2.0, 0.0, 2.0, 4.0), Err("crop_invalid"));
    assert_eq!(crop(0.0, f32::NAN, 4.0, 4.0), Err("crop_invalid"));
    let size = |width, height| resize(&image, width, height, Filter::Bicubic).unwrap_err().code();
    assert_eq!(size(0, 3), "size_invalid");
    assert_eq!(size(100_000, 1), "size_invalid");
    assert_eq!(size(30_000, 30_000), "size_invalid");
    let empty = resize(&RgbImage::new(0, 5), 2, 2, Filter::Bicubic).unwrap_err();
    assert_eq!(empty.code(), "image_empty");
}
