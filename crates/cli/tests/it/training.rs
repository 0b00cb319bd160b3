//! `retouch train`, from a recipe to an edited image.

use serde_json::Value;

use crate::place::Place;

/// Everything that a model family has, small enough for seconds.
const RECIPE: &str = include_str!("../../../diffusion/tests/it/training/recipe.toml");

const TRAIN: [&str; 9] =
    ["train", "recipe.toml", "--work", "work", "--threads", "1", "--example-threads", "1", "--json"];

fn place() -> Place {
    let place = Place::with_models(&[]);
    std::fs::write(place.path("recipe.toml"), RECIPE).expect("writable");
    place
}

#[test]
fn a_recipe_becomes_models_that_edit() {
    let place = place();
    place.retouch(&[&TRAIN[..], &["--until", "vae"]].concat()).ok();
    assert!(place.path("work/stages/vae/done").is_file() && !place.path("work/stages/editor").exists());

    // The same command goes on from there.
    let models = ["--editor", "editor", "--text-to-image", "text-to-image", "--clip", "clip"];
    let trained = place.retouch(&[&TRAIN[..], &models].concat()).ok();
    let lines: Vec<Value> =
        trained.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!lines.iter().any(|line| line["stage"] == "vae"), "it was done before");
    let made: Vec<&str> = lines.iter().filter_map(|line| line["model"].as_str()).collect();
    assert_eq!(made, ["editor", "text-to-image", "clip"]);
    assert!(place.path("editor/spatial").is_dir());

    place.edit("--model editor --output edit.png --size 16x16 --steps 2").ok();
    place.generate("--model text-to-image --output made.png --size 16x16 --steps 2").ok();
}

#[test]
fn a_model_that_will_not_be_made_is_told_before_the_training() {
    let place = place();
    let without = &RECIPE[..RECIPE.find("[clip.config]").expect("the recipe has a dual encoder")];
    std::fs::write(place.path("recipe.toml"), without).expect("writable");
    for (arguments, flag) in
        [(vec!["--clip", "clip"], "--clip"), (vec!["--until", "vae", "--editor", "editor"], "--editor")]
    {
        let refused = place.retouch(&[&TRAIN[..], &arguments].concat());
        assert_eq!(refused.status, Some(2), "{}", refused.stderr);
        let error = refused.json();
        assert_eq!(error["error"]["code"], "parameter_invalid");
        assert!(error["error"]["message"].as_str().is_some_and(|text| text.starts_with(flag)), "{error}");
        assert!(!place.path("work/stages").exists(), "nothing was trained");
    }
}
