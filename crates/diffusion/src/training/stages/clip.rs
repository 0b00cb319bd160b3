//! The dual encoder's stage.
//!
//! Both images of a pair stand in the same batch with their captions: what an edit changes (a side, a colour, a count) is
//! what tells them apart, so every batch is full of hard negatives.

use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use retouch_imaging::{ClipPreprocessor, RgbImage};

use super::tokenizer::sized;
use super::{Outcome, StageName, Training, Watch};
use crate::error::Error;
use crate::models::clip::{ClipConfig, ClipModel};
use crate::training::Parameters;
use crate::training::error::{Result, TrainingError};
use crate::training::examples::{Ahead, Picture};
use crate::training::objective::contrastive;
use crate::training::recipe::ClipRecipe;
use crate::training::run::Run;
use crate::training::state::write_atomically;

/// Name of the part, which is a folder as the reference library reads it.
pub(super) const PART: &str = "clip";
/// Its checkpoint's name.
pub(super) const STEM: &str = "model";
/// How its images are prepared.
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";

impl Training {
    pub(super) fn train_clip(&self, watch: &mut Watch<'_>) -> Result<Outcome> {
        let recipe = self.recipe.clip.as_ref().ok_or_else(|| self.no_table(StageName::Clip))?;
        let (seed, device) = (self.seed(StageName::Clip), self.options.device);
        let tokenizer = self.tokenizer()?;
        let config = self.clip_config(recipe)?;
        let config = ClipConfig::from_file(&self.write_config(PART, &config)?)?;
        let preprocessor = self.write_preprocessor(config.vision.image_size)?;
        let clip = ClipModel::in_training(config, Parameters::new(seed, device, true), self.options.kind)?;
        let networks = [(PART, clip.checkpoint().trained().expect("a network in training"))];
        let folder = self.layout.stage(StageName::Clip.name());
        let mut run = Run::open(&folder, recipe.training, seed, &networks, device)?;

        // Two images an example.
        let examples = recipe.training.batch.div_ceil(2);
        let range = run.step() * examples..recipe.training.steps * examples;
        let mut ahead = Ahead::new(&self.examples, range, self.options.example_threads);
        let outcome = Self::drive(StageName::Clip, &mut run, watch, |_| {
            let mut rows: Vec<(Picture, String)> = Vec::new();
            for _ in 0..examples {
                let Some(example) = ahead.next()? else { break };
                rows.extend([
                    (example.before, example.caption_before),
                    (example.after, example.caption_after),
                ]);
            }
            let pixels = pixels(&preprocessor, rows.iter().map(|(picture, _)| picture))?;
            let ids = Self::ids(&tokenizer, rows.iter().map(|(_, caption)| caption.as_str()))?;
            Ok(contrastive(&clip, &pixels, &ids, &same(&rows))?)
        })?;
        if outcome == Outcome::Done {
            self.write_weights(PART, STEM, &run.flat().averages(PART))?;
        }
        Ok(outcome)
    }

    fn clip_config(&self, recipe: &ClipRecipe) -> Result<Map<String, Value>> {
        let mut config = recipe.config.clone();
        let text = config.get("text_config").and_then(Value::as_object).cloned().unwrap_or_default();
        config.insert("text_config".into(), Value::Object(sized(&text, &self.tokenizer()?)?));
        Ok(config)
    }

    fn write_preprocessor(&self, side: i64) -> Result<ClipPreprocessor> {
        let config = json!({
            "image_processor_type": "CLIPImageProcessor",
            "size": { "shortest_edge": side },
            "crop_size": { "height": side, "width": side },
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        });
        let path = self.layout.part(PART).join(PREPROCESSOR);
        write_atomically(&path, format!("{config:#}\n").as_bytes())?;
        ClipPreprocessor::from_json(&config.to_string()).map_err(|e| TrainingError::Recipe {
            path: self.layout.recipe(),
            reason: format!("clip.config: {e}"),
        })
    }
}

/// `[b, 3, s, s]`.
fn pixels<'a>(
    preprocessor: &ClipPreprocessor,
    pictures: impl Iterator<Item = &'a Picture>,
) -> Result<Tensor> {
    let (width, height) = preprocessor.output_size();
    let prepare = |picture: &Picture| {
        let bad =
            |value: String| Error::Parameter { name: "example", value, expected: "a square image".into() };
        let image = RgbImage::from_raw(picture.size, picture.size, picture.rgb.clone());
        let image = image.ok_or_else(|| bad(format!("{} bytes", picture.rgb.len())))?;
        preprocessor.apply(&image).map_err(|e| bad(e.to_string()))
    };
    let values = pictures.map(prepare).collect::<Result<Vec<_>, Error>>()?.concat();
    Ok(Tensor::from_slice(&values).view([-1, 3, i64::from(height), i64::from(width)]))
}

/// `[b, b]`: whether two rows have the same caption.
fn same(rows: &[(Picture, String)]) -> Tensor {
    let pairs = rows.iter().flat_map(|(_, a)| rows.iter().map(move |(_, b)| a == b));
    let n = rows.len() as i64;
    Tensor::from_slice(&pairs.collect::<Vec<_>>()).view([n, n]).to_kind(Kind::Bool)
}
