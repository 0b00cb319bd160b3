//! The spatial transformer: self-attention, cross-attention to the text, gated feed-forward.
//!
//! Source: diffusers v0.42.1 `models/transformers/transformer_2d.py`, `models/attention.py` `BasicTransformerBlock`,
//! `models/attention_processor.py` `AttnProcessor2_0`.

use std::slice::Iter;

use tch::Tensor;

use super::UNetConfig;
use crate::models::spatial::{GatedAttention, SpatialBatch};
use crate::nn::{GroupNorm, LayerNorm, Linear, attention, dims4, from_tokens, split_heads, to_tokens};
use crate::weights::Scope;

/// Epsilon of the transformers' group norm, fixed in the reference.
const GROUP_NORM_EPS: f64 = 1e-6;
/// Epsilon of the layer norms, fixed in the reference.
const LAYER_NORM_EPS: f64 = 1e-5;

/// Keys and values of all cross-attentions, in the order in which the forward pass meets them: each
/// `([b, heads, n, d], [b, heads, n, d])`.
pub struct TextKv(pub(super) Vec<(Tensor, Tensor)>);

impl TextKv {
    /// One batch of text rows out of several: `rows` picks by index into `parts`, each of which has one row.
    pub fn gather(parts: &[&TextKv]) -> TextKv {
        let layers = parts.first().map_or(0, |p| p.0.len());
        let column = |i: usize, f: fn(&(Tensor, Tensor)) -> &Tensor| {
            Tensor::cat(&parts.iter().map(|p| f(&p.0[i])).collect::<Vec<_>>(), 0)
        };
        TextKv((0..layers).map(|i| (column(i, |kv| &kv.0), column(i, |kv| &kv.1))).collect())
    }

    /// Bytes that the tensors take.
    pub fn bytes(&self) -> u64 {
        let size = |t: &Tensor| t.numel() as u64 * t.kind().elt_size_in_bytes() as u64;
        self.0.iter().map(|(k, v)| size(k) + size(v)).sum()
    }
}

/// What the forward pass meets on its way, one item for each transformer block, in order.
pub(super) struct Pass<'a> {
    pub(super) text: Iter<'a, (Tensor, Tensor)>,
    pub(super) map: Option<&'a AttentionMap>,
    pub(super) spatial: Option<(Iter<'a, GatedAttention>, &'a SpatialBatch)>,
}

/// For each row of a batch, the row whose self-attention pattern (queries and keys) it uses; values stay its own.
///
/// This is the self-attention copy of InstructPix2Pix's pair generation: equal queries and keys give equal logits.
pub struct AttentionMap {
    /// `[b]` int64.
    pub(crate) source: Tensor,
}

impl AttentionMap {
    /// `source[i]` is the row whose pattern row `i` takes.
    pub fn new(source: &[i64], device: tch::Device) -> Self {
        Self { source: Tensor::from_slice(source).to_device(device) }
    }
}

struct SelfAttention {
    qkv: Linear,
    out: Linear,
    heads: i64,
    upcast: bool,
}

impl SelfAttention {
    fn new(at: &Scope, width: i64, heads: i64, upcast: bool) -> Self {
        let parts = [at / "to_q", at / "to_k", at / "to_v"];
        let out = Linear::new(&(at / "to_out" / 0), width, width, true);
        Self { qkv: Linear::fused(&parts, width, width, false), out, heads, upcast }
    }

    /// `[b, n, width]` to the same.
    fn forward(&self, x: &Tensor, map: Option<&AttentionMap>) -> Tensor {
        let qkv = self.qkv.forward(x).chunk(3, -1); // 3 × [b, n, width]
        let [q, k, v] = [0, 1, 2].map(|i| {
            let size = qkv[i].size();
            qkv[i].unflatten(2, [self.heads, size[2] / self.heads]).transpose(1, 2)
        });
        let out = match map {
            None => attention(&q, &k, &v, false, self.upcast),
            Some(map) => {
                let pick = |x: &Tensor| x.index_select(0, &map.source);
                attention(&pick(&q), &pick(&k), &v, false, self.upcast)
            }
        };
        self.out.forward(&out)
    }
}

/// Attention from image tokens to text tokens.
pub(super) struct CrossAttention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: i64,
    upcast: bool,
}

impl CrossAttention {
    fn new(at: &Scope, width: i64, text: i64, heads: i64, upcast: bool) -> Self {
        Self {
            q: Linear::new(&(at / "to_q"), width, width, false),
            k: Linear::new(&(at / "to_k"), text, width, false),
            v: Linear::new(&(at / "to_v"), text, width, false),
            out: Linear::new(&(at / "to_out" / 0), width, width, true),
            heads,
            upcast,
        }
    }

