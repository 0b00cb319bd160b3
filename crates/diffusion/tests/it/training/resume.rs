//! Interruptions: at any moment, at most the steps since the last state are lost, and nothing of the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retouch_diffusion::training::{Outcome, StageName, Training};
use tempfile::tempdir;

use super::data::Broken;
use super::{Squares, finish, open, options, recipe, stop_after};

/// The bytes of all finished parts and latents.
fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.join("work/parts"), folder.join("work/latents")];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("inside").to_owned();
                found.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

#[test]
fn an_interrupted_training_ends_with_the_same_bytes() {
    let (whole, parts) = (tempdir().expect("writable"), tempdir().expect("writable"));
    finish(&open(whole.path()));
    for stage in StageName::ALL {
        // 3 and 7 steps are before and after a state that was due; each stop is a process of its own.
        for steps in [3, 4] {
            let outcome = open(parts.path()).run(stage, &mut stop_after(steps)).expect("no failure");
            let trains = !matches!(stage, StageName::Tokenizer | StageName::Latents);
            assert!(!trains || outcome == Outcome::Stopped);
        }
        let outcome = open(parts.path()).run(stage, &mut |_, _| Ok(())).expect("no failure");
        assert_eq!(outcome, Outcome::Done);
    }
    let (whole, parts) = (results(whole.path()), results(parts.path()));
    assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
    let different: Vec<_> =
        whole.iter().filter(|(name, bytes)| parts[*name] != **bytes).map(|(n, _)| n).collect();
    assert!(different.is_empty(), "{different:?} differ");
}

#[test]
fn unusable_examples_change_nothing_of_that() {
    let folders = [tempdir().expect("writable"), tempdir().expect("writable")];
    let open = |folder: &Path| {
        let recipe = recipe(folder, &[]).expect("a usable recipe");
        Training::open(recipe, &folder.join("work"), options(), Arc::new(Broken { every: 16 }))
            .expect("a new folder")
    };
    for (folder, stops) in folders.iter().zip([false, true]) {
        open(folder.path()).run(StageName::Tokenizer, &mut |_, _| Ok(())).expect("no failure");
        if stops {
            open(folder.path()).run(StageName::Vae, &mut stop_after(17)).expect("no failure");
        }
        let outcome = open(folder.path()).run(StageName::Vae, &mut |_, _| Ok(())).expect("no failure");
        assert_eq!(outcome, Outcome::Done);
    }
    let [whole, stopped] = folders.map(|folder| results(folder.path()));
    assert!(!whole.is_empty() && whole == stopped);
}

#[test]
fn a_damaged_newest_state_costs_the_steps_since_the_one_before() {
    let folder = tempdir().expect("writable");
    let training = open(folder.path());
    training.run(StageName::Tokenizer, &mut |_, _| Ok(())).expect("no failure");
    training.run(StageName::Vae, &mut stop_after(13)).expect("no failure");
    let state = folder.path().join("work/stages/vae/state-00000013.safetensors");
    std::fs::write(&state, b"damaged").expect("writable");
    let mut first = None;
    training
        .run(StageName::Vae, &mut |_, report| {
            first.get_or_insert(report.step);
            Ok(())
        })
        .expect("no failure");
    assert_eq!(first, Some(11));
}

#[test]
fn a_crash_between_states_undoes_only_what_came_after() {
    let (whole, crashed) = (tempdir().expect("writable"), tempdir().expect("writable"));
    for folder in [&whole, &crashed] {
        open(folder.path()).run(StageName::Tokenizer, &mut |_, _| Ok(())).expect("no failure");
    }
    open(whole.path()).run(StageName::Vae, &mut |_, _| Ok(())).expect("no failure");
    let training = open(crashed.path());
    training.run(StageName::Vae, &mut stop_after(17)).expect("no failure");
    // As if the process had been killed: the state of step 17 was never written, that of step 10 was, and a file is half
    // there.
    let states = crashed.path().join("work/stages/vae");
    std::fs::remove_file(states.join("state-00000017.safetensors")).expect("the state of the stop");
    std::fs::write(states.join("state-00000020.partial"), b"half").expect("writable");
    let mut first = None;
    training
        .run(StageName::Vae, &mut |_, report| {
            first.get_or_insert(report.step);
            Ok(())
        })
        .expect("no failure");
    assert_eq!(first, Some(11));
    assert_eq!(results(whole.path()), results(crashed.path()));
    let steps = |folder: &Path| -> Vec<u64> {
        let text = std::fs::read_to_string(folder.join("work/stages/vae/metrics.jsonl")).expect("metrics");
        let line =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["step"].as_u64();
        text.lines().map(|l| line(l).expect("a step")).collect()
    };
    assert_eq!(steps(whole.path()), steps(crashed.path()));
}

#[test]
fn a_damaged_state_and_another_recipe_are_named() {
    let folder = tempdir().expect("writable");
    let training = open(folder.path());
    training.run(StageName::Tokenizer, &mut |_, _| Ok(())).expect("no failure");
    training.run(StageName::Vae, &mut stop_after(3)).expect("no failure");
    let state = folder.path().join("work/stages/vae/state-00000003.safetensors");
    let bytes = std::fs::read(&state).expect("a state");
    std::fs::write(&state, &bytes[..bytes.len() / 2]).expect("writable");
    let error = training.run(StageName::Vae, &mut |_, _| Ok(())).expect_err("a damaged state");
    assert_eq!(error.code(), "training_state_invalid");
    assert!(error.to_string().contains("state-00000003.safetensors"), "{error}");

    let other = recipe(folder.path(), &[("seed = 7", "seed = 8")]).expect("a usable recipe");
    let error = Training::open(other, &folder.path().join("work"), options(), Arc::new(Squares));
    assert_eq!(error.err().map(|e| e.code()), Some("recipe_changed"));

    let error = training.run(StageName::Editor, &mut |_, _| Ok(())).expect_err("no latents");
    assert_eq!(
        error.to_string(),
        "stage `editor` needs the finished stage `latents`: run that first, or all stages"
    );
}
