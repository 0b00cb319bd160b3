//! Which branches of the network a row needs, and how they add up.
//!
//! Three-branch guidance of InstructPix2Pix (Brooks et al. 2023, arXiv 2211.09800, eq. 3), rearranged by branch:
//! ε = s_T·ε(I,T) + (s_I − s_T)·ε(I,∅) + (1 − s_I)·ε(∅,∅). A branch whose coefficient is exactly 0 is not evaluated.
//!
//! Dynamic guidance has s_T follow the row, and adds −n·(ε(I,N) − ε(I,∅)) for a negative prompt N: see [`dynamic`].

mod dynamic;

use retouch_ports::step_engine::{DynamicGuidance, Guidance, NegativeGuidance, RowRequest, Task};
use tch::Tensor;

use self::dynamic::{Dynamic, Move, Scales};
pub(super) use self::dynamic::{Feedback, FeedbackBits};
use crate::error::{Error, Result};
use crate::samplers::Sampler;

/// What one evaluation of the network is conditioned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Branch {
    /// Text and, when editing, image.
    Full,
    /// Image, without the text. Only when editing.
    Image,
    /// Neither.
    None,
    /// Image, when editing, and the negative prompt as text. Only with dynamic guidance: else the negative prompt stands
    /// where there is no text.
    Negative,
}

/// Branches with their coefficients, in the order of [`Branch`].
pub(super) type Branches = Vec<(Branch, f64)>;

/// The guidance of one row.
pub(super) enum RowGuidance {
    /// The same branches at every forward.
    Fixed(Branches),
    Dynamic(Box<Dynamic>),
}

/// A forward that is done: its latents before and after, and what the branches predicted, `[branches, C, h, w]`.
pub(super) struct Observed<'a> {
    pub(super) from: &'a Tensor,
    pub(super) to: &'a Tensor,
    pub(super) parts: &'a Tensor,
    pub(super) branches: &'a Branches,
}

impl RowGuidance {
    /// What `request` asks for. `complexity`, from 0 to 1, is that of its prompt.
    pub(super) fn new(request: &RowRequest, complexity: f64, sampler: &Sampler) -> Result<Self> {
        let (text, editing) = (request.guidance_text, matches!(request.task, Task::Edit { .. }));
        let image = editing.then_some(request.guidance_image);
        let is_off = text <= 1.0 || image.is_some_and(|image| image < 1.0);
        match request.guidance {
            Guidance::Dynamic(settings) => {
                check(&settings)?;
                if is_off {
                    return Ok(Self::Fixed(vec![(Branch::Full, 1.0)]));
                }
                let (low, high) = settings.prior;
                let text = 1.0 + (text - 1.0) * (low + (high - low) * complexity);
                let scales = Scales { text, image, has_negative: has_negative(request) };
                let sigmas =
                    (0..sampler.evaluations()).map(|i| sampler.sigma(i)).collect::<Result<_, _>>()?;
                Ok(Self::Dynamic(Box::new(Dynamic::new(settings, &scales, sigmas))))
            }
            Guidance::Fixed => Ok(Self::Fixed(match image {
                Some(image) => edit(text, image),
                None => generate(text),
            })),
        }
    }

    /// The row's state before its first forward.
    pub(super) fn start(&self) -> Feedback {
        match self {
            Self::Fixed(_) => Feedback::default(),
            Self::Dynamic(dynamic) => dynamic.start(),
        }
    }

    /// The branches of forward `i`.
    pub(super) fn branches(&self, i: usize, feedback: &Feedback) -> Branches {
        match self {
            Self::Fixed(branches) => branches.clone(),
            Self::Dynamic(dynamic) => dynamic.branches(i, feedback),
        }
    }

    /// The row's state after forward `i`.
    pub(super) fn observe(
        &self,
        feedback: Feedback,
        sampler: &Sampler,
        i: usize,
        seen: &Observed,
    ) -> Result<Feedback> {
        let Self::Dynamic(dynamic) = self else { return Ok(feedback) };
        let Some((sigma, next)) = dynamic.transition(i) else { return Ok(feedback) };
        let denoised = |branch: Branch| -> Result<Option<Tensor>> {
            let Some(at) = seen.branches.iter().position(|(b, _)| *b == branch) else { return Ok(None) };
            Ok(Some(sampler.denoised(i, &seen.parts.narrow(0, at as i64, 1), seen.from)?))
        };
        let without = if dynamic.is_editing() { Branch::Image } else { Branch::None };
        let (Some(text), Some(without)) = (denoised(Branch::Full)?, denoised(without)?) else {
            return Ok(feedback);
        };
        let from = sampler.unscaled(i, seen.from)?;
        let to = sampler.unscaled(i + 1, seen.to)?;
        let step = Move { from: &from, to: &to, sigma, next };
        Ok(dynamic.update(feedback, &step, (&text, &without, denoised(Branch::Negative)?.as_ref())))
    }
}

