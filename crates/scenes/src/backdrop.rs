//! Backgrounds with a name.

use retouch_instruction::{Background as Asked, Term};

use crate::colour::{Colour, Rgb};
use crate::scene::{Background, Ground, Sky, Texture};

/// A background that an instruction can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backdrop {
    /// Ground and sky of one colour.
    Plain(Colour),
    /// A meadow under a blue sky.
    Meadow,
    /// A wooden floor before a wall.
    Wood,
    /// Squares.
    Checker,
    /// Pale sand under a clear sky.
    Beach,
    /// Orange sand under a hot sky.
    Desert,
    /// Water under a blue sky.
    Sea,
    /// Snow under a pale sky.
    Snow,
    /// A dark ground under a dark sky.
    Night,
    /// An orange sky over a brown ground.
    Sunset,
}

impl Backdrop {
    /// Every backdrop but the plain ones, in a fixed order.
    pub const NAMED: [Self; 9] = [
        Self::Meadow,
        Self::Beach,
        Self::Desert,
        Self::Sea,
        Self::Wood,
        Self::Checker,
        Self::Snow,
        Self::Night,
        Self::Sunset,
    ];

    /// As an intent asks for it.
    pub fn asked(self) -> Asked {
        match self {
            Self::Plain(colour) => Asked { scene: None, colour: Some(Term::new(colour.name())) },
            _ => Asked { scene: Some(Term::new(self.name())), colour: None },
        }
    }

    /// Its name in English.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain(colour) => colour.name(),
            Self::Meadow => "meadow",
            Self::Beach => "beach",
            Self::Desert => "desert",
            Self::Sea => "sea",
            Self::Wood => "wooden floor",
            Self::Checker => "checkered floor",
            Self::Snow => "snow",
            Self::Night => "night",
            Self::Sunset => "sunset",
        }
    }

    /// What an intent asks for, if it is known.
    pub fn named(asked: &Asked) -> Option<Self> {
        match (&asked.scene, &asked.colour) {
            (None, Some(colour)) => Colour::named(colour).map(Self::Plain),
            (Some(scene), None) => Self::NAMED.into_iter().find(|backdrop| backdrop.name() == scene.as_str()),
            _ => None,
        }
    }

    /// The sky and ground of it.
    pub fn background(self) -> Background {
        let make = |texture, near: [u8; 3], far: [u8; 3], top: [u8; 3], bottom: [u8; 3]| Background {
            sky: Sky { top: Rgb(top), bottom: Rgb(bottom) },
            ground: Ground { texture, colours: [Rgb(near), Rgb(far)] },
        };
        match self {
            Self::Plain(colour) => {
                let Rgb(own) = colour.rgb();
                let softer = own.map(|channel| ((u16::from(channel) * 3 + 255) / 4) as u8);
                make(Texture::Gradient, own, softer, softer, softer)
            }
            Self::Meadow => {
                make(Texture::Grass, [66, 122, 44], [122, 172, 74], [96, 160, 232], [214, 234, 250])
            }
            Self::Wood => {
                make(Texture::Wood, [196, 146, 92], [128, 84, 46], [226, 218, 202], [214, 204, 186])
            }
            Self::Checker => {
                make(Texture::Checker, [226, 226, 230], [122, 128, 142], [186, 194, 206], [222, 226, 232])
            }
            Self::Beach => {
                make(Texture::Gradient, [232, 210, 160], [246, 232, 196], [86, 170, 236], [190, 226, 246])
            }
            Self::Desert => {
                make(Texture::Gradient, [206, 130, 66], [226, 162, 92], [120, 180, 228], [246, 222, 176])
            }
            Self::Sea => {
                make(Texture::Grass, [22, 92, 150], [62, 142, 190], [120, 180, 236], [220, 236, 246])
            }
            Self::Snow => {
                make(Texture::Gradient, [226, 234, 244], [246, 248, 252], [164, 182, 206], [226, 232, 240])
            }
            Self::Night => make(Texture::Gradient, [38, 42, 66], [24, 26, 46], [8, 10, 30], [34, 40, 84]),
            Self::Sunset => {
                make(Texture::Gradient, [140, 96, 72], [178, 116, 80], [96, 70, 140], [250, 156, 84])
            }
        }
    }
}
