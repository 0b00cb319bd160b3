//! Jobs of the kind `edit`: fetch the input ─> decode and size it ─> the step batcher ─> encode files ─> upload.
//!
//! Each stage of many jobs runs beside the others: the device never waits for the network or for a codec.

mod error;
mod input;
mod output;
mod state;

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::stream::{FuturesUnordered, StreamExt};
use retouch_domain::Cost;
use retouch_ports::files::run_folder;
use retouch_ports::jobs::edit::{self, Edit, Edited, EditedFile, Timings};
use retouch_ports::live::WorkerModel;
use retouch_ports::step_engine::{AdmittedRow, Gang, GangControl, Output, RowRequest};
use retouch_ports::store::Claimed;
use retouch_ports::{BlobStore, Fetch};
use tokio::sync::{Semaphore, watch};

use crate::batcher::{Account, Batcher, End, Gone, Now, Order, Progress, Running, Served};
use crate::executor::{Executor, Outcome};
use crate::run::{RunHandle, Stop};
use error::EditError;
use output::Sink;
use state::RowState;

/// How often the device thread is looked at.
const WATCH: Duration = Duration::from_secs(1);

/// Runs edits.
pub struct Editor {
    batcher: Batcher,
    now: Now,
    stall: Duration,
    blobs: Arc<dyn BlobStore>,
    fetch: Arc<dyn Fetch>,
    /// Bounds what is decoded and encoded at a time, and with it the memory that this takes.
    codecs: Semaphore,
}

/// What the rows of a job have in common.
struct Plan<'a> {
    model: String,
    alone: bool,
    /// Of the first.
    request: RowRequest,
    sink: Sink<'a>,
}

impl Plan<'_> {
    fn seed(&self, index: usize) -> u64 {
        self.request.seed.wrapping_add(index as u64)
    }

    fn order(&self, index: usize, resume: Option<Vec<u8>>, handle: &RunHandle) -> Order {
        let request = RowRequest { seed: self.seed(index), ..self.request.clone() };
        let gang = Gang { rows: vec![AdmittedRow { request, resume }], control: GangControl::Independent };
        Order { model: self.model.clone(), band: handle.band(), alone: self.alone, gang }
    }
}

/// How the rows of a job ended.
enum Ends {
    /// All are there.
    Finished(Vec<EditedFile>),
    /// Some go on elsewhere.
    HandedOver(Vec<RowState>),
}

impl Editor {
    /// On this device. It is beyond repair after `stall` without a finished forward, by the clock that the batcher was
    /// started with.
    pub fn new(
        batcher: Batcher,
        now: Now,
        stall: Duration,
        blobs: Arc<dyn BlobStore>,
        fetch: Arc<dyn Fetch>,
    ) -> Self {
        let codecs = Semaphore::new(available_parallelism().map_or(1, usize::from));
        Self { batcher, now, stall, blobs, fetch, codecs }
    }

    async fn edit(
        &self,
        job: &Claimed,
        handle: &RunHandle,
        account: &mut Spent,
    ) -> Result<Outcome, EditError> {
        let edit = read(job)?;
        let both = async {
            tokio::join!(
                timed(input::bytes(&edit.image, job.tenant, self.blobs.as_ref(), self.fetch.as_ref())),
                timed(self.batcher.model(&edit.model, handle.band()))
            )
        };
        let (bytes, facts) = tokio::select! {
            both = both => both,
            stop = handle.stopped() => return Err(EditError::Stopped(stop)),
        };
        (account.timings.fetch, account.timings.model) = (bytes.1, facts.1);
        let (facts, load) = facts.0.map_err(|_| EditError::Gone)?.map_err(EditError::Engine)?;
        account.load = load;
        let bytes = bytes.0?;
        if !facts.edits {
            return Err(EditError::NoEditor { model: edit.model });
        }
        let start = Instant::now();
        let input_hash = output::sha256(&bytes);
        let seed = edit.seed.unwrap_or_else(|| input::seed_of(job.fence.job));
        let (shared, factor) = (edit.clone(), facts.factor);
        let request = self.codec(move || input::request(&shared, &bytes, factor, seed)).await?;
        account.timings.prepare = millis(start.elapsed());
        if let Err(stop) = handle.enter_device().await {
            return Err(EditError::Stopped(stop));
        }
        let states = state::read(job.export.as_deref(), edit.images);
        let parameters = output::parameters(&edit, &request, &facts);
        let sink = Sink {
            blobs: self.blobs.as_ref(),
            folder: run_folder(job.tenant, job.batch, job.fence),
            parameters,
            format: edit.format,
            quality: edit.quality,
        };
        let plan = Plan { model: edit.model, alone: job.alone, request, sink };
        match self.rows(plan, states, handle, account).await? {
            Ends::HandedOver(states) => {
                Ok(Outcome::HandedOver { export: state::write(&states), cost: account.cost() })
            }
            Ends::Finished(files) => {
                let timings = account.timings;
                let edited = Edited { files, input_hash, model_hash: facts.hash, timings };
                let output =
                    serde_json::to_value(edited).map_err(|error| EditError::Result { source: error })?;
                Ok(Outcome::Done { output, children: Vec::new(), cost: account.cost() })
            }
        }
    }

