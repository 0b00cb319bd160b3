//! The account of a store: what the records of a job and of a batch must agree on.

use std::fmt;

use crate::{BatchId, BatchState, Counts, Event, JobId, JobState, TenantId, transition};

/// An entry of a job's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedEvent {
    /// What happened.
    pub event: Event,
    /// The job's epoch afterwards.
    pub epoch: u32,
    /// The job's state afterwards, as it was logged.
    pub state: JobState,
}

/// Everything that is stored of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    /// The job.
    pub job: JobId,
    /// The state that it was stored in.
    pub born: JobState,
    /// The state of its row.
    pub state: JobState,
    /// The epoch of its row.
    pub epoch: u32,
    /// Whether a ticket of it is out.
    pub dispatched: bool,
    /// Whether it has an output.
    pub has_output: bool,
    /// Whether it has an error code.
    pub has_error: bool,
    /// Things that it still waits for.
    pub unmet: u32,
    /// Those of them that can no longer succeed.
    pub doomed: u32,
    /// The epoch of its lease.
    pub lease: Option<u32>,
    /// The epochs of its ended attempts.
    pub attempts: Vec<u32>,
    /// Its log, the oldest first.
    pub events: Vec<LoggedEvent>,
}

/// What is stored of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFacts {
    /// The batch.
    pub batch: BatchId,
    /// Its owner.
    pub tenant: TenantId,
    /// Its state.
    pub state: BatchState,
    /// Its counters: the folded ones and the changes since.
    pub counted: Counts,
    /// Whether changes wait to be folded.
    pub unfolded: bool,
    /// What counting its jobs gives.
    pub actual: Counts,
}

/// A contradiction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stable code of this kind of contradiction.
    pub code: &'static str,
    /// The job or batch, and what contradicts what.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

/// What is wrong with a job's records.
pub fn audit_job(facts: &JobFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find =
        |code, text: String| findings.push(Finding { code, text: format!("job {}: {text}", facts.job) });
    replay(facts, &mut find);
    let state = facts.state.code();
    let running = facts.state == JobState::Running;
    match facts.lease {
        None if running => find("lease_missing", "runs without a lease".to_owned()),
        Some(_) if !running => find("lease_left", format!("is {state} and has a lease")),
        Some(epoch) if epoch != facts.epoch => {
            find("lease_stale", format!("runs in epoch {}, its lease is of epoch {epoch}", facts.epoch));
        }
        _ => {}
    }
    let claims: Vec<u32> =
        facts.events.iter().filter(|entry| entry.event == Event::Claimed).map(|entry| entry.epoch).collect();
    let ended = &claims[..claims.len().saturating_sub(usize::from(running))];
    if facts.attempts != ended {
        find("attempts_differ", format!("log has ended runs {ended:?}, attempts are {:?}", facts.attempts));
    }
    if facts.has_output != (facts.state == JobState::Succeeded) {
        find("output_wrong", format!("is {state}; output stored: {}", facts.has_output));
    }
    if facts.state == JobState::Failed && !facts.has_error {
        find("error_missing", "failed without a code".to_owned());
    }
    if facts.dispatched && facts.state != JobState::Queued {
        find("ticket_wrong", format!("is {state} and marked as dispatched"));
    }
    if (facts.state == JobState::Blocked) != (facts.unmet > 0) && !facts.state.is_terminal() {
        find("blocked_wrong", format!("is {state} and waits for {}", facts.unmet));
    }
    if facts.state == JobState::Blocked && facts.doomed > 0 {
        find("blocked_forever", format!("waits for {} that can no longer succeed", facts.doomed));
    }
    findings
}

