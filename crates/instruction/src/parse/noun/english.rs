//! English things: determiner, adjectives, noun.

use crate::lexicon;
use crate::referent::{Quantity, Referent};
use crate::term::Term;

use super::super::amount::SEVERAL;
use super::super::reader::Reader;
use super::super::vocabulary::Mark;
use super::{Adjectives, Noun};

/// Words of no lexicon before a noun, or instead of one.
const MOST_OPEN: usize = 4;

#[derive(Default)]
struct Determiner {
    definite: bool,
    indefinite: bool,
    count: Option<u32>,
    quantity: Option<Quantity>,
}

impl Reader<'_> {
    pub(super) fn english_noun(&mut self) -> Option<Noun> {
        if let Some(noun) = self.attempt(Self::everything) {
            return Some(noun);
        }
        // "her hat", "this ball" before "her", "this".
        if let Some(noun) = self.attempt(Self::common_noun) {
            return Some(noun);
        }
        self.pronoun()
    }

    fn everything(&mut self) -> Option<Noun> {
        self.mark(Mark::Everything).then_some(())?;
        let referent = Referent { quantity: Quantity::All, ..Referent::default() };
        Some(Noun { referent, ..Noun::default() })
    }

    fn common_noun(&mut self) -> Option<Noun> {
        let determiner = self.determiner();
        let mut adjectives = Adjectives::default();
        while self.english_adjective(&mut adjectives) {}
        let Head { noun, plural, unknown, before } = self.head(adjectives.any)?;
        let mut referent = adjectives.referent;
        referent.adjectives.extend(before);
        referent.noun = noun;
        referent.quantity = match (determiner.quantity, determiner.count) {
            (Some(quantity), _) => quantity,
            (None, Some(1)) => Quantity::One,
            (None, Some(count)) => Quantity::Exactly(count),
            (None, None) if plural && !determiner.indefinite => Quantity::All,
            (None, None) => Quantity::One,
        };
        self.counted_from(&mut referent);
        let count = determiner.count.or((plural && !determiner.definite).then_some(SEVERAL));
        // "put flowers in the vase": a plural without a determiner is new.
        let new = determiner.indefinite || determiner.count.is_some() || plural;
        Some(Noun {
            referent,
            indefinite: new && !determiner.definite && determiner.quantity.is_none(),
            count,
            pronoun: None,
            unknown,
        })
    }

    fn determiner(&mut self) -> Determiner {
        let mut found = Determiner::default();
        if self.mark(Mark::All) {
            found.quantity = Some(Quantity::All);
        } else if self.mark(Mark::Both) {
            found.quantity = Some(Quantity::Both);
        }
        found.definite = self.mark(Mark::The);
        if !found.definite {
            found.count = match self.marks(&[Mark::Pair, Mark::Dozen, Mark::Several]) {
                Some(Mark::Pair) => Some(2),
                Some(Mark::Dozen) => Some(12),
                Some(_) => Some(SEVERAL),
                None => None,
            };
            found.indefinite = found.count.is_some() || self.mark(Mark::A);
        }
        if found.count.is_none()
            && let Some(count) = self.count()
        {
            found.count = Some(count);
            // "all three balls" are three.
            if found.quantity == Some(Quantity::All) {
                found.quantity = None;
                found.definite = true;
            }
        }
        found
    }

    fn english_adjective(&mut self, adjectives: &mut Adjectives) -> bool {
        let referent = &mut adjectives.referent;
        let at = self.at;
        if referent.ordinal.is_none() {
            referent.ordinal = self.ordinal();
        }
        if self.at == at && referent.size.is_none() {
            referent.size = self.size();
        }
        if self.at == at && referent.colour.is_none() {
            referent.colour = self.colour(true);
        }
        if self.at == at {
            // "shiny metal" is one material in two words.
            let material = self.material();
            if referent.material.is_none() {
                referent.material = material;
            }
        }
        if self.at == at && referent.location.is_none() {
            referent.location = self.take(&self.vocabulary.region);
        }
        adjectives.any |= self.at > at;
        self.at > at
    }

    /// The noun and the unknown words before it.
    fn head(&mut self, adjectives: bool) -> Option<Head> {
        let vocabulary = self.vocabulary;
        if adjectives && self.mark(Mark::One) {
            let noun = self.noun.clone();
            return Some(Head { noun, plural: false, unknown: false, before: Vec::new() });
        }
        let from = self.at;
        let mut known = None;
        while self.at - from < MOST_OPEN {
            if let Some(noun) = self.take(&vocabulary.noun) {
                known = Some(noun);
                break;
            }
            if !self.is_open() {
                break;
            }
            self.at += 1;
        }
        let Some(mut noun) = known else { return self.unknown_head(from) };
        let mut compound = from;
        // "tree house": two nouns are one thing.
        while let Some(next) = self.attempt(|reader| reader.take(&vocabulary.noun)) {
            noun = next;
            compound = self.at;
        }
        if compound > from {
            return Some(Head {
                noun: Some(self.term(from)),
                plural: noun.plural,
                unknown: false,
                before: Vec::new(),
            });
        }
        let length = self.noun_length(noun.canonical, from);
        let before = self.words[from..length].iter().map(|word| Term::new(&word.text)).collect();
        Some(Head { noun: Some(Term::new(noun.canonical)), plural: noun.plural, unknown: false, before })
    }

    /// Where the known noun that ends here starts.
    fn noun_length(&mut self, canonical: &str, from: usize) -> usize {
        let end = self.at;
        for start in from..end {
            let (found, work) = self
                .vocabulary
                .noun
                .longest(&self.words[start..], self.exact, |known| known.canonical == canonical);
            self.work += work;
            if found.is_some_and(|(_, length)| start + length == end) {
                return start;
            }
        }
        end
    }

    fn unknown_head(&mut self, from: usize) -> Option<Head> {
        if self.at == from || self.is_open() {
            return None;
        }
        let last = self.at - 1;
        let words: Vec<&str> = self.words[from..last].iter().map(|word| word.text.as_str()).collect();
        let singular = lexicon::singular(&self.words[last].text);
        let noun = singular.as_deref().unwrap_or(&self.words[last].text);
        let text = words.into_iter().chain([noun]).collect::<Vec<_>>().join(" ");
        Some(Head {
            noun: Some(Term::new(&text)),
            plural: singular.is_some(),
            unknown: true,
            before: Vec::new(),
        })
    }
}

struct Head {
    noun: Option<Term>,
    plural: bool,
    unknown: bool,
    before: Vec<Term>,
}
