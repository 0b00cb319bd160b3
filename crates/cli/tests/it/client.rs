//! What a user does through a server, from one photo to a file of rows.

use std::fs;

use serde_json::{Value, json};

use crate::place::{INSTRUCTION, Place, Run, golden, pixels};
use crate::services::{command, difference, up};

fn retouch(place: &Place, arguments: &[&str]) -> Run {
    Run::of(&mut command(place, arguments))
}

/// An edit of `path` with few steps, and `more`.
fn edit(place: &Place, path: &str, more: &[&str]) -> Run {
    let arguments = ["edit", path, "-p", INSTRUCTION, "--steps", "4", "--seed", "7"];
    retouch(place, &[&arguments, more].concat())
}

#[test]
fn a_folder_of_images_becomes_a_folder_of_results() {
    let place = Place::new();
    fs::create_dir(place.path("photos")).expect("made");
    for name in ["a.png", "ảnh đẹp.PNG"] {
        fs::copy(golden("photo.png"), place.path("photos").join(name)).expect("copied");
    }
    fs::write(place.path("photos/notes.txt"), "no image").expect("written");
    let (_service, client) = up(&place);
    let run = edit(&place, "photos", &["--model", "ip2p-euler-a", "-o", "results"]).ok();
    assert!(run.stdout.contains("2 new, 0 duplicate, 0 invalid"), "{}", run.stdout);
    assert!(run.stdout.ends_with("2 succeeded, 0 failed, 0 canceled, 0 expired\n"), "{}", run.stdout);
    place.edit("--steps 4 --seed 7 --output out.png").ok();
    for name in ["a.png", "ảnh đẹp.png"] {
        assert!(
            difference(&pixels(&place.path("results").join(name)), &place.pixels("out.png")) <= 1,
            "{name}"
        );
    }
    assert_eq!(fs::read_dir(place.path("results")).expect("made").count(), 2);

    let batches = retouch(&place, &["ls", "--json"]).ok().json();
    let batch = batches["batches"][0]["id"].as_str().expect("an id").to_owned();
    fs::remove_file(place.path("results/a.png")).expect("removed");
    let fetched = retouch(&place, &["fetch", &batch, "-o", "results", "--json"]).ok().json();
    assert_eq!(fetched["files"], json!(["results/a.png", "results/ảnh đẹp.png"]));
    assert!(place.path("results/a.png").is_file());
    let archive = retouch(&place, &["fetch", &batch, "--zip", "all.zip", "--json"]).ok().json();
    assert_eq!(archive["files"], json!(["all.zip"]));
    let archive = fs::read(place.path("all.zip")).expect("written");
    let image = fs::read(place.path("results/a.png")).expect("fetched");
    assert!(archive.starts_with(b"PK\x03\x04") && archive.windows(image.len()).any(|part| part == image));
    let neither = retouch(&place, &["fetch", &batch]);
    assert_eq!(neither.status, Some(2), "{}", neither.stderr);
    let newest = retouch(&place, &["ls", "--newest", "--limit", "1", "--state", "completed", "--json"]).ok();
    assert_eq!(newest.json()["batches"][0]["id"], batch.as_str());
    assert_eq!(
        retouch(&place, &["ls", "--label", "none of mine", "--json"]).ok().json()["batches"],
        json!([])
    );
    // A worker tells what it has twice a second.
    let loaded = |_| {
        let models = retouch(&place, &["models", "ls", "--json"]).ok().json();
        let models = models["models"].as_array().cloned().unwrap_or_default();
        models.iter().any(|model| model["name"] == "ip2p-euler-a" && model["loaded"] == 1)
    };
    assert!((0..200).any(loaded), "no worker tells of the model that it used");
    let workers = retouch(&place, &["workers"]).ok().stdout;
    assert!(workers.contains("  gpu ") && workers.contains(" 1 loaded"), "{workers}");
    let usage = retouch(&place, &["usage", "--json"]).ok().json();
    assert_eq!(usage["days"][0]["images"], 2, "{usage}");
    assert_eq!(retouch(&place, &["queues", "--json"]).ok().json(), json!({"queues": []}));
    assert_eq!(retouch(&place, &["get", &batch, "--json"]).ok().json()["counts"]["succeeded"], 2);
    let over = retouch(&place, &["cancel", &batch, "--json"]);
    assert_eq!((over.status, over.json()["error"]["code"].is_string()), (Some(2), true), "{}", over.stdout);

    let failed = edit(&place, "photo.png", &["--model", "none"]);
    assert_eq!(failed.status, Some(1), "{}", failed.stderr);
    assert!(
        failed.stdout.contains("photo.png: ") && failed.stdout.contains("[model_unknown]"),
        "{}",
        failed.stdout
    );
    let text = edit(&place, "photos/notes.txt", &["--model", "none"]);
    assert_eq!(text.status, Some(2), "{}", text.stderr);
    assert!(
        text.stderr.contains("photos/notes.txt: ") && text.stderr.ends_with("_unsupported]\n"),
        "{}",
        text.stderr
    );

    let address = format!("http://{}", client.address);
    let wrong = retouch(&place, &["ls", "--url", &address, "--key", "rtk_wrong"]);
    assert_eq!(wrong.status, Some(4), "{}", wrong.stderr);
    let nowhere = retouch(&place, &["ls", "--url", "http://127.0.0.1:1", "--key", &client.key]);
    assert_eq!(nowhere.status, Some(3), "{}", nowhere.stderr);
    let unknown = retouch(&Place::with_models(&[]), &["ls"]);
    assert_eq!(unknown.status, Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.ends_with("[server_unknown]\n"), "{}", unknown.stderr);
}

