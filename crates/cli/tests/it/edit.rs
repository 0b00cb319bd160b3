//! Edits and generations against diffusers, noise from a file, sizes and types.

use safetensors::tensor::TensorView;
use serde_json::json;

use crate::place::{Place, Run, difference, golden, pixels, tensors};

/// A whole loop in float32 on the CPU.
const LOOP: f64 = 1e-3;
/// One network.
const NETWORK: f64 = 1e-4;

/// The edit of `make_cli.py`.
const EDIT: &str = "--steps 6 --seed 7 --output out.png";

#[test]
fn an_edit_of_a_file_equals_diffusers() {
    let place = Place::new();
    place.edit(&format!("{EDIT} --dump dump.safetensors")).ok();
    let (dump, expected) = (tensors(&place.path("dump.safetensors")), tensors(&golden("edit.safetensors")));
    assert!(dump.keys().eq(expected.keys()), "{:?}", dump.keys());
    let tolerances =
        [("text_embeds", NETWORK), ("image_latents", NETWORK), ("latents", LOOP), ("image", LOOP)];
    for (name, tolerance) in tolerances {
        let delta = difference(&dump[name], &expected[name]);
        assert!(delta <= tolerance, "{name} differs by {delta:.1e}");
    }
    let (result, expected) = (place.pixels("out.png"), pixels(&golden("edit.png")));
    assert_eq!(result.dimensions(), expected.dimensions());
    let levels = result.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(levels <= Some(1), "{levels:?}");
}

#[test]
fn a_generation_equals_diffusers() {
    let place = Place::with_models(&["sd1-pndm"]);
    let run =
        "--model sd1-pndm --negative blurry --size 48x32 --seed 7 --output out.png --dump dump.safetensors";
    place.generate(run).ok();
    let dump = tensors(&place.path("dump.safetensors"));
    let expected = tensors(&retouch_testkit::models::goldens().join("generate.safetensors"));
    assert!(dump.keys().eq(["image", "latents", "text_embeds"]), "{:?}", dump.keys());
    let delta = difference(&dump["latents"], &expected["sd1"]);
    assert!(delta <= LOOP, "{delta:.1e}");
    assert_eq!(place.pixels("out.png").dimensions(), (48, 32));
}

#[test]
fn noise_from_a_file_replaces_the_draws_of_the_seed() {
    let place = Place::new();
    place.edit(&format!("{EDIT} --dump drawn.safetensors")).ok();
    let noise = golden("noise.safetensors");
    let given = "--steps 6 --seed 8 --output given.png --dump given.safetensors --noise";
    place.edit(&format!("{given} {}", noise.display())).ok();
    let bytes = |name: &str| std::fs::read(place.path(name)).expect("written");
    assert!(bytes("drawn.safetensors") == bytes("given.safetensors"), "the dumps differ");
    assert_eq!(place.pixels("given.png"), place.pixels("out.png"));
}

