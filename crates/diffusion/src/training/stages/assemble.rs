//! Model folders out of a training's parts.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::autoencoder::{PART, STEM};
use super::denoiser::SPATIAL;
use super::{StageName, Training, clip};
use crate::checkpoint::Checkpoint;
use crate::floats::half_bytes;
use crate::training::error::{Result, TrainingError};
use crate::training::state::write_atomically;

/// The files of a tokenizer.
const TOKENIZER: [&str; 4] = ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"];

impl Training {
    /// Writes the model of `stage` (text-to-image, editor or clip) into the folder `output`, weights as float16; the
    /// editor with its spatial layer where that is trained.
    ///
    /// # Errors
    /// The stage is not done, or a file cannot be written.
    pub fn assemble(&self, stage: StageName, output: &Path) -> Result<()> {
        if !self.is_done(stage) {
            return Err(TrainingError::StageMissing { stage: "assemble", needs: stage.name() });
        }
        let class = match stage {
            StageName::Clip => return self.assemble_clip(output),
            StageName::TextToImage => "StableDiffusionPipeline",
            StageName::Editor => "StableDiffusionInstructPix2PixPipeline",
            StageName::Tokenizer | StageName::Vae | StageName::Latents | StageName::Spatial => {
                return Err(TrainingError::StageMissing {
                    stage: stage.name(),
                    needs: StageName::Editor.name(),
                });
            }
        };
        let scheduler = self.recipe.scheduler.get("_class_name").cloned().unwrap_or(Value::Null);
        let index = json!({
            "_class_name": class,
            "feature_extractor": [null, null],
            "image_encoder": [null, null],
            "requires_safety_checker": false,
            "safety_checker": [null, null],
            "scheduler": ["diffusers", scheduler],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        });
        write_new(output, "model_index.json", format!("{index:#}\n").as_bytes())?;
        let scheduler = format!("{:#}\n", Value::Object(self.recipe.scheduler.clone()));
        write_new(output, "scheduler/scheduler_config.json", scheduler.as_bytes())?;
        for file in TOKENIZER {
            self.copy(&format!("tokenizer/{file}"), output, &format!("tokenizer/{file}"))?;
        }
        let own = |name: &str| format!("{}/{name}", stage.name());
        for (part, name, stem) in [
            (PART.to_owned(), "vae", STEM),
            (own("unet"), "unet", STEM),
            (own("text_encoder"), "text_encoder", "model"),
        ] {
            self.network(&part, stem, output, name)?;
        }
        if stage == StageName::Editor && self.is_done(StageName::Spatial) {
            self.network(SPATIAL, STEM, output, SPATIAL)?;
        }
        Ok(())
    }

    fn network(&self, part: &str, stem: &str, output: &Path, name: &str) -> Result<()> {
        self.copy(&format!("{part}/config.json"), output, &format!("{name}/config.json"))?;
        let checkpoint = Checkpoint::open(&self.layout.part(part), stem, None)?;
        write_new(output, &format!("{name}/{stem}.safetensors"), &halved(&checkpoint))
    }

    fn assemble_clip(&self, output: &Path) -> Result<()> {
        for file in TOKENIZER {
            self.copy(&format!("tokenizer/{file}"), output, file)?;
        }
        for file in ["config.json", clip::PREPROCESSOR] {
            self.copy(&format!("{}/{file}", clip::PART), output, file)?;
        }
        let checkpoint = Checkpoint::open(&self.layout.part(clip::PART), clip::STEM, None)?;
        write_new(output, &format!("{}.safetensors", clip::STEM), &halved(&checkpoint))
    }

    fn copy(&self, part: &str, output: &Path, name: &str) -> Result<()> {
        let path = self.layout.part(part);
        let bytes = std::fs::read(&path).map_err(|e| TrainingError::read(&path, e))?;
        write_new(output, name, &bytes)
    }
}

/// Writes `output/name`, folders included.
fn write_new(output: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = output.join(name);
    let folder = path.parent().unwrap_or(output);
    std::fs::create_dir_all(folder).map_err(|e| TrainingError::write(folder, e))?;
    write_atomically(&path, bytes)
}

/// A checkpoint as a float16 safetensors file.
fn halved(checkpoint: &Checkpoint) -> Vec<u8> {
    let tensors: Vec<_> = checkpoint.tensors().map(|(name, tensor)| (name, half_bytes(&tensor))).collect();
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (
            name.as_str(),
            TensorView::new(Dtype::F16, shape.clone(), bytes).expect("float16 bytes of that shape"),
        )
    });
    safetensors::serialize(views, Some([("format".to_owned(), "pt".to_owned())].into()))
        .expect("consistent tensors")
}
