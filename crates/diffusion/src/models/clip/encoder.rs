//! The pre-norm transformer that both of CLIP's encoders are.
//!
//! Source: transformers v5.23.0 `models/clip/modeling_clip.py` `CLIPEncoder`, `CLIPEncoderLayer`, `CLIPAttention`,
//! `CLIPMLP`.

use tch::Tensor;

use super::config::EncoderConfig;
use crate::nn::{Activation, LayerNorm, Linear, attention, split_heads};
use crate::weights::Scope;

struct Attention {
    qkv: Linear,
    out_proj: Linear,
    heads: i64,
}

impl Attention {
    fn new(at: &Scope, config: &EncoderConfig) -> Self {
        let width = config.hidden_size;
        let parts = [at / "q_proj", at / "k_proj", at / "v_proj"];
        Self {
            qkv: Linear::fused(&parts, width, width, true),
            out_proj: Linear::new(&(at / "out_proj"), width, width, true),
            heads: config.num_attention_heads,
        }
    }

    /// `[b, n, width]` to the same.
    fn forward(&self, x: &Tensor, causal: bool) -> Tensor {
        let qkv = self.qkv.forward(x).chunk(3, -1); // 3 × [b, n, width]
        let [q, k, v] = [0, 1, 2].map(|i| split_heads(&qkv[i], self.heads));
        self.out_proj.forward(&attention(&q, &k, &v, causal, false))
    }
}

struct Layer {
    layer_norm1: LayerNorm,
    self_attn: Attention,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    act: Activation,
}

impl Layer {
    fn new(at: &Scope, config: &EncoderConfig) -> Self {
        let (width, ffn, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        Self {
            layer_norm1: LayerNorm::new(&(at / "layer_norm1"), width, eps),
            self_attn: Attention::new(&(at / "self_attn"), config),
            layer_norm2: LayerNorm::new(&(at / "layer_norm2"), width, eps),
            fc1: Linear::new(&(at / "mlp" / "fc1"), width, ffn, true),
            fc2: Linear::new(&(at / "mlp" / "fc2"), ffn, width, true),
            act: config.hidden_act,
        }
    }

    fn forward(&self, x: Tensor, causal: bool) -> Tensor {
        let x = self.self_attn.forward(&self.layer_norm1.forward(&x), causal) + x;
        self.fc2.forward(&self.act.consume(self.fc1.forward(&self.layer_norm2.forward(&x)))) + x
    }
}

/// The stack of layers.
pub(super) struct Encoder {
    layers: Vec<Layer>,
}

impl Encoder {
    pub(super) fn new(at: &Scope, config: &EncoderConfig) -> Self {
        let layers =
            (0..config.num_hidden_layers).map(|i| Layer::new(&(at / "layers" / i), config)).collect();
        Self { layers }
    }

    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    /// `[b, n, width]` through the first `layers` layers, without a norm after them; with `causal`, a position sees
    /// itself and what is before it.
    pub(super) fn forward(&self, x: Tensor, causal: bool, layers: usize) -> Tensor {
        self.layers.iter().take(layers).fold(x, |x, layer| layer.forward(x, causal))
    }
}
