//! The library's pipeline from a tokenizer's files.
//!
//! Source: transformers v5.23.0 `models/clip/tokenization_clip.py` `CLIPTokenizer`.

use std::collections::HashMap;
use std::path::Path;

use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::{Lowercase, NFC, Sequence as Normalizers};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{ModelWrapper, SplitDelimiterBehavior, Tokenizer as Pipeline};

use super::read;
use super::settings::Settings;

/// What counts as a word, after OpenAI's tokenizer: contractions, runs of letters, single digits, runs of the rest.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The classes whose `vocab.json` and `merges.txt` are read the way CLIP does.
const CLIP_CLASSES: [&str; 2] = ["CLIPTokenizer", "CLIPTokenizerFast"];

/// The pipeline that `tokenizer.json` describes.
pub(super) fn from_json(folder: &Path) -> Result<Pipeline, String> {
    let text = read(folder, "tokenizer.json")?;
    let pipeline =
        Pipeline::from_bytes(text.as_bytes()).map_err(|e| format!("tokenizer.json cannot be used: {e}"))?;
    if let ModelWrapper::BPE(bpe) = pipeline.get_model()
        && bpe.dropout.is_some_and(|p| p > 0.0)
    {
        return Err("tokenizer.json drops merges at random (`dropout`): set it to null".into());
    }
    Ok(pipeline)
}

/// CLIP's pipeline over `vocab.json` and `merges.txt`.
pub(super) fn from_vocab(folder: &Path, settings: &Settings) -> Result<Pipeline, String> {
    let present = |name: &str| folder.join(name).is_file();
    if !present("vocab.json") || !present("merges.txt") {
        return Err("neither tokenizer.json nor both of vocab.json and merges.txt are there".into());
    }
    if let Some(class) = settings.class.as_deref().filter(|class| !CLIP_CLASSES.contains(class)) {
        return Err(format!(
            "vocab.json and merges.txt belong to a {class}; save the tokenizer as tokenizer.json"
        ));
    }
    let vocab: HashMap<String, u32> = serde_json::from_str(&read(folder, "vocab.json")?)
        .map_err(|e| format!("vocab.json is not an object of token ids: {e}"))?;
    let merges = merges(&read(folder, "merges.txt")?)?;
    clip(vocab.into_iter().collect(), merges, Some(&settings.unk))
        .map_err(|e| format!("vocab.json and merges.txt do not fit: {e}"))
}

/// CLIP's pipeline over a vocabulary, or over none as long as it is to be learned.
pub(super) fn clip(vocab: Vocab, merges: Merges, unk: Option<&str>) -> tokenizers::Result<Pipeline> {
    let mut bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix("</w>".into());
    if let Some(unk) = unk {
        bpe = bpe.unk_token(unk.to_owned());
    }
    let mut pipeline = Pipeline::new(bpe.build()?);
    pipeline.with_normalizer(Some(Normalizers::new(vec![
        NFC.into(),
        Replace::new(ReplacePattern::Regex(r"\s+".into()), " ")?.into(),
        Lowercase.into(),
    ])));
    pipeline.with_pre_tokenizer(Some(PreTokenizers::new(vec![
        Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Removed, true)?.into(),
        ByteLevel::new(false, true, true).into(),
    ])));
    pipeline.with_decoder(Some(ByteLevel::default()));
    Ok(pipeline)
}

/// The pairs in `merges.txt`: two tokens a line, most frequent first, after a `#version` line.
pub(super) fn merges(text: &str) -> Result<Merges, String> {
    let lines =
        text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    lines
        .map(|(i, line)| match line.split(' ').collect::<Vec<_>>()[..] {
            [a, b] if !a.is_empty() && !b.is_empty() => Ok((a.to_owned(), b.to_owned())),
            _ => Err(format!("merges.txt line {} is not two tokens with a space between", i + 1)),
        })
        .collect()
}
