//! Unusable examples and recipes.

use std::sync::Arc;

use retouch_diffusion::training::{Example, Examples, Outcome, StageName, Training};
use tempfile::tempdir;

use super::{Squares, options, recipe};

/// Squares, of which every `every`th is broken.
pub(super) struct Broken {
    pub(super) every: u64,
}

impl Examples for Broken {
    fn len(&self) -> Option<u64> {
        None
    }

    fn get(&self, index: u64) -> Result<Example, String> {
        if index % self.every == 1 { Err("the image is cut off".into()) } else { Squares.get(index) }
    }
}

fn train(every: u64) -> retouch_diffusion::training::Result<Outcome> {
    let folder = tempdir().expect("writable");
    let recipe = recipe(folder.path(), &[("examples = 8", "examples = 64")]);
    let training =
        Training::open(recipe?, &folder.path().join("work"), options(), Arc::new(Broken { every }))?;
    training.run(StageName::Tokenizer, &mut |_, _| Ok(()))
}

#[test]
fn a_few_unusable_examples_are_left_out() {
    assert_eq!(train(8).expect("8 of 64 are tolerated"), Outcome::Done);
}

#[test]
fn many_unusable_examples_end_the_training_by_name() {
    let error = train(2).expect_err("32 of 64 are too many");
    assert_eq!(error.code(), "training_data_unusable");
    let text = error.to_string();
    assert_eq!(
        text,
        "11 of 22 examples are unusable, more than 10; the last was example 21: the image is cut off"
    );
}

#[test]
fn a_recipe_is_read_strictly() {
    let folder = tempdir().expect("writable");
    let refuse = |from: &str, to: &str| {
        let error = recipe(folder.path(), &[(from, to)]).expect_err("an unusable recipe");
        assert_eq!(error.code(), "recipe_invalid");
        error.to_string()
    };
    assert!(refuse("seed = 7", "sede = 7").contains("unknown field `sede`"));
    assert!(refuse("dropout = 0.05", "dropout = 0.5").contains("editor.dropout is 0.5"));
    assert!(refuse("steps = 40", "steps = 0").contains("vae.training: steps"));
    assert!(refuse("size = 16\n", "size = 18\n").contains("use a multiple of 4"));
    assert!(refuse("latent_channels = 4", "latent_channels = 8").contains("unet.in_channels"));
    assert!(refuse("cross_attention_dim = 16", "cross_attention_dim = 8").contains("hidden_size"));
    assert!(refuse("\"v_prediction\"", "\"sample\"").contains("prediction_type is \"sample\""));
    let no_signal = "\"epsilon\"\nrescale_betas_zero_snr = true";
    assert!(refuse("\"v_prediction\"", no_signal).contains("needs prediction_type"));
    assert!(refuse("seed = 7", "seed = 1073741824").contains("use 0 to 1073741823"));
    assert!(refuse("crop = 8", "crop = 7").contains("vae.crop is 7"));
    assert!(refuse("[vae.training]", "[vae.loss]\nedges = inf\n\n[vae.training]").contains("vae.loss"));
    assert!(refuse("learning_rate = 5e-3", "learning_rate = -1").contains("vae.training.optimizer"));
}

#[test]
fn a_networks_configuration_is_as_strict_as_a_models() {
    let folder = tempdir().expect("writable");
    let recipe = recipe(folder.path(), &[("force_upcast = false", "force_upcast = false\nfancy = 1")]);
    let recipe = recipe.expect("its networks are read later");
    let training = Training::open(recipe, &folder.path().join("work"), options(), Arc::new(Squares));
    let training = training.expect("a new folder");
    training.run(StageName::Tokenizer, &mut |_, _| Ok(())).expect("no failure");
    let error = training.run(StageName::Vae, &mut |_, _| Ok(())).expect_err("an unknown field");
    assert_eq!(error.code(), "model_config_unsupported");
    assert!(error.to_string().contains("fancy"), "{error}");
}
