//! Token buckets counted by one process: the in-process backend's, and what is left where a shared one is lost.

use std::collections::HashMap;
use std::time::Duration;

use retouch_domain::Timestamp;

use super::{Limit, Result, Taken};
use crate::{PortError, PortErrorKind};

/// Buckets beyond this many are looked through for full ones, which need not be kept.
const MANY: usize = 10_000;

/// Buckets by name.
#[derive(Debug, Default)]
pub struct Buckets {
    buckets: HashMap<String, Bucket>,
    /// Look for full ones when there are this many.
    prune_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
    limit: Limit,
}

impl Bucket {
    fn filled(self, now: Timestamp) -> f64 {
        let gained = now.since(self.at).as_secs_f64() * self.limit.per_second;
        (self.tokens + gained).min(f64::from(self.limit.burst))
    }
}

impl Buckets {
    /// Takes `cost` tokens from the bucket of that name, or none.
    pub fn take(&mut self, name: &str, limit: &Limit, cost: u32, now: Timestamp) -> Result<Taken> {
        check(limit, cost)?;
        if self.buckets.len() >= self.prune_at.max(MANY) {
            self.buckets.retain(|_, bucket| bucket.filled(now) < f64::from(bucket.limit.burst));
            self.prune_at = self.buckets.len() * 2;
        }
        let full = Bucket { tokens: f64::from(limit.burst), at: now, limit: *limit };
        let known = self.buckets.entry(name.to_owned()).or_insert(full);
        known.limit = *limit;
        let tokens = known.filled(now);
        let allowed = tokens >= f64::from(cost);
        let left = if allowed { tokens - f64::from(cost) } else { tokens };
        // A clock that steps back gives nothing and takes nothing.
        *known = Bucket { tokens: left, at: now.max(known.at), limit: *limit };
        Ok(answer(limit, cost, allowed, left))
    }
}

/// Whether a bucket of that limit can ever hold `cost`.
pub fn check(limit: &Limit, cost: u32) -> Result<()> {
    let possible = limit.burst >= 1 && limit.per_second > 0.0 && limit.per_second.is_finite();
    if possible && cost <= limit.burst {
        return Ok(());
    }
    let text = format!(
        "{cost} tokens can never be taken from a bucket of {} that gains {} a second",
        limit.burst, limit.per_second
    );
    Err(PortError::new(PortErrorKind::Invalid, text))
}

/// The answer of a bucket in which `left` tokens are left.
pub fn answer(limit: &Limit, cost: u32, allowed: bool, left: f64) -> Taken {
    let missing = if allowed { 0.0 } else { (f64::from(cost) - left).max(0.0) };
    let retry_after = Duration::try_from_secs_f64(missing / limit.per_second).unwrap_or(Duration::MAX);
    // `as` cuts and saturates, which is what is meant.
    Taken { allowed, remaining: left as u32, retry_after, degraded: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { burst: 3, per_second: 2.0 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000)
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let mut buckets = Buckets::default();
        let mut take = |cost, millis| buckets.take("a", &LIMIT, cost, at(millis)).unwrap();
        assert_eq!(
            take(2, 0),
            Taken { allowed: true, remaining: 1, retry_after: Duration::ZERO, degraded: false }
        );
        let refused = take(2, 0);
        assert_eq!((refused.allowed, refused.remaining), (false, 1));
        assert_eq!(refused.retry_after, Duration::from_millis(500));
        assert!(take(2, 500).allowed);
        // It never holds more than its burst, and time that goes back gives nothing.
        assert_eq!(take(0, 1_000_000).remaining, 3);
        assert!(take(3, 1_000_000).allowed);
        assert!(!take(1, 0).allowed);
        assert!(!take(1, 1_000_000).allowed);
    }

    #[test]
    fn what_can_never_be_taken_is_an_error() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.take("a", &LIMIT, 4, at(0)).unwrap_err().kind(), PortErrorKind::Invalid);
        let still = Limit { burst: 1, per_second: 0.0 };
        assert_eq!(buckets.take("a", &still, 1, at(0)).unwrap_err().kind(), PortErrorKind::Invalid);
    }

    #[test]
    fn full_buckets_are_not_kept() {
        let mut buckets = Buckets::default();
        for n in 0..2 * MANY {
            buckets.take(&n.to_string(), &LIMIT, 1, at(n as i64)).unwrap();
        }
        assert!(buckets.buckets.len() <= MANY, "{}", buckets.buckets.len());
    }
}
