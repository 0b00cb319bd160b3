//! The stage that encodes pairs, and with them measures the autoencoder's scale.

use serde_json::json;

use super::autoencoder::PART;
use super::{Outcome, StageName, Stop, Training, Watch};
use crate::training::error::Result;
use crate::training::latents::Latents;
use crate::training::run::Report;

impl Training {
    pub(super) fn encode_pairs(&self, watch: &mut Watch<'_>) -> Result<Outcome> {
        let vae = self.vae()?;
        let (folder, pairs) = (self.layout.latents(), self.recipe.latents.pairs);
        let mut stopped = false;
        Latents::write(&folder, &vae, &self.examples, pairs, self.options.example_threads, &mut |done| {
            let report = Report { step: done, steps: pairs, loss: None };
            stopped |= watch(StageName::Latents, &report) == Err(Stop);
            Ok(!stopped)
        })?;
        if stopped {
            return Ok(Outcome::Stopped);
        }
        let mut config = self.recipe.vae.config.clone();
        let deviation = self.latents()?.deviation();
        config.insert("scaling_factor".into(), json!((1.0 / deviation * 1e5).round() / 1e5));
        self.write_config(PART, &config)?;
        std::fs::create_dir_all(self.layout.stage(StageName::Latents.name()))
            .map_err(|e| crate::training::TrainingError::write(&self.layout.0, e))?;
        Ok(Outcome::Done)
    }

    /// All encoded pairs.
    pub(super) fn latents(&self) -> Result<Latents> {
        Latents::read(&self.layout.latents(), self.recipe.latents.pairs, self.options.device)
    }
}
