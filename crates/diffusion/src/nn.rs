//! The layers that all models share. Activations are channels-last, `[b, c, h, w]` by shape.

use std::cell::OnceCell;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::checkpoint::Checkpoint;
use crate::shim::{PackedWeight, group_norm};
use crate::weights::Scope;

/// `y = x·Wᵀ + b` over the last dimension.
pub(crate) struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
}

enum Weight {
    Dense(Tensor),
    Packed(PackedWeight),
    /// In training: the leaves, whose values change between forwards, with their biases.
    Trained {
        parts: Vec<Tensor>,
        biases: Vec<Tensor>,
    },
}

impl Linear {
    pub(crate) fn new(at: &Scope, inputs: i64, outputs: i64, bias: bool) -> Self {
        Self::shaped(at, &[outputs, inputs], bias)
    }

    /// A 1×1 convolution `[outputs, inputs, 1, 1]` as the linear layer that it is on channels-last data.
    pub(crate) fn pointwise(at: &Scope, inputs: i64, outputs: i64) -> Self {
        Self::shaped(at, &[outputs, inputs, 1, 1], true)
    }

    fn shaped(at: &Scope, shape: &[i64], bias: bool) -> Self {
        let weight = at.get("weight", shape);
        let bias = bias.then(|| at.get("bias", &shape[..1]));
        if at.in_training() {
            return Self::trained(vec![weight], bias.into_iter().collect());
        }
        Self::of(at, weight.reshape(&shape[..2]), bias)
    }

    /// Several layers with the same input as one product; their outputs lie side by side.
    pub(crate) fn fused(at: &[Scope], inputs: i64, outputs: i64, bias: bool) -> Self {
        let parts = |name: &str, shape: &[i64]| at.iter().map(|s| s.get(name, shape)).collect::<Vec<_>>();
        if at[0].in_training() {
            let biases = if bias { parts("bias", &[outputs]) } else { Vec::new() };
            return Self::trained(parts("weight", &[outputs, inputs]), biases);
        }
        let side_by_side = |name: &str, shape: &[i64]| {
            let parts = parts(name, shape);
            let joined = if at[0].intact() { Tensor::cat(&parts, 0) } else { parts[0].shallow_clone() };
            at.iter().zip(&parts).for_each(|(s, part)| s.checkpoint().release(part));
            joined
        };
        let weight = side_by_side("weight", &[outputs, inputs]);
        Self::of(&at[0], weight, bias.then(|| side_by_side("bias", &[outputs])))
    }

    fn trained(parts: Vec<Tensor>, biases: Vec<Tensor>) -> Self {
        Self { weight: Weight::Trained { parts, biases }, bias: None }
    }

    fn of(at: &Scope, weight: Tensor, bias: Option<Tensor>) -> Self {
        let packed = if at.intact() { PackedWeight::new(&weight) } else { None };
        let weight = match packed {
            None => Weight::Dense(weight),
            Some(packed) => {
                at.checkpoint().release(&weight);
                Weight::Packed(packed)
            }
        };
        Self { weight, bias }
    }

    /// `[.., inputs]` to `[.., outputs]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        match &self.weight {
            Weight::Dense(weight) => x.linear(weight, self.bias.as_ref()),
            Weight::Packed(weight) => weight.forward(x, self.bias.as_ref()),
            Weight::Trained { parts, biases } => {
                let weight = joined(parts, x).flatten(1, -1);
                x.linear(&weight, (!biases.is_empty()).then(|| joined(biases, x)).as_ref())
            }
        }
    }
}

/// The leaves side by side, in the type of `x`.
fn joined(leaves: &[Tensor], x: &Tensor) -> Tensor {
    match leaves {
        [one] => in_kind_of(x, one),
        many => in_kind_of(x, &Tensor::cat(many, 0)),
    }
}

/// A weight in the type of `x`: in training with mixed precision, weights stay float32 and activations do not.
fn in_kind_of(x: &Tensor, weight: &Tensor) -> Tensor {
    if weight.kind() == x.kind() { weight.shallow_clone() } else { weight.to_kind(x.kind()) }
}

/// A two-dimensional convolution.
///
/// On a CPU its weight is laid out at the first use, for the way in which it is used: as a convolution, or, where the
/// image is small, as one matrix product over gathered windows. There oneDNN's convolutions reach a tenth to a third of
/// the rate of its products.
pub(crate) struct Conv2d {
    /// `[outputs, inputs, k, k]` as stored.
    weight: Tensor,
    bias: Option<Tensor>,
    kernel: i64,
    stride: i64,
    padding: i64,
    kind: Kind,
    in_training: bool,
    checkpoint: Arc<Checkpoint>,
    direct: OnceCell<Tensor>,
    product: OnceCell<Option<PackedWeight>>,
}

/// Output pixels per image up to which a convolution is computed as a matrix product.
const PRODUCT_PIXELS: i64 = 64;

