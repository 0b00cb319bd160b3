//! Files that are written can be read back, with their parameters.

use std::path::Path;

use retouch_imaging::{
    EncodeOptions, Format, Limits, OutputFormat, RgbImage, decode, encode, read_parameters,
};

use crate::goldens::{Goldens, difference};

const FORMATS: [OutputFormat; 4] =
    [OutputFormat::Png, OutputFormat::Jpeg, OutputFormat::WebP, OutputFormat::WebPLossless];

const VIETNAMESE: &str = r#"{"instruction":"biến ngôi nhà thành lâu đài 🏰","seed":7}"#;

fn picture() -> RgbImage {
    Goldens::open("resize").image("source/photo")
}

#[test]
fn pixels_and_parameters_come_back() {
    let picture = picture();
    for format in FORMATS {
        for parameters in [None, Some(VIETNAMESE), Some(r#"{"seed":7}"#)] {
            let file = encode(&picture, &EncodeOptions::new(format), parameters).unwrap();
            assert_eq!(read_parameters(&file).unwrap().as_deref(), parameters, "{format:?}");
            let decoded = decode(&file, &Limits::default()).unwrap();
            assert_eq!(decoded.format.mime(), format.mime());
            assert!(!decoded.had_alpha);
            let (most, mean) = difference(&decoded.pixels, &picture);
            match format {
                OutputFormat::Png | OutputFormat::WebPLossless => assert_eq!(most, 0, "{format:?}"),
                OutputFormat::Jpeg | OutputFormat::WebP => assert!(mean < 6.0, "{format:?}: mean {mean}"),
            }
        }
    }
}

#[test]
fn every_quality_is_read_back_as_it_was_written() {
    let picture = picture();
    for quality in [100, 95, 90, 89, 75, 40] {
        for format in [OutputFormat::Jpeg, OutputFormat::WebP] {
            let file = encode(&picture, &EncodeOptions { format, quality }, None).unwrap();
            let read = decode(&file, &Limits::default()).unwrap().pixels;
            let (_, mean) = difference(&read, &picture);
            assert!(mean <= 15.0, "{format:?} at {quality}: a mean difference of {mean:.2} levels");
        }
    }
}

#[test]
fn quality_decides_size_and_colour_resolution() {
    let picture = picture();
    for format in [OutputFormat::Jpeg, OutputFormat::WebP] {
        let size = |quality| encode(&picture, &EncodeOptions { format, quality }, None).unwrap().len();
        assert!(size(10) < size(60) && size(60) < size(98), "{format:?}");
    }
    // The sampling factors of the first component in the frame header: 2x2 halves the colour planes.
    let luma_sampling = |quality| {
        let options = EncodeOptions { format: OutputFormat::Jpeg, quality };
        let file = encode(&picture, &options, None).unwrap();
        let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        file[frame + 11]
    };
    assert_eq!((luma_sampling(89), luma_sampling(90)), (0x22, 0x11));
}

#[test]
fn refuses_what_a_format_cannot_hold() {
    let refuse = |image: &RgbImage, format, quality, text: Option<&str>| {
        encode(image, &EncodeOptions { format, quality }, text).unwrap_err().code()
    };
    let picture = picture();
    let wide = RgbImage::new(16_384, 1);
    let long = "x".repeat(40_000);
    assert_eq!(refuse(&RgbImage::new(0, 3), OutputFormat::Png, 90, None), "image_empty");
    assert_eq!(refuse(&picture, OutputFormat::Jpeg, 0, None), "quality_invalid");
    assert_eq!(refuse(&picture, OutputFormat::WebP, 101, None), "quality_invalid");
    assert_eq!(refuse(&wide, OutputFormat::WebP, 90, None), "image_encode_failed");
    assert_eq!(refuse(&RgbImage::new(65_536, 1), OutputFormat::Jpeg, 90, None), "image_encode_failed");
    assert_eq!(refuse(&picture, OutputFormat::Jpeg, 90, Some(&long)), "parameters_invalid");
    assert_eq!(refuse(&picture, OutputFormat::Png, 90, Some("a\0b")), "parameters_invalid");
    for format in [OutputFormat::Png, OutputFormat::WebP] {
        let file = encode(&picture, &EncodeOptions::new(format), Some(&long)).unwrap();
        assert_eq!(read_parameters(&file).unwrap(), Some(long.clone()));
    }
}

#[test]
fn the_file_name_decides_the_format() {
    let of = |name: &str| OutputFormat::from_path(Path::new(name)).map_err(|error| error.code());
    assert_eq!(of("a/b.PNG"), Ok(OutputFormat::Png));
    assert_eq!(of("b.jpeg"), Ok(OutputFormat::Jpeg));
    assert_eq!(of("b.jpg"), Ok(OutputFormat::Jpeg));
    assert_eq!(of("b.png.webp"), Ok(OutputFormat::WebP));
    assert_eq!(of("b.gif"), Err("output_format_unsupported"));
    assert_eq!(of("png"), Err("output_format_unsupported"));
    for format in FORMATS {
        let file = encode(&picture(), &EncodeOptions::new(format), None).unwrap();
        assert_eq!(Format::sniff(&file).unwrap().mime(), format.mime());
        let again = of(&format!("x.{}", format.extension())).unwrap();
        assert_eq!(again.mime(), format.mime());
    }
}
