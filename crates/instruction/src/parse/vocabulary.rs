//! The closed words of the grammar and the words of the lexicon, indexed for reading.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::lexicon::{self, Kind};
use crate::referent::{Relation, Side};
use crate::region::Region;
use crate::words::{Token, Word, words};

/// What an instruction's verb asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verb {
    Move,
    Nudge,
    Raise,
    Lower,
    Put,
    Add,
    Remove,
    Take,
    Paint,
    Make,
    Change,
    Enlarge,
    Shrink,
    Scale,
    Double,
    Halve,
    Swap,
    Rotate,
    ZoomIn,
    ZoomOut,
    Zoom,
    Give,
    Use,
    Style,
    Other,
}

/// Words that hold a sentence together; their meaning is their row in `vocabulary.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    And,
    Then,
    Please,
    Tail,
    The,
    A,
    Several,
    Pair,
    Dozen,
    All,
    Both,
    It,
    Them,
    Everything,
    One,
    Demonstrative,
    Except,
    By,
    Into,
    At,
    To,
    AllTheWay,
    FarAdjective,
    Just,
    Of,
    From,
    #[serde(rename = "for_")]
    For,
    Away,
    Disappear,
    Appear,
    LookLike,
    StyleWord,
    Be,
    Should,
    Go,
    Trade,
    Positions,
    With,
    InPosition,
    ColourNoun,
    ColourWord,
    SizeNoun,
    SizeWord,
    Background,
    View,
    Image,
    Half,
    Third,
    Quarter,
    RegionWord,
    Width,
    Across,
    Percent,
    Pixel,
    Degree,
    Turn,
    Times,
    Twice,
    Fold,
    Part,
    AsBig,
    Clockwise,
    Counterclockwise,
    Further,
    FromThePicture,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    Left,
    Right,
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Little,
    Far,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Comparative {
    Bigger,
    Smaller,
}

/// A noun of the lexicon as a reader finds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) canonical: &'static str,
    pub(super) plural: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    en: Vec<String>,
    vi: Vec<String>,
}

type Table<K> = BTreeMap<K, Row>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    verb: Table<Verb>,
    mark: Table<Mark>,
    direction: Table<Direction>,
    region: Table<String>,
    half: Table<Direction>,
    relation: Table<String>,
    step: Table<Step>,
    comparative: Table<Comparative>,
    side: Table<Side>,
    extreme: Table<Side>,
    shade: Table<String>,
    ordinal: Table<String>,
    number: Table<String>,
    fraction: Table<String>,
}

/// Phrases by their first word without diacritics, the longest first.
pub(super) struct Index<T>(HashMap<String, Vec<(Vec<Word>, T)>>);

impl<T: Copy> Index<T> {
    fn new(phrases: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut index: HashMap<String, Vec<(Vec<Word>, T)>> = HashMap::new();
        for (phrase, value) in phrases {
            let words = words(&phrase, usize::MAX).0;
            if let Some(first) = words.first() {
                index.entry(first.fold.clone()).or_default().push((words, value));
            }
        }
        for phrases in index.values_mut() {
            phrases.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        }
        Self(index)
    }

    /// The longest phrase that the text starts with and `wanted` takes, with or, unless `exact`, without diacritics: its value, its length, phrases compared.
    pub(super) fn longest(
        &self,
        text: &[Word],
        exact: bool,
        wanted: impl Fn(&T) -> bool,
    ) -> (Option<(T, usize)>, usize) {
        let Some(phrases) = text.first().and_then(|first| self.0.get(&first.fold)) else { return (None, 1) };
        let found = phrases.iter().find(|(words, value)| {
            words.len() <= text.len()
                && wanted(value)
                && words.iter().zip(text).all(|(word, read)| same(word, read, exact))
        });
        (found.map(|(words, value)| (*value, words.len())), phrases.len())
    }

    fn vocabulary(&self) -> impl Iterator<Item = &Word> {
        self.0.values().flatten().flat_map(|(words, _)| words)
    }
}

/// Whether a word that was read is this word, with or, unless `exact`, without diacritics.
fn same(word: &Word, read: &Word, exact: bool) -> bool {
    word.token == read.token && (word.text == read.text || (!exact && word.fold == read.text))
}

