//! The tokenizer's stage.

use serde_json::{Map, Value, json};
use tch::Tensor;

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
        while let Some(example) = ahead.next()? {
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

    /// Token ids `[b, n]` int64 of `texts`.
    pub(super) fn ids<'a>(
        tokenizer: &Tokenizer,
        texts: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<Tensor> {
        let rows = texts.len();
        let mut ids = Vec::with_capacity(rows * tokenizer.model_max_length());
        for text in texts {
            ids.extend(tokenizer.encode(text)?.ids);
        }
        Ok(Tensor::from_slice(&ids).view([rows as i64, -1]))
    }

    /// The learned tokenizer.
    pub(super) fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.layout.part("tokenizer"))?)
    }
}

/// A text encoder's configuration with the sizes and ids of the tokenizer.
pub(super) fn sized(config: &Map<String, Value>, tokenizer: &Tokenizer) -> Result<Map<String, Value>> {
    let (begin, end) = tokenizer.ends()?;
    let mut config = config.clone();
    for (field, value) in [
        ("vocab_size", tokenizer.vocabulary()),
        ("max_position_embeddings", tokenizer.model_max_length() as i64),
        ("bos_token_id", begin),
        ("eos_token_id", end),
        ("pad_token_id", tokenizer.pad_id()),
    ] {
        config.insert(field.into(), json!(value));
    }
    Ok(config)
}
