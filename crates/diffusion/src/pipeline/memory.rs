//! How much memory a run takes.

use tch::Kind;

use crate::models::unet::UNetConfig;
use crate::models::vae::VaeConfig;

/// What a process holds before it has a model: LibTorch's code and pools.
const LIBRARY_BYTES: u64 = 150 << 20;
/// Most branches of one row.
const BRANCHES: u64 = 3;

/// What a run is estimated from.
pub(super) struct Footprint<'a> {
    pub(super) unet: &'a UNetConfig,
    pub(super) vae: &'a VaeConfig,
    /// Weights of all networks.
    pub(super) parameters: u64,
    pub(super) kind: Kind,
    /// The VAE's own type: it may have to stay in float32.
    pub(super) vae_kind: Kind,
}

impl Footprint<'_> {
    /// Estimated bytes of making one image of `width` × `height` pixels: the library, the weights, and the larger of
    /// what one step of three branches and what decoding holds at once. On a GPU, of its memory and the host's together.
    pub(super) fn bytes(&self, width: u64, height: u64) -> u64 {
        let weights = self.parameters * size_of_kind(self.kind);
        LIBRARY_BYTES + weights + self.step(width, height).max(self.decoding(width, height))
    }

    /// The feature maps that wait for the way up, and the widest layer of the largest level: a gated feed-forward holds
    /// 14 times its input.
    fn step(&self, width: u64, height: u64) -> u64 {
        let factor = self.vae.factor().unsigned_abs();
        let pixels = |level: usize| ((width / factor) >> level) * ((height / factor) >> level);
        let channels = |level: usize| self.unet.block_out_channels[level].unsigned_abs();
        let skips: u64 = (0..self.unet.levels())
            .map(|level| {
                (self.unet.layers_per_block[level].unsigned_abs() + 1) * channels(level) * pixels(level)
            })
            .sum();
        (skips + 14 * channels(0) * pixels(0)) * BRANCHES * size_of_kind(self.kind)
    }

    /// The last level of the decoder, at full resolution: its input, twice while that is enlarged, and two maps of its
    /// own width.
    fn decoding(&self, width: u64, height: u64) -> u64 {
        let channels = |level: usize| self.vae.block_out_channels.get(level).map_or(0, |c| c.unsigned_abs());
        let wide = channels(1).max(channels(0));
        width * height * 2 * (wide + channels(0)) * size_of_kind(self.vae_kind)
    }
}

fn size_of_kind(kind: Kind) -> u64 {
    kind.elt_size_in_bytes() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_near_what_was_measured() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("writable");
            path
        };
        let unet = r#"{"in_channels": 8, "cross_attention_dim": 768}"#;
        let unet = UNetConfig::from_file(&config("unet.json", unet)).expect("valid");
        let vae = serde_json::json!({
            "block_out_channels": [128, 256, 512, 512],
            "down_block_types": (["DownEncoderBlock2D"; 4]),
            "up_block_types": (["UpDecoderBlock2D"; 4]),
        });
        let vae = VaeConfig::from_file(&config("vae.json", &vae.to_string())).expect("valid");
        let footprint = Footprint {
            unet: &unet,
            vae: &vae,
            parameters: 1_066_000_000,
            kind: Kind::Float,
            vae_kind: Kind::Float,
        };
        let mebibytes = (footprint.bytes(256, 256) >> 20) as f64;
        // docs/benchmarks.md, full/cold-edit-f32-256.
        assert!((0.9..1.1).contains(&(mebibytes / 4571.0)), "{mebibytes} MiB");
        assert!(footprint.bytes(512, 512) > footprint.bytes(256, 256));
    }
}
