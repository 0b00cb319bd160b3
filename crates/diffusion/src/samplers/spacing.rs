//! Which training timesteps a run visits, with numpy's own arithmetic (rounding included).

use super::settings::{Settings, Spacing};
use super::{SamplerError, SamplerKind};

/// `numpy.linspace(start, stop, n)`: evenly spaced, the end exact.
pub(super) fn linspace(start: f64, stop: f64, n: usize) -> Vec<f64> {
    let gaps = n.saturating_sub(1).max(1);
    let step = (stop - start) / gaps as f64;
    let mut values: Vec<f64> = (0..n).map(|i| i as f64 * step + start).collect();
    if n > 1 {
        values[n - 1] = stop;
    }
    values
}

/// `numpy.arange(start, 0, -step)`. numpy takes the spacing from its first two values, which rounds.
fn arange_down(start: f64, step: f64) -> Vec<f64> {
    let len = (start / step).ceil() as usize;
    let delta = (start - step) - start;
    (0..len).map(|i| start + i as f64 * delta).collect()
}

/// `numpy.interp(x, [0, 1, ..], table)`.
pub(super) fn interp(table: &[f32], x: f64) -> f64 {
    let last = table.len() - 1;
    if x <= 0.0 {
        return f64::from(table[0]);
    }
    let low = x.floor() as usize;
    if low >= last {
        return f64::from(table[last]);
    }
    let (below, above) = (f64::from(table[low]), f64::from(table[low + 1]));
    (above - below) * (x - low as f64) + below
}

/// "trailing": from the last timestep down in equal parts of the whole.
///
/// diffusers v0.42.1, `set_timesteps` of every scheduler class. For some pairs (1000 training timesteps and
/// 61, 103, 121 steps, for instance) rounding makes numpy return one value more, which is a timestep of -1
/// there; it is left out here.
fn trailing(last: usize, train: usize, steps: usize) -> Vec<f64> {
    let ratio = train as f64 / steps as f64;
    let downwards = arange_down(last as f64, ratio).into_iter().map(|t| t.round_ties_even() - 1.0);
    downwards.filter(|&t| t >= 0.0).collect()
}

/// Whole timesteps, from the noisiest down, of the samplers that index ᾱ by them.
pub(super) fn whole(settings: &Settings, steps: usize) -> Vec<i64> {
    let train = settings.num_train_timesteps;
    let offset = settings.steps_offset;
    let down = match settings.spacing {
        Spacing::Linspace => reversed_rounded(linspace(0.0, (train - 1) as f64, steps)),
        Spacing::Leading => leading(train / steps, steps, offset),
        Spacing::Trailing => trailing(train, train, steps),
    };
    down.into_iter().map(|t| t as i64).collect()
}

/// Timesteps of the Euler samplers: `linspace` keeps its fractions, as float32.
pub(super) fn fractional(settings: &Settings, steps: usize) -> Vec<f32> {
    let train = settings.num_train_timesteps;
    let down = match settings.spacing {
        Spacing::Linspace => linspace(0.0, (train - 1) as f64, steps).into_iter().rev().collect(),
        Spacing::Leading => leading(train / steps, steps, settings.steps_offset),
        Spacing::Trailing => trailing(train, train, steps),
    };
    down.into_iter().map(|t| t as f32).collect()
}

/// Timesteps of DPM-Solver++: one more than the steps, the last left out; `last` is one above the noisiest.
pub(super) fn multistep(settings: &Settings, last: usize, steps: usize) -> Vec<i64> {
    let mut down = match settings.spacing {
        Spacing::Linspace => reversed_rounded(linspace(0.0, last as f64 - 1.0, steps + 1)),
        Spacing::Leading => leading(last / (steps + 1), steps + 1, settings.steps_offset),
        Spacing::Trailing => trailing(last, settings.num_train_timesteps, steps),
    };
    if settings.spacing != Spacing::Trailing {
        down.truncate(steps);
    }
    down.into_iter().map(|t| t as i64).collect()
}

fn leading(ratio: usize, steps: usize, offset: i64) -> Vec<f64> {
    (0..steps).rev().map(|i| (i * ratio) as f64 + offset as f64).collect()
}

fn reversed_rounded(up: Vec<f64>) -> Vec<f64> {
    up.into_iter().rev().map(f64::round_ties_even).collect()
}

/// Checks that every timestep is one of the training schedule.
pub(super) fn check_range(kind: SamplerKind, timesteps: &[i64], train: usize) -> Result<(), SamplerError> {
    let outside = timesteps.iter().find(|&&t| usize::try_from(t).map_or(true, |t| t >= train));
    outside.map_or(Ok(()), |&timestep| {
        Err(SamplerError::TimestepOutOfRange { sampler: kind, timestep, max: train - 1 })
    })
}
