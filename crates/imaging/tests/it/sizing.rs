//! Both sizing rules equal their references, in sizes and in pixels.

use retouch_imaging::{ImageError, SizeRule, to_model_input};
use serde::Deserialize;

use crate::goldens::{Goldens, difference};

#[derive(Deserialize)]
struct Cases {
    sizes: Vec<(String, u32, u32, u32, u32, u32)>,
}

#[test]
fn sizes_equal_the_references() {
    let cases: Cases = Goldens::open("inputs").cases();
    assert_eq!(cases.sizes.len(), 48 * 6);
    for (rule, width, height, number, to_width, to_height) in cases.sizes {
        let plan = match rule.as_str() {
            "diffusers" => SizeRule::Diffusers.plan(width, height, number),
            _ => SizeRule::Original { resolution: number }.plan(width, height, 8),
        };
        let case = format!("{rule} {number} of {width}x{height}");
        match plan {
            Ok(plan) => {
                // The one difference: the reference fails on a size of 0, we use 64.
                let expected = |side: u32| if rule == "original" { side.max(64) } else { side };
                assert_eq!((plan.width, plan.height), (expected(to_width), expected(to_height)), "{case}");
            }
            Err(ImageError::TooSmall { minimum, .. }) => {
                assert!(rule == "diffusers" && minimum == number, "{case}");
                assert!(to_width == 0 || to_height == 0, "{case}");
            }
            Err(error) => panic!("{case}: {error}"),
        }
    }
}

#[test]
fn pixels_equal_the_references() {
    let goldens = Goldens::open("inputs");
    let source = goldens.image("sizing/source");
    let squeezed = [
        (SizeRule::Diffusers, 8, "sizing/diffusers_8"),
        (SizeRule::Diffusers, 32, "sizing/diffusers_32"),
        (SizeRule::Exact { width: 40, height: 16 }, 8, "sizing/exact_40x16"),
    ];
    for (rule, factor, name) in squeezed {
        let (shape, expected) = goldens.floats(name);
        let image = rule.apply(&source, factor).unwrap();
        assert_eq!(shape, [3, image.height() as usize, image.width() as usize], "{name}");
        assert!(to_model_input(&image) == expected, "{name}");
    }
    let original = SizeRule::Original { resolution: 64 };
    for (source, name) in
        [("sizing/source", "sizing/original_64"), ("sizing/source_tall", "sizing/original_tall_64")]
    {
        let ours = original.apply(&goldens.image(source), 8).unwrap();
        assert_eq!(difference(&ours, &goldens.image(name)), (0, 0.0), "{name}");
    }
}

#[test]
fn what_the_reference_rounds_to_nothing_is_one_block() {
    let plan = SizeRule::Original { resolution: 512 }.plan(512, 49, 8).unwrap();
    assert_eq!((plan.width, plan.height), (640, 64));
}

#[test]
fn says_which_sizes_are_possible() {
    let refuse = |rule: SizeRule, size: (u32, u32), factor| rule.plan(size.0, size.1, factor).unwrap_err();
    let exact = |width, height| refuse(SizeRule::Exact { width, height }, (100, 100), 8);
    assert_eq!(
        exact(500, 512).to_string(),
        "the size 500x512 cannot be used: each side must be a multiple of 8; nearest are a width of 496 or 504 \
         and a height of 512"
    );
    assert!(exact(3, 0).to_string().ends_with("a width of 8 and a height of 8"));
    assert_eq!(exact(u32::MAX, 8).code(), "size_invalid");
    assert_eq!(refuse(SizeRule::Diffusers, (7, 300), 8).code(), "image_too_small");
    assert_eq!(refuse(SizeRule::Diffusers, (0, 300), 8).code(), "image_empty");
    assert_eq!(refuse(SizeRule::Diffusers, (9, 9), 0).code(), "size_invalid");
    let original = SizeRule::Original { resolution: 512 };
    assert_eq!(refuse(original, (1, 16_384), 8).code(), "size_invalid");
    assert_eq!(refuse(original, (100, 100), 1024).code(), "size_invalid");
    assert_eq!(refuse(SizeRule::Original { resolution: 0 }, (100, 100), 8).code(), "size_invalid");
}
