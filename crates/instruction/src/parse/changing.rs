//! What is made of things: "make the ball red and bigger", "the cat should be on the left", "cho quả bóng to lên".

use crate::intent::Intent;
use crate::referent::Referent;
use crate::term::Term;

use super::reader::Reader;
use super::sizing::resized;
use super::vocabulary::{Mark, Verb};

impl Reader<'_> {
    /// "make the ball red", "I want the cat on the left", "the cube should be bigger".
    pub(super) fn making(&mut self) -> Option<Vec<Intent>> {
        let caused = self.verb(Verb::Make);
        let from = self.at;
        let mut targets = self.targets()?;
        if !caused && !self.is_mark(Mark::Should) {
            return None;
        }
        if let Some(made) = self.attempt(|reader| reader.become_all(&targets)) {
            self.last = targets;
            return Some(made);
        }
        // "làm quả bóng xanh": the adjective is what becomes of it.
        if self.english() || self.at == from {
            return None;
        }
        let made = recoloured_by_adjective(&mut targets)?;
        self.last = targets;
        Some(made)
    }

    /// "the cube blue" behind "make the ball red and".
    pub(super) fn making_on(&mut self) -> Option<Vec<Intent>> {
        let mut targets = self.targets()?;
        let made = match self.attempt(|reader| reader.become_all(&targets)) {
            Some(made) => made,
            None if self.english() => return None,
            None => recoloured_by_adjective(&mut targets)?,
        };
        self.last = targets;
        Some(made)
    }

    /// One or more things that become of the targets.
    fn become_all(&mut self, targets: &[Referent]) -> Option<Vec<Intent>> {
        let mut made = self.becoming(targets)?;
        while let Some(more) = self.attempt(|reader| {
            let comma = reader.comma();
            let and = reader.mark(Mark::And);
            (comma || and).then(|| reader.property(targets)).flatten()
        }) {
            made.extend(more);
        }
        Some(made)
    }

    fn becoming(&mut self, targets: &[Referent]) -> Option<Vec<Intent>> {
        self.skip(&[Mark::Should]);
        if let Some(swapped) = self.attempt(|reader| {
            reader.mark(Mark::Trade).then_some(())?;
            reader.skip(&[Mark::InPosition]);
            swap(targets)
        }) {
            return Some(swapped);
        }
        if let Some(swapped) = self.attempt(|reader| reader.trading(targets)) {
            return Some(swapped);
        }
        if self.mark(Mark::Disappear) {
            return Some(targets.iter().map(|target| Intent::Remove { target: target.clone() }).collect());
        }
        if let Some(made) = self.attempt(|reader| {
            reader.skip(&[Mark::Be]);
            reader.property(targets)
        }) {
            return Some(made);
        }
        if let Some(style) = self.attempt(|reader| {
            reader.mark(Mark::LookLike).then_some(())?;
            reader.style_name()
        }) {
            let style =
                |target: &Referent| Intent::Style { target: Some(target.clone()), style: style.clone() };
            return Some(targets.iter().map(style).collect());
        }
        self.skip(&[Mark::Be, Mark::Go]);
        self.goal(targets, None)
    }

    /// "have the cat swap places with the dog".
    fn trading(&mut self, targets: &[Referent]) -> Option<Vec<Intent>> {
        self.mark(Mark::Trade).then_some(())?;
        self.mark(Mark::With).then_some(())?;
        let [first] = targets else { return None };
        let noun = self.noun(self.readings.target)?;
        let second = self.resolved(vec![noun]).into_iter().next();
        Some(vec![Intent::Swap { first: first.clone(), second }])
    }

    /// A colour or a size.
    fn property(&mut self, targets: &[Referent]) -> Option<Vec<Intent>> {
        if let Some(scale) = self.attempt(Self::growth) {
            return Some(resized(targets, scale));
        }
        let colour = self.attempt(|reader| {
            reader.skip(&[Mark::Be, Mark::A]);
            let colour = reader.colour(true)?;
            reader.skip(&[Mark::ColourWord]);
            Some(colour)
        })?;
        Some(recoloured(targets, &colour))
    }

    /// "paint the house yellow", "change the color of the vase to purple", "tô màu đỏ cho quả bóng".
    pub(super) fn colouring(&mut self) -> Option<Vec<Intent>> {
        let verb = self.verbs(&[Verb::Paint, Verb::Change, Verb::Give])?;
        if let Some(made) = self.attempt(|reader| reader.colour_first(verb)) {
            return Some(made);
        }
        let named = self.mark(Mark::ColourNoun);
        let mut targets = self.targets()?;
        let possessed = self.attempt(|reader| {
            reader.possessive().then_some(())?;
            reader.mark(Mark::ColourWord).then_some(())
        });
        let colour = self.attempt(|reader| {
            reader.skip(&[Mark::Into, Mark::Be]);
            reader.skip(&[Mark::A]);
            reader.colour(true)
        });
        let made = match colour {
            Some(colour) => self.and_colours(&targets, colour),
            None if verb == Verb::Paint || named || possessed.is_some() => {
                self.unknown_colour(&mut targets)?
            }
            None => return None,
        };
        self.last = targets;
        Some(made)
    }

    /// Contradictory colours are kept: "red and blue" is two edits.
    fn and_colours(&mut self, targets: &[Referent], colour: Term) -> Vec<Intent> {
        let mut made = recoloured(targets, &colour);
        while let Some(colour) = self.attempt(|reader| {
            reader.mark(Mark::And).then_some(())?;
            reader.colour(true)
        }) {
            made.extend(recoloured(targets, &colour));
        }
        made
    }

    /// "tô màu đỏ cho quả bóng", "give the ball a red color".
    fn colour_first(&mut self, verb: Verb) -> Option<Vec<Intent>> {
        if verb == Verb::Give {
            let targets = self.targets()?;
            self.skip(&[Mark::A]);
            let colour = self.colour(true)?;
            self.last.clone_from(&targets);
            return Some(recoloured(&targets, &colour));
        }
        let colour = self.colour(true)?;
        self.mark(Mark::For).then_some(())?;
        let targets = self.targets()?;
        self.last.clone_from(&targets);
        Some(recoloured(&targets, &colour))
    }

    /// A colour that is not in the lexicon, or that was read as an adjective of the thing.
    fn unknown_colour(&mut self, targets: &mut [Referent]) -> Option<Vec<Intent>> {
        if !self.english() {
            return recoloured_by_adjective(targets);
        }
        let from = self.at;
        self.skip(&[Mark::Into]);
        if self.at > from && self.is_open() {
            self.at += 1;
            let colour = self.term(self.at - 1);
            return Some(recoloured(targets, &colour));
        }
        self.at = from;
        // "the fence chartreuse" was read as one unknown noun.
        let last = targets.last_mut()?;
        let noun = last.noun.clone()?;
        let (thing, colour) = noun.as_str().rsplit_once(' ')?;
        last.noun = Some(Term::new(thing));
        let colour = Term::new(colour);
        Some(recoloured(targets, &colour))
    }
}