    /// Runs the job's rows, each an order of its own, and stores what is finished.
    async fn rows(
        &self,
        plan: Plan<'_>,
        states: Vec<RowState>,
        handle: &RunHandle,
        account: &mut Spent,
    ) -> Result<Ends, EditError> {
        let mut running = FuturesUnordered::new();
        let mut watched = Vec::new();
        let mut files: Vec<Option<EditedFile>> = states.iter().map(|_| None).collect();
        let mut ends = vec![RowState::New; states.len()];
        for (index, state) in states.into_iter().enumerate() {
            let (resume, before) = match state {
                RowState::Done { file, bytes } => {
                    files[index] = Some(plan.sink.put(index, bytes.clone(), file.clone()).await?);
                    ends[index] = RowState::Done { file, bytes };
                    continue;
                }
                RowState::New => (None, 0),
                RowState::Begun { state, forwards } => (Some(state), forwards),
            };
            let order = plan.order(index, resume, handle);
            let row = self.batcher.submit(order).await.map_err(|_| EditError::Gone)?;
            watched.push(row.progress());
            running.push(async move { (index, before, follow(row, handle).await) });
        }
        let mut left = false;
        loop {
            let next = tokio::select! {
                next = running.next() => next,
                () = changed(&mut watched) => {
                    report(&watched, handle);
                    continue;
                }
            };
            let Some((index, before, served)) = next else { break };
            let served = served.map_err(|_| EditError::Gone)?;
            account.add(&served.account);
            let forwards = before + served.account.forwards;
            match served.end {
                End::Finished(mut outputs) => {
                    let output = outputs.pop().ok_or(EditError::Gone)?;
                    let start = Instant::now();
                    let (file, bytes) = self.store(&plan, index, output, forwards).await?;
                    account.timings.store += millis(start.elapsed());
                    files[index] = Some(file.clone());
                    ends[index] = RowState::Done { file, bytes };
                }
                End::HandedOver(mut states) => {
                    left = true;
                    let state = states.pop().flatten();
                    ends[index] = state.map_or(RowState::New, |state| RowState::Begun { state, forwards });
                }
                End::Canceled => return Err(EditError::Stopped(handle.stop().unwrap_or(Stop::Lost))),
                End::Failed(error) => return Err(EditError::Engine(error)),
            }
        }
        Ok(if left { Ends::HandedOver(ends) } else { Ends::Finished(files.into_iter().flatten().collect()) })
    }

    async fn store(
        &self,
        plan: &Plan<'_>,
        index: usize,
        output: Output,
        forwards: u64,
    ) -> Result<(EditedFile, Vec<u8>), EditError> {
        let encoder = plan.sink.encoder(plan.seed(index));
        let (file, bytes) = self.codec(move || encoder.encode(&output, forwards)).await?;
        let file = plan.sink.put(index, bytes.clone(), file).await?;
        Ok((file, bytes))
    }

    /// Runs what takes a while on the processor beside the other runs.
    async fn codec<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EditError> + Send + 'static,
    ) -> Result<T, EditError> {
        // Nobody closes it.
        let _permit = self.codecs.acquire().await.map_err(|_| EditError::Gone)?;
        // It does not end before its time but by a panic.
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(EditError::Panicked))
    }
}

