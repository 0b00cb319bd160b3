//! What is asked of the device thread, and what it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use retouch_domain::Band;
use retouch_ports::step_engine::{EngineError, Gang, Output, UnitProgress};
use tokio::sync::{oneshot, watch};

/// Rows that are denoised together, with one model.
#[derive(Debug)]
pub struct Order {
    /// The model's name.
    pub model: String,
    /// How urgent it is.
    pub band: Band,
    /// It was on a device when that crashed: nothing else is on this one while it is.
    pub alone: bool,
    /// The rows.
    pub gang: Gang,
}

/// Work that owns the device for one slice after the other: it is given the time that a slice should take.
pub type Unit = Box<dyn FnMut(Duration) -> UnitProgress + Send>;

/// Forwards done and forwards in all, of the row that has the most left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Done; counted from the beginning of the image, also where another worker did them.
    pub forward: usize,
    /// In all; 0 while not known.
    pub forwards: usize,
}

/// What an order used, and where its time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Its share of the device: of each forward by branches, and its own encodes, decodes and slices.
    pub device: Duration,
    /// Forwards that it took part in here.
    pub forwards: u64,
    /// The time that its model took to load while it waited.
    pub load: Duration,
    /// From its arrival to its admission, loading included.
    pub waited: Duration,
    /// Of encoding it.
    pub encode: Duration,
    /// From being encoded to the start of its first forward.
    pub ready: Duration,
    /// From the start of its first forward to the end of its last.
    pub denoise: Duration,
    /// Of decoding it.
    pub decode: Duration,
}

/// How an order ended.
#[derive(Debug)]
pub enum End {
    /// The images, in the order of the gang's rows.
    Finished(Vec<Output>),
    /// In answer to [`Running::hand_over`]: each row's state; `None` for rows that were not begun.
    HandedOver(Vec<Option<Vec<u8>>>),
    /// In answer to [`Running::cancel`].
    Canceled,
    /// It cannot be done, or not here.
    Failed(EngineError),
}

/// The answer to an order.
#[derive(Debug)]
pub struct Served {
    /// How it ended.
    pub end: End,
    /// What it used.
    pub account: Account,
}

/// The device thread has ended: nothing more is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device thread has ended: restart the worker")]
pub struct Gone;

const STAY: u8 = 0;
const HAND_OVER: u8 = 1;
const CANCEL: u8 = 2;

/// An order that the thread has. Dropping it cancels the order.
#[derive(Debug)]
pub struct Running {
    pub(super) reply: oneshot::Receiver<Served>,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) leave: Arc<AtomicU8>,
}

impl Running {
    /// Waits for the end. May be called again if it was dropped before.
    pub async fn served(&mut self) -> Result<Served, Gone> {
        (&mut self.reply).await.map_err(|_| Gone)
    }

    /// How far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Asks for the rows' state after the forward that runs; what is denoised already is finished instead.
    pub fn hand_over(&self) {
        // Whoever cancels means it.
        let _ = self.leave.compare_exchange(STAY, HAND_OVER, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Gives it up after the forward that runs.
    pub fn cancel(&self) {
        self.leave.store(CANCEL, Ordering::Relaxed);
    }
}

/// What the thread sees of a [`Running`].
pub(super) struct Caller {
    pub(super) reply: oneshot::Sender<Served>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) leave: Arc<AtomicU8>,
}

impl Caller {
    pub(super) fn new() -> (Self, Running) {
        let (reply, served) = oneshot::channel();
        let (progress, watched) = watch::channel(Progress::default());
        let leave = Arc::new(AtomicU8::new(STAY));
        (Self { reply, progress, leave: leave.clone() }, Running { reply: served, progress: watched, leave })
    }

    pub(super) fn gives_up(&self) -> bool {
        self.reply.is_closed() || self.leave.load(Ordering::Relaxed) == CANCEL
    }

    pub(super) fn hands_over(&self) -> bool {
        self.leave.load(Ordering::Relaxed) == HAND_OVER
    }
}
