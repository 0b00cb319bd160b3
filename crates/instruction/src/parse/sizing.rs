//! Sizes: "enlarge the cube by 30 %", "twice as big", "to gấp đôi".

use crate::intent::Intent;
use crate::measure::Scale;
use crate::referent::Referent;
use crate::words::Token;

use super::amount::{Amount, rounded};
use super::reader::Reader;
use super::vocabulary::{Comparative, Direction, Mark, Step, Verb};

impl Reader<'_> {
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
            Verb::Scale => {
                self.take_where(&vocabulary.direction, |way| matches!(way, Direction::Up | Direction::Down))
            }
            _ => None,
        };
        let grows = match (verb, up) {
            (Verb::Shrink, _) | (_, Some(Direction::Down)) => Some(Comparative::Smaller),
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
    pub(super) fn growth(&mut self) -> Option<Scale> {
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

pub(super) fn resized(targets: &[Referent], scale: Scale) -> Vec<Intent> {
    targets.iter().map(|target| Intent::Resize { target: target.clone(), scale }).collect()
}
