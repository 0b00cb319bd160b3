//! All trained tensors on one flat buffer: an optimizer step is a handful of operations, however many tensors there are.

use tch::{Device, Kind, Tensor};

use super::parameters::Parameters;
use crate::error::{Error, Result};

/// The trained leaves of one or more networks, their values side by side in memory, and a moving average of them.
pub struct Flat {
    /// `[n]` float32, the leaves' own memory: the decayed ones first.
    values: Tensor,
    /// `[n]` float32.
    average: Tensor,
    /// How many of the values weight decay applies to.
    decayed: i64,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    leaf: Tensor,
    start: i64,
}

impl Flat {
    /// Moves the leaves of `networks`, each below its name, onto one buffer. Matrices and convolutions decay; scales,
    /// biases and embeddings do not.
    pub(crate) fn new(networks: &[(&str, &Parameters)], device: Device) -> Self {
        let decays = |name: &str, leaf: &Tensor| leaf.dim() > 1 && !name.ends_with("_embedding.weight");
        let all = networks.iter().flat_map(|(network, parameters)| {
            parameters.leaves().into_iter().map(move |(name, leaf)| (format!("{network}.{name}"), leaf))
        });
        let (first, second): (Vec<_>, Vec<_>) = all.partition(|(name, leaf)| decays(name, leaf));
        let size = |leaf: &(String, Tensor)| leaf.1.numel() as i64;
        let decayed = first.iter().map(size).sum();
        let total = decayed + second.iter().map(size).sum::<i64>();
        let values = Tensor::zeros([total], (Kind::Float, device));
        let mut start = 0;
        let entries = tch::no_grad(|| {
            let settle = |(name, mut leaf): (String, Tensor)| {
                let length = leaf.numel() as i64;
                let mut place = values.narrow(0, start, length).view(leaf.size().as_slice());
                place.copy_(&leaf);
                leaf.set_data(&place);
                start += length;
                Entry { name, leaf, start: start - length }
            };
            first.into_iter().chain(second).map(settle).collect()
        });
        let average = values.copy();
        Self { values, average, decayed, entries }
    }

    /// Number of trained values.
    pub fn len(&self) -> i64 {
        self.values.size()[0]
    }

    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The current values, `[n]`; writing to them changes the networks.
    pub(super) fn values(&self) -> Tensor {
        self.values.shallow_clone()
    }

    /// The part of the values that weight decay applies to.
    pub(super) fn decayed(&self) -> Tensor {
        self.values.narrow(0, 0, self.decayed)
    }

    /// The moving average, `[n]`.
    pub(super) fn average(&self) -> Tensor {
        self.average.shallow_clone()
    }

    /// Moves the average by `1 − decay` of the way to the values.
    pub(super) fn follow(&mut self, decay: f64) {
        tch::no_grad(|| drop(self.average.lerp_(&self.values, 1.0 - decay)));
    }

    /// The gradients that backward passes have added up, `[n]`; they begin again at zero.
    pub(super) fn take_gradient(&self) -> Tensor {
        tch::no_grad(|| {
            let gradient = self.values.zeros_like();
            for entry in &self.entries {
                let mut own = entry.leaf.grad();
                if own.defined() {
                    gradient.narrow(0, entry.start, own.numel() as i64).copy_(&own.reshape([-1]));
                    drop(own.zero_());
                }
            }
            gradient
        })
    }

    /// The averages of `network` by the names that its checkpoint uses.
    pub fn averages(&self, network: &str) -> Vec<(String, Tensor)> {
        self.named(network, &self.average)
    }

    fn named(&self, network: &str, flat: &Tensor) -> Vec<(String, Tensor)> {
        let own = |entry: &Entry| {
            let name = entry.name.strip_prefix(network)?.strip_prefix('.')?;
            let part = flat.narrow(0, entry.start, entry.leaf.numel() as i64);
            Some((name.to_owned(), part.view(entry.leaf.size().as_slice())))
        };
        self.entries.iter().filter_map(own).collect()
    }

    /// What lies where: a line for each tensor. Two trainings of the same networks have the same.
    pub(super) fn layout(&self) -> String {
        let line = |e: &Entry| format!("{} {:?}\n", e.name, e.leaf.size());
        self.entries.iter().map(line).collect()
    }

    /// Takes over values and averages `[n]` of an earlier part of the same training.
    pub(super) fn restore(&mut self, values: &Tensor, average: &Tensor) -> Result<()> {
        for (name, tensor) in [("values", values), ("average", average)] {
            if tensor.size() != [self.len()] {
                let value = format!("{:?} {name}", tensor.size());
                let expected = format!("{} of them, as the networks have", self.len());
                return Err(Error::Parameter { name: "checkpoint", value, expected });
            }
        }
        tch::no_grad(|| {
            self.values.copy_(values);
            self.average.copy_(average);
        });
        Ok(())
    }
}
