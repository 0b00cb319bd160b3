//! What an edit instruction says: a list of typed [`Intent`]s, its language and its [`Complexity`].
//!
//! An instruction such as "move the red ball left by 10 % and add two cats" is several intents. What cannot be
//! read is [`Intent::Free`] and never an error. Intents can also be given as JSON: [`Intents::from_json`].
//!
//! Pure data: no image, no tensor, no I/O.

mod complexity;
mod display;
mod intent;
mod json;
pub mod lexicon;
mod measure;
mod phrases;
mod referent;
mod region;
mod term;
#[expect(dead_code, reason = "the parser, which lands next, reads the rest")]
mod words;
mod write;

pub use self::complexity::{Complexity, Parts};
pub use self::intent::{Background, Destination, Focus, Intent, Place};
pub use self::json::{Intents, IntentsError, MAX_INTENTS, MAX_JSON_BYTES};
pub use self::measure::{Displacement, Scale, Turn, Unit};
pub use self::phrases::PhraseSet;
pub use self::referent::{Ordinal, Quantity, Referent, Relation, Relative, Side, Size};
pub use self::region::{FractionBox, Region};
pub use self::term::{MAX_TERM_CHARS, Term};
pub use self::words::{normalise, unaccented};
pub use self::write::write;

use serde::{Deserialize, Serialize};

/// A language that instructions are read and written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    English,
    /// Vietnamese with its diacritics.
    Vietnamese,
    /// Vietnamese as typed on a bare keyboard: "di chuyen vat sang trai".
    VietnameseUnaccented,
}

/// What was read from an instruction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parsed {
    /// In the order of the text. Empty only for a text without words.
    pub intents: Vec<Intent>,
    /// `None` if nothing in the text belongs to a known language.
    pub language: Option<Language>,
    /// How much is asked for at once.
    pub complexity: Complexity,
}
