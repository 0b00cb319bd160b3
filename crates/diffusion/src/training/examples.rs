//! Where examples come from, and their way to the training: made ahead by other threads, in order.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::error::{Result, TrainingError};

/// An image of `size`² pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Side in pixels.
    pub size: u32,
    /// Red, green and blue of each pixel, row by row.
    pub rgb: Vec<u8>,
}

/// An image before and after an edit, the instruction, and what each image shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Before.
    pub before: Picture,
    /// After.
    pub after: Picture,
    /// What was to be changed.
    pub instruction: String,
    /// What is seen before.
    pub caption_before: String,
    /// What is seen after.
    pub caption_after: String,
}

/// Examples by number: the same number gives the same example. Any number is asked for when there are infinitely many.
pub trait Examples: Send + Sync {
    /// How many there are; `None` for as many as anybody asks for.
    fn len(&self) -> Option<u64>;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Example `index`, or what is wrong with it, naming it.
    fn get(&self, index: u64) -> Result<Example, String>;
}

/// Unusable examples in a thousand that are replaced before a training fails, beside the first ten.
const TOLERATED_PER_MILLE: u64 = 10;
/// Examples that are tried in an unusable one's place.
const SUBSTITUTES: u64 = 8;
/// Distance between an example and its substitutes: a prime far above a batch.
const STRIDE: u64 = 1_000_003;
/// Examples that a thread makes ahead.
const DEPTH: usize = 16;

/// Examples in the order of their numbers, made ahead by a few threads.
///
/// An unusable one is counted, and another stands in its place, which its number decides: every number has its example,
/// wherever a training begins.
pub(super) struct Ahead {
    lanes: Vec<Receiver<Made>>,
    next: usize,
    /// Examples asked for so far.
    seen: u64,
    bad: u64,
    threads: Vec<JoinHandle<()>>,
}

/// What became of one number.
struct Made {
    /// Unusable examples, and why.
    refused: Vec<String>,
    example: Option<Example>,
}

impl Ahead {
    /// Numbers `range`, counted round where there are fewer examples.
    pub(super) fn new(examples: &Arc<dyn Examples>, range: Range<u64>, threads: usize) -> Self {
        let threads = threads.max(1);
        let start = |lane: usize| {
            let (sender, receiver) = sync_channel(DEPTH);
            let (examples, range) = (examples.clone(), range.clone());
            let work = move || fill(&*examples, range.skip(lane).step_by(threads), &sender);
            let named = std::thread::Builder::new().name(format!("examples-{lane}"));
            (receiver, named.spawn(work).expect("a process can start a few threads"))
        };
        let (lanes, threads) = (0..threads).map(start).unzip();
        Self { lanes, next: 0, seen: 0, bad: 0, threads }
    }

    /// The next example; `None` at the end of the range.
    pub(super) fn next(&mut self) -> Result<Option<Example>> {
        // At the end of the range a lane closes; the others have nothing before their own end either.
        let Ok(made) = self.lanes[self.next].recv() else { return Ok(None) };
        self.next = (self.next + 1) % self.lanes.len();
        self.seen += 1;
        for reason in &made.refused {
            tracing::warn!(%reason, "an example is unusable; another stands in its place");
        }
        self.bad += made.refused.len() as u64;
        let limit = 10 + self.seen * TOLERATED_PER_MILLE / 1000;
        if self.bad > limit || made.example.is_none() {
            let last = made.refused.last().cloned().unwrap_or_default();
            return Err(TrainingError::Data { bad: self.bad, seen: self.seen, limit, last });
        }
        Ok(made.example)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Closed channels end the threads.
        self.lanes.clear();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn fill(examples: &dyn Examples, numbers: impl Iterator<Item = u64>, sender: &SyncSender<Made>) {
    for number in numbers {
        if sender.send(make(examples, number)).is_err() {
            return;
        }
    }
}

fn make(examples: &dyn Examples, number: u64) -> Made {
    let mut refused = Vec::new();
    for substitute in 0..=SUBSTITUTES {
        let index = number.wrapping_add(substitute * STRIDE);
        let index = examples.len().map_or(index, |len| index % len.max(1));
        // A mistake in a decoder or renderer is one example's, not the training's.
        let made = std::panic::catch_unwind(AssertUnwindSafe(|| examples.get(index)));
        match made.unwrap_or_else(|_| Err("making it panicked".into())) {
            Ok(example) => return Made { refused, example: Some(example) },
            Err(reason) => refused.push(format!("example {index}: {reason}")),
        }
    }
    Made { refused, example: None }
}