    /// `text [b, n, text_dim]` to keys and values `[b, heads, n, d]`.
    pub(super) fn keys_values(&self, text: &Tensor) -> (Tensor, Tensor) {
        (split_heads(&self.k.forward(text), self.heads), split_heads(&self.v.forward(text), self.heads))
    }

    fn forward(&self, x: &Tensor, (k, v): &(Tensor, Tensor)) -> Tensor {
        let q = split_heads(&self.q.forward(x), self.heads);
        self.out.forward(&attention(&q, k, v, false, self.upcast))
    }
}

struct FeedForward {
    proj: Linear,
    out: Linear,
}

impl FeedForward {
    fn new(at: &Scope, width: i64) -> Self {
        let proj = Linear::new(&(at / "net" / 0 / "proj"), width, width * 8, true);
        Self { proj, out: Linear::new(&(at / "net" / 2), width * 4, width, true) }
    }

    /// GEGLU: half of the projection gates the other half.
    fn forward(&self, x: &Tensor) -> Tensor {
        let halves = self.proj.forward(x).chunk(2, -1);
        self.out.forward(&(halves[1].gelu("none") * &halves[0]))
    }
}

struct TransformerBlock {
    norm1: LayerNorm,
    attn1: SelfAttention,
    norm2: LayerNorm,
    attn2: CrossAttention,
    norm3: LayerNorm,
    ff: FeedForward,
}

impl TransformerBlock {
    /// Tokens of a feature map of `size` (h, w).
    fn forward(&self, x: Tensor, size: (i64, i64), pass: &mut Pass) -> Tensor {
        let kv = pass.text.next().expect("`text_kv` makes one entry per block of the same network");
        let x = self.attn1.forward(&self.norm1.forward(&x), pass.map) + x;
        let mut x = self.attn2.forward(&self.norm2.forward(&x), kv) + x;
        if let Some((layers, batch)) = &mut pass.spatial {
            let layer = layers.next().expect("the spatial layer was made for this network's configuration");
            x = layer.forward(x, size, batch);
        }
        self.ff.forward(&self.norm3.forward(&x)) + x
    }
}

/// `Transformer2DModel` on a feature map.
pub(super) struct SpatialTransformer {
    norm: GroupNorm,
    proj_in: Linear,
    blocks: Vec<TransformerBlock>,
    proj_out: Linear,
}

impl SpatialTransformer {
    pub(super) fn new(at: &Scope, config: &UNetConfig, level: usize) -> Self {
        let width = config.block_out_channels[level];
        let (heads, text) = (config.heads[level], config.cross_attention_dim[level]);
        let upcast = config.upcast_attention;
        // On channels-last data a 1×1 convolution is a linear layer: only the stored shape differs.
        let projection = |at: Scope| match config.use_linear_projection {
            true => Linear::new(&at, width, width, true),
            false => Linear::pointwise(&at, width, width),
        };
        let block = |at: Scope| TransformerBlock {
            norm1: LayerNorm::new(&(&at / "norm1"), width, LAYER_NORM_EPS),
            attn1: SelfAttention::new(&(&at / "attn1"), width, heads, upcast),
            norm2: LayerNorm::new(&(&at / "norm2"), width, LAYER_NORM_EPS),
            attn2: CrossAttention::new(&(&at / "attn2"), width, text, heads, upcast),
            norm3: LayerNorm::new(&(&at / "norm3"), width, LAYER_NORM_EPS),
            ff: FeedForward::new(&(&at / "ff"), width),
        };
        Self {
            norm: GroupNorm::new(&(at / "norm"), width, config.norm_num_groups, GROUP_NORM_EPS),
            proj_in: projection(at / "proj_in"),
            blocks: (0..config.transformer_layers_per_block[level])
                .map(|i| block(at / "transformer_blocks" / i))
                .collect(),
            proj_out: projection((at / "proj_out").zeroed()),
        }
    }

    pub(super) fn cross_attentions(&self) -> impl Iterator<Item = &CrossAttention> {
        self.blocks.iter().map(|block| &block.attn2)
    }

    /// `[b, c, h, w]` to the same; takes one item of each kind in `pass` per transformer block.
    pub(super) fn forward(&self, x: &Tensor, pass: &mut Pass) -> Tensor {
        let (_, _, h, w) = dims4(x);
        let mut tokens = self.proj_in.forward(&to_tokens(&self.norm.forward(x)));
        for block in &self.blocks {
            tokens = block.forward(tokens, (h, w), pass);
        }
        from_tokens(&self.proj_out.forward(&tokens), h, w) + x
    }
}
