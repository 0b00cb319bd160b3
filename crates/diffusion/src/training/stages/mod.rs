//! The stages of a model family, in order: each begins where it was interrupted and leaves its part in the work folder.

mod assemble;
mod autoencoder;
mod clip;
mod denoiser;
mod encode;
mod parts;
mod spatial;
mod tokenizer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tch::{Device, Kind};

use super::error::{Result, TrainingError};
use super::examples::Examples;
use super::recipe::{Layout, Recipe};
use super::run::{Report, Run};
use super::state::write_atomically;
use crate::error::contain;

/// A stage by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageName {
    /// The tokenizer.
    Tokenizer,
    /// The autoencoder.
    Vae,
    /// Pairs encoded for the denoisers.
    Latents,
    /// The text-to-image model.
    TextToImage,
    /// The editor.
    Editor,
    /// The editor's spatial layer.
    Spatial,
    /// The dual encoder.
    Clip,
}

impl StageName {
    /// All, in order.
    pub const ALL: [Self; 7] = [
        Self::Tokenizer,
        Self::Vae,
        Self::Latents,
        Self::TextToImage,
        Self::Editor,
        Self::Spatial,
        Self::Clip,
    ];

    /// Its name on the command line and in the work folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Vae => "vae",
            Self::Latents => "latents",
            Self::TextToImage => "text-to-image",
            Self::Editor => "editor",
            Self::Spatial => "spatial",
            Self::Clip => "clip",
        }
    }

    /// The stages whose results it uses.
    fn needs(self) -> &'static [Self] {
        match self {
            Self::Tokenizer | Self::Vae => &[],
            Self::Latents => &[Self::Vae],
            Self::TextToImage => &[Self::Tokenizer, Self::Latents],
            Self::Editor => &[Self::Tokenizer, Self::Latents, Self::TextToImage],
            Self::Spatial => &[Self::Tokenizer, Self::Latents, Self::Editor],
            Self::Clip => &[Self::Tokenizer],
        }
    }
}

/// Where and how to train.
#[derive(Debug, Clone, Copy)]
pub struct TrainingOptions {
    /// Device of all networks.
    pub device: Device,
    /// Type of the forward passes; weights and their updates are float32.
    pub kind: Kind,
    /// Threads that make examples ahead.
    pub example_threads: usize,
}

/// Called after every step; an error of it ends the training after its state is saved.
pub type Watch<'a> = dyn FnMut(StageName, &Report) -> std::result::Result<(), Stop> + 'a;

/// The wish to stop, which is no failure: the next call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; its part is in the work folder.
    Done,
    /// It was asked to stop; its state is saved.
    Stopped,
}

/// A training of a model family in one work folder.
pub struct Training {
    recipe: Recipe,
    layout: Layout,
    options: TrainingOptions,
    examples: Arc<dyn Examples>,
}

impl Training {
    /// Begins or goes on in `folder`, which belongs to one recipe.
    ///
    /// # Errors
    /// A folder of another recipe, or one that cannot be written.
    pub fn open(
        recipe: Recipe,
        folder: &Path,
        options: TrainingOptions,
        examples: Arc<dyn Examples>,
    ) -> Result<Self> {
        crate::error::quiet_panics();
        if examples.is_empty() {
            return Err(TrainingError::NoExamples);
        }
        let layout = Layout(folder.to_owned());
        std::fs::create_dir_all(folder).map_err(|e| TrainingError::write(folder, e))?;
        let (path, text) = (layout.recipe(), format!("{:#}\n", serde_json::json!(recipe)));
        match std::fs::read_to_string(&path) {
            Ok(known) if known == text => {}
            Ok(_) => return Err(TrainingError::OtherRecipe { folder: folder.to_owned() }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => write_atomically(&path, text.as_bytes())?,
            Err(e) => return Err(TrainingError::read(&path, e)),
        }
        Ok(Self { recipe, layout, options, examples })
    }

    /// The stages of the recipe, in order.
    pub fn stages(&self) -> impl Iterator<Item = StageName> + use<> {
        let (spatial, clip) = (self.recipe.spatial.is_some(), self.recipe.clip.is_some());
        StageName::ALL.into_iter().filter(move |stage| match stage {
            StageName::Spatial => spatial,
            StageName::Clip => clip,
            _ => true,
        })
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The metrics of a stage: one JSON object a line.
    pub fn metrics(&self, stage: StageName) -> PathBuf {
        self.layout.stage(stage.name()).join(super::run::METRICS)
    }

    /// Whether a stage's part is there.
    pub fn is_done(&self, stage: StageName) -> bool {
        self.done_mark(stage).is_file()
    }

    /// Brings a stage to its end, or to where `watch` asks to stop.
    ///
    /// # Errors
    /// A stage before it that is not done, unusable examples or states, a diverging loss, a failing device.
    pub fn run(&self, stage: StageName, watch: &mut Watch<'_>) -> Result<Outcome> {
        if self.is_done(stage) {
            return Ok(Outcome::Done);
        }
        if let Some(missing) = stage.needs().iter().find(|other| !self.is_done(**other)) {
            return Err(TrainingError::StageMissing { stage: stage.name(), needs: missing.name() });
        }
        let outcome = match stage {
            StageName::Tokenizer => self.learn_tokenizer(),
            StageName::Vae => self.train_vae(watch),
            StageName::Latents => self.encode_pairs(watch),
            StageName::TextToImage => self.train_denoiser(stage, &self.recipe.text_to_image, watch),
            StageName::Editor => self.train_denoiser(stage, &self.recipe.editor, watch),
            StageName::Spatial => {
                let recipe = self.recipe.spatial.as_ref().ok_or_else(|| self.no_table(stage))?;
                self.train_denoiser(stage, &recipe.denoiser(), watch)
            }
            StageName::Clip => self.train_clip(watch),
        }?;
        if outcome == Outcome::Done {
            write_atomically(&self.done_mark(stage), b"")?;
        }
        Ok(outcome)
    }

    fn no_table(&self, stage: StageName) -> TrainingError {
        TrainingError::Recipe {
            path: self.layout.recipe(),
            reason: format!("it has no table `{}`", stage.name()),
        }
    }

    fn done_mark(&self, stage: StageName) -> PathBuf {
        self.layout.stage(stage.name()).join("done")
    }

    /// A seed that no other stage has.
    fn seed(&self, stage: StageName) -> u64 {
        self.recipe.seed.wrapping_mul(1_000_003) + stage as u64
    }

    /// Steps `run` to its end with the losses that `step` makes.
    fn drive(
        stage: StageName,
        run: &mut Run,
        watch: &mut Watch<'_>,
        mut step: impl FnMut(&Run) -> Result<super::run::Losses>,
    ) -> Result<Outcome> {
        while !run.finished() {
            // Memory runs out in a forward pass first.
            let losses = contain("a training step", || Ok(step(run)))??;
            let report = run.advance(losses)?;
            if watch(stage, &report) == Err(Stop) {
                run.save()?;
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Done)
    }
}
