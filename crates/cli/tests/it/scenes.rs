//! `retouch scenes`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use retouch_imaging::{Limits, RgbImage, decode};
use serde_json::Value;

fn run(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_retouch"))
        .arg("scenes")
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("starts")
}

#[track_caller]
fn json(output: &Output, status: i32) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(status), "{text} {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("one JSON object")
}

fn image(path: &Path) -> RgbImage {
    decode(&std::fs::read(path).expect("there"), &Limits::default()).expect("an image").pixels
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("readable");
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn render_writes_pairs_with_their_truth() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["render", "--count", "5", "--seed", "11", "--size", "64", "--output", "out", "--json"];
    let report = json(&run(&arguments, place.path()), 0);
    assert_eq!((&report["pairs"], &report["made"], &report["kept"]), (&5.into(), &5.into(), &0.into()));

    let out = place.path().join("out");
    let index = std::fs::read_to_string(out.join("index.jsonl")).expect("written");
    let lines: Vec<Value> = index.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 5);
    for (line, number) in lines.iter().zip(0u64..) {
        assert_eq!((&line["id"], &line["seed"]), (&format!("{number:06}").into(), &(11 + number).into()));
        assert!(line["instruction"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(line["captions"]["after_vietnamese"].is_string() && line["intents"].is_array());
        let before = image(&out.join(line["before"].as_str().expect("a path")));
        assert_eq!(before.dimensions(), (64, 64));
        assert_ne!(before, image(&out.join(line["after"].as_str().expect("a path"))));

        let folder = out.join(format!("pairs/000/{number:06}"));
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("written");
        let truth: Value = serde_json::from_str(&read("truth.json")).expect("JSON");
        let scene: Value = serde_json::from_str(&read("scene.json")).expect("JSON");
        let mask = image(&folder.join("before-mask.png"));
        let objects = truth["before"]["objects"].as_array().expect("objects");
        assert_eq!(objects.len(), scene["before"]["objects"].as_array().map_or(0, Vec::len));
        for (object, grey) in objects.iter().zip(1u8..) {
            let shown = mask.pixels().filter(|pixel| pixel.0 == [grey; 3]).count() as u64;
            assert_eq!(object["area"].as_u64(), Some(shown));
        }
    }
}

#[test]
fn render_goes_on_where_it_stopped_and_repeats_what_is_damaged() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let render = |count: &str, output: &str| {
        let arguments =
            ["render", "--count", count, "--size", "32", "--split", "held-out", "--output", output, "--json"];
        json(&run(&arguments, place.path()), 0)
    };
    render("6", "whole");
    render("3", "resumed");
    let resumed = place.path().join("resumed");
    std::fs::write(resumed.join("pairs/000/000001/scene.json"), "").expect("writable");
    std::fs::create_dir(resumed.join(".partial-killed")).expect("writable");
    let report = render("6", "resumed");
    assert_eq!((&report["made"], &report["kept"], &report["pairs"]), (&4.into(), &2.into(), &6.into()));
    let of = |name: &str| -> BTreeMap<PathBuf, Vec<u8>> {
        let root = place.path().join(name);
        let relative = |path: PathBuf| path.strip_prefix(&root).expect("below").to_owned();
        files(&root).into_iter().map(|(path, bytes)| (relative(path), bytes)).collect()
    };
    assert_eq!(of("resumed"), of("whole"));
    assert!(!resumed.join(".partial-killed").exists());
}

#[test]
fn a_folder_takes_pairs_of_one_set_of_parameters() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let arguments =
        |seed| ["render", "--count", "1", "--size", "32", "--seed", seed, "--output", "out", "--json"];
    json(&run(&arguments("1"), place.path()), 0);
    let before = files(&place.path().join("out"));
    let report = json(&run(&arguments("2"), place.path()), 2);
    assert_eq!(report["error"]["code"], "output_of_other_parameters");
    assert_eq!(files(&place.path().join("out")), before);
}

#[test]
fn what_cannot_be_written_is_a_named_error() {
    let place = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(place.path().join("file"), "").expect("writable");
    let report = json(&run(&["render", "--count", "1", "--output", "file", "--json"], place.path()), 3);
    assert_eq!(report["error"]["code"], "file_inaccessible");
    let report =
        json(&run(&["preview", "--count", "1", "--output", "none/sheet.png", "--json"], place.path()), 3);
    assert_eq!(report["error"]["code"], "file_inaccessible");
    let output = run(&["preview", "--count", "1", "--output", "none/sheet.png"], place.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: cannot write none/sheet.png: "), "{stderr}");
    assert!(stderr.ends_with(" [file_inaccessible]\n"), "{stderr}");
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let place = tempfile::tempdir().expect("a temporary folder");
    for arguments in [
        &["render"][..],
        &["render", "--output", "out", "--size", "8"],
        &["render", "--output", "out", "--kinds", "fly"],
        &["preview", "--output", "x.png", "--count", "0"],
        &["preview", "--output", "x.png", "--split", "test"],
    ] {
        let output = run(arguments, place.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    assert!(files(place.path()).is_empty());
}

#[test]
fn preview_draws_pairs_and_words() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let arguments = [
        "preview",
        "--count",
        "3",
        "--columns",
        "2",
        "--size",
        "64",
        "--kinds",
        "move_by,add",
        "--language",
        "vietnamese",
        "--output",
        "sheet.png",
        "--json",
    ];
    let report = json(&run(&arguments, place.path()), 0);
    let sheet = image(&place.path().join("sheet.png"));
    assert_eq!(
        (report["width"].as_u64(), report["height"].as_u64()),
        (Some(300), Some(sheet.height().into()))
    );
    // The first row's images, and ink below them.
    let row = |y: u32| (0..sheet.width()).map(move |x| (x, y));
    assert!(row(40).filter(|(x, y)| sheet.get_pixel(*x, *y).0 != [255; 3]).count() > 250);
    let ink = (81..98).flat_map(row).filter(|(x, y)| sheet.get_pixel(*x, *y).0 == [20, 20, 24]).count();
    assert!((40..1200).contains(&ink), "{ink} dark pixels");
}

#[test]
fn a_blender_that_is_not_there_or_fails_is_a_named_error() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let render = |program: &str, output: &str, status| {
        let arguments = [
            "render",
            "--count",
            "1",
            "--size",
            "32",
            "--backend",
            "blender",
            "--blender",
            program,
            "--output",
            output,
            "--json",
        ];
        json(&run(&arguments, place.path()), status)
    };
    assert_eq!(render("/none/blender", "a", 69)["error"]["code"], "blender_not_started");
    assert_eq!(render("false", "b", 1)["error"]["code"], "blender_failed");
    // It ends well and leaves no picture.
    assert_eq!(render("true", "c", 1)["error"]["code"], "blender_file_inaccessible");
    assert!(!place.path().join("c/pairs/000").exists());
}
