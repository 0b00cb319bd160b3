//! The words of things in both languages: one table for parser, writer and captions.
//!
//! ```
//! use retouch_instruction::lexicon::{self, Kind};
//!
//! let ball = lexicon::find(Kind::Noun, "ball").expect("balls are known");
//! assert_eq!(ball.english[0].plural, "balls");
//! assert_eq!(ball.vietnamese[0], "quả bóng");
//! assert_eq!(lexicon::canonical("spheres"), Some("ball"));
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::words::{normalise, unaccented};

/// What a word tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A thing, or a scene that can be a background.
    Noun,
    /// A colour.
    Colour,
    /// A size; the canonical terms are the names of [`crate::Size`].
    Size,
    /// A material, finish or pattern.
    Material,
    /// Something that is added to an image and is no object.
    Effect,
    /// A style of images.
    Style,
}

/// A term and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it tells of.
    pub kind: Kind,
    /// The form that intents carry.
    pub canonical: String,
    /// Words to write, the usual one first; never empty.
    pub english: Vec<English>,
    /// Words to write, with classifier, the usual one first; never empty.
    pub vietnamese: Vec<String>,
    /// English words that are only read.
    pub also_english: Vec<English>,
    /// Vietnamese words that are only read.
    pub also_vietnamese: Vec<String>,
}

/// An English word in both numbers; of an uncountable word they are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct English {
    /// "box".
    pub singular: String,
    /// "boxes".
    pub plural: String,
}

impl English {
    fn read(word: &str) -> Self {
        match word.split_once('/') {
            Some((singular, plural)) => Self { singular: singular.to_owned(), plural: plural.to_owned() },
            None => Self { singular: word.to_owned(), plural: plural(word) },
        }
    }

    /// Whether it has no plural of its own: "fog", "water".
    #[must_use]
    pub fn is_uncountable(&self) -> bool {
        self.singular == self.plural
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    en: Vec<String>,
    vi: Vec<String>,
    #[serde(default)]
    also_en: Vec<String>,
    #[serde(default)]
    also_vi: Vec<String>,
}

static ENTRIES: LazyLock<BTreeMap<Kind, Vec<Entry>>> = LazyLock::new(|| {
    let table: BTreeMap<Kind, BTreeMap<String, Row>> =
        toml::from_str(include_str!("../lexicon.toml")).expect("the lexicon is part of the build and tested");
    let entry = |kind, (canonical, row): (String, Row)| Entry {
        kind,
        canonical,
        english: row.en.iter().map(|word| English::read(word)).collect(),
        vietnamese: row.vi,
        also_english: row.also_en.iter().map(|word| English::read(word)).collect(),
        also_vietnamese: row.also_vi,
    };
    table
        .into_iter()
        .map(|(kind, rows)| (kind, rows.into_iter().map(|row| entry(kind, row)).collect()))
        .collect()
});

/// Every word to its canonical term; of several meanings the first in the order of [`Kind`].
static CANONICAL: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let mut words = HashMap::new();
    for entry in ENTRIES.values().flatten() {
        let english =
            entry.english.iter().chain(&entry.also_english).flat_map(|word| [&word.singular, &word.plural]);
        for word in english.chain(&entry.vietnamese).chain(&entry.also_vietnamese).chain([&entry.canonical]) {
            words.entry(normalise(word)).or_insert(entry.canonical.as_str());
        }
    }
    words
});

/// All terms of a kind, in alphabetical order.
#[must_use]
pub fn entries(kind: Kind) -> &'static [Entry] {
    ENTRIES.get(&kind).map_or(&[], Vec::as_slice)
}

/// The entry of a canonical term.
#[must_use]
pub fn find(kind: Kind, canonical: &str) -> Option<&'static Entry> {
    let entries = entries(kind);
    let index = entries.binary_search_by(|entry| entry.canonical.as_str().cmp(canonical)).ok()?;
    entries.get(index)
}

/// The canonical term of an English or Vietnamese word, in singular or plural; Vietnamese with its diacritics.
#[must_use]
pub fn canonical(word: &str) -> Option<&'static str> {
    CANONICAL.get(&normalise(word)).copied()
}

/// The regular plural of an English noun.
#[must_use]
pub fn plural(noun: &str) -> String {
    let vowel_y = ["ay", "ey", "oy", "uy"].iter().any(|end| noun.ends_with(end));
    let consonant_y = noun.ends_with('y') && !vowel_y;
    if consonant_y {
        return format!("{}ies", &noun[..noun.len() - 1]);
    }
    let hissing = ["s", "x", "z", "ch", "sh"].iter().any(|end| noun.ends_with(end));
    format!("{noun}{}", if hissing { "es" } else { "s" })
}

/// The singular of a word that looks like a regular English plural.
pub(crate) fn singular(word: &str) -> Option<String> {
    // Words that have no singular end in "glasses", "pants", …
    let kept = ["ss", "us", "is", "glasses", "pants", "jeans", "trousers", "shorts", "clothes", "scissors"];
    let kept = kept.iter().any(|end| word.ends_with(end));
    if kept || word.len() < 4 || !word.is_ascii() {
        return None;
    }
    if let Some(stem) = word.strip_suffix("ies") {
        return Some(format!("{stem}y"));
    }
    let stem = word
        .strip_suffix("es")
        .filter(|stem| ["s", "x", "z", "ch", "sh"].iter().any(|end| stem.ends_with(end)));
    stem.or_else(|| word.strip_suffix('s')).map(str::to_owned)
}

/// "a" or "an".
#[must_use]
pub fn article(word: &str) -> &'static str {
    if unaccented(word).starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_written() {
        let kinds = [Kind::Noun, Kind::Colour, Kind::Size, Kind::Material, Kind::Effect, Kind::Style];
        for entry in kinds.iter().flat_map(|kind| entries(*kind)) {
            assert!(!entry.english.is_empty() && !entry.vietnamese.is_empty(), "{entry:?}");
            assert_eq!(find(entry.kind, &entry.canonical), Some(entry));
        }
    }

    #[test]
    fn what_scenes_draw_is_known() {
        for noun in ["ball", "cube", "cylinder", "cone", "vase", "tree", "house", "cat", "person"] {
            assert!(find(Kind::Noun, noun).is_some(), "{noun}");
        }
        for colour in "red green blue yellow purple orange cyan pink brown black white grey".split(' ') {
            assert!(find(Kind::Colour, colour).is_some(), "{colour}");
        }
    }

    #[test]
    fn numbers_of_nouns() {
        assert_eq!(["box", "city", "boy"].map(plural), ["boxes", "cities", "boys"]);
        assert_eq!(
            ["boxes", "cities", "trucks"].map(singular),
            ["box", "city", "truck"].map(|s| Some(s.to_owned()))
        );
        assert_eq!(["grass", "bus", "tree"].map(singular), [None, None, None]);
        assert_eq!(canonical("People"), Some("person"));
        assert_eq!((article("orange"), article("tree")), ("an", "a"));
    }
}
