//! Guidance that follows the row: feedback guidance for the text, dynamic negative guidance for a negative prompt, both
//! within an interval of noise levels.
//!
//! Both compare how well two predictions explained the last step. A sampler that goes from σ to σ' < σ ends near the
//! mean that a prediction D of the image x0 implies for the step's Gaussian, in latents y = x0 + σ·ε:
//!
//! ```text
//! μ(D) = σ'²/σ²·y + (1 − σ'²/σ²)·D        σ̃² = (σ² − σ'²)·σ'²/σ²
//! ```
//!
//! Variance-preserving latents are x = √ᾱ·y with σ² = (1−ᾱ)/ᾱ. Their step's mean and variance, in the usual discrete form
//! with α = ᾱ/ᾱ', are (x − (1−α)/√(1−ᾱ)·ε)/√α = √ᾱ'·μ(D) and (1−ᾱ')/(1−ᾱ)·(1−α) = ᾱ'·σ̃²: put ε = (x − √ᾱ·D)/√(1−ᾱ)
//! in. So one form serves every sampler and every kind of prediction, and ‖x' − mean‖²/variance is the same number in
//! both. `tests/goldens/make_guidance.py` computes either source's own form, and the tests compare.
//!
//! Sources: feedback guidance (Koulischer et al. 2025, arXiv 2506.06085), FBG_using_edm2@0049f95 `generate_images_FBG.py`;
//! dynamic negative guidance (Koulischer et al. 2025, ICLR), Dynamic-Negative-Guidance@9bd4838
//! `utils/Generate_Batch_pretrained.py`; limited interval (Kynkäänniemi et al. 2024, arXiv 2404.07724).

use retouch_ports::step_engine::{DynamicGuidance, NegativeGuidance};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Branch, Branches};

/// The text scale at which the reference posterior of FBG_using_edm2 stands at `t0`.
const REFERENCE_SCALE: f64 = 3.0;
/// What the temperature of FBG_using_edm2 is a fraction of, at `t1`.
const TEMPERATURE_DIVISOR: f64 = 10.0;
/// Largest logarithm of the posterior ratio; there the text scale is 1/(1 − (1−π)·e⁻³).
const MAX_LOG_RATIO: f64 = 3.0;
/// Smallest posterior of the negative prompt.
const MIN_NEGATIVE: f64 = 1e-6;

/// What a row carries from forward to forward.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Feedback {
    /// L: logarithm of p(text | latents) over p(text), so far.
    pub(crate) log_ratio: f64,
    /// p: posterior of the negative prompt, so far.
    pub(crate) negative: f64,
}

/// A [`Feedback`] in an export: the bits of its numbers, as text formats round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FeedbackBits([u64; 2]);

impl From<Feedback> for FeedbackBits {
    fn from(feedback: Feedback) -> Self {
        Self([feedback.log_ratio.to_bits(), feedback.negative.to_bits()])
    }
}

impl FeedbackBits {
    /// The numbers, if they are some.
    pub(crate) fn read(self) -> Option<Feedback> {
        let [log_ratio, negative] = self.0.map(f64::from_bits);
        let usable = log_ratio.abs() <= 100.0 && (0.0..1.0).contains(&negative);
        usable.then_some(Feedback { log_ratio, negative })
    }
}

/// Dynamic guidance of one row.
#[derive(Debug, Clone)]
pub(crate) struct Dynamic {
    settings: DynamicGuidance,
    /// The part of the text scale that does not change.
    constant: f64,
    /// Smallest L, at which the text scale is the largest.
    min_log_ratio: f64,
    /// δ and τ.
    offset: f64,
    temperature: f64,
    /// Image scale; 1 when there is no image.
    image: f64,
    editing: bool,
    has_negative: bool,
    /// σ at every forward.
    sigmas: Vec<f64>,
}

/// What a row asks for.
pub(super) struct Scales {
    /// s_T after the prior.
    pub(super) text: f64,
    /// s_I; `None` without an image.
    pub(super) image: Option<f64>,
    pub(super) has_negative: bool,
}

/// One step, from σ to σ', as latents x0 + σ·ε.
pub(super) struct Move<'a> {
    pub(super) from: &'a Tensor,
    pub(super) to: &'a Tensor,
    pub(super) sigma: f64,
    pub(super) next: f64,
}

impl Dynamic {
    /// Guidance over the noise levels `sigmas`, one a forward.
    pub(super) fn new(settings: DynamicGuidance, scales: &Scales, sigmas: Vec<f64>) -> Self {
        let constant = 1.0 + settings.constant * (scales.text - 1.0);
        let max = 1.0 + settings.max * (scales.text - 1.0);
        let rest = 1.0 - settings.pi;
        let variances = variances(&sigmas, settings.interval);
        // The constant part counts towards the largest scale.
        let feedback = (max - constant + 1.0).max(1.0 / settings.pi * (1.0 + f64::EPSILON));
        let steps = variances.len().max(1) as f64;
        let offset = (rest * REFERENCE_SCALE / (REFERENCE_SCALE - 1.0)).ln() / ((1.0 - settings.t0) * steps);
        let temperature = (2.0 * value_at(&variances, settings.t1) * offset / TEMPERATURE_DIVISOR).abs();
        Self {
            settings,
            constant,
            min_log_ratio: (rest * feedback / (feedback - 1.0)).ln().min(0.0),
            offset,
            temperature,
            image: scales.image.unwrap_or(1.0),
            editing: scales.image.is_some(),
            has_negative: scales.has_negative,
            sigmas,
        }
    }

