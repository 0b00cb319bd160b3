//! How long whoever meets a failing backend waits before it tries again.

use std::time::Duration;

use crate::Ids;

/// Waits that double with every failure in a row, and vary so that processes do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after one failure.
    pub first: Duration,
    /// The longest of all.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after so many failures in a row: from half of what they have doubled to, to all of it.
    pub fn wait(self, failures: u32, ids: &dyn Ids) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.pow(failures.clamp(1, 16) - 1));
        doubled.min(self.longest).mul_f64(0.5 + ids.unit() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    struct Unit(f64);

    impl Ids for Unit {
        fn uuid(&self) -> Uuid {
            Uuid::nil()
        }

        fn unit(&self) -> f64 {
            self.0
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(3) };
        let waits = [0, 1, 2, 6, 7, u32::MAX].map(|failures| backoff.wait(failures, &Unit(1.0)).as_millis());
        assert_eq!(waits, [50, 50, 100, 1600, 3000, 3000]);
        assert_eq!(backoff.wait(2, &Unit(0.0)), Duration::from_millis(50));
    }
}
