//! Named access to a checkpoint's tensors while a network is built, and the account of what was asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result, contain};
use crate::training::Begin;

/// Where and in which type weights are wanted, and the account of what was asked for.
pub struct Weights {
    checkpoint: Arc<Checkpoint>,
    device: Device,
    kind: Kind,
    used: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

/// What a finished load says of its checkpoint.
#[derive(Debug, Default, Clone)]
pub struct LoadReport {
    /// Tensors in the checkpoint that the model has no place for.
    pub unused: Vec<String>,
}

/// Builds a network from `checkpoint`; `operation` says what was being done where that fails.
pub(crate) fn load<T>(
    operation: &'static str,
    checkpoint: Checkpoint,
    device: Device,
    kind: Kind,
    build: impl FnOnce(&Scope) -> T,
) -> Result<(T, LoadReport)> {
    contain(operation, || {
        let weights = Weights::new(Arc::new(checkpoint), device, kind);
        let network = tch::no_grad(|| build(&weights.root()));
        Ok((network, weights.finish()?))
    })
}

impl Weights {
    /// Weights of `checkpoint` for `device` in `kind`.
    pub fn new(checkpoint: Arc<Checkpoint>, device: Device, kind: Kind) -> Self {
        Self { checkpoint, device, kind, used: RefCell::default(), problems: RefCell::default() }
    }

    /// The top of the tensor names.
    pub fn root(&self) -> Scope<'_> {
        Scope { weights: self, prefix: String::new(), begin: Begin::Drawn }
    }

    /// Ends loading: an error that lists every missing or wrong-shaped tensor, or the report.
    pub fn finish(self) -> Result<LoadReport> {
        let problems = self.problems.into_inner();
        if !problems.is_empty() {
            return Err(Error::Tensors { path: self.checkpoint.folder().to_owned(), problems });
        }
        let used = self.used.into_inner();
        let unused = self.checkpoint.names().filter(|name| !used.contains(*name)).cloned().collect();
        Ok(LoadReport { unused })
    }

    fn problem(&self, text: String) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < 20 {
            problems.push(text);
        } else if problems.len() == 20 {
            problems.push("and more".into());
        }
    }
}

/// A path in a checkpoint: `scope / "down_blocks" / 0` is the prefix `down_blocks.0.`.
#[derive(Clone)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    begin: Begin,
}

impl<'a, D: Display> std::ops::Div<D> for &Scope<'a> {
    type Output = Scope<'a>;

    fn div(self, part: D) -> Scope<'a> {
        Scope { weights: self.weights, prefix: format!("{}{part}.", self.prefix), begin: self.begin }
    }
}

impl<'a, D: Display> std::ops::Div<D> for Scope<'a> {
    type Output = Scope<'a>;

    fn div(self, part: D) -> Scope<'a> {
        &self / part
    }
}

impl Scope<'_> {
    /// The same path; what a new training makes below it begins at zero.
    pub fn zeroed(self) -> Self {
        self.beginning(Begin::Zero)
    }

    /// The same path; what a new training makes below it begins so.
    pub(crate) fn beginning(self, begin: Begin) -> Self {
        Self { begin, ..self }
    }

    /// Whether weights are asked for to be trained, or to pass gradients on: as float32 leaves, in no other layout.
    pub fn in_training(&self) -> bool {
        self.checkpoint().trained().is_some()
    }

    /// Whether the checkpoint holds `name` below this path.
    pub fn has(&self, name: &str) -> bool {
        self.weights.checkpoint.contains(&format!("{}{name}", self.prefix))
    }

    /// Whether everything asked for so far was there. If not, loading ends in an error, and stand-ins need no copies.
    pub fn intact(&self) -> bool {
        self.weights.problems.borrow().is_empty()
    }

    /// Counts a tensor that some files carry and no forward pass needs as used.
    pub fn ignore(&self, name: &str) {
        self.weights.used.borrow_mut().insert(format!("{}{name}", self.prefix));
    }

    /// The device that weights are loaded to.
    pub fn device(&self) -> Device {
        self.weights.device
    }

    /// The type that weights are loaded in.
    pub fn kind(&self) -> Kind {
        self.weights.kind
    }

    /// The checkpoint that tensors come from.
    pub fn checkpoint(&self) -> &Arc<Checkpoint> {
        &self.weights.checkpoint
    }

    /// The tensor `name` of exactly `shape`, on the wanted device in the wanted type.
    pub fn get(&self, name: &str, shape: &[i64]) -> Tensor {
        let Some(stored) = self.find(name, shape) else { return self.stand_in(shape, self.device()) };
        if self.in_training() {
            return stored;
        }
        let wanted = stored.to_device(self.device()).to_kind(self.kind());
        if wanted.data_ptr() != stored.data_ptr() {
            self.checkpoint().release(&stored);
        }
        wanted
    }

    /// The tensor `name` of exactly `shape` as stored, on the CPU: a view of the mapped file.
    pub fn stored(&self, name: &str, shape: &[i64]) -> Tensor {
        self.find(name, shape).unwrap_or_else(|| self.stand_in(shape, Device::Cpu))
    }

    /// Lets loading go on after what is missing or misshaped, so that one error can name everything. Takes no memory as
    /// long as nobody copies it, not even to another device.
    fn stand_in(&self, shape: &[i64], device: Device) -> Tensor {
        Tensor::zeros([0; 0], (self.kind(), device)).expand(shape, false)
    }

    /// What is missing or misshaped is noted for [`Weights::finish`].
    fn find(&self, name: &str, shape: &[i64]) -> Option<Tensor> {
        let full = format!("{}{name}", self.prefix);
        let weights = self.weights;
        let found = match weights.checkpoint.trained() {
            None => weights.checkpoint.tensor(&full, shape),
            Some(parameters) => parameters.leaf(&full, shape, self.begin),
        };
        weights.used.borrow_mut().insert(full);
        match found {
            Ok(tensor) => Some(tensor),
            Err(problem) => {
                weights.problem(problem);
                None
            }
        }
    }
}