/// Follows the log through [`transition()`].
fn replay(facts: &JobFacts, find: &mut impl FnMut(&'static str, String)) {
    let (mut state, mut epoch) = (facts.born, 0);
    for (index, entry) in facts.events.iter().enumerate() {
        epoch += u32::from(entry.event.raises_epoch());
        match transition(state, entry.event) {
            Ok(next) if next == entry.state && epoch == entry.epoch => state = next,
            Ok(next) => {
                let (logged, code) = (entry.state.code(), entry.event.code());
                let expected = next.code();
                find(
                    "log_wrong",
                    format!(
                        "event {index} ({code}) logged {logged} in epoch {}, expected {expected} in epoch {epoch}",
                        entry.epoch
                    ),
                );
                return;
            }
            Err(illegal) => {
                find("log_illegal", format!("event {index}: {illegal}"));
                return;
            }
        }
    }
    if (state, epoch) != (facts.state, facts.epoch) {
        let (row, log) = (facts.state.code(), state.code());
        find(
            "row_differs",
            format!("row is {row} in epoch {}, log gives {log} in epoch {epoch}", facts.epoch),
        );
    }
}

/// What is wrong with a batch's records.
pub fn audit_batch(facts: &BatchFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find =
        |code, text: String| findings.push(Finding { code, text: format!("batch {}: {text}", facts.batch) });
    // Jobs of a loading batch are not counted yet, those of a failed one are being deleted.
    let counted = !matches!(facts.state, BatchState::Loading | BatchState::Failed);
    if counted && facts.counted != facts.actual {
        find("counts_differ", format!("counters say {:?}, jobs say {:?}", facts.counted, facts.actual));
    }
    let live = facts.actual.live();
    match facts.state {
        BatchState::Completed | BatchState::Canceled if live > 0 => {
            find("batch_early", format!("is {} and {live} jobs are not over", facts.state.code()));
        }
        BatchState::Open if live == 0 && !facts.unfolded => {
            find("batch_late", "all jobs are over, all changes are folded, and it is open".to_owned());
        }
        _ => {}
    }
    findings
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn succeeded() -> JobFacts {
        let log = |event, state| LoggedEvent { event, epoch: 1, state };
        JobFacts {
            job: JobId::new(Uuid::from_u128(1)),
            born: JobState::Queued,
            state: JobState::Succeeded,
            epoch: 1,
            dispatched: false,
            has_output: true,
            has_error: false,
            unmet: 0,
            doomed: 0,
            lease: None,
            attempts: vec![1],
            events: vec![log(Event::Claimed, JobState::Running), log(Event::Committed, JobState::Succeeded)],
        }
    }

    fn codes(facts: &JobFacts) -> Vec<&'static str> {
        audit_job(facts).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_sound_job_has_no_finding() {
        assert_eq!(codes(&succeeded()), [] as [&str; 0]);
    }

    #[test]
    fn each_damage_is_named() {
        let sound = succeeded();
        assert_eq!(codes(&JobFacts { lease: Some(1), ..sound.clone() }), ["lease_left"]);
        assert_eq!(codes(&JobFacts { attempts: vec![], ..sound.clone() }), ["attempts_differ"]);
        assert_eq!(codes(&JobFacts { has_output: false, ..sound.clone() }), ["output_wrong"]);
        assert_eq!(codes(&JobFacts { dispatched: true, ..sound.clone() }), ["ticket_wrong"]);
        let waits = JobFacts {
            born: JobState::Blocked,
            state: JobState::Blocked,
            epoch: 0,
            unmet: 1,
            ..sound.clone()
        };
        let waits = JobFacts { has_output: false, attempts: vec![], events: vec![], ..waits };
        assert_eq!(codes(&waits), [] as [&str; 0]);
        assert_eq!(codes(&JobFacts { doomed: 1, ..waits }), ["blocked_forever"]);
        assert_eq!(codes(&JobFacts { epoch: 2, ..sound.clone() }), ["row_differs"]);
        assert_eq!(codes(&JobFacts { born: JobState::Blocked, ..sound.clone() }), ["log_illegal"]);
        let mut doubled = sound.clone();
        doubled.events.push(doubled.events[1]);
        assert_eq!(codes(&doubled), ["log_illegal"]);
        let running = JobFacts { state: JobState::Running, has_output: false, attempts: vec![], ..sound };
        let running = JobFacts { events: running.events[..1].to_vec(), ..running };
        assert_eq!(codes(&running), ["lease_missing"]);
        assert_eq!(codes(&JobFacts { lease: Some(2), ..running }), ["lease_stale"]);
    }

    #[test]
    fn a_batch_must_add_up() {
        let done = Counts { total: 2, succeeded: 2, ..Counts::default() };
        let sound = BatchFacts {
            batch: BatchId::new(Uuid::from_u128(1)),
            tenant: TenantId::new(Uuid::from_u128(2)),
            state: BatchState::Completed,
            counted: done,
            unfolded: false,
            actual: done,
        };
        let codes = |facts: &BatchFacts| -> Vec<_> {
            audit_batch(facts).into_iter().map(|finding| finding.code).collect()
        };
        assert_eq!(codes(&sound), [] as [&str; 0]);
        let short = Counts { total: 3, ..done };
        assert_eq!(codes(&BatchFacts { actual: short, ..sound.clone() }), ["counts_differ", "batch_early"]);
        assert_eq!(codes(&BatchFacts { state: BatchState::Open, ..sound }), ["batch_late"]);
    }
}
