//! Vietnamese things: quantity, noun with its classifier, adjectives.

use crate::referent::{Quantity, Referent};
use crate::term::Term;

use super::super::amount::SEVERAL;
use super::super::reader::Reader;
use super::super::vocabulary::Mark;
use super::{Adjectives, Noun};

/// Words of no lexicon that make a noun.
const MOST_OPEN: usize = 3;

impl Reader<'_> {
    pub(super) fn vietnamese_noun(&mut self) -> Option<Noun> {
        if self.mark(Mark::Everything) {
            let referent = Referent { quantity: Quantity::All, ..Referent::default() };
            return Some(Noun { referent, ..Noun::default() });
        }
        if let Some(noun) = self.pronoun() {
            return Some(noun);
        }
        let quantity = match self.marks(&[Mark::Both, Mark::All]) {
            Some(Mark::Both) => Some(Quantity::Both),
            Some(_) => Some(Quantity::All),
            None => None,
        };
        let count = match self.marks(&[Mark::Several, Mark::Pair, Mark::Dozen]) {
            Some(Mark::Several) => Some(SEVERAL),
            Some(Mark::Pair) => Some(2),
            Some(_) => Some(12),
            None => self.count(),
        };
        let (noun, unknown) = self.vietnamese_head()?;
        let mut adjectives = Adjectives::default();
        while self.vietnamese_adjective(&mut adjectives) {}
        let mut referent = adjectives.referent;
        referent.noun = noun;
        referent.quantity = match (quantity, count) {
            (Some(Quantity::All), Some(count)) if count > 1 => Quantity::Exactly(count),
            (Some(quantity), _) => quantity,
            (None, None | Some(1)) => Quantity::One,
            (None, Some(count)) => Quantity::Exactly(count),
        };
        self.counted_from(&mut referent);
        let indefinite = quantity.is_none() && count.is_some();
        Some(Noun { referent, indefinite, count, pronoun: None, unknown })
    }

    fn vietnamese_head(&mut self) -> Option<(Option<Term>, bool)> {
        let vocabulary = self.vocabulary;
        if let Some(known) = self.take(&vocabulary.noun) {
            return Some((Some(Term::new(known.canonical)), false));
        }
        if self.attempt(|reader| reader.mark(Mark::One).then_some(())).is_some() {
            let adjective =
                self.is(&vocabulary.colour) || self.is_mark(Mark::ColourWord) || self.is(&vocabulary.size);
            if adjective {
                return Some((self.noun.clone(), false));
            }
            self.at -= 1;
        }
        let from = self.at;
        // A classifier may look like a word of the grammar: "cái", "con".
        if self.is_mark(Mark::One) {
            self.at += 1;
        }
        while self.at - from < MOST_OPEN && self.is_open() && !self.is_adjective() {
            self.at += 1;
        }
        (self.at > from && !self.is_open()).then(|| (Some(self.term(from)), true))
    }

    fn is_adjective(&mut self) -> bool {
        let vocabulary = self.vocabulary;
        self.is(&vocabulary.colour) || self.is(&vocabulary.size) || self.is(&vocabulary.material)
    }

    fn vietnamese_adjective(&mut self, adjectives: &mut Adjectives) -> bool {
        let referent = &mut adjectives.referent;
        let at = self.at;
        if referent.size.is_none() && !(self.making && self.is_comparison()) {
            referent.size = self.size();
        }
        if self.at == at && referent.material.is_none() {
            referent.material = self.material();
        }
        if self.at == at && referent.colour.is_none() {
            referent.colour = self.colour(true);
        }
        if self.at == at && referent.ordinal.is_none() {
            referent.ordinal = self.ordinal();
        }
        if self.at == at {
            self.mark(Mark::Demonstrative);
        }
        self.at > at
    }

    /// Whether "to", "lớn", "nhỏ" here is what becomes of a thing, and no adjective: "to hơn", "to gấp đôi".
    fn is_comparison(&mut self) -> bool {
        let vocabulary = self.vocabulary;
        let at = self.at;
        let (longest, work) = vocabulary.comparative.longest(self.rest(), self.exact, |_| true);
        self.work += work;
        let comparison = longest.is_some_and(|(_, length)| {
            self.at += length;
            length > 1 || self.is_mark(Mark::Fold) || self.is_mark(Mark::Twice)
        });
        self.at = at;
        comparison
    }
}
