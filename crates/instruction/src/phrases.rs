//! The phrase sets: templates by key, for English and Vietnamese.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::Language;

/// Which templates instructions are written from. The sets have no line in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PhraseSet {
    /// For training data.
    Training,
    /// For evaluation: wordings that no training instruction has.
    Suite,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    en: Vec<String>,
    vi: Vec<String>,
}

type Set = BTreeMap<String, Lines>;

static TRAINING: LazyLock<Set> = LazyLock::new(|| read(include_str!("../phrases/training.toml")));
static SUITE: LazyLock<Set> = LazyLock::new(|| read(include_str!("../phrases/suite.toml")));

fn read(text: &str) -> Set {
    toml::from_str(text).expect("the phrase sets are part of the build and tested")
}

impl PhraseSet {
    fn lines(self) -> &'static Set {
        match self {
            Self::Training => &TRAINING,
            Self::Suite => &SUITE,
        }
    }

    /// The keys of the set: the same in both.
    pub fn keys(self) -> impl Iterator<Item = &'static str> {
        self.lines().keys().map(String::as_str)
    }

    /// The templates of a key, with diacritics for both forms of Vietnamese; `None` for an unknown key.
    #[must_use]
    pub fn templates(self, key: &str, language: Language) -> Option<&'static [String]> {
        let lines = self.lines().get(key)?;
        Some(match language {
            Language::English => &lines.en,
            Language::Vietnamese | Language::VietnameseUnaccented => &lines.vi,
        })
    }
}
