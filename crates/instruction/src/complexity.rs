//! How much an instruction asks for at once.

use serde::{Deserialize, Serialize};

use crate::intent::{Destination, Focus, Intent, Place};
use crate::referent::{Quantity, Referent, Relative};

/// A number in 0..1 and what it is made of. Guidance reads it: the more is asked for, the more weight the text gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complexity {
    /// 0 for an empty instruction, towards 1 as it asks for more: 1 − exp(−Σ weight · count), so that each part
    /// adds and none saturates alone.
    pub score: f64,
    /// The counts behind it.
    pub parts: Parts,
}

/// What an instruction holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Edits, read ones and [`Intent::Free`] alike.
    pub intents: u32,
    /// Things named.
    pub objects: u32,
    /// Adjectives, ordinals, locations and quantifiers of things.
    pub qualifiers: u32,
    /// Positions told by another object.
    pub relations: u32,
    /// Amounts, angles and counts that were said.
    pub numbers: u32,
    /// Words of the text.
    pub words: u32,
}

/// Per unit of each part, in the order of [`Parts`]. "make it red" scores about 0.3, "move the red ball left by 10 %"
/// about 0.5, three such edits in one sentence about 0.9.
const WEIGHTS: [f64; 6] = [0.20, 0.08, 0.08, 0.15, 0.10, 0.02];

impl Complexity {
    /// Of these intents, told in this many words.
    #[must_use]
    pub fn of(intents: &[Intent], words: usize) -> Self {
        let mut parts = Parts { words: u32::try_from(words).unwrap_or(u32::MAX), ..Parts::default() };
        for intent in intents {
            parts.intents += 1;
            count_intent(&mut parts, intent);
        }
        let counts =
            [parts.intents, parts.objects, parts.qualifiers, parts.relations, parts.numbers, parts.words];
        let load: f64 = WEIGHTS.iter().zip(counts).map(|(weight, count)| weight * f64::from(count)).sum();
        Self { score: 1.0 - (-load).exp(), parts }
    }
}

fn count_intent(parts: &mut Parts, intent: &Intent) {
    match intent {
        Intent::Move { target, to } => {
            count_referent(parts, target);
            match to {
                Destination::By(by) => {
                    let said = u32::from(by.dx != 0.0) + u32::from(by.dy != 0.0);
                    parts.numbers += if by.said { said } else { 0 };
                }
                Destination::Region(_) => parts.qualifiers += 1,
                Destination::Relative(relative) => count_relative(parts, relative),
            }
        }
        Intent::Add { count, object, place } => {
            parts.numbers += u32::from(*count > 1);
            count_referent(parts, object);
            count_place(parts, place.as_ref());
        }
        Intent::Remove { target } | Intent::Recolour { target, .. } => count_referent(parts, target),
        Intent::Resize { target, scale } => {
            count_referent(parts, target);
            parts.numbers += u32::from(scale.said);
        }
        Intent::Swap { first, second } => {
            count_referent(parts, first);
            second.iter().for_each(|second| count_referent(parts, second));
        }
        Intent::RotateView { turn } => parts.numbers += u32::from(turn.said),
        Intent::Zoom { scale, focus } => {
            parts.numbers += u32::from(scale.said);
            match focus {
                Some(Focus::Object(object)) => count_referent(parts, object),
                Some(Focus::Region(_)) => parts.qualifiers += 1,
                None => {}
            }
        }
        Intent::ChangeBackground { to } => {
            parts.objects += u32::from(to.scene.is_some());
            parts.qualifiers += u32::from(to.colour.is_some());
        }
        Intent::AddEffect { place, .. } => {
            parts.objects += 1;
            count_place(parts, place.as_ref());
        }
        Intent::Style { target, .. } => target.iter().for_each(|target| count_referent(parts, target)),
        Intent::Free { .. } => {}
    }
}

fn count_place(parts: &mut Parts, place: Option<&Place>) {
    match place {
        Some(Place::Region(_)) => parts.qualifiers += 1,
        Some(Place::Relative(relative)) => count_relative(parts, relative),
        None => {}
    }
}

fn count_relative(parts: &mut Parts, relative: &Relative) {
    parts.relations += 1;
    count_referent(parts, &relative.anchor);
    relative.other.iter().for_each(|other| count_referent(parts, other));
}

fn count_referent(parts: &mut Parts, referent: &Referent) {
    parts.objects += 1;
    let qualifiers = [
        referent.colour.is_some(),
        referent.size.is_some(),
        referent.material.is_some(),
        referent.quantity != Quantity::One,
        referent.ordinal.is_some(),
        referent.location.is_some(),
    ];
    let said = qualifiers.iter().filter(|said| **said).count() + referent.adjectives.len();
    parts.qualifiers += u32::try_from(said).unwrap_or(u32::MAX);
    if let Some(relative) = &referent.relative {
        count_relative(parts, relative);
    }
}
