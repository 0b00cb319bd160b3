//! What scripts read: every byte of standard output, but for times and fingerprints.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::{Place, RETOUCH, Run};

/// Indented JSON with volatile values checked and replaced.
fn stable(mut report: Value) -> String {
    for name in ["load_seconds", "create_seconds"] {
        if let Some(value) = report.get_mut(name) {
            assert!(value.as_f64().is_some_and(|seconds| seconds > 0.0), "{name}: {value}");
            *value = "SECONDS".into();
        }
    }
    for pointer in ["/fingerprint", "/parameters/model"] {
        if let Some(value) = report.pointer_mut(pointer) {
            assert_fingerprint(value.as_str().unwrap_or_default());
            *value = "FINGERPRINT".into();
        }
    }
    serde_json::to_string_pretty(&report).expect("JSON")
}

#[track_caller]
fn assert_fingerprint(text: &str) {
    assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{text:?}");
}

const EDIT: &str = r#"{
  "output": "out.png",
  "width": 66,
  "height": 44,
  "parameters": {
    "software": "retouch VERSION",
    "task": "edit",
    "prompt": "make the tie blue",
    "negative": "",
    "model": "FINGERPRINT",
    "sampler": "euler-a",
    "sigma_interp": null,
    "karras": null,
    "steps": 2,
    "guidance": "fixed",
    "guidance_text": 7.5,
    "intents": null,
    "clip_skip": null,
    "seed": 7,
    "given_noise": false,
    "width": 66,
    "height": 44,
    "dtype": "f32",
    "spatial": "off",
    "source_box": null,
    "guidance_image": 1.5,
    "fit": "diffusers",
    "resolution": null,
    "input_size": false
  },
  "truncated": null,
  "evaluations": 6,
  "device": "cpu",
  "load_seconds": "SECONDS",
  "create_seconds": "SECONDS"
}"#;

const GENERATE: &str = r#"{
  "output": "out.webp",
  "width": 64,
  "height": 64,
  "parameters": {
    "software": "retouch VERSION",
    "task": "generate",
    "prompt": "make the tie blue",
    "negative": "blurry",
    "model": "FINGERPRINT",
    "sampler": "dpmpp-2m",
    "sigma_interp": "log",
    "karras": true,
    "steps": 2,
    "guidance": "fixed",
    "guidance_text": 3.25,
    "intents": null,
    "clip_skip": 1,
    "seed": 18446744073709551615,
    "given_noise": false,
    "width": 64,
    "height": 64,
    "dtype": "f32"
  },
  "truncated": null,
  "evaluations": 4,
  "device": "cpu",
  "load_seconds": "SECONDS",
  "create_seconds": "SECONDS"
}"#;

const INFO: &str = r#"{
  "family": "instruct-pix2pix",
  "parameters": 2149700,
  "dtype": "f16",
  "weight_bytes": 4299400,
  "run_bytes": 165223048,
  "sampler": "euler-a",
  "vae_factor": 2,
  "fingerprint": "FINGERPRINT",
  "native_width": 64,
  "native_height": 64,
  "non_finite_tensor": null,
  "components": [
    {
      "name": "unet",
      "parameters": 1428164,
      "stored_bytes": 5712656,
      "stored_dtypes": [
        "f32"
      ],
      "unused_tensors": []
    },
    {
      "name": "vae",
      "parameters": 658375,
      "stored_bytes": 2633500,
      "stored_dtypes": [
        "f32"
      ],
      "unused_tensors": []
    },
    {
      "name": "text_encoder",
      "parameters": 63161,
      "stored_bytes": 252644,
      "stored_dtypes": [
        "f32"
      ],
      "unused_tensors": []
    }
  ]
}"#;

const INFO_TEXT: &str = "\
family       instruct-pix2pix
trained at   64x64 pixels, VAE factor 2
sampler      euler-a
parameters   2149701
weights      8.2 MiB in f32
memory       about 165 MiB for one image of that size
fingerprint  FINGERPRINT
unet         1428165 parameters, 5.4 MiB stored as f32; missing: none; unused: spare.weight
vae          658375 parameters, 2.5 MiB stored as f32; missing: none; unused: none
text_encoder 63161 parameters, 0.2 MiB stored as f32; missing: none; unused: none
";

