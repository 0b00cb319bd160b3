//! When a failed run may be tried again.

use std::time::Duration;

/// How often and after which wait a job runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Charged attempts of class transient or timeout until the job fails; at least 1.
    pub max_attempts: u32,
    /// The first wait is drawn from 0 to this; each further one from twice as much.
    pub base: Duration,
    /// No wait is drawn from more than this.
    pub cap: Duration,
}

impl RetryPolicy {
    /// The longest `cap` that is accepted.
    pub const MAX_CAP: Duration = Duration::from_secs(24 * 60 * 60);
    /// The most `max_attempts` that are accepted.
    pub const MAX_ATTEMPTS: u32 = 100;

    /// The wait before the next run, after `failures` ≥ 1 of them; `random` is uniform in 0..1.
    ///
    /// Full jitter: uniform in 0..min(cap, base·2^(failures−1)). Source: M. Brooker, "Exponential Backoff And Jitter",
    /// AWS Architecture Blog, 2015.
    pub fn backoff(&self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(40);
        let ceiling = self.base.as_secs_f64() * f64::from(doublings).exp2();
        let ceiling = ceiling.min(self.cap.as_secs_f64());
        Duration::from_secs_f64(ceiling * random.clamp(0.0, 1.0))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 5, base: Duration::from_secs(2), cap: Duration::from_secs(300) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_are_bounded_by_cap_and_by_the_doubled_base(
            failures in 1_u32..2000, random in 0.0..1.0_f64, base in 0_u64..100_000, cap in 0_u64..10_000_000,
        ) {
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
            let policy = RetryPolicy { max_attempts: 5, base, cap };
            let wait = policy.backoff(failures, random);
            prop_assert!(wait <= cap);
            prop_assert!(failures > 20 || wait <= base * 2_u32.pow(failures - 1));
        }

        #[test]
        fn waits_grow_with_the_random_number(failures in 1_u32..30, a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            let policy = RetryPolicy::default();
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(policy.backoff(failures, low) <= policy.backoff(failures, high));
        }
    }
}
