//! Things: "the second small red ball from the left", "cả hai con mèo".

mod english;
mod vietnamese;

use crate::intent::Place;
use crate::referent::{Ordinal, Quantity, Referent, Side, Size};
use crate::term::Term;

use super::reader::{Reader, Readings};
use super::vocabulary::{Known, Mark};

/// A thing as named.
#[derive(Clone, Debug, Default)]
pub(super) struct Noun {
    pub(super) referent: Referent,
    /// "a ball", "two balls": something new, where something new can be meant.
    pub(super) indefinite: bool,
    pub(super) count: Option<u32>,
    pub(super) pronoun: Option<Pronoun>,
    /// No word of it is in the lexicon.
    pub(super) unknown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pronoun {
    One,
    Many,
}

/// Adjectives and ordinals while they are read; each is taken once.
#[derive(Default)]
struct Adjectives {
    referent: Referent,
    any: bool,
}

impl Reader<'_> {
    /// A thing; with where it is if `placed`.
    pub(super) fn noun(&mut self, placed: bool) -> Option<Noun> {
        let mut noun =
            self.attempt(
                |reader| {
                    if reader.english() { reader.english_noun() } else { reader.vietnamese_noun() }
                },
            )?;
        if noun.pronoun.is_none() {
            if placed {
                self.position(&mut noun.referent);
            }
            if noun.referent.noun.is_some() {
                self.noun.clone_from(&noun.referent.noun);
            }
        }
        Some(noun)
    }

    /// "the vase, the ball and both cats".
    pub(super) fn nouns(&mut self, placed: bool) -> Option<Vec<Noun>> {
        let mut nouns = vec![self.noun(placed)?];
        while let Some(next) = self.next_noun(placed) {
            nouns.push(next);
        }
        Some(nouns)
    }

    /// Another thing behind a comma or "and"; a word of no lexicon must look like a noun.
    pub(super) fn next_noun(&mut self, placed: bool) -> Option<Noun> {
        self.attempt(|reader| {
            let comma = reader.comma();
            let and = reader.mark(Mark::And);
            // "va lam …" is "và làm …", another edit, and not "và lăm …", five things.
            if (!comma && !and) || reader.is_verb() {
                return None;
            }
            let from = reader.at;
            let determined = reader.marks(&[Mark::The, Mark::A, Mark::All, Mark::Both]).is_some();
            reader.at = from;
            let noun = reader.noun(placed)?;
            let looks = !noun.unknown
                || determined
                || noun.count.is_some()
                || noun.referent.quantity != Quantity::One;
            looks.then_some(noun)
        })
    }

    /// What the names of an edit's things mean: pronouns become what they stand for.
    pub(super) fn resolved(&self, nouns: Vec<Noun>) -> Vec<Referent> {
        let mut things = Vec::new();
        for noun in nouns {
            match noun.pronoun {
                None => things.push(noun.referent),
                Some(Pronoun::One) => things.push(self.last.last().cloned().unwrap_or(noun.referent)),
                Some(Pronoun::Many) if self.last.is_empty() => things.push(noun.referent),
                Some(Pronoun::Many) => things.extend(self.last.iter().cloned()),
            }
        }
        things
    }

    /// The things an edit is about.
    pub(super) fn targets(&mut self) -> Option<Vec<Referent>> {
        let nouns = self.nouns(self.readings.target)?;
        Some(self.resolved(nouns))
    }

    /// "on the left", "next to the vase", "from the left" behind an ordinal.
    fn position(&mut self, referent: &mut Referent) {
        let place = self.attempt(|reader| {
            let readings = std::mem::replace(&mut reader.readings, Readings { target: false, anchor: false });
            let place = reader.place(false);
            reader.readings = readings;
            place
        });
        match place {
            Some(Place::Region(region)) if referent.location.is_none() => referent.location = Some(region),
            Some(Place::Relative(relative)) => referent.relative = Some(relative),
            _ => {}
        }
    }

    fn pronoun(&mut self) -> Option<Noun> {
        let (pronoun, quantity) = match self.marks(&[Mark::It, Mark::Them])? {
            Mark::It => (Pronoun::One, Quantity::One),
            _ => (Pronoun::Many, Quantity::All),
        };
        let referent = Referent { quantity, ..Referent::default() };
        Some(Noun { referent, pronoun: Some(pronoun), ..Noun::default() })
    }

    /// "dark blue", "màu xanh đậm"; without the word "màu" only if `bare`.
    pub(super) fn colour(&mut self, bare: bool) -> Option<Term> {
        let vocabulary = self.vocabulary;
        self.attempt(|reader| {
            if reader.english() {
                let from = reader.at;
                let shaded = reader.take(&vocabulary.shade).is_some();
                let known = reader.take(&vocabulary.colour)?;
                let term = if shaded { reader.term(from) } else { Term::new(known.canonical) };
                reader.skip(&[Mark::ColourWord]);
                return Some(term);
            }
            let named = reader.mark(Mark::ColourWord);
            if !named && !bare {
                return None;
            }
            let from = reader.at;
            let known = reader.take(&vocabulary.colour)?;
            if !named && reader.is_way(from) {
                return None;
            }
            let shaded = !reader.is(&vocabulary.material) && reader.take(&vocabulary.shade).is_some();
            Some(if shaded { reader.term(from) } else { Term::new(known.canonical) })
        })
    }

    /// Whether "den" without diacritics is "đến" on the way to a place, and no colour.
    fn is_way(&mut self, from: usize) -> bool {
        let taken = self.at;
        let plain = self.words[from].text == self.words[from].fold;
        self.at = from;
        let way = plain && self.marks(&[Mark::To]).is_some() && self.is_goal();
        self.at = taken;
        way
    }

    fn is_goal(&mut self) -> bool {
        let vocabulary = self.vocabulary;
        self.is(&vocabulary.region) || self.is(&vocabulary.relation)
    }

    /// The words from `from` to here as a term.
    pub(super) fn term(&self, from: usize) -> Term {
        let words: Vec<&str> = self.words[from..self.at].iter().map(|word| word.text.as_str()).collect();
        Term::new(&words.join(" "))
    }

    fn size(&mut self) -> Option<Size> {
        let known: Known = self.take(&self.vocabulary.size)?;
        Some(match known.canonical {
            "small" => Size::Small,
            "medium" => Size::Medium,
            _ => Size::Large,
        })
    }

    fn material(&mut self) -> Option<Term> {
        let vocabulary = self.vocabulary;
        self.take(&vocabulary.material).map(|known| Term::new(known.canonical))
    }

    /// "leftmost", "second", "last".
    fn ordinal(&mut self) -> Option<Ordinal> {
        let vocabulary = self.vocabulary;
        if let Some(from) = self.take(&vocabulary.extreme) {
            return Some(Ordinal { index: 1, from });
        }
        Some(match self.take(&vocabulary.ordinal)? {
            0 => Ordinal { index: 1, from: Side::Right },
            index => Ordinal { index, from: Side::Left },
        })
    }

    /// "from the left", "từ trái sang".
    fn counted_from(&mut self, referent: &mut Referent) {
        let vocabulary = self.vocabulary;
        let Some(ordinal) = referent.ordinal.as_mut() else { return };
        let side = self.attempt(|reader| {
            reader.mark(Mark::From).then_some(())?;
            reader.skip(&[Mark::The]);
            reader.take(&vocabulary.side)
        });
        if let Some(side) = side {
            ordinal.from = side;
        }
    }
}
