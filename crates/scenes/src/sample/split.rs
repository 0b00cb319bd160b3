//! Which combinations training never sees.

use retouch_instruction::Relation;
use serde::{Deserialize, Serialize};

use crate::colour::Colour;
use crate::scene::Shape;

/// What is done to an object, with its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Moved to the left.
    MoveLeft,
    /// Moved to the right.
    MoveRight,
    /// Moved up.
    MoveUp,
    /// Moved down.
    MoveDown,
    /// Moved to one of nine places, numbered as in `Region::PLACES`.
    MoveTo(u8),
    /// Moved to a side of another object.
    MoveBeside(Relation),
    /// Added at one of nine places.
    AddAt(u8),
    /// Added at a side of another object.
    AddBeside(Relation),
    /// Added, the place unsaid.
    Add,
    /// Removed.
    Remove,
    /// Given a colour.
    Recolour(Colour),
    /// Made larger.
    Grow,
    /// Made smaller.
    Shrink,
    /// Swapped with another.
    Swap,
    /// Seen after the camera went to its right.
    RotateRight,
    /// Seen after the camera went to its left.
    RotateLeft,
    /// Seen larger.
    ZoomIn,
    /// Seen smaller.
    ZoomOut,
    /// Seen before another background.
    Background,
    /// Given a shadow.
    Shadow,
}

impl Operation {
    /// A number that stays with the operation.
    fn index(self) -> u32 {
        match self {
            Self::MoveLeft => 0,
            Self::MoveRight => 1,
            Self::MoveUp => 2,
            Self::MoveDown => 3,
            Self::Remove => 4,
            Self::Grow => 5,
            Self::Shrink => 6,
            Self::Swap => 7,
            Self::RotateRight => 8,
            Self::RotateLeft => 9,
            Self::ZoomIn => 10,
            Self::ZoomOut => 11,
            Self::Background => 12,
            Self::Shadow => 13,
            Self::Add => 14,
            Self::MoveTo(place) => 20 + u32::from(place),
            Self::AddAt(place) => 30 + u32::from(place),
            Self::MoveBeside(relation) => 40 + relation as u32,
            Self::AddBeside(relation) => 60 + relation as u32,
            Self::Recolour(colour) => 80 + colour as u32,
        }
    }
}

/// An object and what is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Combination {
    /// What is done.
    pub operation: Operation,
    /// The object's colour before.
    pub colour: Colour,
    /// The object's shape.
    pub shape: Shape,
}

/// One side of the division of all combinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// What training may see.
    Train,
    /// What only evaluation sees.
    HeldOut,
}

impl Split {
    /// The side of a combination: held out where 5 · colour + 3 · shape + operation is a multiple of 7.
    ///
    /// 7 divides none of the factors, so each colour with each shape is held out for one operation in seven, each
    /// operation with each colour for one shape in seven, and so on: every part of a held-out combination is seen
    /// in training, and so is every two of them, but not the three together. The numbers are the places in
    /// [`Colour::ALL`] and [`Shape::ALL`] and a number of each operation; they never change.
    pub fn of(combination: Combination) -> Self {
        let colour = combination.colour as u32;
        let shape = combination.shape as u32;
        let sum = 5 * colour + 3 * shape + combination.operation.index();
        if sum.is_multiple_of(7) { Self::HeldOut } else { Self::Train }
    }
}
