//! The tokenizer's stage.

use super::{Outcome, StageName, Training};
use crate::error::Error;
use crate::tokenizer::{Tokenizer, learn};
use crate::training::error::{Result, TrainingError};
use crate::training::examples::Ahead;
use crate::training::state::write_atomically;

impl Training {
    /// Learns the tokenizer from the texts of the first examples.
    pub(super) fn learn_tokenizer(&self) -> Result<Outcome> {
        let recipe = &self.recipe.tokenizer;
        let mut ahead = Ahead::new(&self.examples, 0..recipe.examples, self.options.example_threads);
        let mut texts = Vec::new();
        while let Some((_, example)) = ahead.next()? {
            texts.extend([example.instruction, example.caption_before, example.caption_after]);
        }
        let scratch = self.layout.stage(StageName::Tokenizer.name());
        let folder = self.layout.part("tokenizer");
        for folder in [&scratch, &folder] {
            std::fs::create_dir_all(folder).map_err(|e| TrainingError::write(folder, e))?;
        }
        let files = learn::learn(texts.into_iter(), recipe.vocabulary, recipe.length, &scratch)
            .map_err(|reason| Error::Tokenizer { path: folder.clone(), reason })?;
        for (name, text) in files {
            write_atomically(&folder.join(name), text.as_bytes())?;
        }
        Ok(Outcome::Done)
    }

    /// The learned tokenizer.
    pub(super) fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.layout.part("tokenizer"))?)
    }
}