/// The words of one language.
pub(super) struct Vocabulary {
    pub(super) english: bool,
    pub(super) verb: Index<Verb>,
    pub(super) mark: Index<Mark>,
    pub(super) direction: Index<Direction>,
    pub(super) region: Index<Region>,
    pub(super) half: Index<Direction>,
    pub(super) relation: Index<Relation>,
    pub(super) step: Index<Step>,
    pub(super) comparative: Index<Comparative>,
    pub(super) side: Index<Side>,
    pub(super) extreme: Index<Side>,
    pub(super) shade: Index<()>,
    pub(super) ordinal: Index<u32>,
    pub(super) number: Index<f64>,
    pub(super) fraction: Index<f64>,
    pub(super) noun: Index<Known>,
    pub(super) colour: Index<Known>,
    pub(super) size: Index<Known>,
    pub(super) material: Index<Known>,
    pub(super) effect: Index<Known>,
    pub(super) style: Index<Known>,
    /// Every word of the tables above, for telling the language.
    known: HashSet<String>,
    known_unaccented: HashSet<String>,
}

static ENGLISH: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new(true));
static VIETNAMESE: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new(false));

impl Vocabulary {
    pub(super) fn english() -> &'static Self {
        &ENGLISH
    }

    pub(super) fn vietnamese() -> &'static Self {
        &VIETNAMESE
    }

    fn new(english: bool) -> Self {
        let tables: Tables = toml::from_str(include_str!("../../vocabulary.toml"))
            .expect("the vocabulary is part of the build and tested");
        let region = |name: &String| {
            *Region::PLACES.iter().find(|place| place.name() == name).expect("regions are named as in JSON")
        };
        let relation = |name: &String| Relation::named(name).expect("relations are named as in JSON");
        let number = |text: &String| text.parse::<f64>().expect("the keys are numbers");
        let mut vocabulary = Self {
            english,
            verb: index(&tables.verb, english, |verb| *verb),
            mark: index(&tables.mark, english, |mark| *mark),
            direction: index(&tables.direction, english, |direction| *direction),
            region: index(&tables.region, english, region),
            half: index(&tables.half, english, |half| *half),
            relation: index(&tables.relation, english, relation),
            step: index(&tables.step, english, |step| *step),
            comparative: index(&tables.comparative, english, |comparative| *comparative),
            side: index(&tables.side, english, |side| *side),
            extreme: index(&tables.extreme, english, |side| *side),
            shade: index(&tables.shade, english, |_| ()),
            ordinal: index(&tables.ordinal, english, |text| text.parse().expect("the keys are numbers")),
            number: index(&tables.number, english, number),
            fraction: index(&tables.fraction, english, number),
            noun: known(Kind::Noun, english),
            colour: known(Kind::Colour, english),
            size: known(Kind::Size, english),
            material: known(Kind::Material, english),
            effect: known(Kind::Effect, english),
            style: known(Kind::Style, english),
            known: HashSet::new(),
            known_unaccented: HashSet::new(),
        };
        vocabulary.collect();
        vocabulary
    }

    fn collect(&mut self) {
        let words = (self.verb.vocabulary())
            .chain(self.mark.vocabulary())
            .chain(self.direction.vocabulary())
            .chain(self.region.vocabulary())
            .chain(self.relation.vocabulary())
            .chain(self.step.vocabulary())
            .chain(self.number.vocabulary())
            .chain(self.noun.vocabulary())
            .chain(self.colour.vocabulary())
            .chain(self.size.vocabulary())
            .chain(self.effect.vocabulary())
            .chain(self.style.vocabulary())
            .filter(|word| word.token == Token::Word && word.text.chars().all(char::is_alphabetic));
        let (known, unaccented) = words.map(|word| (word.text.clone(), word.fold.clone())).unzip();
        self.known = known;
        self.known_unaccented = unaccented;
    }

    /// Whether the word belongs to the language, as written or without diacritics.
    pub(super) fn knows(&self, word: &Word) -> bool {
        self.known.contains(&word.text) || self.known_unaccented.contains(&word.text)
    }
}

fn index<K, T: Copy>(table: &Table<K>, english: bool, value: impl Fn(&K) -> T) -> Index<T> {
    Index::new(table.iter().flat_map(|(key, row)| {
        let value = value(key);
        let phrases = if english { &row.en } else { &row.vi };
        phrases.iter().map(move |phrase| (phrase.clone(), value))
    }))
}

fn known(kind: Kind, english: bool) -> Index<Known> {
    let mut phrases = Vec::new();
    for entry in lexicon::entries(kind) {
        let one = Known { canonical: &entry.canonical, plural: false };
        let many = Known { plural: true, ..one };
        if english {
            for word in entry.english.iter().chain(&entry.also_english) {
                phrases.push((word.singular.clone(), one));
                if !word.is_uncountable() {
                    phrases.push((word.plural.clone(), many));
                }
            }
        } else {
            let words = entry.vietnamese.iter().chain(&entry.also_vietnamese);
            phrases.extend(words.map(|word| (word.clone(), one)));
        }
    }
    Index::new(phrases)
}
