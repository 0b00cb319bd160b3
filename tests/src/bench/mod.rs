//! Rates and latencies of the queue plane, with jobs that do nothing, by processes of their own.

mod floor;
mod measure;

pub use floor::Floor;
pub use measure::{Latency, end_to_end, insert, latency, takeover};

/// What each measurement may fail with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The value that this part of the sorted numbers does not exceed.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numbers_that_were_measured() {
        let numbers: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|part| quantile(&numbers, part)), [100.0, 198.0, 200.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
