//! Every way to fail: exit status, stable code, message, and nothing left behind.

use std::fs;

use retouch_testkit::models::{tensors, write_safetensors};

use crate::place::{INSTRUCTION, Place, RETOUCH, Run};

/// An edit that would succeed.
const EDIT: &str = "--steps 1 --seed 7 --output out.png";
const UNET: &str = "ip2p-euler-a/unet/diffusion_pytorch_model.safetensors";

/// Fails unless `run` failed as told, by name, leaving the folder as it was before.
#[track_caller]
fn assert_failed(run: &Run, status: i32, code: &str, message: &str) {
    assert_eq!((run.status, run.stdout.as_str()), (Some(status), ""), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains(message), "{message}: {}", run.stderr);
    assert!(run.stderr.ends_with(&format!(" [{code}]\n")), "{code}: {}", run.stderr);
}

/// As text and as JSON.
#[track_caller]
fn assert_edit_fails(place: &Place, arguments: &str, status: i32, code: &str, message: &str) {
    let before = place.listing();
    let text = place.edit(arguments);
    assert_failed(&text, status, code, message);
    let json = place.edit(&format!("{arguments} --json"));
    assert_eq!((json.status, json.stderr.as_str()), (Some(status), ""), "{}", json.stdout);
    let error = json.json()["error"].clone();
    assert_eq!(error["code"], code);
    let expected = format!("error: {} [{code}]\n", error["message"].as_str().expect("a text"));
    assert_eq!(text.stderr, expected);
    assert_eq!(place.listing(), before);
}

