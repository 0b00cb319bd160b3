//! What is made of things: "make the ball red and bigger", "the cat should be on the left", "cho quả bóng to lên".

use crate::intent::Intent;
use crate::measure::Scale;
use crate::referent::Referent;
use crate::term::Term;
use crate::words::Token;

use super::amount::{Amount, rounded};
use super::reader::Reader;
use super::vocabulary::{Comparative, Mark, Step, Verb};

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

    /// "enlarge the cube by 30%", "double the size of the vase", "phóng to cái bình gấp đôi".
    pub(super) fn resizing(&mut self) -> Option<Vec<Intent>> {
        let verb =
            self.verbs(&[Verb::Enlarge, Verb::Shrink, Verb::Scale, Verb::Double, Verb::Halve, Verb::Take])?;
        self.skip(&[Mark::SizeNoun]);
        let targets = self.targets()?;
        let _ = self.attempt(|reader| {
            reader.possessive().then_some(())?;
            reader.mark(Mark::SizeWord).then_some(())
        });
        if verb == Verb::Take {
            // "cut the size of the vase in half".
            let halved = self.attempt(|reader| {
                let from = reader.at;
                (reader.mark(Mark::Away) && reader.source(from, reader.at).ends_with("half")).then_some(())
            });
            halved?;
            let made = resized(&targets, Scale { factor: 0.5, said: true });
            self.last = targets;
            return Some(made);
        }
        let scale = self.resize_scale(verb)?;
        let made = resized(&targets, scale);
        self.last = targets;
        Some(made)
    }

    /// How much a verb of size changes it.
    pub(super) fn resize_scale(&mut self, verb: Verb) -> Option<Scale> {
        let vocabulary = self.vocabulary;
        let up = match verb {
            Verb::Double => return Some(Scale { factor: 2.0, said: true }),
            Verb::Halve => return Some(Scale { factor: 0.5, said: true }),
            Verb::Scale => self.take_where(&vocabulary.direction, |way| {
                matches!(way, super::vocabulary::Direction::Up | super::vocabulary::Direction::Down)
            }),
            _ => None,
        };
        let grows = match (verb, up) {
            (Verb::Shrink, _) | (_, Some(super::vocabulary::Direction::Down)) => Some(Comparative::Smaller),
            (Verb::Enlarge, _) | (_, Some(_)) => Some(Comparative::Bigger),
            _ => None,
        };
        self.skip(&[Mark::AsBig]);
        if let Some(factor) = self.attempt(Self::times) {
            self.skip(&[Mark::AsBig]);
            return scale_by(factor, grows);
        }
        if let Some(factor) = self.attempt(Self::new_share) {
            return Some(Scale { factor, said: true });
        }
        if grows.is_none()
            && let Some(factor) = self.attempt(|reader| {
                reader.skip(&[Mark::By, Mark::Into]);
                reader.number()
            })
            && !self.is_mark(Mark::Percent)
        {
            return scale_by(factor, None);
        }
        let amount = self.amount();
        self.skip(&[Mark::AsBig]);
        grown(grows?, amount)
    }

    /// "to 150 %", "to half its size", "còn một nửa": the new size over the old.
    pub(super) fn new_share(&mut self) -> Option<f64> {
        if !self.english() {
            // "còn một nửa", "xuống một nửa", "đi một nửa".
            let from = self.at;
            self.at += usize::from(self.peek().is_some_and(|word| word.fold == "con"));
            self.skip(&[Mark::To, Mark::By, Mark::Further]);
            let half = self.fraction();
            if half.is_some() || self.at == from {
                return half;
            }
        } else {
            self.skip(&[Mark::Into]);
        }
        let lead = self.words[..self.at].last().map(|word| word.text.as_str());
        let to = matches!(lead, Some("to" | "còn" | "con"));
        match self.amount()? {
            Amount::Fraction(share) if to => Some(share),
            Amount::Fraction(0.5) if !self.is_mark(Mark::Percent) && self.wrote_half() => {
                self.skip(&[Mark::Of, Mark::AsBig]);
                Some(0.5)
            }
            _ => None,
        }
        .inspect(|_| self.skip(&[Mark::Of, Mark::AsBig]))
    }

    fn wrote_half(&self) -> bool {
        self.words[..self.at].last().is_some_and(|word| word.token == Token::Word && word.text == "half")
    }

    /// "bigger by 20 %", "twice as big", "half its size", "to gấp đôi".
    fn growth(&mut self) -> Option<Scale> {
        let vocabulary = self.vocabulary;
        if let Some(scale) = self.attempt(|reader| {
            let factor = reader.times()?;
            let grows = reader.take(&vocabulary.comparative);
            let sized = reader.mark(Mark::AsBig);
            (grows.is_some() || sized).then(|| scale_by(factor, grows)).flatten()
        }) {
            return Some(scale);
        }
        if let Some(scale) = self.attempt(|reader| {
            let share = reader.fraction()?;
            let sized = reader.mark(Mark::AsBig);
            sized.then_some(Scale { factor: rounded(share), said: true })
        }) {
            return Some(scale);
        }
        let before = self.amount();
        let grows = self.take(&vocabulary.comparative)?;
        self.skip(&[Mark::SizeWord]);
        if let Some(factor) = self.attempt(Self::times) {
            return scale_by(factor, Some(grows));
        }
        if !self.english()
            && let Some(factor) = self.attempt(Self::new_share)
        {
            return Some(Scale { factor, said: true });
        }
        let amount = before.or_else(|| self.amount());
        grown(grows, amount)
    }
}

/// An amount of growth as a scale.
pub(super) fn grown(grows: Comparative, amount: Option<Amount>) -> Option<Scale> {
    let bigger = grows == Comparative::Bigger;
    let (factor, said) = match amount {
        Some(Amount::Fraction(change)) if bigger => {
            return Some(Scale { factor: rounded(1.0 + change), said: true });
        }
        Some(Amount::Fraction(change)) => {
            let factor = rounded(1.0 - change);
            return (factor >= 0.01).then_some(Scale { factor, said: true });
        }
        Some(Amount::Pixels(_)) => return None,
        Some(Amount::Step(Step::Little)) => (Scale::LITTLE, false),
        Some(Amount::Step(Step::Far)) => (Scale::FAR, false),
        None => (Scale::DEFAULT, false),
    };
    Some(Scale { factor: if bigger { factor } else { rounded(1.0 / factor) }, said })
}

/// "3 times larger", "twice as small".
fn scale_by(factor: f64, grows: Option<Comparative>) -> Option<Scale> {
    let factor = if grows == Some(Comparative::Smaller) && factor > 1.0 { 1.0 / factor } else { factor };
    (0.01..=100.0).contains(&factor).then(|| Scale { factor: rounded(factor), said: true })
}

fn resized(targets: &[Referent], scale: Scale) -> Vec<Intent> {
    targets.iter().map(|target| Intent::Resize { target: target.clone(), scale }).collect()
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