impl Conv2d {
    /// A convolution of `kernel`², padded by `padding` on every side.
    pub(crate) fn new(at: &Scope, inputs: i64, outputs: i64, kernel: i64, stride: i64, padding: i64) -> Self {
        Self::of(at, [outputs, inputs, kernel, kernel], stride, padding, true)
    }

    /// Non-overlapping patches of `size`² without a bias; an incomplete patch at the right or bottom is left out.
    pub(crate) fn patches(at: &Scope, inputs: i64, outputs: i64, size: i64) -> Self {
        Self::of(at, [outputs, inputs, size, size], size, 0, false)
    }

    /// A 3×3 convolution that keeps the size.
    pub(crate) fn same3(at: &Scope, inputs: i64, outputs: i64) -> Self {
        Self::new(at, inputs, outputs, 3, 1, 1)
    }

    /// [`Conv2d::same3`] without a bias: of nothing it makes nothing.
    pub(crate) fn same3_unbiased(at: &Scope, inputs: i64, outputs: i64) -> Self {
        Self::of(at, [outputs, inputs, 3, 3], 1, 1, false)
    }

    fn of(at: &Scope, shape: [i64; 4], stride: i64, padding: i64, bias: bool) -> Self {
        let conv = Self {
            weight: at.stored("weight", &shape),
            bias: bias.then(|| at.get("bias", &shape[..1])),
            kernel: shape[2],
            stride,
            padding,
            kind: at.kind(),
            in_training: at.in_training(),
            checkpoint: at.checkpoint().clone(),
            direct: OnceCell::new(),
            product: OnceCell::new(),
        };
        if !conv.in_training && at.device() != Device::Cpu && at.intact() {
            let weight = channels_last(&conv.weight.to_device(at.device()).to_kind(conv.kind));
            conv.checkpoint.release(&conv.weight);
            return Self { weight: weight.shallow_clone(), direct: OnceCell::from(weight), ..conv };
        }
        conv
    }

    /// `[b, inputs, h, w]` to `[b, outputs, h', w']`.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        if self.in_training {
            let bias = self.bias.as_ref().map(|bias| in_kind_of(x, bias));
            return self.convolve(x, &in_kind_of(x, &self.weight), bias.as_ref());
        }
        let (_, _, h, w) = dims4(x);
        let out = |side: i64| (side + 2 * self.padding - self.kernel).div_euclid(self.stride) + 1;
        let (h, w) = (out(h), out(w));
        if (1..=PRODUCT_PIXELS).contains(&(h * w))
            && h > 0
            && x.device() == Device::Cpu
            && let Some(weight) = self.product.get_or_init(|| self.pack())
        {
            let windows = self.windows(x, h, w); // [b, h'·w', k·k·inputs]
            return from_tokens(&weight.forward(&windows, self.bias.as_ref()), h, w);
        }
        self.convolve(x, self.direct.get_or_init(|| self.laid_out(channels_last)), self.bias.as_ref())
    }

    fn convolve(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        x.conv2d(weight, bias, [self.stride; 2], [self.padding; 2], [1, 1], 1)
    }

    /// The weight in the wanted type after `layout`; the stored one's memory is given back.
    fn laid_out(&self, layout: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let weight = layout(&self.weight.to_kind(self.kind));
        self.checkpoint.release(&self.weight);
        weight
    }

    fn pack(&self) -> Option<PackedWeight> {
        let rows = self.weight.size()[0];
        PackedWeight::new(&self.laid_out(|w| w.permute([0, 2, 3, 1]).reshape([rows, -1])))
    }

    /// Every output pixel's input window, `[b, h·w, k·k·inputs]`.
    fn windows(&self, x: &Tensor, h: i64, w: i64) -> Tensor {
        let (b, c, _, _) = dims4(x);
        let (p, k, s) = (self.padding, self.kernel, self.stride);
        let x = x.permute([0, 2, 3, 1]); // [b, h, w, c], contiguous where channels-last
        let x = if p > 0 { x.constant_pad_nd([0, 0, p, p, p, p]) } else { x.contiguous() };
        let stride = x.stride();
        let strides = [stride[0], stride[1] * s, stride[2] * s, stride[1], stride[2], stride[3]];
        x.as_strided([b, h, w, k, k, c], strides, None).reshape([b, h * w, k * k * c])
    }
}

/// A table of one vector per token or position.
pub(crate) struct Embedding {
    weight: Tensor,
}

impl Embedding {
    pub(crate) fn new(at: &Scope, entries: i64, width: i64) -> Self {
        Self { weight: at.get("weight", &[entries, width]) }
    }

    /// `ids [b, n]` int64, each below the number of entries, to `[b, n, width]`.
    pub(crate) fn forward(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.weight, ids, -1, false, false)
    }

    /// The first `n` entries, `[n, width]`.
    pub(crate) fn first(&self, n: i64) -> Tensor {
        self.weight.narrow(0, 0, n)
    }
}

