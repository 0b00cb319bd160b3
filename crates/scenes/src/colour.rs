//! Colours: the palette of names that objects take, and free RGB values for the rest of a scene.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An sRGB colour of 8 bits per channel; `#rrggbb` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rgb(pub [u8; 3]);

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl From<Rgb> for String {
    fn from(rgb: Rgb) -> Self {
        rgb.to_string()
    }
}

impl TryFrom<String> for Rgb {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        let channel = |at: usize| u8::from_str_radix(digits?.get(at..at + 2)?, 16).ok();
        match (channel(0), channel(2), channel(4)) {
            (Some(red), Some(green), Some(blue)) => Ok(Self([red, green, blue])),
            _ => Err(format!("the colour {text:?} is not of the form #rrggbb")),
        }
    }
}

/// The colours that objects are named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
    /// Cyan.
    Cyan,
    /// Blue.
    Blue,
    /// Purple.
    Purple,
    /// Pink.
    Pink,
    /// Brown.
    Brown,
    /// White.
    White,
    /// Grey.
    Grey,
    /// Black.
    Black,
}

impl Colour {
    /// Every colour, in a fixed order.
    pub const ALL: [Self; 12] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Cyan,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
        Self::White,
        Self::Grey,
        Self::Black,
    ];

    /// What a surface of this colour reflects, before light and material.
    pub fn rgb(self) -> Rgb {
        Rgb(match self {
            Self::Red => [214, 32, 36],
            Self::Orange => [245, 130, 20],
            Self::Yellow => [250, 214, 28],
            Self::Green => [36, 158, 56],
            Self::Cyan => [40, 200, 210],
            Self::Blue => [34, 76, 214],
            Self::Purple => [128, 44, 170],
            Self::Pink => [250, 132, 186],
            Self::Brown => [124, 74, 38],
            Self::White => [244, 244, 242],
            Self::Grey => [128, 130, 134],
            Self::Black => [28, 28, 32],
        })
    }
}
