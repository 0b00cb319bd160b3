//! Moves: "move the vase 10 % to the left", "đặt quả bóng ở góc dưới bên trái".

use crate::intent::{Destination, Intent};
use crate::measure::{Displacement, Unit};
use crate::referent::Referent;

use super::amount::Amount;
use super::reader::Reader;
use super::vocabulary::{Direction, Mark, Step, Verb};

/// One leg of a move: "10 % to the left".
#[derive(Clone, Copy, Debug)]
struct Leg {
    direction: Direction,
    amount: Option<Amount>,
}

impl Reader<'_> {
    pub(super) fn moving(&mut self) -> Option<Vec<Intent>> {
        let step = self.take(&self.vocabulary.step).map(Amount::Step);
        let verb = self.verbs(&[Verb::Move, Verb::Nudge, Verb::Raise, Verb::Lower, Verb::Put])?;
        let step = step.or(if verb == Verb::Nudge { Some(Amount::Step(Step::Little)) } else { None });
        let targets = self.targets()?;
        let moved = match verb {
            Verb::Raise | Verb::Lower => self.lifted(verb, step, &targets),
            _ => self.goal(&targets, step),
        }?;
        self.last = targets;
        Some(moved)
    }

    /// "the cube right" behind "move the vase left and".
    pub(super) fn moving_on(&mut self) -> Option<Vec<Intent>> {
        let targets = self.targets()?;
        let moved = self.goal(&targets, None)?;
        self.last = targets;
        Some(moved)
    }

    fn lifted(&mut self, verb: Verb, step: Option<Amount>, targets: &[Referent]) -> Option<Vec<Intent>> {
        let direction = if verb == Verb::Raise { Direction::Up } else { Direction::Down };
        let _ = self.take_where(&self.vocabulary.direction, |found| *found == direction);
        let amount = self.amount().or(step);
        let _ = self.take_where(&self.vocabulary.direction, |found| *found == direction);
        Some(moves(targets, &by(&[Leg { direction, amount }])))
    }

    /// Where things go: a place, or legs of a way.
    pub(super) fn goal(&mut self, targets: &[Referent], step: Option<Amount>) -> Option<Vec<Intent>> {
        self.skip(&[Mark::Further]);
        if let Some(place) = self.attempt(|reader| reader.place(true)) {
            // "left" before an amount is a way: it is a place only where nothing of a way follows.
            if !self.continues_way() {
                return Some(moves(targets, &[Destination::from(place)]));
            }
            return None;
        }
        let mut legs = vec![self.leg(step)?];
        while let Some(leg) = self.attempt(|reader| {
            reader.comma();
            reader.skip(&[Mark::And, Mark::Then]);
            reader.leg(step)
        }) {
            legs.push(leg);
        }
        Some(moves(targets, &by(&legs)))
    }

    fn continues_way(&mut self) -> bool {
        let at = self.at;
        let way = self.amount().is_some() || self.take(&self.vocabulary.direction).is_some();
        self.at = at;
        way
    }

    fn leg(&mut self, step: Option<Amount>) -> Option<Leg> {
        let vocabulary = self.vocabulary;
        let before = self.amount();
        self.skip(&[Mark::Further]);
        let direction = self.take(&vocabulary.direction)?;
        let after = if before.is_some() { None } else { self.after() };
        Some(Leg { direction, amount: before.or(after).or(step) })
    }

    /// An amount behind a direction, perhaps behind a comma: "left, about 10 %".
    fn after(&mut self) -> Option<Amount> {
        self.attempt(|reader| {
            reader.comma();
            reader.amount()
        })
    }
}

/// A move of each target for each destination.
pub(super) fn moves(targets: &[Referent], destinations: &[Destination]) -> Vec<Intent> {
    let mut intents = Vec::new();
    for target in targets {
        for to in destinations {
            intents.push(Intent::Move { target: target.clone(), to: to.clone() });
        }
    }
    intents
}

/// Legs along different axes are one move; legs along the same axis contradict or repeat each other and stay apart.
fn by(legs: &[Leg]) -> Vec<Destination> {
    let mut ways: Vec<Displacement> = Vec::new();
    for leg in legs {
        let (amount, unit, said) = match leg.amount {
            Some(Amount::Fraction(fraction)) => (fraction, Unit::Fraction, true),
            Some(Amount::Pixels(pixels)) => (pixels, Unit::Pixels, true),
            Some(Amount::Step(Step::Little)) => (Displacement::LITTLE, Unit::Fraction, false),
            Some(Amount::Step(Step::Far)) => (Displacement::FAR, Unit::Fraction, false),
            None => (Displacement::DEFAULT, Unit::Fraction, false),
        };
        let (dx, dy) = match leg.direction {
            Direction::Left => (-amount, 0.0),
            Direction::Right => (amount, 0.0),
            Direction::Up => (0.0, -amount),
            Direction::Down => (0.0, amount),
        };
        let free = |way: &&mut Displacement| {
            way.unit == unit && if dx == 0.0 { way.dy == 0.0 } else { way.dx == 0.0 }
        };
        match ways.last_mut().filter(free) {
            Some(way) => {
                *way = Displacement { dx: way.dx + dx, dy: way.dy + dy, unit, said: way.said || said };
            }
            None => ways.push(Displacement { dx, dy, unit, said }),
        }
    }
    ways.into_iter().map(Destination::By).collect()
}
