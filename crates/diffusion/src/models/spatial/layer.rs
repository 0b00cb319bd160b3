//! Gated attention of image tokens over image tokens and spatial tokens.
//!
//! The gate and the tokens after GLIGEN (Li et al. 2023, arXiv 2301.07093; gligen/GLIGEN `ldm/modules/attention.py`
//! `GatedSelfAttentionDense`), without its feed-forward. What is new is the bias: half of the heads look first where the
//! instruction's geometry says that a pixel's content comes from.

use tch::{Kind, Tensor};

use super::SpatialBatch;
use crate::nn::{LayerNorm, Linear, split_heads};
use crate::weights::Scope;

/// Epsilon of the layer norm, as in the transformer blocks.
const EPS: f64 = 1e-5;
/// What a new head's squared distances are multiplied by, in units of half the image: one standard deviation is an eighth
/// of that, two pixels of a map of 32.
const FOCUS: f64 = 32.0;

/// x + tanh(gate)·attention, for one transformer block.
pub(crate) struct GatedAttention {
    norm: LayerNorm,
    tokens: Linear,
    q: Linear,
    kv: Linear,
    out: Linear,
    heads: i64,
    /// `[1]`, from 0.
    gate: Tensor,
    /// `[heads]`, from 0: logarithms of what multiplies [`FOCUS`].
    focus: Tensor,
    /// `[heads]`: 1 for every other head, 0 for those that look everywhere.
    focused: Tensor,
}

impl GatedAttention {
    /// For a block of `width` channels.
    pub(super) fn new(at: &Scope, width: i64, heads: i64, token_dim: i64) -> Self {
        let new = at.clone().zeroed();
        let focused: Vec<f32> = (0..heads).map(|head| if head % 2 == 0 { 1.0 } else { 0.0 }).collect();
        Self {
            norm: LayerNorm::new(&(at / "norm"), width, EPS),
            tokens: Linear::new(&(at / "tokens"), token_dim, width, true),
            q: Linear::new(&(at / "to_q"), width, width, false),
            kv: Linear::fused(&[at / "to_k", at / "to_v"], width, width, false),
            out: Linear::new(&(at / "to_out" / 0), width, width, true),
            heads,
            gate: new.get("gate", &[1]),
            focus: new.get("focus", &[heads]),
            focused: Tensor::from_slice(&focused).to_device(at.device()),
        }
    }

    /// Tokens `x [b, h·w, width]` of a feature map of `size` (h, w) to the same.
    pub(crate) fn forward(&self, x: Tensor, size: (i64, i64), batch: &SpatialBatch) -> Tensor {
        let pixels = size.0 * size.1;
        if pixels > batch.max_pixels {
            return x;
        }
        let spatial = self.tokens.forward(&batch.tokens.to_kind(x.kind()));
        let all = self.norm.forward(&Tensor::cat(&[&x, &spatial], 1)); // [b, h·w + tokens, width]
        let q = split_heads(&self.q.forward(&all.narrow(1, 0, pixels)), self.heads);
        let kv = self.kv.forward(&all).chunk(2, -1);
        let [k, v] = [0, 1].map(|i| {
            let width = kv[i].size()[2];
            kv[i].unflatten(2, [self.heads, width / self.heads]).transpose(1, 2)
        });
        let scale = (q.size()[3] as f64).sqrt().recip();
        let logits =
            q.matmul(&k.transpose(-1, -2)) * scale + self.bias(size, &spatial, batch).to_kind(x.kind());
        let attended = logits.softmax(-1, None::<Kind>).matmul(&v).transpose(1, 2).flatten(2, 3);
        let gate = (self.gate.tanh() * &batch.on).to_kind(x.kind()); // [b, 1, 1]
        self.out.forward(&attended) * gate + x
    }

    /// What is added to the logits, `[b, heads, h·w, h·w + tokens]` float32: squared distances from where a pixel's
    /// content comes from; nothing for tokens, and nothing where there is no geometry.
    fn bias(&self, size: (i64, i64), spatial: &Tensor, batch: &SpatialBatch) -> Tensor {
        let strength = self.focus.to_kind(Kind::Float).exp() * &self.focused * -FOCUS;
        let distances = batch.distances(size); // [b, h·w, h·w]
        let near = distances.unsqueeze(1) * strength.view([1, -1, 1, 1]);
        near.constant_pad_nd([0, spatial.size()[1]])
    }
}
