//! PNDM: a Runge-Kutta start (unless `skip_prk_steps`), then a linear multistep method.

use tch::{TchError, Tensor};

use super::ops::{Level, keep, roots, times};
use super::plan::{Inputs, Plan};
use super::settings::{Prediction, Settings};
use super::state::History;
use super::{SamplerError, spacing};

/// x' = ratio·x - change·e/denominator, where e is a mix of the last model outputs.
pub(super) struct Pndm {
    prediction: Prediction,
    /// Runge-Kutta forwards at the start; 0 or 12.
    runge_kutta: usize,
    moves: Vec<Move>,
}

/// Formula (9) of arXiv 2202.09778 between two timesteps.
#[derive(Clone, Copy)]
struct Move {
    level: Level,
    ratio: f32,
    change: f32,
    denominator: f32,
}

impl Move {
    /// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_pndm.py`, `_get_prev_sample`.
    fn all(pairs: &[(f32, f32)]) -> Result<Vec<Self>, TchError> {
        let (alphas, nexts): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
        let map = |value: fn(f32, f32) -> f32| {
            roots(&pairs.iter().map(|&(alpha, next)| value(alpha, next)).collect::<Vec<_>>())
        };
        let ratios = map(|alpha, next| next / alpha)?;
        let mixed = map(|alpha, next| alpha * (1.0 - alpha) * next)?;
        let (levels, next_levels) = (Level::all(&alphas)?, Level::all(&nexts)?);
        let one = |i: usize| Self {
            level: levels[i],
            ratio: ratios[i],
            change: nexts[i] - alphas[i],
            denominator: alphas[i] * next_levels[i].noise + mixed[i],
        };
        Ok((0..pairs.len()).map(one).collect())
    }

    fn is_usable(&self) -> bool {
        self.ratio.is_finite() && self.denominator > 0.0
    }

    fn apply(&self, prediction: Prediction, sample: &Tensor, output: &Tensor) -> Result<Tensor, TchError> {
        let epsilon = self.level.epsilon(prediction, output, sample)?;
        let change = times(&epsilon, self.change)?.f_div_scalar(f64::from(self.denominator))?;
        times(sample, self.ratio)?.f_sub(&change)
    }
}

