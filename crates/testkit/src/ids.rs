//! Ids and randomness that are the same in every run of a test.

use std::sync::atomic::{AtomicU64, Ordering};

use retouch_ports::Ids;
use uuid::{Builder, Uuid};

/// UUIDv7 that count up. Two of different seeds never make the same id.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    count: AtomicU64,
}

impl SeededIds {
    /// Ids of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed, count: AtomicU64::new(0) }
    }
}

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.seed.to_be_bytes());
        Builder::from_unix_timestamp_millis(1_767_225_600_000 + count, &random).into_uuid()
    }

    fn unit(&self) -> f64 {
        // The golden ratio's multiples spread evenly over 0..1.
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        (f64::from(u32::try_from(count % 1_000_000).unwrap_or(0)) * 0.618_033_988_749_895).fract()
    }
}
