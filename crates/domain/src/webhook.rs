//! Webhooks: what is told to endpoints of users, and what follows from their answers.
//!
//! The schedule and the meaning of answers are those of Standard Webhooks 1.0.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

use crate::{BatchId, BatchState};

/// The most webhooks of a tenant.
pub const MAX_WEBHOOKS: u32 = 20;
/// The most bytes of an endpoint's URL.
pub const MAX_URL_BYTES: usize = 2048;
/// The most test messages of a webhook that wait at a time.
pub const MAX_WAITING_TESTS: u32 = 10;
/// How long the secret before the present one goes on signing.
pub const SECRET_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The waits before all attempts but the first, in seconds.
const WAITS: [u64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// A wait is longer than it stands there by up to this share of it.
const JITTER: f64 = 0.2;

/// What endpoints are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WebhookKind {
    /// All jobs of a batch are over.
    BatchCompleted,
    /// A batch was called off and all of its jobs are over.
    BatchCanceled,
    /// The loading of a batch was given up.
    BatchFailed,
    /// The owner wants to see whether messages arrive.
    Test,
}

impl WebhookKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::BatchCompleted, Self::BatchCanceled, Self::BatchFailed, Self::Test];
    /// Those that an owner chooses from; tests come always.
    pub const CHOICE: [Self; 3] = [Self::BatchCompleted, Self::BatchCanceled, Self::BatchFailed];

    /// The stable name: the `type` of a message.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BatchCompleted => "batch.completed",
            Self::BatchCanceled => "batch.canceled",
            Self::BatchFailed => "batch.failed",
            Self::Test => "webhook.test",
        }
    }

    /// The kind of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// What is told of a batch in this state; `None` if it is not over.
    pub const fn of(state: BatchState) -> Option<Self> {
        match state {
            BatchState::Completed => Some(Self::BatchCompleted),
            BatchState::Canceled => Some(Self::BatchCanceled),
            BatchState::Failed => Some(Self::BatchFailed),
            BatchState::Loading | BatchState::Open => None,
        }
    }
}

/// A text that names no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event's id is 1 to {} of a-z, A-Z, 0-9, '_' and '-'", EventId::MAX_BYTES)]
pub struct InvalidEventId;

/// The name of an event that is told: `webhook-id`, the same in every attempt and for every endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(String);

impl EventId {
    const MAX_BYTES: usize = 64;

    /// The end of a batch, which is as often as it is opened.
    pub fn of_batch(batch: BatchId, generation: u32) -> Self {
        Self(format!("batch_{}_{generation}", batch.uuid().simple()))
    }

    /// A test of this fresh id.
    pub fn of_test(id: Uuid) -> Self {
        Self(format!("test_{}", id.simple()))
    }

    /// The name as it is stored and sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let fits = (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.to_owned())).ok_or(InvalidEventId)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far the delivery of an event to an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It is tried, or tried again.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The state of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// Why nothing is sent to an endpoint any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disabled {
    /// Its owner said so.
    ByOwner,
    /// It answered with status 410.
    Gone,
    /// It took nothing for as long as one message is tried.
    Failing,
}

impl Disabled {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::ByOwner, Self::Gone, Self::Failing];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ByOwner => "by_owner",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// The reason of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryRuling {
    /// The endpoint took it.
    Delivered,
    /// It is tried again after this.
    Again(Duration),
    /// It was tried often enough.
    GivenUp,
    /// The endpoint wants nothing any more.
    Gone,
}

impl DeliveryRuling {
    /// What the answer of an endpoint to an attempt means, the first being 1; no status is no answer. `random` is uniform in
    /// 0..1.
    pub fn of(status: Option<u16>, attempt: u32, random: f64) -> Self {
        match status {
            Some(200..=299) => Self::Delivered,
            Some(410) => Self::Gone,
            _ => match WAITS.get(usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1)) {
                Some(&seconds) => {
                    let longer = 1.0 + JITTER * random.clamp(0.0, 1.0);
                    Self::Again(Duration::from_secs(seconds).mul_f64(longer))
                }
                None => Self::GivenUp,
            },
        }
    }
}

impl DeliveryRuling {
    /// The delivery's state from then on.
    pub const fn state(self) -> DeliveryState {
        match self {
            Self::Delivered => DeliveryState::Delivered,
            Self::Again(_) => DeliveryState::Pending,
            Self::GivenUp | Self::Gone => DeliveryState::Failed,
        }
    }

    /// The wait before the next attempt, if there is one.
    pub const fn wait(self) -> Option<Duration> {
        match self {
            Self::Again(wait) => Some(wait),
            Self::Delivered | Self::GivenUp | Self::Gone => None,
        }
    }

    /// Why its webhook is disabled: at once, or only if it took nothing for this long.
    pub fn disables(self) -> Option<(Disabled, Option<Duration>)> {
        match self {
            Self::Gone => Some((Disabled::Gone, None)),
            Self::GivenUp => Some((Disabled::Failing, Some(schedule_length()))),
            Self::Delivered | Self::Again(_) => None,
        }
    }
}

/// How long one message is tried, without what jitter adds.
pub fn schedule_length() -> Duration {
    Duration::from_secs(WAITS.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_what_it_is_of() {
        for kind in WebhookKind::ALL {
            assert_eq!(WebhookKind::from_code(kind.code()), Some(kind));
        }
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::from_code(state.code()), Some(state));
        }
        for reason in Disabled::ALL {
            assert_eq!(Disabled::from_code(reason.code()), Some(reason));
        }
        let told: Vec<_> = BatchState::ALL.into_iter().filter_map(WebhookKind::of).collect();
        assert_eq!(told, WebhookKind::CHOICE);
    }

    #[test]
    fn an_event_has_a_name_that_can_be_signed() {
        let id = Uuid::from_u128(7);
        for event in [EventId::of_batch(BatchId::new(id), u32::MAX), EventId::of_test(id)] {
            assert_eq!(event.to_string().parse(), Ok(event));
        }
        for bad in ["", "a.b", "a b", "é", &"x".repeat(65)] {
            assert_eq!(bad.parse::<EventId>(), Err(InvalidEventId), "{bad}");
        }
    }

    #[test]
    fn the_schedule_is_the_standards() {
        let minute = 60.0;
        let waits = [5.0 / minute, 5.0, 30.0, 120.0, 300.0, 600.0, 840.0, 1200.0, 1440.0];
        for (attempt, minutes) in (1..).zip(waits) {
            for (random, factor) in [(0.0, 1.0), (1.0, 1.2)] {
                let DeliveryRuling::Again(wait) = DeliveryRuling::of(Some(500), attempt, random) else {
                    panic!("attempt {attempt} is not the last");
                };
                assert!((wait.as_secs_f64() - minutes * minute * factor).abs() < 0.001, "{attempt} {wait:?}");
            }
        }
        assert_eq!(DeliveryRuling::of(None, 10, 0.5), DeliveryRuling::GivenUp);
        assert_eq!(schedule_length(), Duration::from_secs(272_105));
    }

    #[test]
    fn an_answer_means_what_the_standard_says() {
        for status in [200, 202, 204, 299] {
            assert_eq!(DeliveryRuling::of(Some(status), 10, 0.5), DeliveryRuling::Delivered);
        }
        assert_eq!(DeliveryRuling::of(Some(410), 1, 0.5), DeliveryRuling::Gone);
        for status in [None, Some(199), Some(301), Some(307), Some(404), Some(429), Some(503)] {
            assert!(matches!(DeliveryRuling::of(status, 1, 0.5), DeliveryRuling::Again(_)), "{status:?}");
        }
    }
}
