//! What one row carries between its forwards, and how it moves to another process.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::ops::{describe, keep};
use super::{SamplerError, SamplerKind};

/// The state of one row; every row of a batch has its own.
#[derive(Debug)]
pub struct SamplerState {
    pub(super) sampler: SamplerKind,
    pub(super) steps: usize,
    pub(super) first: usize,
    pub(super) forward: usize,
    pub(super) history: History,
}

/// Tensors of earlier forwards, in memory of their own.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Model outputs (PNDM) or predicted x0 (DPM-Solver++), oldest first.
    pub(super) outputs: Vec<Tensor>,
    /// The sample from which several forwards move (PNDM).
    pub(super) sample: Option<Tensor>,
    /// The weighted sum of a Runge-Kutta step so far (PNDM).
    pub(super) sum: Option<Tensor>,
}

/// The exported part of a state that is not tensors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerCounters {
    /// The sampler whose state this is.
    pub sampler: SamplerKind,
    /// Its inference steps.
    pub steps: usize,
    /// The forward that the row began with.
    pub first: usize,
    /// The forward that comes next.
    pub forward: usize,
}

const OUTPUT: &str = "output.";
const SAMPLE: &str = "sample";
const SUM: &str = "sum";

/// What a history must hold: outputs, a sample, a sum.
pub(super) type Held = (usize, bool, bool);

impl SamplerState {
    /// The forward that comes next, from 0.
    #[must_use]
    pub fn forward(&self) -> usize {
        self.forward
    }

    /// A second state at the same place. The tensors are shared, as no forward changes them in place.
    #[must_use]
    pub fn fork(&self) -> Self {
        let share = |t: &Option<Tensor>| t.as_ref().map(Tensor::shallow_clone);
        let history = History {
            outputs: self.history.outputs.iter().map(Tensor::shallow_clone).collect(),
            sample: share(&self.history.sample),
            sum: share(&self.history.sum),
        };
        Self { sampler: self.sampler, steps: self.steps, first: self.first, forward: self.forward, history }
    }

    /// Everything that the rest of the row needs beside its latents: counters, and copies of the history by
    /// name.
    ///
    /// # Errors
    /// A failed copy.
    pub fn export(&self) -> Result<(SamplerCounters, Vec<(String, Tensor)>), SamplerError> {
        let counters = SamplerCounters {
            sampler: self.sampler,
            steps: self.steps,
            first: self.first,
            forward: self.forward,
        };
        let outputs = self.history.outputs.iter().enumerate().map(|(i, t)| (format!("{OUTPUT}{i}"), t));
        let others = [(SAMPLE, &self.history.sample), (SUM, &self.history.sum)];
        let others = others.into_iter().filter_map(|(name, t)| Some((name.to_owned(), t.as_ref()?)));
        let tensors = outputs.chain(others).map(|(name, tensor)| Ok((name, keep(tensor)?)));
        let tensors = tensors.collect::<Result<_, _>>().map_err(SamplerError::tensor("export"))?;
        Ok((counters, tensors))
    }
}

impl History {
    /// Takes exported tensors, exactly those that the forward needs.
    pub(super) fn import(
        (outputs, sample, sum): Held,
        mut tensors: Vec<(String, Tensor)>,
    ) -> Result<Self, SamplerError> {
        if let Some(wrong) =
            tensors.iter().find(|(_, t)| t.kind() != Kind::Float || t.size() != tensors[0].1.size())
        {
            let got = describe(&wrong.1.size(), wrong.1.kind());
            let reason = format!("`{}` is {got}, and all must be float32 of one shape", wrong.0);
            return Err(SamplerError::Import { reason });
        }
        let mut take = |name: &str| {
            let at = tensors.iter().position(|(have, _)| have == name);
            let at =
                at.ok_or_else(|| SamplerError::Import { reason: format!("tensor `{name}` is missing") })?;
            keep(&tensors.swap_remove(at).1).map_err(SamplerError::tensor("import"))
        };
        let history = Self {
            outputs: (0..outputs).map(|i| take(&format!("{OUTPUT}{i}"))).collect::<Result<_, _>>()?,
            sample: sample.then(|| take(SAMPLE)).transpose()?,
            sum: sum.then(|| take(SUM)).transpose()?,
        };
        match tensors.first() {
            None => Ok(history),
            Some((name, _)) => {
                Err(SamplerError::Import { reason: format!("tensor `{name}` is not expected") })
            }
        }
    }
}
