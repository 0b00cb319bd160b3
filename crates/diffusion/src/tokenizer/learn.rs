//! A tokenizer of one's own: byte-level BPE learned from texts, in CLIP's layout.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BpeTrainer, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{Model, ModelWrapper};

use super::pipeline;

/// Appended to a token that ends a word.
const END_OF_WORD: &str = "</w>";
/// Begin and end of a text, the last two ids.
const SPECIAL: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// The files of a tokenizer by name.
pub(crate) type Files = Vec<(&'static str, String)>;

/// Learns at most `vocabulary` tokens from `texts`, for texts of `length` ids, begin and end included.
///
/// Every byte is a token, alone and at the end of a word, as in CLIP's vocabulary, so that any text has ids.
pub(crate) fn learn(
    texts: impl Iterator<Item = String> + Send,
    vocabulary: usize,
    length: usize,
    scratch: &Path,
) -> Result<Files, String> {
    let say = |e: tokenizers::Error| e.to_string();
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let bytes = alphabet.len();
    let room = vocabulary.checked_sub(2 * bytes + SPECIAL.len()).filter(|_| length >= 3);
    let Some(room) = room else {
        let least = 2 * bytes + SPECIAL.len();
        return Err(format!("a vocabulary has at least {least} tokens, and a text at least 3 ids"));
    };
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(2 * bytes + room)
        .initial_alphabet(alphabet.iter().copied().collect::<HashSet<_>>().into_iter().collect())
        .end_of_word_suffix(END_OF_WORD.into())
        .build();
    let mut pipeline = pipeline::clip(Vocab::default(), Vec::new(), None).map_err(say)?;
    pipeline.train(&mut TrainerWrapper::from(trainer), texts).map_err(say)?;
    let ModelWrapper::BPE(model) = pipeline.get_model() else { return Err("BPE was learned".into()) };
    model.save(scratch, None).map_err(say)?;
    let merges = pipeline::merges(&super::read(scratch, "merges.txt")?)?;
    let merges = &merges[..merges.len().min(room)];

    let plain = alphabet.iter().map(char::to_string);
    let ends = alphabet.iter().map(|c| format!("{c}{END_OF_WORD}"));
    let joined = merges.iter().map(|(a, b)| format!("{a}{b}"));
    let mut vocab = Map::new();
    for token in plain.chain(ends).chain(joined).chain(SPECIAL.map(str::to_owned)) {
        let id = vocab.len();
        vocab.entry(token).or_insert(json!(id));
    }
    let lines: String = merges.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
    let [begin, end] = SPECIAL;
    let config = json!({
        "tokenizer_class": "CLIPTokenizer", "model_max_length": length, "do_lower_case": true,
        "bos_token": begin, "eos_token": end, "unk_token": end, "pad_token": end,
    });
    let special = json!({ "bos_token": begin, "eos_token": end, "unk_token": end, "pad_token": end });
    Ok(vec![
        ("vocab.json", json!(vocab).to_string()),
        ("merges.txt", format!("#version: 0.2\n{lines}")),
        ("tokenizer_config.json", format!("{config:#}\n")),
        ("special_tokens_map.json", format!("{special:#}\n")),
    ])
}
