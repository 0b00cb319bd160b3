//! What an edit is about: nouns with their colour, size, number and position.

use serde::{Deserialize, Serialize};

use crate::region::Region;
use crate::term::Term;

/// One or more things of the image, as named: "the second small red ball from the left", "both cats".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referent {
    /// What it is; `None` for a pronoun that refers to nothing said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noun: Option<Term>,
    /// Its colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<Term>,
    /// Its size among its like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// What it is made of, or its finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<Term>,
    /// Other adjectives, in the order of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjectives: Vec<Term>,
    /// How many of those that fit.
    #[serde(default, skip_serializing_if = "Quantity::is_one")]
    pub quantity: Quantity,
    /// Which of those that fit, counted from a side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<Ordinal>,
    /// The part of the image it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Region>,
    /// The object it stands by: "the ball next to the vase".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<Relative>,
}

impl Referent {
    /// One thing of this name.
    pub fn named(noun: impl Into<Term>) -> Self {
        Self { noun: Some(noun.into()), ..Self::default() }
    }
}

/// How many of the things that fit are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// "the ball", "a ball".
    #[default]
    One,
    /// "all balls", "every ball", and plurals without a number: "the balls".
    All,
    /// "both balls".
    Both,
    /// "the three balls".
    Exactly(u32),
}

impl Quantity {
    fn is_one(&self) -> bool {
        *self == Self::One
    }
}

/// A size among the things of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// "small", "tiny".
    Small,
    /// "medium".
    Medium,
    /// "big", "large", "huge".
    Large,
}

/// A place in a row: "the second from the left" is index 2 from [`Side::Left`], "the leftmost" index 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ordinal {
    /// From 1.
    pub index: u32,
    /// The side that counting starts from; left if the text does not say.
    pub from: Side,
}

/// A side that things are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The left edge of the image.
    Left,
    /// The right edge of the image.
    Right,
    /// The upper edge of the image.
    Top,
    /// The lower edge of the image.
    Bottom,
    /// Nearest to the camera.
    Front,
    /// Farthest from the camera.
    Back,
}

/// A position told by another object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relative {
    /// On which side.
    pub relation: Relation,
    /// Of what.
    pub anchor: Box<Referent>,
    /// The other object of [`Relation::Between`]; `None` if `anchor` names both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Box<Referent>>,
}

/// Sides of an object, as seen in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// "left of".
    LeftOf,
    /// "right of".
    RightOf,
    /// "above", "over".
    Above,
    /// "below", "under", "beneath".
    Below,
    /// "on", "on top of": standing on it.
    On,
    /// "in", "inside".
    Inside,
    /// "in front of".
    InFrontOf,
    /// "behind".
    Behind,
    /// "next to", "beside", "near".
    NextTo,
    /// "between".
    Between,
}

impl Relation {
    const ALL: [Self; 10] = [
        Self::LeftOf,
        Self::RightOf,
        Self::Above,
        Self::Below,
        Self::On,
        Self::Inside,
        Self::InFrontOf,
        Self::Behind,
        Self::NextTo,
        Self::Between,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|relation| relation.name() == name)
    }

    /// Its name in JSON and in phrase sets.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LeftOf => "left_of",
            Self::RightOf => "right_of",
            Self::Above => "above",
            Self::Below => "below",
            Self::On => "on",
            Self::Inside => "inside",
            Self::InFrontOf => "in_front_of",
            Self::Behind => "behind",
            Self::NextTo => "next_to",
            Self::Between => "between",
        }
    }
}
