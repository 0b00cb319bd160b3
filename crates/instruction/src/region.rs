//! Parts of an image.

use serde::{Deserialize, Serialize};

/// A part of the image: one of nine places, or an exact box. JSON: `"top_left"`, or `{"box": …}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// The upper left corner.
    TopLeft,
    /// The upper edge, in the middle.
    Top,
    /// The upper right corner.
    TopRight,
    /// The left edge, in the middle.
    Left,
    /// The middle.
    Centre,
    /// The right edge, in the middle.
    Right,
    /// The lower left corner.
    BottomLeft,
    /// The lower edge, in the middle.
    Bottom,
    /// The lower right corner.
    BottomRight,
    /// An exact part: "the left half" is the box from (0, 0) to (0.5, 1).
    Box(FractionBox),
}

/// A box in fractions of the image's width and height, from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FractionBox {
    /// Left edge, 0 to 1.
    pub left: f64,
    /// Upper edge, 0 to 1.
    pub top: f64,
    /// Right edge, over `left`.
    pub right: f64,
    /// Lower edge, over `top`.
    pub bottom: f64,
}

impl Region {
    /// The nine places, row by row from the upper left.
    pub const PLACES: [Self; 9] = [
        Self::TopLeft,
        Self::Top,
        Self::TopRight,
        Self::Left,
        Self::Centre,
        Self::Right,
        Self::BottomLeft,
        Self::Bottom,
        Self::BottomRight,
    ];

    /// Its name in JSON and in phrase sets; `box` for an exact part.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TopLeft => "top_left",
            Self::Top => "top",
            Self::TopRight => "top_right",
            Self::Left => "left",
            Self::Centre => "centre",
            Self::Right => "right",
            Self::BottomLeft => "bottom_left",
            Self::Bottom => "bottom",
            Self::BottomRight => "bottom_right",
            Self::Box(_) => "box",
        }
    }

    /// The part of the image that is meant; the nine places are the cells of a 3×3 grid.
    #[must_use]
    pub fn bounds(&self) -> FractionBox {
        let (column, row) = match self {
            Self::Box(bounds) => return *bounds,
            Self::TopLeft => (0.0, 0.0),
            Self::Top => (1.0, 0.0),
            Self::TopRight => (2.0, 0.0),
            Self::Left => (0.0, 1.0),
            Self::Centre => (1.0, 1.0),
            Self::Right => (2.0, 1.0),
            Self::BottomLeft => (0.0, 2.0),
            Self::Bottom => (1.0, 2.0),
            Self::BottomRight => (2.0, 2.0),
        };
        FractionBox {
            left: column / 3.0,
            top: row / 3.0,
            right: (column + 1.0) / 3.0,
            bottom: (row + 1.0) / 3.0,
        }
    }

    /// The middle of [`Region::bounds`], as fractions (x, y).
    #[must_use]
    pub fn centre(&self) -> (f64, f64) {
        let bounds = self.bounds();
        (f64::midpoint(bounds.left, bounds.right), f64::midpoint(bounds.top, bounds.bottom))
    }
}
