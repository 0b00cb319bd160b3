//! Encoding and decoding in overlapping, linearly blended tiles.
//!
//! Source: diffusers v0.42.1 `models/autoencoders/autoencoder_kl.py` `_tiled_encode`, `tiled_decode`.

use tch::{Kind, Tensor};

use super::Vae;
use crate::nn::dims4;

/// A quarter of each tile overlaps its neighbour.
const OVERLAP: f64 = 0.25;

/// The sides of a tile in pixels and in latents: the training size, where quarters of it are whole latents.
fn sides(vae: &Vae) -> (i64, i64) {
    let factor = vae.config.factor();
    let latent = (vae.config.sample_size / factor / 4 * 4).max(8);
    (latent * factor, latent)
}

pub(super) fn encode(vae: &Vae, image: &Tensor) -> Tensor {
    let (tile, latent_tile) = sides(vae);
    tiled(image, tile, latent_tile, |x| vae.encode_moments(x))
}

pub(super) fn decode(vae: &Vae, latents: &Tensor) -> Tensor {
    let (tile, latent_tile) = sides(vae);
    tiled(latents, latent_tile, tile, |z| vae.decode(z))
}

/// Applies `f` to tiles of side `input_tile` and joins its results, tiles of side `output_tile`.
fn tiled(x: &Tensor, input_tile: i64, output_tile: i64, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let (_, _, height, width) = dims4(x);
    if height <= input_tile && width <= input_tile {
        return f(x);
    }
    let stride = ((input_tile as f64 * (1.0 - OVERLAP)) as i64).max(1);
    let blend = (output_tile as f64 * OVERLAP) as i64;
    let keep = output_tile - blend;
    let starts = |side: i64| (0..side).step_by(stride as usize);
    let cut = |dim: i64, start: i64, t: &Tensor| {
        t.narrow(dim, start, input_tile.min(t.size()[dim as usize] - start))
    };
    let mut above: Vec<Tensor> = Vec::new();
    let mut bands = Vec::new();
    for top in starts(height) {
        let band = cut(2, top, x);
        let mut row: Vec<Tensor> = Vec::new();
        for (j, left) in starts(width).enumerate() {
            let mut tile = f(&cut(3, left, &band));
            if let Some(upper) = above.get(j) {
                blend_into(upper, &mut tile, 2, blend);
            }
            if let Some(before) = row.last() {
                blend_into(before, &mut tile, 3, blend);
            }
            row.push(tile);
        }
        let kept: Vec<_> = row
            .iter()
            .map(|t| {
                let (_, _, h, w) = dims4(t);
                t.narrow(2, 0, keep.min(h)).narrow(3, 0, keep.min(w))
            })
            .collect();
        bands.push(Tensor::cat(&kept, 3));
        above = row;
    }
    Tensor::cat(&bands, 2)
}

/// Fades the first `extent` lines of `tile` along `dim` in from the last lines of `before`.
fn blend_into(before: &Tensor, tile: &mut Tensor, dim: i64, extent: i64) {
    let length = |t: &Tensor| t.size()[dim as usize];
    let extent = extent.min(length(before)).min(length(tile));
    if extent == 0 {
        return;
    }
    let mut shape = [1; 4];
    shape[dim as usize] = extent;
    let weight = (Tensor::arange(extent, (Kind::Float, tile.device())) / extent as f64)
        .view(shape)
        .to_kind(tile.kind());
    let from = before.narrow(dim, length(before) - extent, extent);
    let mut edge = tile.narrow(dim, 0, extent);
    let mixed = from * (1.0 - &weight) + &edge * &weight;
    edge.copy_(&mixed);
}
