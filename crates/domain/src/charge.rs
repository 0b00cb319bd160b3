//! What the end of a run without a result means for the job: who pays, and when it may start again.

use std::time::Duration;

use crate::{ErrorCode, Event, RetryPolicy};

/// Starts after which a job ends, whatever the reasons.
pub const MAX_STARTS: u32 = 20;
/// Charged crashes, and charged runs out of memory, at which a job fails.
pub const MAX_ALONE_LOSSES: u32 = 2;
/// Parkings at which a job is undeliverable.
pub const MAX_PARKINGS: u32 = 3;

/// What a job has used up since it was submitted or retried by its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Times that a worker claimed it.
    pub starts: u32,
    /// Charged attempts of class transient or timeout.
    pub failures: u32,
    /// Charged attempts of class crash.
    pub crashes: u32,
    /// Charged attempts of class out of memory.
    pub out_of_memory: u32,
    /// Times that the broker gave up on its ticket.
    pub parkings: u32,
    /// It was on a device when that crashed or ran out of memory: it runs alone.
    pub suspect: bool,
}

/// Why a run ended without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// It would fail again: bad input.
    Permanent,
    /// It may succeed another time.
    Transient,
    /// It ran longer than the job allows.
    Timeout,
    /// The device had not enough memory.
    OutOfMemory,
    /// The worker died, or its engine had to be torn down.
    Crash,
    /// The lease ran out while the worker may live.
    LeaseExpired,
    /// The worker gave it up: drain, preemption, spot notice.
    HandedOver,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Permanent,
        Self::Transient,
        Self::Timeout,
        Self::OutOfMemory,
        Self::Crash,
        Self::LeaseExpired,
        Self::HandedOver,
    ];

    /// The stable name, as it stands in the record of an attempt.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::Crash => "crash",
            Self::LeaseExpired => "lease_expired",
            Self::HandedOver => "handed_over",
        }
    }
}

/// Where the run was when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunPlace {
    /// Claimed, and not yet on the device.
    Waiting,
    /// On the device together with other rows.
    Shared,
    /// Alone on the device.
    Alone,
}

/// What follows from a loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// What happens to the job.
    pub event: Event,
    /// Its account afterwards.
    pub tally: Tally,
    /// Whether the run counts as an attempt.
    pub charged: bool,
    /// The wait before it may start again; set with [`Event::BackedOff`] and [`Event::Parked`].
    pub delay: Duration,
    /// Why it ended; set with [`Event::Failed`] and [`Event::Undeliverable`], unless the code is the caller's own.
    pub code: Option<ErrorCode>,
}

/// Rules on a lost run. `tally.starts` includes that run; `random` is uniform in 0..1.
///
/// A ruling of [`Event::Failed`] without a code keeps the code that came with the loss.
pub fn charge(tally: Tally, policy: &RetryPolicy, loss: Loss, place: RunPlace, random: f64) -> Ruling {
    let ruling = match loss {
        Loss::Permanent => fail(tally, true, None),
        Loss::Transient => attempt(tally, policy, None, random),
        Loss::Timeout => attempt(tally, policy, Some(ErrorCode::TIMEOUT), random),
        Loss::OutOfMemory if place == RunPlace::Alone => {
            let tally = Tally { out_of_memory: tally.out_of_memory + 1, ..tally };
            alone(tally, policy, tally.out_of_memory, ErrorCode::OUT_OF_MEMORY, random)
        }
        Loss::Crash if place == RunPlace::Alone => {
            let tally = Tally { crashes: tally.crashes + 1, ..tally };
            alone(tally, policy, tally.crashes, ErrorCode::CRASH, random)
        }
        Loss::OutOfMemory | Loss::Crash if place == RunPlace::Shared => {
            back_off(Tally { suspect: true, ..tally }, false, policy.backoff(1, random))
        }
        Loss::OutOfMemory | Loss::Crash | Loss::LeaseExpired => again(tally, Event::LeaseLost),
        Loss::HandedOver => again(tally, Event::HandedOver),
    };
    if ruling.event != Event::Failed && tally.starts >= MAX_STARTS {
        return fail(ruling.tally, ruling.charged, Some(ErrorCode::MAX_STARTS));
    }
    ruling
}

/// Rules on a ticket that the broker gave up on.
pub fn charge_parking(tally: Tally, policy: &RetryPolicy, random: f64) -> Ruling {
    let tally = Tally { parkings: tally.parkings + 1, ..tally };
    if tally.parkings >= MAX_PARKINGS {
        let code = Some(ErrorCode::UNDELIVERABLE);
        return Ruling { event: Event::Undeliverable, tally, charged: false, delay: Duration::ZERO, code };
    }
    let delay = policy.backoff(tally.parkings, random);
    Ruling { event: Event::Parked, tally, charged: false, delay, code: None }
}