#[async_trait]
impl Executor for Editor {
    async fn run(&self, job: &Claimed, handle: &RunHandle) -> Outcome {
        let mut spent = Spent::default();
        match self.edit(job, handle, &mut spent).await {
            Ok(outcome) => outcome,
            // The worker stops: what it ran is left as a crash would leave it.
            Err(EditError::Gone) => std::future::pending().await,
            Err(EditError::Stopped(Stop::HandOver)) => {
                Outcome::HandedOver { export: job.export.clone(), cost: spent.cost() }
            }
            Err(EditError::Stopped(_)) => Outcome::Canceled { cost: spent.cost() },
            Err(error) => {
                let (loss, error) = error.ruling();
                Outcome::Failed { loss, error, cost: spent.cost() }
            }
        }
    }

    fn models(&self) -> Vec<WorkerModel> {
        let figures = self.batcher.health().figures();
        let model = |name: String| WorkerModel { loaded: figures.models.contains(&name), name };
        figures.known.into_iter().map(model).collect()
    }

    async fn broken(&self) {
        let mut interval = tokio::time::interval(WATCH);
        while self.batcher.health().is_good((self.now)(), self.stall) {
            interval.tick().await;
        }
    }
}

/// Passes on what the run is told, until the row's end. Whoever hands over may still be told to cancel.
async fn follow(mut row: Running, handle: &RunHandle) -> Result<Served, Gone> {
    let mut known = None;
    loop {
        tokio::select! {
            served = row.served() => return served,
            stop = handle.stopped_for_more_than(known) => {
                known = Some(stop);
                match stop {
                    Stop::HandOver => row.hand_over(),
                    Stop::TimedOut | Stop::Cancel | Stop::Lost => row.cancel(),
                }
            }
        }
    }
}

/// Waits until one of the rows is further.
async fn changed(rows: &mut [watch::Receiver<Progress>]) {
    let mut waits: FuturesUnordered<_> = rows.iter_mut().map(|row| row.changed()).collect();
    while let Some(changed) = waits.next().await {
        if changed.is_ok() {
            return;
        }
    }
    std::future::pending().await
}

fn report(rows: &[watch::Receiver<Progress>], handle: &RunHandle) {
    let each = rows.iter().map(|row| *row.borrow());
    let (done, all) = each.fold((0, 0), |(done, all), row| (done + row.forward, all + row.forwards));
    handle.progress(u32::try_from(done).unwrap_or(u32::MAX), u32::try_from(all).unwrap_or(u32::MAX));
}

/// Reads what the job says.
fn read(job: &Claimed) -> Result<Edit, EditError> {
    if job.kind.as_str() != edit::KIND || job.version != edit::VERSION {
        return Err(EditError::Kind { kind: job.kind.to_string(), version: job.version });
    }
    let edit: Edit = serde_json::from_value(job.payload.clone())
        .map_err(|error| EditError::Payload { reason: error.to_string() })?;
    let long = |text: &str| text.len() > edit::MAX_TEXT_BYTES;
    if long(&edit.instruction) || long(&edit.negative) {
        let reason = format!("its texts may have {} bytes", edit::MAX_TEXT_BYTES);
        return Err(EditError::Payload { reason });
    }
    if !(1..=edit::MAX_IMAGES).contains(&edit.images) {
        return Err(EditError::Payload { reason: format!("images: from 1 to {}", edit::MAX_IMAGES) });
    }
    Ok(edit)
}

/// What a run has used so far.
#[derive(Default)]
struct Spent {
    device: Duration,
    forwards: u64,
    load: Duration,
    timings: Timings,
}

impl Spent {
    fn add(&mut self, account: &Account) {
        self.device += account.device;
        self.forwards += account.forwards;
        self.load += account.load;
        let timings = &mut self.timings;
        timings.queue += millis(account.waited + account.ready);
        timings.encode += millis(account.encode);
        timings.denoise += millis(account.denoise);
        timings.decode += millis(account.decode);
    }

    fn cost(&self) -> Cost {
        Cost { device_ms: millis(self.device), forwards: self.forwards, load_ms: millis(self.load) }
    }
}

/// What `work` gives, and the milliseconds that it took.
async fn timed<T>(work: impl Future<Output = T>) -> (T, u64) {
    let start = Instant::now();
    let result = work.await;
    (result, millis(start.elapsed()))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