/// Normalisation over groups of channels.
pub(crate) struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: i64,
    eps: f64,
}

impl GroupNorm {
    pub(crate) fn new(at: &Scope, channels: i64, groups: i64, eps: f64) -> Self {
        Self { weight: at.get("weight", &[channels]), bias: at.get("bias", &[channels]), groups, eps }
    }

    /// `[b, c, h, w]` to the same.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let Self { weight, bias, groups, eps } = self;
        group_norm(x, weight, bias, *groups, *eps, false).unwrap_or_else(|| {
            let [weight, bias] = [weight, bias].map(|t| in_kind_of(x, t));
            x.group_norm(*groups, Some(weight), Some(bias), *eps, true)
        })
    }

    /// [`GroupNorm::forward`] and the activation.
    pub(crate) fn activated(&self, x: &Tensor, act: Activation) -> Tensor {
        let Self { weight, bias, groups, eps } = self;
        let fused =
            (act == Activation::Silu).then(|| group_norm(x, weight, bias, *groups, *eps, true)).flatten();
        fused.unwrap_or_else(|| act.consume(self.forward(x)))
    }
}

/// Normalisation over the last dimension.
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    size: i64,
    eps: f64,
}

impl LayerNorm {
    pub(crate) fn new(at: &Scope, size: i64, eps: f64) -> Self {
        Self { weight: at.get("weight", &[size]), bias: at.get("bias", &[size]), size, eps }
    }

    /// `[.., size]` to the same.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        let [weight, bias] = [&self.weight, &self.bias].map(|t| in_kind_of(x, t));
        x.layer_norm([self.size], Some(weight), Some(bias), self.eps, true)
    }
}

/// Activation functions by the names that configurations use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    QuickGelu,
    Relu,
    Mish,
}

impl Activation {
    /// Names that diffusers' `act_fn` may have.
    pub(crate) const DIFFUSERS: [(&'static str, Activation); 5] = [
        ("silu", Activation::Silu),
        ("swish", Activation::Silu),
        ("gelu", Activation::Gelu),
        ("relu", Activation::Relu),
        ("mish", Activation::Mish),
    ];

    /// Names that transformers' CLIP `hidden_act` may have.
    pub(crate) const CLIP: [(&'static str, Activation); 2] =
        [("quick_gelu", Activation::QuickGelu), ("gelu", Activation::Gelu)];

    pub(crate) fn forward(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Silu => x.silu(),
            Activation::Gelu => x.gelu("none"),
            Activation::QuickGelu => x * (x * 1.702).sigmoid(),
            Activation::Relu => x.relu(),
            Activation::Mish => x.mish(),
        }
    }

    /// The activation of a tensor that nobody else holds.
    pub(crate) fn consume(self, mut x: Tensor) -> Tensor {
        match self {
            Activation::Silu if !x.requires_grad() => x.silu_(),
            _ => self.forward(&x),
        }
    }
}

/// The same values with channels innermost in memory, `[b, c, h, w]` by shape.
pub(crate) fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// `[b, c, h, w]` as tokens `[b, h·w, c]`; free of copies where `x` is channels-last.
pub(crate) fn to_tokens(x: &Tensor) -> Tensor {
    let (b, c, h, w) = dims4(x);
    x.permute([0, 2, 3, 1]).reshape([b, h * w, c])
}

/// Tokens `[b, h·w, c]` as channels-last `[b, c, h, w]`.
pub(crate) fn from_tokens(x: &Tensor, h: i64, w: i64) -> Tensor {
    let size = x.size();
    x.view([size[0], h, w, size[2]]).permute([0, 3, 1, 2])
}

/// Softmax attention: `q [b, heads, n, d]`, `k` and `v [b, heads, m, d]` to `[b, n, heads·d]`.
///
/// With `upcast`, the product of 16-bit queries and keys is taken in float32, as SD 2.x at 768 px needs.
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, causal: bool, upcast: bool) -> Tensor {
    let sdpa = |q: &Tensor, k: &Tensor, v: &Tensor| {
        Tensor::scaled_dot_product_attention(q, k, v, None::<&Tensor>, 0.0, causal, None, false)
    };
    let out = if upcast && q.kind() != Kind::Float {
        let f = |x: &Tensor| x.to_kind(Kind::Float);
        sdpa(&f(q), &f(k), &f(v)).to_kind(q.kind())
    } else {
        sdpa(q, k, v)
    };
    out.transpose(1, 2).flatten(2, 3)
}

/// `[b, n, heads·d]` as `[b, heads, n, d]`, without a copy.
pub(crate) fn split_heads(x: &Tensor, heads: i64) -> Tensor {
    let size = x.size();
    x.view([size[0], size[1], heads, size[2] / heads]).transpose(1, 2)
}

/// The four sizes of a tensor that is `[b, c, h, w]` by construction.
pub(crate) fn dims4(x: &Tensor) -> (i64, i64, i64, i64) {
    x.size4().expect("a four-dimensional tensor by construction")
}
