//! From what happened to a job to everything that has to be written about it.
//!
//! A store locks jobs, asks here what follows, and writes it: no store decides anything about a job itself.

use std::time::Duration;

use serde_json::Value;

use crate::{
    BatchId, Counts, ErrorCode, Event, Illegal, JobId, JobState, Loss, RetryPolicy, Ruling, RunPlace, Tally,
    TenantId, charge, charge_parking, transition,
};

/// A job as it is stored, locked against others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedJob {
    /// The job.
    pub job: JobId,
    /// Its batch.
    pub batch: BatchId,
    /// Its owner.
    pub tenant: TenantId,
    /// Its state.
    pub state: JobState,
    /// Its fencing number.
    pub epoch: u32,
    /// What it has used up.
    pub tally: Tally,
    /// When a failed run may be tried again.
    pub retry: RetryPolicy,
    /// Whether the time that its submitter asked for is still to come.
    pub later: bool,
    /// Its run, if it runs.
    pub run: Option<Run>,
}

/// The run of a job that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where it is.
    pub place: RunPlace,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
}

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Milliseconds on the device: its share of each forward, by rows and branches.
    pub device_ms: u64,
    /// Forwards that it took part in.
    pub forwards: u64,
    /// Milliseconds that it waited for a model to load.
    pub load_ms: u64,
}

/// The end of a run, to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// `succeeded`, `canceled`, or the code of a [`Loss`].
    pub outcome: &'static str,
    /// Whether it counts against the job.
    pub charged: bool,
    /// The code and message of the failure.
    pub error: Option<JobError>,
    /// What it cost.
    pub cost: Cost,
}

/// Why a run or a job failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

/// Everything that has to be written about one event of one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The job as it was.
    pub before: LockedJob,
    /// What happened.
    pub event: Event,
    /// The state afterwards.
    pub state: JobState,
    /// The epoch afterwards.
    pub epoch: u32,
    /// The account afterwards.
    pub tally: Tally,
    /// The wait until it is due, if it goes to [`JobState::Scheduled`] for a backoff.
    pub delay: Option<Duration>,
    /// The end of its run.
    pub attempt: Option<AttemptEnd>,
    /// The job's error.
    pub error: Option<JobError>,
    /// Its output.
    pub output: Option<Value>,
}

impl Change {
    /// The job as it is afterwards; a claim's run is the caller's to add.
    pub fn after(&self) -> LockedJob {
        let (state, epoch, tally) = (self.state, self.epoch, self.tally);
        let run = self.before.run.filter(|_| state == JobState::Running);
        LockedJob { state, epoch, tally, later: self.delay.is_some(), run, ..self.before.clone() }
    }

    /// What it changes in the counts of the batch.
    pub fn counts(&self) -> Counts {
        Counts::moved(self.before.state, self.state)
    }
}

impl LockedJob {
    /// An event that brings nothing with it.
    ///
    /// # Errors
    /// If it cannot happen now.
    pub fn change(self, event: Event) -> Result<Change, Illegal> {
        let state = transition(self.state, event)?;
        let (epoch, tally) = match event {
            Event::Retried | Event::RetriedBlocked => (self.epoch + 1, Tally::default()),
            Event::Claimed => (self.epoch + 1, Tally { starts: self.tally.starts + 1, ..self.tally }),
            _ => (self.epoch, self.tally),
        };
        let attempt = (self.state == JobState::Running && state == JobState::Canceled).then(|| AttemptEnd {
            outcome: "canceled",
            charged: false,
            error: None,
            cost: Cost::default(),
        });
        let error = (event == Event::DependencyFailed).then(|| JobError {
            code: ErrorCode::DEPENDENCY_FAILED,
            message: "a job or batch that it waits for ended without success".to_owned(),
        });
        Ok(Change { before: self, event, state, epoch, tally, delay: None, attempt, error, output: None })
    }

    /// Its worker has a result.
    ///
    /// # Errors
    /// If it does not run.
    pub fn committed(self, output: Value, cost: Cost) -> Result<Change, Illegal> {
        let attempt = AttemptEnd { outcome: "succeeded", charged: false, error: None, cost };
        Ok(Change { attempt: Some(attempt), output: Some(output), ..self.change(Event::Committed)? })
    }

    /// Its run ended without a result. One that somebody asked to cancel is canceled, unless it failed for good.
    ///
    /// # Errors
    /// If it does not run.
    pub fn lost(
        self,
        loss: Loss,
        error: Option<JobError>,
        cost: Cost,
        random: f64,
    ) -> Result<Change, Illegal> {
        let Some(run) = self.run else {
            return Err(Illegal { state: self.state, event: Event::LeaseLost });
        };
        if run.cancel_requested && loss != Loss::Permanent {
            let attempt = AttemptEnd { outcome: "canceled", charged: false, error, cost };
            return Ok(Change { attempt: Some(attempt), ..self.change(Event::Canceled)? });
        }
        let ruling = charge(self.tally, &self.retry, loss, run.place, random);
        let attempt =
            AttemptEnd { outcome: loss.code(), charged: ruling.charged, error: error.clone(), cost };
        Ok(Change { attempt: Some(attempt), ..self.ruled(ruling, error)? })
    }

    /// The broker gave up on its ticket.
    ///
    /// # Errors
    /// If it is not queued.
    pub fn parked(self, random: f64) -> Result<Change, Illegal> {
        let ruling = charge_parking(self.tally, &self.retry, random);
        self.ruled(ruling, None)
    }

    fn ruled(self, ruling: Ruling, error: Option<JobError>) -> Result<Change, Illegal> {
        let starts = self.tally.starts;
        let change = self.change(ruling.event)?;
        let error = (change.state == JobState::Failed).then(|| match (ruling.code, error) {
            (None, Some(error)) => error,
            (code, error) => {
                let code = code.unwrap_or(ErrorCode::new("failed"));
                let last =
                    error.map(|error| format!("; the last failure: {}", error.message)).unwrap_or_default();
                JobError { message: format!("given up ({code}) after {starts} starts{last}"), code }
            }
        });
        let delay = (change.state == JobState::Scheduled).then_some(ruling.delay);
        Ok(Change { tally: ruling.tally, delay, error, ..change })
    }
}