fn recoloured(targets: &[Referent], colour: &Term) -> Vec<Intent> {
    let recolour = |target: &Referent| Intent::Recolour { target: target.clone(), colour: colour.clone() };
    targets.iter().map(recolour).collect()
}

/// In Vietnamese the new colour stands where an adjective stands: "tô quả bóng đỏ". Each thing's own, or the last one's
/// for all.
fn recoloured_by_adjective(targets: &mut [Referent]) -> Option<Vec<Intent>> {
    let mut colours: Vec<Option<Term>> = targets.iter_mut().map(|target| target.colour.take()).collect();
    let last = colours.last()?.clone()?;
    let colours = colours.iter_mut().map(|colour| colour.take().unwrap_or_else(|| last.clone()));
    let recolour = |(target, colour): (&Referent, Term)| Intent::Recolour { target: target.clone(), colour };
    Some(targets.iter().zip(colours).map(recolour).collect())
}

/// Two things, or a group of two, change places.
pub(super) fn swap(targets: &[Referent]) -> Option<Vec<Intent>> {
    match targets {
        [first] if first.quantity != crate::Quantity::One => {
            Some(vec![Intent::Swap { first: first.clone(), second: None }])
        }
        [first, second] => Some(vec![Intent::Swap { first: first.clone(), second: Some(second.clone()) }]),
        _ => None,
    }
}
