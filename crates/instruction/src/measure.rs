//! Amounts: how far, how much, how many degrees.

use serde::{Deserialize, Serialize};

/// What the numbers of a [`Displacement`] count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Fractions of the image: `dx` of its width, `dy` of its height.
    #[default]
    Fraction,
    /// Pixels of the image.
    Pixels,
}

/// How far something moves. Right and down are positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Displacement {
    /// To the right.
    pub dx: f64,
    /// Down.
    pub dy: f64,
    /// What `dx` and `dy` count.
    #[serde(default, skip_serializing_if = "is_fraction")]
    pub unit: Unit,
    /// Whether the instruction gave a number; `false` for "left", "a bit to the left", "far left".
    pub said: bool,
}

impl Displacement {
    /// Without a word about the amount: "move it left".
    pub const DEFAULT: f64 = 0.2;
    /// "a bit", "slightly".
    pub const LITTLE: f64 = 0.1;
    /// "a lot", "far".
    pub const FAR: f64 = 0.4;

    /// As fractions of the width and height of an image of this many pixels.
    #[must_use]
    pub fn fractions(&self, width: u32, height: u32) -> (f64, f64) {
        match self.unit {
            Unit::Fraction => (self.dx, self.dy),
            Unit::Pixels => (self.dx / f64::from(width.max(1)), self.dy / f64::from(height.max(1))),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_fraction(unit: &Unit) -> bool {
    *unit == Unit::Fraction
}

/// A turn of the camera.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Positive: the camera goes around the scene to its right.
    pub degrees: f64,
    /// Whether the instruction gave a number.
    pub said: bool,
}

impl Turn {
    /// Degrees, without a word about the amount: "rotate the view".
    pub const DEFAULT: f64 = 30.0;
    /// Degrees for "a bit", "slightly".
    pub const LITTLE: f64 = 15.0;
    /// Degrees for "a lot", "far".
    pub const FAR: f64 = 60.0;
}

/// A change of size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// New side over old side: over 1 grows, under 1 shrinks.
    pub factor: f64,
    /// Whether the instruction gave a number.
    pub said: bool,
}

impl Scale {
    /// "bigger", without a word about the amount; its inverse for "smaller".
    pub const DEFAULT: f64 = 1.5;
    /// "a bit bigger"; its inverse for "a bit smaller".
    pub const LITTLE: f64 = 1.25;
    /// "much bigger"; its inverse for "much smaller".
    pub const FAR: f64 = 2.0;
}
