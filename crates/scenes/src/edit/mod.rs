//! Edits on a scene: what an instruction asks for, carried out exactly.
//!
//! Amounts and places are those of the image. The camera is orthographic, so a motion in the image is one motion on
//! the ground and changes neither size nor form: [`Edit::MoveBy`] solves for it. What stands higher in the image
//! stands farther away; `Above` and `Behind` are therefore the same side, and so are `Below` and `InFrontOf`.

mod apply;
mod check;
mod error;
mod find;
mod ground;
mod place;

use retouch_instruction::{Region, Relation};

pub use self::check::Limits;
pub(crate) use self::check::overlap;
pub use self::error::EditError;
pub use self::find::find;
pub use self::ground::{GroundError, ground};
pub(crate) use self::place::shift;
use crate::colour::Colour;
use crate::scene::{Background, Material, Object, ObjectId, Scene};

/// One edit.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Objects move by fractions of the image's width (right is positive) and height (down is positive).
    MoveBy {
        /// What moves.
        objects: Vec<ObjectId>,
        /// To the right.
        du: f32,
        /// Down.
        dv: f32,
    },
    /// Objects move, in their formation, until its centre is at a place.
    MoveTo {
        /// What moves.
        objects: Vec<ObjectId>,
        /// Where to.
        spot: Spot,
    },
    /// New objects in a row.
    Add {
        /// What each of them is; its id and position are chosen.
        object: Box<Object>,
        /// How many.
        count: u32,
        /// Where the middle of the row is.
        spot: Spot,
    },
    /// Objects go.
    Remove {
        /// What goes.
        objects: Vec<ObjectId>,
    },
    /// Objects take a colour.
    Recolour {
        /// What changes.
        objects: Vec<ObjectId>,
        /// The new colour.
        colour: Colour,
    },
    /// Objects grow or shrink where they stand.
    Resize {
        /// What changes.
        objects: Vec<ObjectId>,
        /// New height over old height.
        factor: f32,
    },
    /// Objects take a material.
    Restyle {
        /// What changes.
        objects: Vec<ObjectId>,
        /// The new material.
        material: Material,
    },
    /// Two objects exchange the places that they stand on.
    Swap {
        /// One of them.
        first: ObjectId,
        /// The other.
        second: ObjectId,
    },
    /// The camera goes round its target; the light stays.
    RotateView {
        /// Degrees to the camera's right.
        degrees: f32,
    },
    /// The camera comes closer or goes away.
    Zoom {
        /// New size of everything over its old size.
        factor: f32,
        /// What comes to the middle of the image; `None`: what is there.
        focus: Option<Focus>,
    },
    /// Another sky and ground.
    ChangeBackground {
        /// The new one.
        background: Background,
    },
    /// Objects cast a shadow, or no longer.
    Shadow {
        /// What changes.
        objects: Vec<ObjectId>,
        /// Whether they cast one.
        on: bool,
    },
}

/// Where something is put.
#[derive(Clone, Debug, PartialEq)]
pub enum Spot {
    /// The middle of a part of the image, or as near to it as the frame and the horizon let the object be.
    Region(Region),
    /// A side of other objects: a gap of 4 % of the image's width lies between.
    Beside {
        /// The side.
        relation: Relation,
        /// Of what; two for [`Relation::Between`].
        anchors: Vec<ObjectId>,
    },
    /// The free place that is nearest to the middle.
    Anywhere,
}

/// What a zoom is on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Focus {
    /// The middle of an object.
    Object(ObjectId),
    /// The middle of a part of the image.
    Region(Region),
}

impl Edit {
    /// The edit that brings the scene before this one back, where a single one does: not for objects that went, nor
    /// for groups that differed in what was changed.
    pub fn inverse(&self, before: &Scene) -> Option<Self> {
        Some(match self {
            Self::MoveBy { objects, du, dv } => Self::MoveBy { objects: objects.clone(), du: -du, dv: -dv },
            Self::Resize { objects, factor } => {
                Self::Resize { objects: objects.clone(), factor: factor.recip() }
            }
            Self::Recolour { objects, .. } => Self::Recolour {
                objects: objects.clone(),
                colour: common(before, objects, |object| object.colour)?,
            },
            Self::Swap { first, second } => Self::Swap { first: *first, second: *second },
            Self::RotateView { degrees } => Self::RotateView { degrees: -degrees },
            Self::Zoom { factor, focus: None } => Self::Zoom { factor: factor.recip(), focus: None },
            Self::ChangeBackground { .. } => Self::ChangeBackground { background: before.background },
            Self::Restyle { objects, .. } => {
                let material = common(before, objects, |object| object.material)?;
                Self::Restyle { objects: objects.clone(), material }
            }
            Self::Shadow { objects, .. } => Self::Shadow {
                objects: objects.clone(),
                on: common(before, objects, |object| object.shadow)?,
            },
            Self::Add { count, .. } => {
                let first = before.next_id().0;
                Self::Remove { objects: (first..first.saturating_add(*count)).map(ObjectId).collect() }
            }
            Self::MoveTo { .. } | Self::Remove { .. } | Self::Zoom { .. } => {
                return None;
            }
        })
    }
}

/// What these objects have in common, if they do.
fn common<T: PartialEq>(scene: &Scene, ids: &[ObjectId], of: impl Fn(&Object) -> T) -> Option<T> {
    let mut values = ids.iter().filter_map(|id| scene.object(*id)).map(of);
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}
