//! What the rest of the worker sees of the device thread.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It waits for orders.
    Idle,
    /// It loads a model, which may take minutes.
    Loading,
    /// It computes.
    Computing,
    /// It has ended; `true` after an error of the device or a fault of its own.
    Ended(bool),
}

/// Figures since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// The models that are loaded, by name.
    pub models: Vec<String>,
    /// The models that orders may name.
    pub known: Vec<String>,
    /// Orders that wait for admission.
    pub waiting: usize,
    /// Orders on the device.
    pub resident: usize,
    /// Forwards done.
    pub forwards: u64,
    /// Rows in these forwards: denoising steps, but for samplers that need several forwards for a step.
    pub steps: u64,
    /// The time in which the device worked.
    pub busy: Duration,
}

/// The thread's account of itself.
#[derive(Debug)]
pub struct Health {
    state: Mutex<(Activity, Duration, Figures)>,
}

impl Health {
    pub(super) fn new(now: Duration) -> Self {
        Self { state: Mutex::new((Activity::Idle, now, Figures::default())) }
    }

    /// What it does now.
    pub fn activity(&self) -> Activity {
        self.lock().0
    }

    /// The figures.
    pub fn figures(&self) -> Figures {
        self.lock().2.clone()
    }

    /// Whether the worker should go on: false once the thread has ended, and when it has computed for `stall` without
    /// finishing anything. `now` is of the clock that the batcher was started with.
    pub fn is_good(&self, now: Duration, stall: Duration) -> bool {
        let state = self.lock();
        match state.0 {
            Activity::Ended(_) => false,
            Activity::Computing => now.saturating_sub(state.1) < stall,
            Activity::Idle | Activity::Loading => true,
        }
    }

    /// The thread begins something, or has finished a part of it.
    pub(super) fn beat(&self, activity: Activity, now: Duration) {
        let mut state = self.lock();
        (state.0, state.1) = (activity, now);
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.lock().2);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Activity, Duration, Figures)> {
        // Every change is one assignment: nobody leaves it half made.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
