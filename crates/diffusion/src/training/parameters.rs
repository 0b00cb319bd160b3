//! The float32 tensors of one network in training.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, Tensor};

use crate::checkpoint::Checkpoint;
use crate::noise::SeededNoise;

/// Standard deviation of a new embedding's values.
const EMBEDDING_STD: f64 = 0.02;

/// What the share of noise in a [`Begin::Through`] is.
const THROUGH_NOISE: f64 = 0.3;

/// How a tensor begins that no earlier training left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Drawn, as its name and shape ask for.
    Drawn,
    /// At zero: the last layer of a branch, which so begins by adding nothing (arXiv 1706.02677 §5.1).
    Zero,
    /// A layer of the main path, which begins by passing channels on, each to the one of its number, with a little noise
    /// (arXiv 1706.00388): the mean of `taps`² inputs from the kernel's place (`first`, `first`) on.
    Through {
        /// Row and column in the kernel.
        first: i64,
        /// Rows and columns.
        taps: i64,
    },
}

/// The leaves of one network by their names in the checkpoint, made when the network first asks for them.
///
/// A tensor that no earlier training left has its initial value from its name and the seed alone, so that a network
/// begins with the same values whatever else is built.
pub(crate) struct Parameters {
    seed: u64,
    device: Device,
    trained: bool,
    leaves: Mutex<BTreeMap<String, Tensor>>,
}

impl Parameters {
    /// No tensors yet. `trained` or only passing gradients on.
    pub(crate) fn new(seed: u64, device: Device, trained: bool) -> Self {
        Self { seed, device, trained, leaves: Mutex::default() }
    }

    /// Begins with the values of a checkpoint.
    pub(crate) fn from_checkpoint(checkpoint: &Checkpoint, seed: u64, device: Device, trained: bool) -> Self {
        let new = Self::new(seed, device, trained);
        for (name, stored) in checkpoint.tensors() {
            new.insert(name, &stored);
        }
        new
    }

    /// Where the tensors lie.
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// Gives the tensor `name` a value.
    pub(crate) fn insert(&self, name: &str, value: &Tensor) {
        let leaf = value.detach().to_kind(Kind::Float).to_device(self.device).copy();
        self.lock().insert(name.to_owned(), leaf.set_requires_grad(self.trained));
    }

    /// Gives a convolution `[o, i, k, k]` zero weights for further input channels, `inputs` in all, so that it begins by
    /// ignoring them.
    pub(crate) fn widen_inputs(&self, name: &str, inputs: i64) {
        let Some(narrow) = self.lock().get(name).map(Tensor::detach) else { return };
        let size = narrow.size();
        let added = Tensor::zeros([size[0], inputs - size[1], size[2], size[3]], (Kind::Float, self.device));
        self.insert(name, &Tensor::cat(&[narrow, added], 1));
    }

    /// The leaf `name` of exactly `shape`, or what is wrong with it.
    pub(crate) fn leaf(&self, name: &str, shape: &[i64], begin: Begin) -> Result<Tensor, String> {
        let known = self.lock().get(name).map(Tensor::shallow_clone);
        let leaf = match known {
            Some(leaf) => leaf,
            None => {
                self.insert(name, &self.initial(name, shape, begin));
                self.lock()[name].shallow_clone()
            }
        };
        if leaf.size() != shape {
            return Err(format!("tensor `{name}` has the shape {:?} instead of {shape:?}", leaf.size()));
        }
        Ok(leaf)
    }

    /// All leaves in order of their names.
    pub(crate) fn leaves(&self) -> Vec<(String, Tensor)> {
        self.lock().iter().map(|(name, leaf)| (name.clone(), leaf.shallow_clone())).collect()
    }

    /// The first value of a tensor: PyTorch's spread for weights (variance 1/(3·fan-in), drawn normally), zero for
    /// biases, one for the scales of norms, and CLIP's values for its own; but for what begins otherwise.
    fn initial(&self, name: &str, shape: &[i64], begin: Begin) -> Tensor {
        let options = (Kind::Float, Device::Cpu);
        match (begin, shape) {
            (Begin::Zero, _) => return Tensor::zeros(shape, options),
            (Begin::Through { first, taps }, &[outputs, inputs, ..]) => {
                let drawn = self.initial(name, shape, Begin::Drawn) * THROUGH_NOISE;
                let mut same = drawn.narrow(2, first, taps).narrow(3, first, taps);
                same += Tensor::eye_m(outputs, inputs, options).view([outputs, inputs, 1, 1])
                    / (taps * taps) as f64;
                return drawn;
            }
            _ => {}
        }
        let drawn = |std: f64| SeededNoise::new(self.seed ^ name_hash(name)).next(shape) * std;
        match shape {
            // CLIP's logarithm of the factor between cosines and logits: ln(1/0.07).
            [] => Tensor::from(2.6593_f32),
            [_] if name.ends_with("class_embedding") => drawn(EMBEDDING_STD),
            [_] if name.ends_with("bias") => Tensor::zeros(shape, options),
            [_] => Tensor::ones(shape, options),
            [_, _] if name.ends_with("_embedding.weight") => drawn(EMBEDDING_STD),
            [_, inputs @ ..] => drawn((3.0 * inputs.iter().product::<i64>() as f64).recip().sqrt()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Tensor>> {
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FNV-1a, 64 bits.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_path_begins_by_passing_channels_on() {
        let leaf = |begin| {
            let parameters = Parameters::new(1, Device::Cpu, true);
            parameters.leaf("conv.weight", &[3, 2, 3, 3], begin).unwrap().detach()
        };
        let noise = leaf(Begin::Drawn) * THROUGH_NOISE;
        let through = leaf(Begin::Through { first: 1, taps: 2 }) - &noise;
        let mut expected = Tensor::zeros([3, 2, 3, 3], (Kind::Float, Device::Cpu));
        for channel in 0..2 {
            let kernel = expected.get(channel).get(channel);
            drop(kernel.narrow(0, 1, 2).narrow(1, 1, 2).fill_(0.25));
        }
        expected -= through;
        assert!(expected.abs().max().double_value(&[]) < 1e-6);
        assert_eq!(leaf(Begin::Zero).abs().max().double_value(&[]), 0.0);
        assert!(noise.abs().max().double_value(&[]) > 0.0);
    }
}