    pub(super) fn start(&self) -> Feedback {
        Feedback { log_ratio: 0.0, negative: self.settings.negative.prior }
    }

    pub(super) fn is_editing(&self) -> bool {
        self.editing
    }

    fn is_on(&self, i: usize) -> bool {
        self.sigmas.get(i).is_some_and(|&sigma| is_within(sigma, self.settings.interval))
    }

    /// Branches of forward `i`. Outside of the interval the full condition alone; inside, those that the rules compare
    /// are evaluated whatever their coefficient.
    pub(super) fn branches(&self, i: usize, feedback: &Feedback) -> Branches {
        if !self.is_on(i) {
            return vec![(Branch::Full, 1.0)];
        }
        let text = text_scale(feedback.log_ratio, self.settings.pi) + self.constant - 1.0;
        let negative =
            if self.has_negative { negative_scale(&self.settings.negative, feedback) } else { 0.0 };
        let mut branches = vec![(Branch::Full, text)];
        if self.editing {
            branches.push((Branch::Image, self.image - text + negative));
            branches.extend((self.image != 1.0).then_some((Branch::None, 1.0 - self.image)));
        } else {
            branches.push((Branch::None, 1.0 - text + negative));
        }
        branches.extend(self.has_negative.then_some((Branch::Negative, -negative)));
        branches
    }

    /// The noise levels from which and to which forward `i` goes, if the rules learn from it: not where guidance is off,
    /// after the last forward, or where a sampler stays at its level.
    pub(super) fn transition(&self, i: usize) -> Option<(f64, f64)> {
        let (sigma, next) = (*self.sigmas.get(i)?, *self.sigmas.get(i + 1)?);
        (self.is_on(i) && next < sigma && next > 0.0).then_some((sigma, next))
    }

    /// The feedback after a step. `denoised` are predictions of the image: with the text, without it, and with the
    /// negative prompt if there is one.
    pub(super) fn update(
        &self,
        feedback: Feedback,
        step: &Move,
        (text, without, negative): (&Tensor, &Tensor, Option<&Tensor>),
    ) -> Feedback {
        let variance = variance(step.sigma, step.next);
        let distance = step.distance(text, without);
        let log_ratio = feedback.log_ratio - self.temperature / (2.0 * variance) * distance + self.offset;
        let p = negative.map_or(feedback.negative, |negative| {
            let NegativeGuidance { temperature, offset, max, .. } = self.settings.negative;
            let distance = step.distance(negative, without);
            // δ is in units of variance-preserving latents.
            let signal = 1.0 / (1.0 + step.next * step.next);
            let exponent = (-temperature * distance + offset / signal) / (2.0 * variance);
            (feedback.negative * exponent.exp()).clamp(MIN_NEGATIVE, max)
        });
        Feedback { log_ratio: log_ratio.clamp(self.min_log_ratio, MAX_LOG_RATIO), negative: p }
    }
}

impl Move<'_> {
    /// ‖y' − μ(with)‖² − ‖y' − μ(without)‖².
    fn distance(&self, with: &Tensor, without: &Tensor) -> f64 {
        let wide = |t: &Tensor| t.to_kind(Kind::Double);
        let keep = self.next * self.next / (self.sigma * self.sigma);
        let rest = wide(self.to) - wide(self.from) * keep;
        let squares = |prediction: &Tensor| {
            (&rest - wide(prediction) * (1.0 - keep)).square().sum(Kind::Double).double_value(&[])
        };
        squares(with) - squares(without)
    }
}

/// w = e^L/(e^L − (1−π)).
fn text_scale(log_ratio: f64, pi: f64) -> f64 {
    let ratio = log_ratio.exp();
    ratio / (ratio - (1.0 - pi))
}

/// λ·p/(1−p).
fn negative_scale(settings: &NegativeGuidance, feedback: &Feedback) -> f64 {
    settings.scale * feedback.negative / (1.0 - feedback.negative)
}

/// σ̃² of a step.
fn variance(sigma: f64, next: f64) -> f64 {
    let (from, to) = (sigma * sigma, next * next);
    (from - to) * to / from
}

/// Whether guidance is on at a noise level.
fn is_within(sigma: f64, (low, high): (f64, f64)) -> bool {
    sigma > low && sigma <= high && sigma.is_finite()
}

/// σ̃² of the steps that begin where guidance is on, the last step first; that ends at σ' = 0 if nothing comes after it.
fn variances(sigmas: &[f64], interval: (f64, f64)) -> Vec<f64> {
    let mut levels = sigmas.to_vec();
    // A sampler that evaluates a level twice steps from it once.
    levels.dedup();
    levels.push(0.0);
    let steps = levels.windows(2).rev().filter(|pair| is_within(pair[0], interval));
    steps.map(|pair| variance(pair[0], pair[1])).collect()
}

/// The value at the time `t` of `values`, which begin at time 0; linear between them.
fn value_at(values: &[f64], t: f64) -> f64 {
    let place = t * values.len() as f64;
    let at = |i: usize| values.get(i.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0);
    let below = place.floor();
    (1.0 - (place - below)) * at(below as usize) + (place - below) * at(below as usize + 1)
}
