//! Length and special tokens of a tokenizer: `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`.
//!
//! Source: transformers v5.23.0 `tokenization_utils_base.py` `_from_pretrained`, `tokenization_utils_tokenizers.py`
//! `TokenizersBackend.__init__`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{AddedToken, Tokenizer as Pipeline};

use super::read;

/// What a CLIP model reads, where no file says so.
const DEFAULT_LENGTH: usize = 77;
/// Longer than any text encoder; files without a limit write a number beyond 10^29.
const MAX_LENGTH: usize = 1 << 20;

/// The names of special tokens, in the order in which the reference adds them, with CLIP's defaults.
const NAMED: [(&str, Option<&str>); 7] = [
    ("bos_token", Some("<|startoftext|>")),
    ("eos_token", Some("<|endoftext|>")),
    ("unk_token", Some("<|endoftext|>")),
    ("sep_token", None),
    ("pad_token", Some("<|endoftext|>")),
    ("cls_token", None),
    ("mask_token", None),
];

/// What a token that is written as an object may say; `__type` is a note of how it was saved.
const TOKEN_FIELDS: [&str; 7] =
    ["__type", "content", "lstrip", "normalized", "rstrip", "single_word", "special"];

/// What the files beside the vocabulary say.
pub(super) struct Settings {
    pub(super) model_max_length: usize,
    pub(super) class: Option<String>,
    pub(super) bos: String,
    pub(super) eos: String,
    pub(super) unk: String,
    pub(super) pad: String,
    /// Whether special tokens that are written out in a text are read as plain text.
    pub(super) split_special_tokens: bool,
    /// Tokens with the id that a file gives them.
    numbered: BTreeMap<u32, AddedToken>,
    /// Tokens that get the id of the vocabulary, or the next free one.
    special: Vec<AddedToken>,
}

impl Settings {
    /// Reads the files of `folder`. With `from_json`, the tokens of `tokenizer.json` take the place of
    /// `added_tokens.json`.
    pub(super) fn read(folder: &Path, from_json: bool) -> Result<Self, String> {
        let mut config = object(folder, "tokenizer_config.json")?.unwrap_or_default();
        for field in ["padding_side", "truncation_side"] {
            if let Some(side) = config.get(field).filter(|side| !side.is_null() && *side != "right") {
                return Err(format!(
                    "tokenizer_config.json: `{field}` is {side}, only \"right\" is supported"
                ));
            }
        }
        let mut numbered = BTreeMap::new();
        match config.get("added_tokens_decoder").filter(|d| !d.is_null()) {
            Some(decoder) => {
                let entries = decoder.as_object().ok_or("`added_tokens_decoder` is not an object")?;
                for (id, token) in entries {
                    let id = id.parse().map_err(|_| format!("`added_tokens_decoder` has the id {id:?}"))?;
                    numbered.insert(id, added_token(token, false)?);
                }
            }
            None => {
                for (name, token) in object(folder, "special_tokens_map.json")?.unwrap_or_default() {
                    config.insert(name, token);
                }
            }
        }
        let mut settings = Self::collect(&config)?;
        if numbered.is_empty() && !from_json {
            settings.legacy_added_tokens(folder, &mut numbered)?;
        }
        settings.numbered = numbered;
        Ok(settings)
    }

    fn collect(config: &Map<String, Value>) -> Result<Self, String> {
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        let mut special = Vec::new();
        for (name, default) in NAMED {
            let token = match (config.get(name).filter(|v| !v.is_null()), default) {
                (Some(value), _) => added_token(value, true).map_err(|e| format!("`{name}`: {e}"))?,
                (None, Some(default)) => AddedToken::from(default, true),
                (None, None) => continue,
            };
            names.insert(name, token.content.clone());
            special.push(token);
        }
        for field in ["additional_special_tokens", "extra_special_tokens"] {
            match config.get(field) {
                Some(Value::Array(tokens)) => {
                    for token in tokens {
                        special.push(added_token(token, true).map_err(|e| format!("`{field}`: {e}"))?);
                    }
                }
                None | Some(Value::Null) => {}
                Some(other) => return Err(format!("`{field}` is {other}, only a list is supported")),
            }
        }
        let mut named = |name: &str| names.remove(name).expect("a token with a default");
        Ok(Self {
            model_max_length: length(config)?,
            class: typed(config, "tokenizer_class", "a string", Value::as_str)?.map(str::to_owned),
            bos: named("bos_token"),
            eos: named("eos_token"),
            unk: named("unk_token"),
            pad: named("pad_token"),
            split_special_tokens: typed(config, "split_special_tokens", "true or false", Value::as_bool)?
                .unwrap_or(false),
            numbered: BTreeMap::new(),
            special,
        })
    }

