//! Where examples come from, and their way to the training: made ahead by other threads, in order.

use std::ops::Range;
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

/// Unusable examples in a thousand that are left out before a training fails, beside the first ten.
const TOLERATED_PER_MILLE: u64 = 10;

/// Examples in the order of their numbers, made ahead by a few threads. Unusable ones are left out and counted.
pub(super) struct Ahead {
    lanes: Vec<Receiver<(u64, Result<Example, String>)>>,
    next: usize,
    /// Examples asked for so far.
    seen: u64,
    bad: u64,
    threads: Vec<JoinHandle<()>>,
}

/// Examples that a thread makes ahead.
const DEPTH: usize = 16;

impl Ahead {
    /// Numbers `range`, counted round where there are fewer examples.
    pub(super) fn new(examples: &Arc<dyn Examples>, range: Range<u64>, threads: usize) -> Self {
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

    /// The next usable example with its number; `None` at the end of the range.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Example)>> {
        loop {
            // At the end of the range a lane closes; the others have nothing before their own end either.
            let Ok((number, example)) = self.lanes[self.next].recv() else { return Ok(None) };
            self.next = (self.next + 1) % self.lanes.len();
            self.seen += 1;
            match example {
                Ok(example) => return Ok(Some((number, example))),
                Err(reason) => self.refuse(number, reason)?,
            }
        }
    }

    fn refuse(&mut self, number: u64, reason: String) -> Result<()> {
        tracing::warn!(example = number, %reason, "an example is unusable and left out");
        self.bad += 1;
        let (bad, limit) = (self.bad, 10 + self.seen * TOLERATED_PER_MILLE / 1000);
        if bad > limit {
            let last = format!("example {number}: {reason}");
            return Err(TrainingError::Data { bad, seen: self.seen, limit, last });
        }
        Ok(())
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Closed channels end the threads.
        self.lanes.clear();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn fill(
    examples: &dyn Examples,
    numbers: impl Iterator<Item = u64>,
    sender: &SyncSender<(u64, Result<Example, String>)>,
) {
    for number in numbers {
        let index = examples.len().map_or(number, |len| number % len.max(1));
        let example = examples.get(index);
        if sender.send((number, example)).is_err() {
            return;
        }
    }
}