#[track_caller]
fn assert_report(run: &Run, expected: &str) {
    assert_eq!(stable(run.json()), expected.replace("VERSION", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_edit_reports_in_json_and_in_text() {
    let place = Place::new();
    assert_report(&place.edit("--steps 2 --seed 7 --output out.png --json").ok(), EDIT);
    let text = place.edit("--steps 2 --seed 7 --output out.png").ok().stdout;
    let times = text.strip_prefix("out.png: 66x44, seed 7, loaded in ").expect(&text);
    let (load, create) = times.split_once(" s, made in ").expect(&text);
    let create = create.strip_suffix(" s\n").expect(&text);
    assert!(load.parse::<f64>().is_ok() && create.parse::<f64>().is_ok(), "{text}");
}

#[test]
fn a_generation_reports_in_json() {
    let place = Place::with_models(&["sd1-pndm"]);
    let run = "--model sd1-pndm --steps 2 --seed 18446744073709551615 --output out.webp --json --negative blurry \
               --sampler dpmpp-2m --sigma-interp log --karras --guidance-text 3.25 --clip-skip 1";
    assert_report(&place.generate(run).ok(), GENERATE);
}

#[test]
fn info_reports_in_json_and_in_text() {
    let place = Place::new();
    let info = ["engine", "info", "--model", "ip2p-euler-a"];
    let json = place.retouch(&[&info[..], &["--dtype", "f16", "--json"]].concat()).ok();
    assert_report(&json, INFO);
    let mut weights = retouch_testkit::models::tensors("ip2p/unet");
    weights.insert("spare.weight".into(), (vec![1], vec![0; 4]));
    let unet = place.path("ip2p-euler-a/unet/diffusion_pytorch_model.safetensors");
    retouch_testkit::models::write_safetensors(&unet, &weights);
    let text = place.retouch(&info).ok().stdout;
    let (_, rest) = text.split_once("fingerprint  ").expect(&text);
    let fingerprint = rest.lines().next().expect(&text);
    assert_fingerprint(fingerprint);
    assert_ne!(fingerprint, json.json()["fingerprint"]);
    assert_eq!(text.replace(fingerprint, "FINGERPRINT"), INFO_TEXT);
}

#[test]
fn versions_and_help_go_to_standard_output() {
    let place = Place::with_models(&[]);
    let version = |prefix: &str| format!("{prefix} {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.retouch(&["--version"]).ok().stdout, version("retouch"));
    assert_eq!(place.retouch(&["engine", "--version"]).ok().stdout, version("retouch engine"));
    let direct = Run::of(Command::new(Path::new(RETOUCH).with_file_name("retouch-engine")).arg("-V"));
    assert_eq!(direct.ok().stdout, version("retouch engine"));
    let help = place.retouch(&["engine", "edit", "--help"]).ok().stdout;
    assert!(help.contains("Usage: retouch engine edit [OPTIONS] --image <IMAGE>"), "{help}");
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let samplers = "[possible values: ddim, pndm, euler, euler-a, dpmpp-2m, ddpm]";
    assert!(words.contains(samplers), "{help}");
}

/// A reader that leaves early, such as `head`, is an error by name and not a panic.
#[test]
fn a_closed_standard_output_is_named() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = place.command(RETOUCH);
    command.args(["engine", "info", "--model", "ip2p-euler-a"]).stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().and_then(Child::wait_with_output).expect("ends");
    let message = "error: cannot write standard output: Broken pipe (os error 32) [file_inaccessible]\n";
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(3), message));
}

/// Messages that nobody can read any more change neither the exit status nor the result.
#[test]
fn a_closed_standard_error_is_no_panic() {
    let place = Place::new();
    let status = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = place.command(RETOUCH);
        let child = command.args(arguments).stdout(Stdio::null()).stderr(writer).spawn();
        child.and_then(Child::wait_with_output).expect("ends").status.code()
    };
    assert_eq!(status(&["engine", "info", "--model", "nowhere"]), Some(4));
    assert_eq!(status(&["engine", "info", "--frob"]), Some(2));
    let long = "very ".repeat(100);
    let mut edit = place.edit_arguments("--steps 1 --output out.png");
    let instruction = edit.iter().position(|a| *a == "--instruction").expect("there") + 1;
    edit[instruction] = &long;
    assert_eq!(status(&edit), Some(0));
    assert!(place.path("out.png").is_file());
}