#[test]
fn a_file_of_rows_is_submitted_checked_watched_and_stopped() {
    let place = Place::new();
    let (_service, client) = up(&place);
    let file = client.photo();
    let row =
        |steps: u32| json!({"image": {"file": file}, "instruction": INSTRUCTION, "steps": steps}).to_string();
    fs::write(place.path("rows.jsonl"), format!("{}\nnot json\n{}\n", row(3), row(4))).expect("written");
    let defaults = ["--defaults", r#"{"model": "ip2p-euler-a"}"#];
    let submit = |more: &[&str]| retouch(&place, &[&["submit", "rows.jsonl"], &defaults[..], more].concat());
    let estimate: Value = submit(&["--dry-run", "--json"]).ok().json();
    assert_eq!((&estimate["valid"], &estimate["invalid"]), (&json!(2), &json!(1)), "{estimate}");
    assert_eq!(retouch(&place, &["ls"]).ok().stdout, "");
    let run = submit(&["--json", "-o", "results"]);
    assert_eq!(run.status, Some(1), "a row was refused: {}", run.stderr);
    let over = run.json();
    assert_eq!((&over["state"], &over["counts"]["succeeded"]), (&json!("completed"), &json!(2)), "{over}");
    assert_eq!(over["files"].as_array().map(Vec::len), Some(2));

    fs::write(place.path("rows.jsonl"), format!("{}\n", row(1000)).repeat(3)).expect("written");
    let receipt = submit(&["--no-wait", "--json"]).ok().json();
    let batch = receipt["id"].as_str().expect("an id");
    assert_eq!(retouch(&place, &["pause", batch, "--json"]).ok().json()["paused"], true);
    assert_eq!(retouch(&place, &["resume", batch, "--json"]).ok().json()["paused"], false);
    assert_eq!(retouch(&place, &["cancel", batch, "--json"]).ok().json()["cancel_requested"], true);
    let stopped = retouch(&place, &["watch", batch, "--json"]);
    assert_eq!(stopped.status, Some(1), "{}", stopped.stderr);
    assert_eq!(stopped.json()["counts"]["canceled"], 3, "{}", stopped.stdout);
    assert_eq!(stopped.json()["errors"].as_array().map(Vec::len), Some(3));
}

#[test]
fn shells_learn_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = retouch(&place, &["completions", shell]).ok().stdout;
        assert!(script.contains("retouch") && script.contains("cancel"), "{shell}");
    }
    assert_eq!(retouch(&place, &["completions", "tcsh"]).status, Some(2));
}

#[test]
fn a_dataset_is_generated_and_is_the_same_when_it_is_generated_again() {
    let place = Place::new();
    let (_service, _) = up(&place);
    let generate = |folder: &str, shard: &str| {
        let arguments =
            ["dataset", "--pairs", "150", "--seed", "3", "--size", "32", "--shard", shard, "-o", folder];
        retouch(&place, &arguments).ok()
    };
    let run = generate("first", "100");
    assert!(run.stdout.contains(": 5 jobs, 2 shards\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with(": 5 succeeded, 0 failed, 0 canceled, 0 expired\n"), "{}", run.stdout);
    generate("second", "100");
    let shard = |folder: &str, name: &str| fs::read(place.path(folder).join(name)).expect("a shard");
    for name in ["00000.tar", "00001.tar"] {
        assert!(shard("first", name) == shard("second", name), "{name} differs");
    }
    // The pairs are those of the seeds, however they are packed.
    generate("whole", "150");
    let pairs = |bytes: &[u8]| -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.expect("a member");
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("its bytes");
            (entry.path().expect("a name").display().to_string(), bytes)
        };
        archive.entries().expect("a tar file").map(read).collect()
    };
    let parts = [pairs(&shard("first", "00000.tar")), pairs(&shard("first", "00001.tar"))].concat();
    assert!(parts.len() >= 3 * 140 && parts.len() % 3 == 0, "{}", parts.len());
    assert!(parts == pairs(&shard("whole", "00000.tar")));

    let refused = retouch(&place, &["dataset", "--pairs", "0"]);
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("pairs: "), "{}", refused.stderr);
}