/// Whether the request has a negative prompt that is a branch of its own.
pub(super) fn has_negative(request: &RowRequest) -> bool {
    request.guidance != Guidance::Fixed && !request.negative.is_empty()
}

/// Refuses settings that the formulas do not hold for.
fn check(settings: &DynamicGuidance) -> Result<()> {
    let DynamicGuidance { interval: (low, high), prior, constant, max, pi, t0, t1, negative } = *settings;
    let NegativeGuidance { scale, prior: p, temperature, offset, max: p_max } = negative;
    let rules = [
        ("guidance.interval", low, low >= 0.0, "at least 0"),
        ("guidance.interval", high, high > low, "above the lower end"),
        ("guidance.prior", prior.0, (0.0..=10.0).contains(&prior.0), "from 0 to 10"),
        ("guidance.prior", prior.1, (0.0..=10.0).contains(&prior.1), "from 0 to 10"),
        ("guidance.constant", constant, (0.0..=1.0).contains(&constant), "from 0 to 1"),
        ("guidance.max", max, max >= constant && max <= 100.0, "from `constant` to 100"),
        ("guidance.pi", pi, pi > 0.0 && pi < 1.0, "above 0 and below 1"),
        ("guidance.t0", t0, (0.0..1.0).contains(&t0), "from 0 to below 1"),
        ("guidance.t1", t1, (0.0..=1.0).contains(&t1), "from 0 to 1"),
        ("guidance.negative.scale", scale, (0.0..=1000.0).contains(&scale), "from 0 to 1000"),
        ("guidance.negative.max", p_max, p_max > 0.0 && p_max < 1.0, "above 0 and below 1"),
        ("guidance.negative.prior", p, p > 0.0 && p <= p_max, "above 0 and up to `max`"),
        (
            "guidance.negative.temperature",
            temperature,
            (0.0..=1000.0).contains(&temperature),
            "from 0 to 1000",
        ),
        ("guidance.negative.offset", offset, offset.abs() <= 1000.0, "from -1000 to 1000"),
    ];
    match rules.into_iter().find(|(_, _, holds, _)| !holds) {
        None => Ok(()),
        Some((name, value, _, expected)) => {
            Err(Error::Parameter { name, value: value.to_string(), expected: expected.to_owned() })
        }
    }
}

/// Branches of an edit. Guidance is off for s_T ≤ 1 or s_I < 1, as in diffusers v0.42.1
/// `pipeline_stable_diffusion_instruct_pix2pix.py` `do_classifier_free_guidance`.
fn edit(text: f64, image: f64) -> Branches {
    if text <= 1.0 || image < 1.0 {
        return vec![(Branch::Full, 1.0)];
    }
    pruned([(Branch::Full, text), (Branch::Image, image - text), (Branch::None, 1.0 - image)])
}

/// Branches of text-to-image with classic guidance, off for s_T ≤ 1.
fn generate(text: f64) -> Branches {
    if text <= 1.0 {
        return vec![(Branch::Full, 1.0)];
    }
    pruned([(Branch::Full, text), (Branch::None, 1.0 - text)])
}

fn pruned<const N: usize>(branches: [(Branch, f64); N]) -> Branches {
    branches.into_iter().filter(|(_, coefficient)| *coefficient != 0.0).collect()
}

/// Gives `branches` an entry of coefficient 0 for each of `others` that it lacks: evaluated because another row of the
/// gang takes its attention from it.
pub(super) fn extend(branches: &mut Branches, others: &Branches) {
    for (branch, _) in others {
        if !branches.iter().any(|(own, _)| own == branch) {
            branches.push((*branch, 0.0));
        }
    }
    branches.sort_by_key(|(branch, _)| *branch);
}

/// The weighted sum of `parts [branches, C, h, w]`, as `[1, C, h, w]`.
pub(super) fn combine(parts: &Tensor, branches: &Branches) -> Tensor {
    if let [(_, 1.0)] = branches.as_slice() {
        return parts.shallow_clone();
    }
    let weights: Vec<f32> = branches.iter().map(|(_, c)| *c as f32).collect();
    let weights = Tensor::from_slice(&weights).to_device(parts.device()).view([-1, 1, 1, 1]);
    (parts * weights).sum_dim_intlist([0i64].as_slice(), true, None)
}

#[cfg(test)]
mod tests;
