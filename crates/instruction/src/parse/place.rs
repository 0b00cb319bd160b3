//! Places: parts of the image and sides of things.

use crate::intent::Place;
use crate::referent::{Quantity, Relation, Relative};
use crate::region::{FractionBox, Region};

use super::reader::Reader;
use super::vocabulary::{Direction, Mark};

impl Reader<'_> {
    /// "in the top left corner", "next to the vase". `goal`: something goes there, so that "left side" needs no "on".
    pub(super) fn place(&mut self, goal: bool) -> Option<Place> {
        if let Some(region) = self.attempt(|reader| reader.region(goal)) {
            return Some(Place::Region(region));
        }
        self.attempt(Self::relation)
    }

    /// A part of the image.
    pub(super) fn region(&mut self, goal: bool) -> Option<Region> {
        self.skip(&[Mark::Just]);
        let all_the_way = self.mark(Mark::AllTheWay);
        let lead = if all_the_way { Some(Mark::To) } else { self.lead() };
        let the = self.mark(Mark::The);
        // "the far left" is a place, "far left" a long way.
        let far = self.english() && the && self.mark(Mark::FarAdjective);
        let vocabulary = self.vocabulary;
        if let Some(region) = self.attempt(Self::boxed) {
            return Some(region);
        }
        if let Some(half) = self.take(&vocabulary.half) {
            return self.whole().then(|| Region::Box(share(half, 2.0)));
        }
        let place = self.take(&vocabulary.region)?;
        let share = self.share(place);
        let worded = share.is_some() || self.marks(&[Mark::RegionWord]).is_some();
        let whole_named = self.names_image();
        let corner = !matches!(place, Region::Left | Region::Right | Region::Top | Region::Bottom);
        let exact = worded || far || all_the_way || whole_named;
        let sided = matches!(place, Region::Left | Region::Right);
        let stands = match lead {
            Some(Mark::At) => true,
            Some(_) if sided => exact || (!self.english() && self.wordy()),
            Some(_) => true,
            None => (goal || !self.english()) && (exact || corner || !self.english()),
        };
        (stands && self.whole()).then(|| share.unwrap_or(place))
    }

    fn lead(&mut self) -> Option<Mark> {
        let mut lead = self.marks(&[Mark::At, Mark::To]);
        while let Some(next) = lead.and_then(|_| self.marks(&[Mark::At, Mark::To])) {
            lead = Some(next);
        }
        lead
    }

    /// In Vietnamese "bên trái" alone is a direction, "cạnh trái", "mép trái", "phần bên trái" are places.
    fn wordy(&self) -> bool {
        let from = self.words[..self.at].iter().rev().take(3);
        from.into_iter().any(|word| matches!(word.fold.as_str(), "canh" | "mep" | "ria" | "phan"))
    }

    /// "of the image": takes it.
    fn names_image(&mut self) -> bool {
        self.attempt(|reader| {
            let of = reader.marks(&[Mark::Of, Mark::At]).is_some();
            if reader.english() && !of {
                return None;
            }
            reader.skip(&[Mark::The]);
            reader.image().then_some(())
        })
        .is_some()
    }

    /// Whether the part is one of the image, and not of a thing: "the left side of the house".
    fn whole(&mut self) -> bool {
        self.names_image();
        if self.english() {
            return !self.is_mark(Mark::Of);
        }
        let at = self.at;
        self.skip(&[Mark::Of]);
        let thing = self.vietnamese_thing();
        self.at = at;
        !thing
    }

    /// Whether a thing follows; the verb and the end of a sentence are none.
    fn vietnamese_thing(&mut self) -> bool {
        let vocabulary = self.vocabulary;
        if self.is_verb() || self.is(&vocabulary.step) {
            return false;
        }
        self.is(&vocabulary.noun) || self.is_mark(Mark::It) || self.is_mark(Mark::Both) || {
            let at = self.at;
            let counted = self.count().is_some() && self.is(&vocabulary.noun);
            self.at = at;
            counted || self.is_open()
        }
    }

    /// "left half", "right third".
    fn share(&mut self, place: Region) -> Option<Region> {
        let side = match place {
            Region::Left => Direction::Left,
            Region::Right => Direction::Right,
            Region::Top => Direction::Up,
            Region::Bottom => Direction::Down,
            _ => return None,
        };
        let parts = match self.marks(&[Mark::Half, Mark::Third, Mark::Quarter])? {
            Mark::Half => 2.0,
            Mark::Third => 3.0,
            _ => 4.0,
        };
        Some(Region::Box(share(side, parts)))
    }

    /// "in the box from 10% to 30% across and 20% to 60% down".
    fn boxed(&mut self) -> Option<Region> {
        // Whatever names the box ends where the first number starts.
        for _ in 0..5 {
            if self.peek().is_some_and(|word| word.text.starts_with(|c: char| c.is_ascii_digit())) {
                break;
            }
            self.at += 1;
        }
        let mut sides = [0.0; 4];
        for (index, side) in sides.iter_mut().enumerate() {
            match index {
                1 | 3 => self.skip(&[Mark::To]),
                2 => {
                    self.skip(&[Mark::Of, Mark::The]);
                    self.skip(&[Mark::Width, Mark::Across]);
                    self.skip(&[Mark::And, Mark::With, Mark::From]);
                }
                _ => {}
            }
            let value = self.number()?;
            self.mark(Mark::Percent).then_some(())?;
            *side = super::amount::rounded(value / 100.0);
        }
        self.skip(&[Mark::Of, Mark::The]);
        self.marks(&[Mark::Width, Mark::Across])?;
        let [left, right, top, bottom] = sides;
        let inside = sides.iter().all(|side| (0.0..=1.0).contains(side));
        (inside && left < right && top < bottom).then_some(Region::Box(FractionBox {
            left,
            top,
            right,
            bottom,
        }))
    }

    /// A side of a thing; of the image it is a part of the image.
    fn relation(&mut self) -> Option<Place> {
        let vocabulary = self.vocabulary;
        // "trong" may lead to a place and be one: a relation is looked for before each word that leads.
        let relation = loop {
            if let Some(relation) = self.take(&vocabulary.relation) {
                break relation;
            }
            self.marks(&[Mark::Just, Mark::At, Mark::To])?;
        };
        if self.is(&vocabulary.step) {
            return None;
        }
        if let Some(region) = self.attempt(|reader| reader.image_side(relation)) {
            return Some(Place::Region(region));
        }
        self.anchored(relation).map(Place::Relative)
    }

    fn image_side(&mut self, relation: Relation) -> Option<Region> {
        self.skip(&[Mark::The]);
        self.image().then_some(())?;
        match relation {
            Relation::LeftOf => Some(Region::Left),
            Relation::RightOf => Some(Region::Right),
            Relation::Above | Relation::On => Some(Region::Top),
            Relation::Below => Some(Region::Bottom),
            Relation::Between => Some(Region::Centre),
            _ => None,
        }
    }

    fn anchored(&mut self, relation: Relation) -> Option<Relative> {
        let placed = self.readings.anchor;
        let noun = self.noun(placed)?;
        let anchor = self.resolved(vec![noun]).into_iter().next()?;
        let mut other = None;
        if relation == Relation::Between {
            other = self.attempt(|reader| {
                reader.marks(&[Mark::With, Mark::And])?;
                let noun = reader.noun(placed)?;
                reader.resolved(vec![noun]).into_iter().next()
            });
            if other.is_none() && anchor.quantity == Quantity::One {
                return None;
            }
        }
        Some(Relative { relation, anchor: Box::new(anchor), other: other.map(Box::new) })
    }
}

/// One of `parts` strips of the image.
fn share(side: Direction, parts: f64) -> FractionBox {
    let width = 1.0 / parts;
    let whole = FractionBox { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };
    match side {
        Direction::Left => FractionBox { right: width, ..whole },
        Direction::Right => FractionBox { left: 1.0 - width, ..whole },
        Direction::Up => FractionBox { bottom: width, ..whole },
        Direction::Down => FractionBox { top: 1.0 - width, ..whole },
    }
}
