//! AdamW with gradient clipping and a learning-rate schedule.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::flat::Flat;

/// Settings of the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimization {
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps over which it rises from 0.
    pub warmup: u64,
    /// What it falls to by the last step, as a share of the highest, along half a cosine; 1 keeps it constant.
    pub final_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; larger ones are scaled down.
    pub clip_norm: f64,
    /// Decay of the moving average of the weights; smaller in the first steps.
    pub average_decay: f64,
}

impl Default for Optimization {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            warmup: 100,
            final_rate: 0.05,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.01,
            clip_norm: 1.0,
            average_decay: 0.999,
        }
    }
}

impl Optimization {
    /// The learning rate of step `step`, counted from 0, of `steps`.
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup {
            return self.learning_rate * (step + 1) as f64 / self.warmup as f64;
        }
        let done = (step - self.warmup) as f64 / steps.saturating_sub(self.warmup).max(1) as f64;
        let fall = (1.0 + (std::f64::consts::PI * done.min(1.0)).cos()) / 2.0;
        self.learning_rate * (self.final_rate + (1.0 - self.final_rate) * fall)
    }

    /// The decay of the average after `step` steps: the average of a short training is not its beginning.
    fn decay(&self, step: u64) -> f64 {
        self.average_decay.min((1.0 + step as f64) / (10.0 + step as f64))
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stepped {
    /// Norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// The learning rate.
    pub rate: f64,
    /// Whether the step was left out because a gradient was not finite.
    pub skipped: bool,
}

/// The optimizer of Loshchilov and Hutter (arXiv 1711.05101), in the form of `torch.optim.AdamW`.
pub struct AdamW {
    settings: Optimization,
    /// `[n]` float32.
    pub(super) mean: Tensor,
    /// `[n]` float32.
    pub(super) square: Tensor,
    /// Updates made, skipped ones not counted.
    pub(super) updates: u64,
}

impl AdamW {
    /// A new optimizer for `flat`.
    pub fn new(settings: Optimization, flat: &Flat) -> Self {
        let zeros = || flat.values().zeros_like();
        Self { settings, mean: zeros(), square: zeros(), updates: 0 }
    }

    /// Moves the values by the gradients that backward passes have left. A gradient that is not finite changes nothing.
    pub fn step(&mut self, flat: &mut Flat, step: u64, steps: u64) -> Stepped {
        let _no_grad = tch::no_grad_guard();
        let s = self.settings;
        let mut gradient = flat.take_gradient();
        // Summed in float64: in float32, a million squares lose the fourth digit.
        let gradient_norm = gradient.norm_scalaropt_dtype(2.0, Kind::Double).double_value(&[]);
        let rate = s.rate(step, steps);
        if !gradient_norm.is_finite() {
            return Stepped { gradient_norm, rate, skipped: true };
        }
        if gradient_norm > s.clip_norm {
            gradient *= s.clip_norm / gradient_norm;
        }
        self.updates += 1;
        drop(flat.decayed().g_mul_scalar_(1.0 - rate * s.weight_decay));
        drop(self.mean.lerp_(&gradient, 1.0 - s.beta1));
        self.square *= s.beta2;
        self.square += gradient.square() * (1.0 - s.beta2);
        let correction = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        let denominator = self.square.sqrt() / correction(s.beta2).sqrt() + s.epsilon;
        let mut values = flat.values();
        values -= (&self.mean / denominator) * (rate / correction(s.beta1));
        flat.follow(s.decay(self.updates));
        Stepped { gradient_norm, rate, skipped: false }
    }
}
