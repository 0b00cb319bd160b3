//! The operations an instruction can ask for.

use serde::{Deserialize, Serialize};

use crate::measure::{Displacement, Scale, Turn};
use crate::referent::{Referent, Relative};
use crate::region::Region;
use crate::term::Term;

/// One edit. JSON: an object whose `op` names the variant in snake case; unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Intent {
    /// Move what is there: by an amount, to a place, or to a side of another object.
    Move {
        /// What moves.
        target: Referent,
        /// Where to.
        to: Destination,
    },
    /// Add objects.
    Add {
        /// How many, at least 1.
        count: u32,
        /// What to add: noun and adjectives.
        object: Referent,
        /// Where; `None` if the instruction does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
    },
    /// Remove objects.
    Remove {
        /// What goes.
        target: Referent,
    },
    /// Change the colour of objects.
    Recolour {
        /// What changes.
        target: Referent,
        /// The new colour.
        colour: Term,
    },
    /// Change the size of objects.
    Resize {
        /// What changes.
        target: Referent,
        /// New side over old side.
        scale: Scale,
    },
    /// Exchange the positions of two objects.
    Swap {
        /// One of them, or both: "the two balls".
        first: Referent,
        /// The other; `None` if `first` names both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        second: Option<Referent>,
    },
    /// Turn the camera around the scene.
    RotateView {
        /// Positive: the camera goes to its right.
        turn: Turn,
    },
    /// Zoom in (factor over 1) or out (under 1).
    Zoom {
        /// New size of the content over its old size.
        scale: Scale,
        /// On what; `None`: the centre of the image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        focus: Option<Focus>,
    },
    /// Replace the background.
    ChangeBackground {
        /// By what.
        to: Background,
    },
    /// Add an effect that is no object: a shadow, a reflection, fog.
    AddEffect {
        /// Which effect.
        effect: Term,
        /// Where or on what; `None`: the whole image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
    },
    /// Change the style of the image or of something in it.
    Style {
        /// What is restyled; `None`: the whole image.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<Referent>,
        /// "watercolor", "a coloring book".
        style: Term,
    },
    /// Anything else, as it was written.
    Free {
        /// The part of the instruction that was not understood.
        text: String,
    },
}

/// Where a [`Intent::Move`] goes. JSON: `{"by": …}`, `{"region": …}` or `{"relative": …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// Away from where it is.
    By(Displacement),
    /// To a part of the image.
    Region(Region),
    /// To a side of another object.
    Relative(Relative),
}

/// Where something new goes. JSON: `{"region": …}` or `{"relative": …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A part of the image.
    Region(Region),
    /// A side of an object.
    Relative(Relative),
}

impl From<Place> for Destination {
    fn from(place: Place) -> Self {
        match place {
            Place::Region(region) => Self::Region(region),
            Place::Relative(relative) => Self::Relative(relative),
        }
    }
}

/// What a zoom is centred on. JSON: `{"object": …}` or `{"region": …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Focus {
    /// An object.
    Object(Referent),
    /// A part of the image.
    Region(Region),
}

/// A background: "a city", "blue", "a dark forest".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// What it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<Term>,
    /// Its colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<Term>,
}