fn attempt(tally: Tally, policy: &RetryPolicy, code: Option<ErrorCode>, random: f64) -> Ruling {
    let tally = Tally { failures: tally.failures + 1, ..tally };
    if tally.failures >= policy.max_attempts {
        return fail(tally, true, code);
    }
    back_off(tally, true, policy.backoff(tally.failures, random))
}

fn alone(tally: Tally, policy: &RetryPolicy, losses: u32, code: ErrorCode, random: f64) -> Ruling {
    if losses >= MAX_ALONE_LOSSES {
        return fail(tally, true, Some(code));
    }
    back_off(tally, true, policy.backoff(losses, random))
}

fn fail(tally: Tally, charged: bool, code: Option<ErrorCode>) -> Ruling {
    Ruling { event: Event::Failed, tally, charged, delay: Duration::ZERO, code }
}

fn back_off(tally: Tally, charged: bool, delay: Duration) -> Ruling {
    Ruling { event: Event::BackedOff, tally, charged, delay, code: None }
}

fn again(tally: Tally, event: Event) -> Ruling {
    Ruling { event, tally, charged: false, delay: Duration::ZERO, code: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{JobState, transition};

    fn started(starts: u32) -> Tally {
        Tally { starts, ..Tally::default() }
    }

    fn rule(tally: Tally, loss: Loss, place: RunPlace) -> Ruling {
        charge(tally, &RetryPolicy::default(), loss, place, 0.5)
    }

    #[test]
    fn a_crash_costs_the_rows_on_the_device_nothing_but_their_company() {
        let ruling = rule(started(1), Loss::Crash, RunPlace::Shared);
        assert_eq!((ruling.event, ruling.charged, ruling.tally.suspect), (Event::BackedOff, false, true));
        let ruling = rule(started(1), Loss::Crash, RunPlace::Waiting);
        assert_eq!((ruling.event, ruling.charged, ruling.tally.suspect), (Event::LeaseLost, false, false));
    }

    #[test]
    fn a_row_that_kills_its_worker_has_killed_three_when_it_fails() {
        let first = rule(started(1), Loss::Crash, RunPlace::Shared);
        let second = rule(Tally { starts: 2, ..first.tally }, Loss::Crash, RunPlace::Alone);
        assert_eq!((second.event, second.charged), (Event::BackedOff, true));
        let third = rule(Tally { starts: 3, ..second.tally }, Loss::Crash, RunPlace::Alone);
        assert_eq!((third.event, third.code), (Event::Failed, Some(ErrorCode::CRASH)));
    }

    #[test]
    fn lost_leases_and_hand_overs_are_free_until_the_starts_run_out() {
        for loss in [Loss::LeaseExpired, Loss::HandedOver] {
            let ruling = rule(started(MAX_STARTS - 1), loss, RunPlace::Shared);
            assert_eq!((ruling.charged, ruling.delay), (false, Duration::ZERO));
            assert_ne!(ruling.event, Event::Failed);
            let ruling = rule(started(MAX_STARTS), loss, RunPlace::Shared);
            assert_eq!((ruling.event, ruling.code), (Event::Failed, Some(ErrorCode::MAX_STARTS)));
        }
    }

    #[test]
    fn the_third_parking_is_the_last() {
        let policy = RetryPolicy::default();
        let mut tally = Tally::default();
        for event in [Event::Parked, Event::Parked, Event::Undeliverable] {
            let ruling = charge_parking(tally, &policy, 0.5);
            assert_eq!(ruling.event, event);
            tally = ruling.tally;
        }
    }

    proptest! {
        /// Whatever goes wrong, each ruling is legal for a running job, waits no longer than the cap, and 20 starts are the end.
        #[test]
        fn every_series_of_losses_ends(
            losses in prop::collection::vec(
                (prop::sample::select(Loss::ALL.to_vec()), prop::bool::ANY, prop::bool::ANY, 0.0..1.0_f64),
                MAX_STARTS as usize,
            ),
        ) {
            let policy = RetryPolicy::default();
            let mut tally = Tally::default();
            let mut ended = false;
            for (loss, on_device, alone, random) in losses {
                tally.starts += 1;
                let place = match (on_device, alone || tally.suspect) {
                    (false, _) => RunPlace::Waiting,
                    (true, false) => RunPlace::Shared,
                    (true, true) => RunPlace::Alone,
                };
                let ruling = charge(tally, &policy, loss, place, random);
                prop_assert!(transition(JobState::Running, ruling.event).is_ok());
                prop_assert!(ruling.delay <= policy.cap);
                prop_assert!(ruling.charged || ruling.tally.failures == tally.failures);
                if ruling.event == Event::Failed {
                    ended = true;
                    break;
                }
                tally = ruling.tally;
            }
            prop_assert!(ended);
        }
    }
}
