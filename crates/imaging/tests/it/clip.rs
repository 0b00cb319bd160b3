//! CLIP's preprocessing equals transformers' Pillow class to the bit, and its configuration is read strictly.

use retouch_imaging::{ClipPreprocessor, RgbImage};
use serde::Deserialize;

use crate::goldens::Goldens;

#[derive(Deserialize)]
struct Cases {
    clip: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    source: String,
    config: serde_json::Value,
    result: String,
    step: usize,
}

#[test]
fn equals_transformers_to_the_bit() {
    let goldens = Goldens::open("inputs");
    let cases: Cases = goldens.cases();
    assert_eq!(cases.clip.len(), 8);
    for case in cases.clip {
        let clip = ClipPreprocessor::from_json(&case.config.to_string()).unwrap();
        let (width, height) = clip.output_size();
        let ours = clip.apply(&goldens.image(&case.source)).unwrap();
        assert_eq!(ours.len(), 3 * (width * height) as usize);
        let every = |size: u32| (0..size as usize).step_by(case.step);
        let sampled: Vec<f32> = (0..3)
            .flat_map(|channel| every(height).map(move |y| (channel, y)))
            .flat_map(|(channel, y)| every(width).map(move |x| (channel, y, x)))
            .map(|(channel, y, x)| ours[(channel * height as usize + y) * width as usize + x])
            .collect();
        assert!(sampled == goldens.floats(&case.result).1, "{}: {}", case.result, case.config);
    }
}

#[test]
fn a_panorama_costs_no_more_than_its_crop() {
    let clip = ClipPreprocessor::from_json("{}").unwrap();
    let line = RgbImage::from_pixel(16_384, 1, image::Rgb([255; 3]));
    let values = clip.apply(&line).unwrap();
    assert_eq!(values.len(), 3 * 224 * 224);
    assert!(values[..224 * 224].iter().all(|&value| value == values[0]));
    assert_eq!(clip.apply(&RgbImage::new(0, 0)).unwrap_err().code(), "image_empty");
}

#[test]
fn refuses_what_it_would_get_wrong() {
    let refused = |json: &str| {
        let error = ClipPreprocessor::from_json(json).unwrap_err();
        assert_eq!(error.code(), "clip_config_invalid", "{json}");
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error} {source}")
    };
    assert!(refused(r#"{"do_sharpen": true}"#).contains("do_sharpen"));
    assert!(refused(r#"{"size": {"longest_edge": 224}}"#).contains("shortest_edge"));
    assert!(refused(r#"{"size": 0}"#).contains("size = 0"));
    assert!(refused(r#"{"crop_size": {"height": 100000, "width": 3}}"#).contains("crop_size = 100000"));
    assert!(refused(r#"{"resample": 2}"#).contains("resample = 2"));
    assert!(refused(r#"{"do_center_crop": false}"#).contains("do_center_crop = false"));
    assert!(refused(r#"{"do_resize": false}"#).contains("do_resize = false"));
    assert!(refused(r#"{"image_std": [0.5, 0.0, 0.5]}"#).contains("image_std"));
    assert!(refused(r#"{"image_mean": [0.5, 0.5]}"#).contains("array of length 3"));
    assert!(refused(r#"{"image_processor_type": "SiglipImageProcessor"}"#).contains("SiglipImageProcessor"));
    refused("not json");
}
