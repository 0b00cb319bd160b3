//! sRGB to linear light and back.

use std::sync::LazyLock;

use glam::Vec3;

use crate::colour::Rgb;

const STEPS: usize = 4096;

static DECODE: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|i| decode(i as f64 / 255.0) as f32));
static ENCODE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..=STEPS).map(|i| (encode(square(i as f64 / STEPS as f64)) * 255.0 + 0.5) as u8).collect()
});

/// The transfer function of IEC 61966-2-1.
fn decode(value: f64) -> f64 {
    if value <= 0.04045 { value / 12.92 } else { libm::pow((value + 0.055) / 1.055, 2.4) }
}

fn encode(value: f64) -> f64 {
    if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * libm::pow(value, 1.0 / 2.4) - 0.055 }
}

fn square(value: f64) -> f64 {
    value * value
}

/// Linear light of a colour.
pub(crate) fn linear(rgb: Rgb) -> Vec3 {
    let [red, green, blue] = rgb.0.map(|channel| DECODE[usize::from(channel)]);
    Vec3::new(red, green, blue)
}

/// The nearest colour of linear light.
///
/// The table is over the square root, so that dark steps are as fine as bright ones.
pub(super) fn srgb(light: Vec3) -> [u8; 3] {
    let table = &*ENCODE;
    light.to_array().map(|channel| table[(channel.clamp(0.0, 1.0).sqrt() * STEPS as f32 + 0.5) as usize])
}