    fn legacy_added_tokens(
        &self,
        folder: &Path,
        numbered: &mut BTreeMap<u32, AddedToken>,
    ) -> Result<(), String> {
        for (token, id) in object(folder, "added_tokens.json")?.unwrap_or_default() {
            let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let number = number.ok_or_else(|| format!("added_tokens.json: `{token}` has the id {id}"))?;
            let special = self.special.iter().any(|s| s.content == token);
            numbered.insert(number, AddedToken::from(token, special));
        }
        Ok(())
    }

    /// Adds the tokens in the reference's order: by number first, then special ones that nobody has added.
    pub(super) fn add_tokens(&self, pipeline: &mut Pipeline) -> Result<(), String> {
        let present: Vec<String> =
            pipeline.get_added_tokens_decoder().into_values().map(|t| t.content).collect();
        let known = |token: &AddedToken| {
            present.contains(&token.content) || self.numbered.values().any(|n| n.content == token.content)
        };
        let named = |token: &AddedToken| self.special.iter().any(|s| s.content == token.content);
        let numbered = self.numbered.values().filter(|t| !present.contains(&t.content)).cloned();
        let numbered = numbered.map(|token| {
            let special = token.special || named(&token);
            token.special(special)
        });
        let special = self.special.iter().filter(|token| !known(token)).cloned();
        // A token that several names share keeps the flags of the last, as in release 0.23 of the library; release
        // 0.22 would match it by the first's.
        let mut tokens: Vec<AddedToken> = Vec::new();
        for token in numbered.chain(special) {
            match tokens.iter_mut().find(|t| t.content == token.content) {
                Some(earlier) => *earlier = token,
                None => tokens.push(token),
            }
        }
        pipeline.add_tokens(&tokens);
        for (id, token) in &self.numbered {
            let given = pipeline.token_to_id(&token.content);
            if given != Some(*id) {
                return Err(format!(
                    "token `{}` is listed with the id {id}, but its place in the vocabulary is {given:?}",
                    token.content
                ));
            }
        }
        Ok(())
    }
}

/// The object in `name`, if there is such a file.
fn object(folder: &Path, name: &str) -> Result<Option<Map<String, Value>>, String> {
    if !folder.join(name).exists() {
        return Ok(None);
    }
    let text = read(folder, name)?;
    serde_json::from_str(&text).map(Some).map_err(|e| format!("{name} is not a JSON object: {e}"))
}

/// A token as files write it: its text, or an object with flags.
fn added_token(value: &Value, special: bool) -> Result<AddedToken, String> {
    let fields = match value {
        Value::String(text) => return Ok(AddedToken::from(text.clone(), special)),
        Value::Object(fields) => fields,
        other => return Err(format!("{other} is not a token")),
    };
    if let Some((name, value)) = fields.iter().find(|(name, _)| !TOKEN_FIELDS.contains(&name.as_str())) {
        return Err(format!("a token has the field `{name}` ({value}), which is not known"));
    }
    let content = typed(fields, "content", "a string", Value::as_str)?.ok_or("a token has no `content`")?;
    let flag = |name: &str, default: bool| {
        Ok::<_, String>(typed(fields, name, "true or false", Value::as_bool)?.unwrap_or(default))
    };
    let special = special || flag("special", false)?;
    Ok(AddedToken::from(content, special)
        .normalized(flag("normalized", !special)?)
        .lstrip(flag("lstrip", false)?)
        .rstrip(flag("rstrip", false)?)
        .single_word(flag("single_word", false)?))
}

/// The value of `name` as `read` takes it; absent and `null` are `None`, another type is an error.
fn typed<'a, T>(
    fields: &'a Map<String, Value>,
    name: &str,
    expected: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, String> {
    match fields.get(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| format!("`{name}` is {value}, not {expected}")),
    }
}

fn length(config: &Map<String, Value>) -> Result<usize, String> {
    let field = |name: &str| config.get(name).filter(|v| !v.is_null());
    let Some(value) = field("model_max_length").or_else(|| field("max_len")) else {
        return Ok(DEFAULT_LENGTH);
    };
    match (value.as_u64(), value.as_f64()) {
        (Some(n), _) if (2..=MAX_LENGTH as u64).contains(&n) => Ok(n as usize),
        // "No limit": the text encoder's is the one that counts.
        (_, Some(n)) if n > MAX_LENGTH as f64 => Ok(DEFAULT_LENGTH),
        _ => Err(format!(
            "tokenizer_config.json: `model_max_length` is {value}, not a number of tokens from 2"
        )),
    }
}
