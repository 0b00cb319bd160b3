//! `retouch evaluate`, with the fixture model, which edits nothing right.

use std::path::Path;
use std::process::Command;

use retouch_evaluation::Row;
use serde_json::Value;

use crate::place::{Place, RETOUCH, Run};

/// One case, one step: enough to go through everything.
const SPATIAL: [&str; 8] = ["evaluate", "spatial", "--model", "ip2p-ddim", "--limit", "1", "--steps", "1"];

fn run(place: &Place, more: &[&str]) -> Run {
    Run::of(Command::new(RETOUCH).args(SPATIAL).args(more).current_dir(place.path("")))
}

fn share(results: &Value, row: &str) -> f64 {
    let rows = results["rows"].as_array().expect("rows");
    let row = rows.iter().find(|found| found["row"] == row).unwrap_or_else(|| panic!("{row}: {results}"));
    row["overall"]["share"].as_f64().expect("a share")
}

#[test]
fn a_model_is_evaluated_and_goes_on_where_it_was_interrupted() {
    let place = Place::with_models(&["ip2p-ddim"]);
    let results = run(&place, &["--output", "out", "--json"]).ok().json();
    assert_eq!((&results["suite"], &results["cases"]), (&Value::from("spatial-v1"), &Value::from(1)));
    // Without a spatial layer the rows that need one are left out.
    let names: Vec<&str> =
        results["rows"].as_array().expect("rows").iter().filter_map(|row| row["row"].as_str()).collect();
    assert_eq!(names, ["input", "vae-input", "vae-truth", "plain", "dynamic"]);
    assert_eq!(share(&results, "input"), 0.0);
    assert_eq!(share(&results, "plain"), 0.0);
    let written: Value =
        serde_json::from_slice(&std::fs::read(place.path("out/results.json")).expect("written"))
            .expect("JSON");
    assert_eq!(written, results);
    assert!(place.pixels("out/sheet.png").width() > 128 * 6);
    // One result is lost: it alone is made again, the same.
    let lost = first_png(&place.path("out/plain"));
    let (bytes, kept) = (place.pixels("out/sheet.png"), modified(&place.path("out/dynamic")));
    let pixels = crate::place::pixels(&lost);
    std::fs::remove_file(&lost).expect("removed");
    run(&place, &["--output", "out", "--json"]).ok();
    assert_eq!(crate::place::pixels(&lost), pixels);
    assert_eq!(place.pixels("out/sheet.png"), bytes);
    assert_eq!(modified(&place.path("out/dynamic")), kept);
    // Other parameters need another folder.
    let refused = run(&place, &["--output", "out", "--seed", "5"]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("[output_of_other_parameters]"), "{}", refused.stderr);
}

#[test]
fn rows_that_no_model_answers_need_none_of_its_steps() {
    let place = Place::with_models(&["ip2p-ddim"]);
    let table = run(&place, &["--output", "out", "--rows", "input"]).ok().stdout;
    assert!(table.contains("overall") && table.contains("input") && !table.contains("plain"), "{table}");
    let refused = run(&place, &["--output", "other", "--rows", "both"]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("[nothing_to_evaluate]"), "{}", refused.stderr);
    let unknown = run(&place, &["--output", "other", "--rows", "best"]);
    assert_eq!(unknown.status, Some(2));
    Row::ALL.iter().for_each(|row| assert!(unknown.stderr.contains(row.name()), "{}", unknown.stderr));
}

#[test]
fn the_detector_tells_its_own_error() {
    let report = Run::of(Command::new(RETOUCH).args(["evaluate", "detector", "--limit", "1", "--json"]));
    let report = report.ok().json();
    assert_eq!((&report["cases"], &report["false_rejects"]["wrong"]), (&1.into(), &0.into()));
    assert!(report["false_accepts"]["judged"].as_u64().is_some_and(|judged| judged >= 5));
}

fn first_png(folder: &Path) -> std::path::PathBuf {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("readable").path()).min().expect("a result")
}

fn modified(folder: &Path) -> Vec<std::time::SystemTime> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files.iter().map(|file| file.metadata().and_then(|data| data.modified()).expect("known")).collect()
}
