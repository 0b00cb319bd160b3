//! The three ways to serve.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use retouch_domain::Band;
use retouch_ports::engine_source::EngineSource;
use retouch_ports::step_engine::{EngineError, Gang, RowId, RowRequest, Stage, StepEngine};
use retouch_worker::batcher::{Batcher, End, Now, Options, Order};
use tokio::sync::oneshot;

/// Requests that [`Policy::Static`] serves together.
const BATCH: usize = 8;

/// How edits are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Ours: rows come and go at every step.
    Steps,
    /// One request after the other, as most peers do.
    One,
    /// Up to eight requests that wait at the same time, together from the first step of all to the last of any.
    Static,
}

/// When an edit was served.
#[derive(Debug, Clone, Copy)]
pub struct Served {
    /// From its arrival to the start of its first forward.
    pub start: Duration,
    /// From its inputs being encoded to the start of its first forward; nothing where whole requests are served.
    pub ready: Duration,
    /// From its arrival to its image.
    pub latency: Duration,
    /// From the start of its first forward to the end of its last, divided by their number.
    pub step: Duration,
}

impl Policy {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Steps, Self::One, Self::Static];

    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::One => "one at a time",
            Self::Static => "requests",
        }
    }
}

/// A device thread of one of the ways. Clones share it.
#[derive(Clone)]
pub struct Server {
    way: Way,
    model: String,
}

#[derive(Clone)]
enum Way {
    Steps(Batcher),
    Whole(mpsc::Sender<Waiting>),
}

/// The thread of a server.
pub struct Thread(JoinHandle<Result<()>>);

/// A request in a baseline's inbox.
struct Waiting {
    band: Band,
    request: RowRequest,
    arrived: Instant,
    reply: oneshot::Sender<Served>,
}

impl Server {
    /// Starts the device thread.
    pub fn start(
        policy: Policy,
        model: String,
        now: Now,
        source: impl FnOnce() -> Box<dyn EngineSource> + Send + 'static,
    ) -> Result<(Self, Thread)> {
        let most = match policy {
            Policy::Steps => {
                let (batcher, thread) =
                    Batcher::start(Options { orders: 4096, ..Options::default() }, now, source)?;
                let thread =
                    std::thread::spawn(move || thread.join().map_err(|_| anyhow!("the thread panicked")));
                return Ok((Self { way: Way::Steps(batcher), model }, Thread(thread)));
            }
            Policy::One => 1,
            Policy::Static => BATCH,
        };
        let (inbox, waiting) = mpsc::channel();
        let name = model.clone();
        let thread = std::thread::spawn(move || {
            let mut engine = source().load(&name).map_err(|error| anyhow!("{error}"))?.engine;
            serve_whole(engine.as_mut(), &waiting, most)
        });
        Ok((Self { way: Way::Whole(inbox), model }, Thread(thread)))
    }

    /// Edits.
    pub async fn edit(&self, band: Band, request: RowRequest) -> Result<Served> {
        let arrived = Instant::now();
        match &self.way {
            Way::Steps(batcher) => {
                let order =
                    Order { model: self.model.clone(), band, alone: false, gang: Gang::single(request) };
                let mut running = batcher.submit(order).await?;
                let served = running.served().await?;
                if let End::Failed(error) = served.end {
                    return Err(anyhow!("{error}"));
                }
                let account = served.account;
                Ok(Served {
                    start: account.waited + account.encode + account.ready,
                    ready: account.ready,
                    latency: arrived.elapsed(),
                    step: account.denoise / account.forwards.max(1) as u32,
                })
            }
            Way::Whole(inbox) => {
                let (reply, served) = oneshot::channel();
                inbox.send(Waiting { band, request, arrived, reply }).ok().context("the thread has ended")?;
                served.await.context("the thread has ended")
            }
        }
    }
}

impl Thread {
    /// Waits for the thread, whose server is dropped.
    pub fn end(self) -> Result<()> {
        self.0.join().map_err(|_| anyhow!("the thread panicked"))?
    }
}

/// Takes up to `most` requests, the most urgent and oldest first, and serves them to the end.
fn serve_whole(engine: &mut dyn StepEngine, inbox: &mpsc::Receiver<Waiting>, most: usize) -> Result<()> {
    let mut waiting: BTreeMap<(Band, u64), Waiting> = BTreeMap::new();
    let mut next = 0;
    loop {
        let first = if waiting.is_empty() { Some(inbox.recv()) } else { None };
        let Ok(first) = first.transpose() else { return Ok(()) };
        for one in first.into_iter().chain(inbox.try_iter()) {
            waiting.insert((one.band, next), one);
            next += 1;
        }
        let taken: Vec<Waiting> =
            (0..most).map_while(|_| waiting.pop_first()).map(|(_, waiting)| waiting).collect();
        serve_together(engine, taken).map_err(|error| anyhow!("{error}"))?;
    }
}

fn serve_together(engine: &mut dyn StepEngine, taken: Vec<Waiting>) -> Result<(), EngineError> {
    let mut rows = Vec::with_capacity(taken.len());
    for waiting in &taken {
        rows.extend(engine.admit(Gang::single(waiting.request.clone()))?);
    }
    engine.encode(&rows)?;
    let (encoded, mut forwards) = (Instant::now(), 0);
    loop {
        let left: Vec<RowId> =
            engine.rows().iter().filter(|row| row.stage == Stage::Denoising).map(|row| row.id).collect();
        if left.is_empty() {
            break;
        }
        engine.step(&left)?;
        forwards += 1;
    }
    let denoised = encoded.elapsed();
    engine.decode(&rows)?;
    for (waiting, row) in taken.into_iter().zip(rows) {
        engine.take(row)?;
        let served = Served {
            start: encoded.duration_since(waiting.arrived),
            ready: Duration::ZERO,
            latency: waiting.arrived.elapsed(),
            step: denoised / forwards.max(1),
        };
        // Whoever asked waits for it.
        let _ = waiting.reply.send(served);
    }
    Ok(())
}
