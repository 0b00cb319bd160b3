//! The tokenizer against transformers' `CLIPTokenizer`, and against broken folders.

use std::collections::BTreeMap;
use std::path::Path;

use retouch_diffusion::Error;
use retouch_diffusion::tokenizer::{MAX_TEXT_BYTES, Tokenizer};
use serde::Deserialize;

use crate::fixture::{copy, goldens};

#[derive(Deserialize)]
struct Cases {
    folders: BTreeMap<String, Folder>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Folder {
    model_max_length: usize,
    pad_id: i64,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    folders: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    /// Without padding.
    ids: Vec<i64>,
    tokens: usize,
    truncated: Option<String>,
}

fn cases() -> Cases {
    let text = std::fs::read(goldens().join("tokenizer_cases.json")).expect("the golden file is readable");
    serde_json::from_slice(&text).expect("the golden file has these fields")
}

#[test]
fn ids_and_truncation_equal_the_reference() {
    let Cases { folders, cases } = cases();
    assert_eq!(folders.len(), 4);
    assert!(cases.len() >= 40);
    for (name, folder) in folders {
        let tokenizer = Tokenizer::load(&goldens().join(&name)).unwrap();
        assert_eq!(tokenizer.model_max_length(), folder.model_max_length, "{name}");
        assert_eq!(tokenizer.pad_id(), folder.pad_id, "{name}");
        for Case { text, folders } in &cases {
            let Expected { ids, tokens, truncated } = &folders[&name];
            let mut padded = ids.clone();
            padded.resize(folder.model_max_length, folder.pad_id);
            let encoded = tokenizer.encode(text).unwrap();
            assert_eq!(encoded.ids, padded, "{name}: {text:?}");
            assert_eq!(encoded.tokens, *tokens, "{name}: {text:?}");
            assert_eq!(encoded.truncated, *truncated, "{name}: {text:?}");
        }
    }
}

#[test]
fn the_cases_tell_the_folders_apart() {
    let cases = cases().cases;
    let differ = |a: &str, b: &str| cases.iter().filter(|c| c.folders[a].ids != c.folders[b].ids).count();
    assert!(differ("tokenizer_sd1", "tokenizer_sd2") > 0, "\"!\" is a special token in one only");
    assert!(differ("tokenizer_sd2", "tokenizer_decoder") > 0, "one is shorter");
}

fn reason(folder: &Path) -> String {
    match Tokenizer::load(folder).map(|_| "a tokenizer") {
        Err(Error::Tokenizer { path, reason }) => {
            assert_eq!(path, folder);
            reason
        }
        other => panic!("expected a tokenizer error, got {other:?}"),
    }
}

/// Writes `text` over `file` in a copy of `fixture`; what loading says then.
fn broken(fixture: &str, file: &str, text: &str) -> String {
    let folder = copy(fixture);
    std::fs::write(folder.path().join(file), text).expect("the copy is writable");
    reason(folder.path())
}

#[test]
fn broken_files_are_named() {
    for (fixture, file, text, says) in [
        ("tokenizer_sd1", "vocab.json", "{", "vocab.json is not an object"),
        ("tokenizer_sd1", "vocab.json", "[1]", "vocab.json is not an object"),
        ("tokenizer_sd1", "vocab.json", r#"{"a": "b"}"#, "vocab.json is not an object"),
        ("tokenizer_sd1", "vocab.json", r#"{"a": -1}"#, "vocab.json is not an object"),
        ("tokenizer_sd1", "vocab.json", r#"{"a": 99999999999}"#, "vocab.json is not an object"),
        ("tokenizer_sd1", "vocab.json", "{}", "do not fit"),
        ("tokenizer_sd1", "merges.txt", "#version: 0.2\na b\nabc\n", "merges.txt line 3"),
        ("tokenizer_sd1", "merges.txt", "a b c\n", "merges.txt line 1"),
        ("tokenizer_sd1", "merges.txt", "quux frob\n", "do not fit"),
        ("tokenizer_sd1", "tokenizer_config.json", "[]", "tokenizer_config.json is not a JSON object"),
        ("tokenizer_sd1", "special_tokens_map.json", "nil", "special_tokens_map.json is not a JSON object"),
        ("tokenizer_sd1", "special_tokens_map.json", r#"{"pad_token": 7}"#, "`pad_token`: 7 is not a token"),
        (
            "tokenizer_sd1",
            "special_tokens_map.json",
            r#"{"bos_token": {"content": 1}}"#,
            "`content` is 1, not a string",
        ),
        (
            "tokenizer_sd1",
            "special_tokens_map.json",
            r#"{"bos_token": {"content": "!", "lstrip": 1}}"#,
            "`lstrip` is 1",
        ),
        (
            "tokenizer_sd1",
            "special_tokens_map.json",
            r#"{"bos_token": {"content": "!", "strip": true}}"#,
            "`strip` (true)",
        ),
        ("tokenizer_sd1", "added_tokens.json", r#"{"<new>": 5}"#, "token `<new>` is listed with the id 5"),
        ("tokenizer_sd1", "added_tokens.json", r#"{"<new>": -5}"#, "`<new>` has the id -5"),
        ("tokenizer_sd1", "tokenizer.json", "{}", "tokenizer.json cannot be used"),
        ("tokenizer_json", "tokenizer.json", "", "tokenizer.json cannot be used"),
        (
            "tokenizer_json",
            "tokenizer.json",
            r#"{"model": {"type": "BPE"}}"#,
            "tokenizer.json cannot be used",
        ),
    ] {
        let reason = broken(fixture, file, text);
        assert!(reason.contains(says), "{file} = {text}: {reason}");
    }
}

#[test]
fn unsupported_settings_are_named() {
    for (settings, says) in [
        (r#"{"padding_side": "left"}"#, "`padding_side`"),
        (r#"{"truncation_side": "left"}"#, "`truncation_side`"),
        (r#"{"model_max_length": 1}"#, "`model_max_length` is 1"),
        (r#"{"model_max_length": "77"}"#, "`model_max_length`"),
        (r#"{"tokenizer_class": "GPT2Tokenizer"}"#, "belong to a GPT2Tokenizer"),
        (r#"{"tokenizer_class": 7}"#, "`tokenizer_class` is 7, not a string"),
        (r#"{"split_special_tokens": "yes"}"#, "`split_special_tokens` is \"yes\", not true or false"),
        (r#"{"extra_special_tokens": {"a": "b"}}"#, "`extra_special_tokens`"),
        (r#"{"added_tokens_decoder": {"x": "y"}}"#, "`added_tokens_decoder` has the id \"x\""),
        (r#"{"added_tokens_decoder": {"3": {"content": "!"}}}"#, "token `!` is listed with the id 3"),
    ] {
        let reason = broken("tokenizer_sd1", "tokenizer_config.json", settings);
        assert!(reason.contains(says), "{settings}: {reason}");
    }
}

#[test]
fn random_merges_are_refused() {
    let text = std::fs::read_to_string(goldens().join("tokenizer_json/tokenizer.json")).unwrap();
    assert!(text.contains(r#""dropout": null"#));
    let reason =
        broken("tokenizer_json", "tokenizer.json", &text.replace(r#""dropout": null"#, r#""dropout": 0.1"#));
    assert!(reason.contains("at random"), "{reason}");
}

#[test]
fn a_panicking_file_is_an_error() {
    // The library cuts the prefix off the second half of a merge: here in the middle of a character.
    let text = r#"{"model": {"type": "BPE", "continuing_subword_prefix": "-", "vocab": {"a": 0, "é": 1, "aé": 2},
        "merges": [["a", "é"]]}}"#;
    let reason = broken("tokenizer_json", "tokenizer.json", text);
    assert!(reason.contains("char boundary"), "{reason}");
}

#[test]
fn missing_files_are_named() {
    let empty = tempfile::tempdir().unwrap();
    assert!(reason(empty.path()).contains("neither tokenizer.json nor both of vocab.json and merges.txt"));
    let folder = copy("tokenizer_sd1");
    std::fs::remove_file(folder.path().join("merges.txt")).unwrap();
    assert!(reason(folder.path()).contains("merges.txt"));
    std::fs::create_dir(folder.path().join("merges.txt")).unwrap();
    assert!(reason(folder.path()).contains("merges.txt"));
}

#[test]
fn settings_are_optional() {
    let folder = copy("tokenizer_sd1");
    let expected = Tokenizer::load(folder.path()).unwrap().encode("make the sky blue").unwrap();
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        std::fs::remove_file(folder.path().join(file)).unwrap();
    }
    let bare = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(bare.encode("make the sky blue").unwrap(), expected);
}

#[test]
fn a_length_without_limit_is_clips() {
    let folder = copy("tokenizer_sd1");
    let text = r#"{"model_max_length": 1000000000000000019884624838656}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), text).unwrap();
    assert_eq!(Tokenizer::load(folder.path()).unwrap().model_max_length(), 77);
}

#[test]
fn too_long_a_text_is_refused_and_the_longest_is_cut() {
    let tokenizer = Tokenizer::load(&goldens().join("tokenizer_sd1")).unwrap();
    let error = tokenizer.encode(&"a".repeat(MAX_TEXT_BYTES + 1)).unwrap_err();
    assert!(matches!(error, Error::Parameter { name: "text", .. }), "{error}");
    let word = tokenizer.encode(&"a".repeat(MAX_TEXT_BYTES)).unwrap();
    assert_eq!(word.ids.len(), 77);
    let encoded = tokenizer.encode(&"a ".repeat(MAX_TEXT_BYTES / 2)).unwrap();
    assert_eq!(encoded.tokens, MAX_TEXT_BYTES / 2 + 2);
    assert_eq!(encoded.ids.len(), 77);
}

#[test]
fn a_text_encoder_that_does_not_fit_is_refused() {
    let tokenizer = Tokenizer::load(&goldens().join("tokenizer_sd1")).unwrap();
    tokenizer.check(834, 77).unwrap();
    let error = tokenizer.check(833, 77).unwrap_err().to_string();
    assert!(error.contains("`<|endoftext|>` has the id 833"), "{error}");
    let error = tokenizer.check(834, 76).unwrap_err().to_string();
    assert!(error.contains("max_position_embeddings is 76"), "{error}");
}
