//! The only user of LibTorch's global generator.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tch::{Device, Kind, Tensor};

static GENERATOR: Mutex<()> = Mutex::new(());

/// Normal draws from a seed, without interruption by anyone else in the process.
///
/// LibTorch has one CPU generator (tch offers no other): seeded and drawn from under one lock, a seed gives the values
/// that `torch.Generator().manual_seed(seed)` gives in Python, whatever else the process does.
#[must_use]
pub struct SeededNoise {
    _only_user: MutexGuard<'static, ()>,
}

impl SeededNoise {
    /// Waits for the generator and seeds it.
    pub fn new(seed: u64) -> Self {
        let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        // As Python does, which reads the seed's 64 bits as they are.
        tch::manual_seed(seed.cast_signed());
        Self { _only_user: guard }
    }

    /// The next tensor of `shape`, float32 on the CPU.
    pub fn next(&mut self, shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Float, Device::Cpu))
    }
}
