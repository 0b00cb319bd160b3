//! Words of an open vocabulary in one normalised form.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::lexicon;

/// Longer terms are cut here, so that no instruction makes a term of unbounded size.
pub const MAX_TERM_CHARS: usize = 200;

/// A noun, colour, material, style or effect.
///
/// A word of the [`crate::lexicon`] in either language becomes its canonical term ("spheres" and "quả bóng" are
/// "ball"); any other text is kept in lower case, NFC, with single spaces, at most [`MAX_TERM_CHARS`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Term(String);

impl Term {
    /// Normalises `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let lower: String = text.nfc().flat_map(char::to_lowercase).nfc().collect();
        let mut term = String::new();
        for word in lower.split_whitespace() {
            if !term.is_empty() {
                term.push(' ');
            }
            term.push_str(word);
        }
        let end = term.char_indices().nth(MAX_TERM_CHARS).map_or(term.len(), |(index, _)| index);
        term.truncate(term[..end].trim_end().len());
        match lexicon::canonical(&term) {
            Some(canonical) => Self(canonical.to_owned()),
            None => Self(term),
        }
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Term {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Term {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Term> for String {
    fn from(term: Term) -> Self {
        term.0
    }
}
