//! What is sampled.

use serde::{Deserialize, Serialize};

use super::Split;

/// How hard an edit is: by amount, number of objects and phrasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// One or two objects of different names, large amounts, one edit.
    Easy,
    /// Two or three objects, which may share a name or a colour, middling amounts, one edit.
    Middle,
    /// Three or four smaller objects that share names, small amounts, referents by place or order, sometimes two edits.
    Hard,
}

impl Level {
    /// Every level, from easy to hard.
    pub const ALL: [Self; 3] = [Self::Easy, Self::Middle, Self::Hard];
}

/// The kinds of edits that are sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By an amount.
    MoveBy,
    /// To a part of the image.
    MoveTo,
    /// To a side of another object.
    MoveBeside,
    /// One or more new objects.
    Add,
    /// Removal of one or a group.
    Remove,
    /// A new colour for one or a group.
    Recolour,
    /// Larger or smaller.
    Resize,
    /// Two objects exchange places.
    Swap,
    /// The camera goes round.
    RotateView,
    /// The camera comes closer or goes away.
    Zoom,
    /// Another background.
    Background,
    /// A shadow for an object that had none.
    Shadow,
}

impl Kind {
    /// Every kind, in a fixed order: that of [`PairOptions::weights`].
    pub const ALL: [Self; 12] = [
        Self::MoveBy,
        Self::MoveTo,
        Self::MoveBeside,
        Self::Add,
        Self::Remove,
        Self::Recolour,
        Self::Resize,
        Self::Swap,
        Self::RotateView,
        Self::Zoom,
        Self::Background,
        Self::Shadow,
    ];

    /// Whether it is done to everything at once.
    pub(super) fn is_of_whole_image(self) -> bool {
        matches!(self, Self::RotateView | Self::Zoom | Self::Background)
    }
}

/// What [`super::Pair::sample`] samples from.
#[derive(Clone, Debug, PartialEq)]
pub struct PairOptions {
    /// Which combinations.
    pub split: Split,
    /// How hard; `None`: each in turn at random.
    pub level: Option<Level>,
    /// How often each of [`Kind::ALL`] comes, in proportion; negative and non-finite weights count as 0.
    pub weights: [f32; 12],
    /// Which phrases the instruction is written from.
    pub phrases: retouch_instruction::PhraseSet,
    /// How often each language comes, in proportion: English, Vietnamese, Vietnamese without diacritics.
    pub languages: [f32; 3],
    /// How often a scene has people in it.
    pub people: f32,
}

impl Default for PairOptions {
    /// Training pairs: motion and places most often, English and Vietnamese alike.
    fn default() -> Self {
        Self {
            split: Split::Train,
            level: None,
            weights: [5.0, 4.0, 2.0, 3.0, 2.0, 2.0, 1.5, 2.0, 1.0, 1.0, 1.0, 1.0],
            phrases: retouch_instruction::PhraseSet::Training,
            languages: [5.0, 4.0, 1.0],
            people: 0.12,
        }
    }
}