#[test]
fn wrong_parameters_exit_with_2() {
    let place = Place::new();
    let cases = [
        ("--steps 0", "parameter_invalid", "parameter `steps` is 0: from 1 to 1000"),
        ("--steps 1 --size 32x31", "size_invalid", "a height of 30 or 32"),
        ("--steps 1 --guidance-text NaN", "parameter_invalid", "parameter `guidance_text` is NaN"),
        ("--steps 1 --guidance-image 1e9", "parameter_invalid", "parameter `guidance_image` is 1000000000"),
        ("--steps 1 --sampler ddim --sigma-interp log", "sampler_unsupported_option", "`sigma_interp`"),
    ];
    for (arguments, code, message) in cases {
        assert_edit_fails(&place, &format!("{arguments} --seed 7 --output out.png"), 2, code, message);
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let place = Place::new();
    let cases = [
        ("--steps some", "invalid value 'some' for '--steps <STEPS>'"),
        ("--sampler heun", "invalid value 'heun' for '--sampler <SAMPLER>'"),
        ("--sigma-interp cubic", "invalid value 'cubic'"),
        ("--size 32", "expected WIDTHxHEIGHT, such as 512x512"),
        ("--device tpu", "unknown device `tpu`: use auto, cpu or cuda:N"),
        ("--quality 0", "0 is not in 1..=100"),
        ("--colour", "unexpected argument '--colour' found"),
    ];
    for (arguments, message) in cases {
        let generate = format!("--model ip2p-euler-a --output out.png {arguments}");
        let run = |json: &str| {
            let mut all = vec!["engine", "generate", "--prompt", INSTRUCTION];
            all.extend(generate.split_whitespace().chain(json.split_whitespace()));
            place.retouch(&all)
        };
        let text = run("");
        assert_eq!((text.status, text.stdout.as_str()), (Some(2), ""), "{}", text.stderr);
        assert!(text.stderr.starts_with("error: ") && text.stderr.contains(message), "{}", text.stderr);
        assert!(text.stderr.ends_with("\n[usage_invalid]\n"), "{}", text.stderr);
        let json = run("--json");
        assert_eq!((json.status, json.stderr.as_str()), (Some(2), ""), "{}", json.stdout);
        let error = json.json()["error"].clone();
        assert_eq!(error["code"], "usage_invalid");
        assert!(error["message"].as_str().expect("a text").contains(message), "{error}");
    }
    let run = place.retouch(&["engine", "info"]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("Usage: retouch engine info --model <MODEL>"), "{}", run.stderr);
}

#[test]
fn a_task_that_the_model_does_not_do_exits_with_2() {
    let place = Place::with_models(&["sd1-pndm"]);
    let edit = format!("--model sd1-pndm {EDIT}");
    assert_edit_fails(&place, &edit, 2, "parameter_invalid", "parameter `task` is edit");
}

#[test]
fn files_at_fault_exit_with_3() {
    let place = Place::new();
    fs::write(place.path("text.png"), "not an image").expect("writable");
    let photo = fs::read(place.path("photo.png")).expect("readable");
    fs::write(place.path("cut.png"), &photo[..photo.len() / 2]).expect("writable");
    fs::create_dir(place.path("folder.png")).expect("writable");
    let inaccessible = "file_inaccessible";
    let cases = [
        ("--output out.gif", "output_format_unsupported", "out.gif"),
        ("--output out", "output_format_unsupported", "end it in .png, .jpg, .jpeg or .webp"),
        ("--output missing/out.png", inaccessible, "cannot write missing/out.png: its folder does not exist"),
        ("--output photo.png/out.png", inaccessible, "cannot write photo.png/out.png: its folder does not"),
        ("--output folder.png", inaccessible, "cannot write folder.png: is a directory"),
        ("--output out.png --dump missing/d.safetensors", inaccessible, "cannot write missing/d.safetensors"),
        ("--output /proc/out.png", inaccessible, "cannot write /proc/out.png: its folder takes no new file"),
    ];
    for (arguments, code, message) in cases {
        assert_edit_fails(&place, &format!("--steps 1 --seed 7 {arguments}"), 3, code, message);
    }
    let images = [
        ("missing.png", inaccessible, "cannot read missing.png: No such file"),
        ("text.png", "image_format_unsupported", "text.png: unsupported format"),
        ("cut.png", "image_truncated", "cut.png: the PNG file is cut short"),
        ("folder.png", inaccessible, "cannot read folder.png: Is a directory"),
    ];
    for (image, code, message) in images {
        let before = place.listing();
        let mut arguments = place.edit_arguments(EDIT);
        let at = arguments.iter().position(|a| *a == "photo.png").expect("there");
        arguments[at] = image;
        assert_failed(&place.retouch(&arguments), 3, code, message);
        assert_eq!(place.listing(), before);
    }
}

/// What makes a sound model unusable.
type Break = fn(&Place);

const BROKEN: [(Break, &str, &str); 6] = [
    (|p| fs::remove_file(p.path(UNET)).expect("there"), "model_incomplete", "ip2p-euler-a/unet has no "),
    (
        |p| {
            let bytes = fs::read(p.path(UNET)).expect("readable");
            fs::write(p.path(UNET), &bytes[..bytes.len() - 1]).expect("writable");
        },
        "model_checkpoint_corrupt",
        "ip2p-euler-a/unet/diffusion_pytorch_model.safetensors is not a usable safetensors file",
    ),
    (
        |p| {
            let mut tensors = tensors("ip2p/unet");
            tensors.remove("conv_in.weight").expect("there");
            write_safetensors(&p.path(UNET), &tensors);
        },
        "model_tensors_mismatch",
        "conv_in.weight",
    ),
    (
        |p| fs::remove_dir_all(p.path("ip2p-euler-a/tokenizer")).expect("there"),
        "model_tokenizer_invalid",
        "ip2p-euler-a/tokenizer",
    ),
    (
        |p| fs::remove_file(p.path("ip2p-euler-a/scheduler/scheduler_config.json")).expect("there"),
        "model_file_unreadable",
        "scheduler_config.json",
    ),
    (|p| fs::remove_dir_all(p.path("ip2p-euler-a")).expect("there"), "model_incomplete", "model_index.json"),
];

#[test]
fn a_model_with_a_part_at_fault_exits_with_4() {
    for (break_it, code, message) in BROKEN {
        let place = Place::new();
        break_it(&place);
        assert_edit_fails(&place, EDIT, 4, code, message);
        let info = place.retouch(&["engine", "info", "--model", "ip2p-euler-a"]);
        assert_failed(&info, 4, code, message);
    }
}

#[test]
fn a_model_with_an_unusable_configuration_exits_with_4() {
    let files = [
        ("unet/config.json", "{", "model_config_invalid", "unet/config.json is not a valid JSON object"),
        (
            "model_index.json",
            r#"{"_class_name": "FluxPipeline"}"#,
            "model_config_unsupported",
            "FluxPipeline",
        ),
        ("scheduler/scheduler_config.json", "{", "sampler_config_json", "scheduler config cannot be read"),
        (
            "scheduler/scheduler_config.json",
            r#"{"_class_name": "HeunDiscreteScheduler"}"#,
            "sampler_unknown",
            "there is no sampler `HeunDiscreteScheduler`",
        ),
    ];
    let place = Place::new();
    for (file, text, code, message) in files {
        let path = place.path("ip2p-euler-a").join(file);
        let sound = fs::read(&path).expect("readable");
        fs::write(&path, text).expect("writable");
        assert_edit_fails(&place, EDIT, 4, code, message);
        fs::write(&path, sound).expect("writable");
    }
}

#[test]
fn values_that_are_no_numbers_exit_with_1() {
    let place = Place::new();
    let mut weights = tensors("ip2p/unet");
    let (_, bytes) = weights.get_mut("conv_out.bias").expect("there");
    bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    write_safetensors(&place.path(UNET), &weights);
    assert_edit_fails(&place, EDIT, 1, "row_non_finite", "unet: conv_out.bias");
    let info = place.retouch(&["engine", "info", "--model", "ip2p-euler-a"]).ok();
    assert!(info.stdout.ends_with("warning: unet: conv_out.bias holds NaN or infinity\n"), "{}", info.stdout);
}

/// The first activations of 8192x6144 pixels take 3.2 GB, more than the limit in all.
#[test]
fn memory_that_does_not_suffice_exits_with_5() {
    let place = Place::with_models(&["sd1-pndm"]);
    let before = place.listing();
    let mut command = place.command("sh");
    command.args(["-c", "ulimit -v 3000000; exec \"$0\" \"$@\"", RETOUCH, "engine", "generate"]);
    command.args(["--model", "sd1-pndm", "--prompt", INSTRUCTION, "--steps", "1", "--seed", "7"]);
    command.args(["--size", "8192x6144", "--threads", "1", "--device", "cpu", "--output", "out.png"]);
    let run = Run::of(&mut command);
    assert_failed(&run, 5, "out_of_memory", "ran out of memory on the device: use a smaller size");
    assert_eq!(place.listing(), before);
}
