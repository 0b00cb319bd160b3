//! CLIP's tokenizer: text to the padded token ids that a text encoder takes.
//!
//! Ids equal those of `CLIPTokenizer` in transformers 5 (`CLIPTokenizerFast` in transformers 4): NFC, runs of white
//! space to one space, lower case, a split by regular expression, byte-level BPE with `</w>` at the end of words. The
//! pure-Python `CLIPTokenizer` of transformers 4 also drops control characters and repairs mojibake where `ftfy` is
//! installed; its ids differ on such texts.

pub(crate) mod learn;
mod pipeline;
mod settings;

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer as Pipeline;
use tokenizers::processors::roberta::RobertaProcessing;

use crate::error::{Error, Result, contain};
use settings::Settings;

/// Longest text that is tokenized, in bytes: far beyond what any encoder sees, and quick to cut.
pub const MAX_TEXT_BYTES: usize = 64 << 10;

/// Largest file of a tokenizer that is read; the largest vocabularies in use take about 20 MiB.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The tokenizer of one model.
pub struct Tokenizer {
    folder: PathBuf,
    pipeline: Pipeline,
    model_max_length: usize,
    pad: i64,
    /// The highest id that can come out, and its token.
    highest: (i64, String),
}

/// A text as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Begin token, text, end token, padding: exactly `model_max_length` ids.
    pub ids: Vec<i64>,
    /// Tokens of the whole text with begin and end, before cutting and padding.
    pub tokens: usize,
    /// The part of the text that did not fit, as the tokenizer reads it: in lower case, with spaces between words.
    pub truncated: Option<String>,
}

impl Tokenizer {
    /// Loads a model's `tokenizer/` folder.
    ///
    /// That is `tokenizer.json`, or else `vocab.json` and `merges.txt`; with both, `tokenizer.json` decides. Lengths
    /// and special tokens come from `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`, each
    /// optional.
    pub fn load(folder: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Tokenizer { path: folder.to_owned(), reason };
        contain("loading the tokenizer", || Self::build(folder).map_err(bad)).map_err(|e| name(folder, e))
    }

    fn build(folder: &Path) -> Result<Self, String> {
        let from_json = folder.join("tokenizer.json").is_file();
        let settings = Settings::read(folder, from_json)?;
        let mut pipeline =
            if from_json { pipeline::from_json(folder)? } else { pipeline::from_vocab(folder, &settings)? };
        settings.add_tokens(&mut pipeline)?;
        pipeline.set_encode_special_tokens(settings.split_special_tokens);
        let id = |token: &str| pipeline.token_to_id(token).ok_or(format!("no token `{token}`"));
        let bos = (settings.bos.clone(), id(&settings.bos)?);
        let eos = (settings.eos.clone(), id(&settings.eos)?);
        let pad = i64::from(id(&settings.pad)?);
        pipeline.with_post_processor(Some(
            RobertaProcessing::new(eos, bos).trim_offsets(false).add_prefix_space(false),
        ));
        // Files may carry the settings of one training; length and padding are this type's business.
        pipeline.with_padding(None);
        pipeline.with_truncation(None).map_err(|e| e.to_string())?;
        let highest = pipeline.get_vocab(true).into_iter().map(|(token, id)| (i64::from(id), token)).max();
        Ok(Self {
            folder: folder.to_owned(),
            pipeline,
            model_max_length: settings.model_max_length,
            pad,
            highest: highest.ok_or("the vocabulary is empty")?,
        })
    }

    /// Number of ids that [`Tokenizer::encode`] gives.
    pub fn model_max_length(&self) -> usize {
        self.model_max_length
    }

    /// The ids of the begin and the end token.
    pub fn ends(&self) -> Result<(i64, i64)> {
        let empty = self.encode("")?;
        Ok((empty.ids[0], empty.ids[1]))
    }

    /// One more than the highest id.
    pub fn vocabulary(&self) -> i64 {
        self.highest.0 + 1
    }

    /// The id that fills up short texts.
    pub fn pad_id(&self) -> i64 {
        self.pad
    }

    /// The ids of `text`, cut and padded to [`Tokenizer::model_max_length`].
    ///
    /// The end token stays when a text is cut, and what was lost is reported, as diffusers v0.42.1
    /// `pipelines/stable_diffusion/pipeline_stable_diffusion.py` `encode_prompt` does.
    pub fn encode(&self, text: &str) -> Result<Encoded> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::Parameter {
                name: "text",
                value: format!("{} bytes long", text.len()),
                expected: format!("at most {MAX_TEXT_BYTES} bytes"),
            });
        }
        let run = || {
            let encoding = self.pipeline.encode_fast(text, true).map_err(|e| self.bad(e.to_string()))?;
            self.fit(encoding.get_ids())
        };
        contain("tokenizing", run).map_err(|e| name(&self.folder, e))
    }

    /// Cuts or pads `all`, which has begin and end tokens.
    fn fit(&self, all: &[u32]) -> Result<Encoded> {
        let (tokens, longest) = (all.len(), self.model_max_length);
        let mut ids: Vec<i64> = all.iter().map(|&id| i64::from(id)).collect();
        let mut truncated = None;
        if tokens > longest {
            let lost = &all[longest - 1..tokens - 1];
            let text = self.pipeline.decode(lost, false).map_err(|e| self.bad(e.to_string()))?;
            truncated = Some(text.replace("</w>", " ").trim().to_owned());
            ids.drain(longest - 1..tokens - 1);
        }
        ids.resize(longest, self.pad);
        Ok(Encoded { ids, tokens, truncated })
    }

    /// Refuses a text encoder that this tokenizer was not made for: one with fewer embeddings than there are ids, or
    /// with fewer positions than a text is padded to.
    pub fn check(&self, vocab_size: i64, max_position_embeddings: i64) -> Result<()> {
        let (id, token) = &self.highest;
        if *id >= vocab_size {
            let reason =
                format!("token `{token}` has the id {id}, but the text encoder's vocab_size is {vocab_size}");
            return Err(self.bad(reason));
        }
        let longest = self.model_max_length;
        if longest as i64 > max_position_embeddings {
            return Err(self.bad(format!(
                "model_max_length is {longest}, but the text encoder's max_position_embeddings is \
                 {max_position_embeddings}"
            )));
        }
        Ok(())
    }

    fn bad(&self, reason: String) -> Error {
        Error::Tokenizer { path: self.folder.clone(), reason }
    }
}

/// A panic of the library on a malformed file, as the tokenizer's error that it is.
fn name(folder: &Path, error: Error) -> Error {
    match error {
        Error::Torch { message, .. } | Error::Panic { message, .. } => {
            Error::Tokenizer { path: folder.to_owned(), reason: message }
        }
        other => other,
    }
}

/// The text of `name` in the folder, or what is wrong with it.
fn read(folder: &Path, name: &str) -> Result<String, String> {
    let path = folder.join(name);
    let metadata = std::fs::metadata(&path).map_err(|e| format!("cannot read {name}: {e}"))?;
    if !metadata.is_file() {
        return Err(format!("{name} is not a regular file"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(format!("{name} has {} bytes, more than {MAX_FILE_BYTES}", metadata.len()));
    }
    std::fs::read_to_string(&path).map_err(|e| format!("cannot read {name}: {e}"))
}
