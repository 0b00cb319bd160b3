//! Properties of resizing and of the encode-decode round trip.

use proptest::prelude::*;
use retouch_imaging::{
    CropBox, EncodeOptions, Filter, Limits, OutputFormat, RgbImage, SizeRule, decode, encode,
    read_parameters, resize, resize_box,
};

fn images() -> impl Strategy<Value = RgbImage> {
    (1_u32..40, 1_u32..40).prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), (width * height * 3) as usize)
            .prop_map(move |samples| RgbImage::from_raw(width, height, samples).unwrap())
    })
}

fn filters() -> impl Strategy<Value = Filter> {
    prop::sample::select(vec![Filter::Bicubic, Filter::Lanczos])
}

/// Colours alternate between the extremes, where fixed-point sums are largest.
fn extremes(image: &RgbImage) -> RgbImage {
    let mut image = image.clone();
    image.iter_mut().for_each(|sample| *sample = if *sample > 127 { 255 } else { 0 });
    image
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resize_gives_the_size(image in images(), width in 1_u32..90, height in 1_u32..90, filter in filters()) {
        prop_assert_eq!(resize(&extremes(&image), width, height, filter).unwrap().dimensions(), (width, height));
    }

    #[test]
    fn same_size_is_the_same_image(image in images(), filter in filters()) {
        prop_assert_eq!(&resize(&image, image.width(), image.height(), filter).unwrap(), &image);
    }

    #[test]
    fn one_colour_stays_that_colour(
        colour: [u8; 3], from in (1_u32..60, 1_u32..60), to in (1_u32..60, 1_u32..60), filter in filters(),
    ) {
        let image = RgbImage::from_pixel(from.0, from.1, image::Rgb(colour));
        let resized = resize(&image, to.0, to.1, filter).unwrap();
        prop_assert!(resized.pixels().all(|pixel| pixel.0 == colour));
    }

    #[test]
    fn any_box_inside_works(
        image in images(), corners in prop::array::uniform4(0.0_f32..1.0), to in (1_u32..30, 1_u32..30),
    ) {
        let (width, height) = (image.width() as f32, image.height() as f32);
        let crop = CropBox {
            left: corners[0].min(corners[1]) * width,
            right: corners[0].max(corners[1]) * width,
            top: corners[2].min(corners[3]) * height,
            bottom: corners[2].max(corners[3]) * height,
        };
        let resized = resize_box(&extremes(&image), crop, to.0, to.1, Filter::Lanczos);
        if crop.left < crop.right && crop.top < crop.bottom {
            prop_assert_eq!(resized.unwrap().dimensions(), to);
        } else {
            prop_assert_eq!(resized.unwrap_err().code(), "crop_invalid");
        }
    }

    #[test]
    fn every_plan_is_usable(width in 1_u32..5000, height in 1_u32..5000, resolution in 1_u32..2000) {
        for rule in [SizeRule::Diffusers, SizeRule::Original { resolution }] {
            if let Ok(plan) = rule.plan(width, height, 8) {
                prop_assert!(plan.width % 8 == 0 && plan.height % 8 == 0 && plan.width > 0 && plan.height > 0);
                let crop = plan.crop;
                prop_assert!(crop.left >= 0.0 && crop.right <= width as f32 && crop.left < crop.right);
                prop_assert!(crop.top >= 0.0 && crop.bottom <= height as f32 && crop.top < crop.bottom);
            }
        }
    }

    #[test]
    fn lossless_files_keep_pixels_and_text(image in images(), text in "\\{[^\0]{0,60}\\}") {
        for format in [OutputFormat::Png, OutputFormat::WebPLossless] {
            let file = encode(&image, &EncodeOptions::new(format), Some(&text)).unwrap();
            prop_assert_eq!(&decode(&file, &Limits::default()).unwrap().pixels, &image);
            let read = read_parameters(&file).unwrap();
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn lossy_files_keep_the_size_and_text(image in images(), quality in 1_u8..=100, text in "\\{[^\0]{0,60}\\}") {
        for format in [OutputFormat::Jpeg, OutputFormat::WebP] {
            let file = encode(&image, &EncodeOptions { format, quality }, Some(&text)).unwrap();
            prop_assert_eq!(decode(&file, &Limits::default()).unwrap().pixels.dimensions(), image.dimensions());
            let read = read_parameters(&file).unwrap();
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        }
    }

    #[test]
    fn arbitrary_bytes_are_harmless(
        start in prop::sample::select(vec![&b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP", b""]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        retouch_imaging::fuzzing::image_decode(&[start, &rest].concat());
    }
}
