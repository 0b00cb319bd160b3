//! The step batcher: denoising steps are batched, not requests.
//!
//! One thread owns the device, its models and every tensor. Orders come in through a bounded channel; each gets its answer
//! through a channel of its own. The thread's turn:
//!
//! ```text
//! inbox ─> leave: canceled and handed-over orders go      (`device.rs`)
//!          admit: waiting orders into the engine of their model, by band and age; models are loaded and unloaded
//!          choose: one group; a few decodes, a few encodes, the rows of one forward      (`policy.rs`)
//!          serve: decode ─> deliver ─> encode ─> forward; what makes it fail is found by halving      (`serve.rs`)
//! ```

mod device;
mod groups;
mod health;
mod models;
mod order;
pub mod policy;
mod serve;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use retouch_domain::Band;
use retouch_ports::engine_source::{EngineSource, ModelFacts};
use retouch_ports::step_engine::EngineError;
use tokio::sync::{mpsc, oneshot};

use device::{Device, Message};
pub use health::{Activity, Figures, Health};
use order::Caller;
pub use order::{Account, End, Gone, Order, Progress, Running, Served, Unit};
use policy::Rules;

/// Monotonic time since some moment.
pub type Now = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The machine's monotonic clock.
pub fn monotonic() -> Now {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

/// Settings of a batcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Who is served next.
    pub rules: Rules,
    /// How long a forward should take at most. One gang is always taken.
    pub max_step: Duration,
    /// How long a slice of an exclusive unit should take at most.
    pub slice: Duration,
    /// Orders that the thread takes in; more wait in [`Batcher::submit`].
    pub orders: usize,
    /// Device memory for models, in bytes.
    pub model_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            max_step: Duration::from_millis(250),
            slice: Duration::from_secs(1),
            orders: 256,
            model_bytes: u64::MAX,
        }
    }
}

/// The way to the device thread. Clones share it; it ends when the last is dropped and all orders are served.
#[derive(Clone)]
pub struct Batcher {
    inbox: mpsc::Sender<Message>,
    health: Arc<Health>,
}

impl Batcher {
    /// Starts the thread. `source` is made on it.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(
        options: Options,
        now: Now,
        source: impl FnOnce() -> Box<dyn EngineSource> + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (inbox, messages) = mpsc::channel(options.orders.max(1));
        let health = Arc::new(Health::new(now()));
        let shared = health.clone();
        let thread = std::thread::Builder::new().name("device".to_owned()).spawn(move || {
            device::run(
                || Device::new(options, now.clone(), source(), messages, shared.clone()),
                &now,
                &shared,
            );
        })?;
        Ok((Self { inbox, health }, thread))
    }

    /// Hands an order in; waits while the thread has as many as it takes.
    pub async fn submit(&self, order: Order) -> Result<Running, Gone> {
        let (caller, running) = Caller::new();
        self.send(Message::Order(order, caller)).await?;
        Ok(running)
    }

    /// Gives the device to `unit`, slice by slice between the turns of others, with `model` loaded.
    pub async fn exclusive(&self, model: String, band: Band, unit: Unit) -> Result<Running, Gone> {
        let (caller, running) = Caller::new();
        self.send(Message::Exclusive { model, band, unit, caller }).await?;
        Ok(running)
    }

    /// What requests for a model depend on; loads it, so that it is there when they come. With the time that loading took.
    ///
    /// # Errors
    /// Inside: why it cannot be loaded.
    pub async fn model(
        &self,
        model: &str,
        band: Band,
    ) -> Result<Result<(ModelFacts, Duration), EngineError>, Gone> {
        let (reply, facts) = oneshot::channel();
        let (caller, mut running) = Caller::new();
        self.send(Message::Model { model: model.to_owned(), band, reply, caller }).await?;
        let Served { end, account } = running.served().await?;
        match end {
            End::Failed(error) => Ok(Err(error)),
            _ => facts.await.map(|facts| Ok((facts, account.load))).map_err(|_| Gone),
        }
    }

    /// The thread's account of itself.
    pub fn health(&self) -> &Health {
        &self.health
    }

    async fn send(&self, message: Message) -> Result<(), Gone> {
        self.inbox.send(message).await.map_err(|_| Gone)
    }
}
