//! The colours of ground and sky, filtered over a pixel so that they need no further samples.

use glam::{Vec2, Vec3};

use super::tone::linear;
use crate::scene::{Ground, Sky, Texture};

/// Side of a square of [`Texture::Checker`] and width of a plank of [`Texture::Wood`], in image widths.
pub(crate) const SQUARE: f32 = 0.125;
pub(crate) const PLANK: f32 = 0.14;

/// A ground with its colours in linear light.
pub(super) struct GroundPaint {
    texture: Texture,
    colours: [Vec3; 2],
    /// Side of a pixel's footprint on the ground, in image widths.
    footprint: f32,
}

impl GroundPaint {
    pub(super) fn new(ground: &Ground, footprint: f32) -> Self {
        Self { texture: ground.texture, colours: ground.colours.map(linear), footprint }
    }

    /// The colour at a point of the ground; `ahead` is 0 at the lower edge of the image and 1 at the horizon.
    pub(super) fn at(&self, point: Vec2, ahead: f32) -> Vec3 {
        let [first, second] = self.colours;
        let mix = match self.texture {
            Texture::Plain => return first,
            Texture::Gradient => ahead.clamp(0.0, 1.0),
            Texture::Checker => checker(point / SQUARE, self.footprint / SQUARE),
            Texture::Grass => self.grass(point),
            Texture::Wood => self.wood(point),
        };
        first.lerp(second, mix)
    }

    fn grass(&self, point: Vec2) -> f32 {
        let tufts = noise(point * 7.0);
        let blades = noise(Vec2::new(point.x * 52.0, point.y * 20.0));
        0.5 + (tufts - 0.5) * 0.8 + (blades - 0.5) * 0.7 * self.detail(52.0)
    }

    fn wood(&self, point: Vec2) -> f32 {
        let across = point.y / PLANK;
        let row = across.floor();
        let tone = hash(row as i32, 7);
        let grain = noise(Vec2::new(point.x * 5.0 + row * 17.3, point.y * 55.0));
        let seam = 1.0 - ((across - row - 0.5).abs() - 0.5).abs() * PLANK / (0.004 + self.footprint / 2.0);
        let mix = 0.15 + tone * 0.4 + (grain - 0.5) * 0.5 * self.detail(55.0) + seam.max(0.0) * 0.55;
        mix.clamp(0.0, 1.0)
    }

    /// How much of a pattern of so many periods per image width a pixel can still show.
    fn detail(&self, frequency: f32) -> f32 {
        (1.5 - self.footprint * frequency).clamp(0.0, 1.0)
    }
}

/// The share of odd squares within a box of side `width` about a point, in squares.
fn checker(point: Vec2, width: f32) -> f32 {
    let width = width.max(1e-4);
    // The integral of a square wave of period 2.
    let wave = |x: f32| ((x * 0.5 - (x * 0.5).floor()) - 0.5).abs() * 2.0;
    let mean = |x: f32| (wave(x - width / 2.0) - wave(x + width / 2.0)) / width;
    0.5 - 0.5 * mean(point.x) * mean(point.y)
}

/// A sky with its colours in linear light.
pub(super) struct SkyPaint {
    top: Vec3,
    bottom: Vec3,
}

impl SkyPaint {
    pub(super) fn new(sky: &Sky) -> Self {
        Self { top: linear(sky.top), bottom: linear(sky.bottom) }
    }

    /// The colour; `up` is 0 at the horizon and 1 at the top of the image.
    pub(super) fn at(&self, up: f32) -> Vec3 {
        self.bottom.lerp(self.top, up.clamp(0.0, 1.0))
    }
}

/// Smooth noise in [0, 1] with one cell per unit.
fn noise(point: Vec2) -> f32 {
    let cell = point.floor();
    let inside = point - cell;
    let blend = inside * inside * (3.0 - 2.0 * inside);
    let (x, y) = (cell.x as i32, cell.y as i32);
    let row = |y: i32| {
        let (left, right) = (hash(x, y), hash(x.wrapping_add(1), y));
        left + (right - left) * blend.x
    };
    let (low, high) = (row(y), row(y.wrapping_add(1)));
    low + (high - low) * blend.y
}

/// A number in [0, 1) of two integers, by a finaliser in the manner of MurmurHash3's.
fn hash(x: i32, y: i32) -> f32 {
    let mut bits = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841);
    bits = (bits ^ (bits >> 15)).wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
    ((bits ^ (bits >> 16)) >> 8) as f32 / 16_777_216.0
}
