//! Fresh ids and randomness.

use uuid::Uuid;

/// Where ids and randomness come from.
pub trait Ids: Send + Sync {
    /// A UUIDv7, greater than every earlier one of this process.
    fn uuid(&self) -> Uuid;

    /// A number in 0..1, for jitter; not for secrets.
    fn unit(&self) -> f64;
}

/// Ids from the machine's clock and random generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn unit(&self) -> f64 {
        rand::random()
    }
}
