//! Floats to pixels as diffusers does. (Pixels to floats are compared in `sizing`.)

use retouch_imaging::{from_unit_range, to_model_input};

use crate::goldens::{Goldens, difference};

#[test]
fn rounds_as_diffusers() {
    let goldens = Goldens::open("inputs");
    let (shape, planes) = goldens.floats("unit/planes");
    let ours = from_unit_range(&planes, shape[2] as u32, shape[1] as u32).unwrap();
    assert_eq!(difference(&ours, &goldens.image("unit/pixels")), (0, 0.0));
}

#[test]
fn saturates_and_refuses() {
    let image = from_unit_range(&[-0.5, 1.5, f32::NAN, f32::INFINITY, 0.0, 1.0], 2, 1).unwrap();
    assert_eq!(image.as_raw(), &[0, 0, 0, 255, 255, 255]);
    assert_eq!(from_unit_range(&[0.0; 5], 2, 1).unwrap_err().code(), "planes_mismatch");
    assert_eq!(from_unit_range(&[0.0; 5], u32::MAX, u32::MAX).unwrap_err().code(), "planes_mismatch");
    assert_eq!(from_unit_range(&[], 0, 1).unwrap_err().code(), "image_empty");
}

#[test]
fn the_range_is_symmetric() {
    let image = from_unit_range(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0], 2, 1).unwrap();
    assert_eq!(to_model_input(&image), [-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
}