#[test]
fn unusable_noise_is_named() {
    use safetensors::Dtype::{F16, F32};
    let place = Place::new();
    const GOOD: &[usize] = &[1, 4, 22, 33];
    const STEPS: &[usize] = &[6, 1, 4, 22, 33];
    let invalid = "noise_invalid";
    type Tensors = &'static [(&'static str, safetensors::Dtype, &'static [usize])];
    let cases: [(Tensors, &str, &str); 7] = [
        (&[("steps", F32, STEPS)], invalid, "it has no tensor `latents`"),
        (&[("latents", F16, GOOD)], invalid, "`latents` is F16 instead of F32"),
        (
            &[("latents", F32, &[1, 4, 33, 22])],
            invalid,
            "`latents` is [1, 4, 33, 22] instead of [1, 4, 22, 33]",
        ),
        (&[("latents", F32, &[4, 22, 33])], invalid, "`latents` is [4, 22, 33] instead of [1, 4, 22, 33]"),
        (
            &[("latents", F32, GOOD), ("steps", F32, &[6, 4, 22, 33])],
            invalid,
            "`steps` is [6, 4, 22, 33] instead of [n, 1, 4, 22, 33]",
        ),
        (&[("latents", F32, GOOD)], "parameter_invalid", "`noise.steps` is 0 values"),
        (
            &[("latents", F32, GOOD), ("steps", F32, &[5, 1, 4, 22, 33])],
            "parameter_invalid",
            "`noise.steps` is 14520 values",
        ),
    ];
    for (tensors, code, message) in cases {
        let zeros = vec![0; 4 * 6 * 4 * 22 * 33];
        let views = tensors.iter().map(|(name, dtype, shape)| {
            let length = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            (name, TensorView::new(*dtype, shape.to_vec(), &zeros[..length]).expect("consistent"))
        });
        safetensors::serialize_to_file(views, None, &place.path("noise.safetensors")).expect("writable");
        let run = place.edit(&format!("{EDIT} --noise noise.safetensors"));
        assert_eq!(run.status, Some(if code == invalid { 3 } else { 2 }), "{}", run.stderr);
        assert!(run.stderr.contains(message), "{message}: {}", run.stderr);
        assert!(run.stderr.ends_with(&format!("[{code}]\n")), "{}", run.stderr);
    }
    std::fs::write(place.path("noise.safetensors"), "noise").expect("writable");
    let run = place.edit(&format!("{EDIT} --noise noise.safetensors"));
    assert!(run.stderr.starts_with("error: noise.safetensors holds no usable noise: "), "{}", run.stderr);
    let run = place.edit(&format!("{EDIT} --noise missing.safetensors"));
    assert!(run.stderr.ends_with("[file_inaccessible]\n"), "{}", run.stderr);
}

#[test]
fn sizes_are_as_asked() {
    let place = Place::new();
    // 67x45 floored to the VAE's factor 2, unless something else is said.
    let cases = [
        ("", (66, 44), (66, 44)),
        ("--input-size", (67, 45), (66, 44)),
        ("--size 32x48", (32, 48), (32, 48)),
        ("--size 32x48 --input-size", (67, 45), (32, 48)),
        ("--fit original --resolution 64", (64, 64), (64, 64)),
    ];
    for (options, result, made) in cases {
        let run = place.edit(&format!("--steps 2 --seed 7 --output out.png --json {options}")).ok();
        let report = run.json();
        assert_eq!(place.pixels("out.png").dimensions(), result, "{options}");
        assert_eq!((&report["width"], &report["height"]), (&json!(result.0), &json!(result.1)), "{options}");
        let parameters = &report["parameters"];
        let (width, height) = (&parameters["width"], &parameters["height"]);
        assert_eq!((width, height), (&json!(made.0), &json!(made.1)), "{options}");
    }
}

#[test]
fn bfloat16_differs_and_differs_little() {
    let place = Place::new();
    place.edit(EDIT).ok();
    place.edit("--steps 6 --seed 7 --output bf16.png --dtype bf16").ok();
    let (exact, rounded) = (place.pixels("out.png"), place.pixels("bf16.png"));
    assert_ne!(exact, rounded);
    let levels: f64 = exact.iter().zip(rounded.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    let mean = levels / exact.len() as f64;
    assert!(mean < 8.0, "{mean:.2} levels on average");
}

#[test]
fn text_that_does_not_fit_is_told() {
    let place = Place::new();
    let long = format!("{}at last", "blue ".repeat(80));
    let run = |more: &[&str]| -> Run {
        let mut arguments = place.edit_arguments("--steps 1 --seed 7 --output out.png");
        let instruction = arguments.iter().position(|a| *a == "--instruction").expect("there") + 1;
        arguments[instruction] = &long;
        arguments.extend(more);
        place.retouch(&arguments)
    };
    let text = run(&[]);
    assert_eq!(text.status, Some(0), "{}", text.stderr);
    let warning = "warning: the text encoder has no room for the end of the text: \"";
    assert!(text.stderr.starts_with(warning) && text.stderr.ends_with("at last\"\n"), "{}", text.stderr);
    let report = run(&["--json"]).ok().json();
    let rest = report["truncated"].as_str().expect("the rest");
    assert!(rest.ends_with("at last") && long.ends_with(rest), "{rest}");
}
