//! What the autoencoder alone makes of an image.

use tch::{Kind, Tensor};

use super::Model;
use crate::error::{Result, contain};
use crate::floats::floats;

impl Model {
    /// An image encoded, and the mode of its posterior decoded again: planar `[3, height, width]`, in −1..1 as it goes in,
    /// in 0..1 as it comes out. The floor of what an edit with this model does to an image.
    ///
    /// # Errors
    /// [`crate::Error`] where LibTorch fails, as for sides that are no multiple of the VAE's factor.
    pub fn round_trip(&self, image: &[f32], width: u32, height: u32) -> Result<Vec<f32>> {
        contain("the autoencoder's round trip", || {
            let image = Tensor::from_slice(image).view([1, 3, i64::from(height), i64::from(width)]);
            let latents = self.vae().encode(&image).mode();
            let image = self.vae().decode(&latents).to_kind(Kind::Float);
            Ok(floats(&(image / 2.0 + 0.5).clamp(0.0, 1.0)))
        })
    }
}