/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_pndm.py`, `set_timesteps`.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Pndm>, SamplerError> {
    let train = settings.num_train_timesteps;
    let mut up = spacing::whole(settings, steps);
    up.reverse();
    let stride = i64::try_from(train / steps).expect("the number of timesteps is capped");
    let (timesteps, moves) = if settings.skip_prk_steps {
        linear_start(&up, stride)
    } else if steps < 4 {
        return Err(SamplerError::Steps { steps, sampler: settings.kind, min: 4, max: train });
    } else {
        runge_kutta_start(&up, stride)
    };
    spacing::check_range(settings.kind, &timesteps, train)?;
    let last = if settings.set_alpha_to_one { 1.0 } else { alphas[0] };
    let from: Vec<i64> = moves.iter().map(|&(from, _)| from).collect();
    spacing::check_range(settings.kind, &from, train)?;
    let alpha = |t: i64| usize::try_from(t).map_or(last, |t| alphas[t]);
    let pairs: Vec<(f32, f32)> = moves.iter().map(|&(from, to)| (alpha(from), alpha(to))).collect();
    let moves = Move::all(&pairs).map_err(SamplerError::tensor("the coefficients of PNDM"))?;
    let usable = moves.iter().map(Move::is_usable);
    let noise = vec![false; timesteps.len()];
    let plan = Plan::whole(settings.kind, &timesteps, noise, usable)?;
    let runge_kutta = if settings.skip_prk_steps { 0 } else { RUNGE_KUTTA_FORWARDS };
    Ok(plan.with(Pndm { prediction: settings.prediction, runge_kutta, moves }))
}

/// Three Runge-Kutta steps of four forwards.
const RUNGE_KUTTA_FORWARDS: usize = 12;

/// Timesteps and (from, to) of each forward; the second forward repeats the first move with a better output.
fn linear_start(up: &[i64], stride: i64) -> (Vec<i64>, Vec<(i64, i64)>) {
    let mut timesteps: Vec<i64> = up.iter().rev().copied().collect();
    if let Some(&second) = timesteps.get(1) {
        timesteps.insert(1, second);
    }
    let step = |(i, &t): (usize, &i64)| if i == 1 { (t + stride, t) } else { (t, t - stride) };
    let moves = timesteps.iter().enumerate().map(step).collect();
    (timesteps, moves)
}

/// diffusers v0.42.1, same file, `set_timesteps` and `step_prk`: forwards at t, twice at the middle, at the
/// next t.
fn runge_kutta_start(up: &[i64], stride: i64) -> (Vec<i64>, Vec<(i64, i64)>) {
    let half = stride / 2;
    let top: Vec<i64> = up[up.len() - 4..].iter().rev().copied().collect();
    let mut timesteps: Vec<i64> =
        top.windows(2).flat_map(|pair| [pair[0], pair[1] + half, pair[1] + half, pair[1]]).collect();
    let mut moves: Vec<(i64, i64)> = timesteps
        .iter()
        .enumerate()
        .map(|(i, &t)| (timesteps[i / 4 * 4], if i % 2 == 0 { t - half } else { t }))
        .collect();
    for &t in up[..up.len() - 3].iter().rev() {
        timesteps.push(t);
        moves.push((t, t - stride));
    }
    (timesteps, moves)
}

impl Pndm {
    /// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_pndm.py`, `step_prk` and `step_plms`.
    pub(super) fn advance(
        &self,
        forward: usize,
        inputs: &Inputs<'_>,
        history: &mut History,
    ) -> Result<Tensor, TchError> {
        if forward < self.runge_kutta {
            self.runge_kutta(forward, inputs, history)
        } else {
            self.linear(forward, inputs, history)
        }
    }

    fn runge_kutta(
        &self,
        forward: usize,
        inputs: &Inputs<'_>,
        history: &mut History,
    ) -> Result<Tensor, TchError> {
        let output = inputs.model_output;
        let weight = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0][forward % 4];
        let mut sum = output.f_mul_scalar(weight)?;
        if let Some(before) = &history.sum {
            sum = before.f_add(&sum)?;
        }
        // The first three forwards of a step only probe; the last moves by the weighted sum.
        let estimate = if forward % 4 == 3 { &sum } else { output };
        let sample = history.sample.as_ref().unwrap_or(inputs.sample);
        let next = self.moves[forward].apply(self.prediction, sample, estimate)?;
        match forward % 4 {
            0 => {
                let (kept, held) = (keep(output)?, keep(inputs.sample)?);
                history.outputs.push(kept);
                (history.sum, history.sample) = (Some(sum), Some(held));
            }
            3 => (history.sum, history.sample) = (None, None),
            _ => history.sum = Some(sum),
        }
        Ok(next)
    }

    fn linear(&self, forward: usize, inputs: &Inputs<'_>, history: &mut History) -> Result<Tensor, TchError> {
        let output = inputs.model_output;
        let past = &history.outputs;
        let back = |n: usize| &past[past.len() - n];
        let estimate = match (forward, past.len()) {
            (0, _) => output.shallow_clone(),
            (1, _) => output.f_add(back(1))?.f_div_scalar(2.0)?,
            (_, 1) => mix(&[(3.0, output), (-1.0, back(1))])?.f_div_scalar(2.0)?,
            (_, 2) => mix(&[(23.0, output), (-16.0, back(1)), (5.0, back(2))])?.f_div_scalar(12.0)?,
            _ => mix(&[(55.0, output), (-59.0, back(1)), (37.0, back(2)), (-9.0, back(3))])?
                .f_mul_scalar(1.0 / 24.0)?,
        };
        let sample = history.sample.as_ref().unwrap_or(inputs.sample);
        let next = self.moves[forward].apply(self.prediction, sample, &estimate)?;
        if forward == 1 {
            history.sample = None;
            return Ok(next);
        }
        let kept = keep(output)?;
        if forward == 0 {
            history.sample = Some(keep(inputs.sample)?);
        }
        history.outputs.push(kept);
        let surplus = history.outputs.len().saturating_sub(3);
        history.outputs.drain(..surplus);
        Ok(next)
    }

    /// How many outputs a row holds after some forwards, and whether it holds a sample and a sum.
    pub(super) fn held(&self, done: usize) -> (usize, bool, bool) {
        if self.runge_kutta == 0 {
            return (if done < 2 { done } else { (done - 1).min(3) }, done == 1, false);
        }
        let started = done.min(self.runge_kutta).div_ceil(4);
        let inside = done < self.runge_kutta && !done.is_multiple_of(4);
        (started.min(3), inside, inside)
    }
}

/// Σ factor·output, from left to right.
fn mix(terms: &[(f64, &Tensor)]) -> Result<Tensor, TchError> {
    let (factor, output) = terms[0];
    terms[1..].iter().try_fold(output.f_mul_scalar(factor)?, |sum, (factor, output)| {
        sum.f_add(&output.f_mul_scalar(*factor)?)
    })
}
