//! What a case came to: numbers by pair.

use anyhow::{Result, bail};

use super::cases::Case;

/// One number of each pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pairs {
    pub(super) ours: Vec<f64>,
    pub(super) theirs: Vec<f64>,
}

impl Pairs {
    pub(super) fn push(&mut self, [ours, theirs]: [f64; 2]) {
        self.ours.push(ours);
        self.theirs.push(theirs);
    }
}

/// A measured case.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) case: Case,
    /// Seconds.
    pub(super) time: Pairs,
    /// Peak bytes of processes that did nothing else; empty for other cases.
    pub(super) memory: Pairs,
    /// Largest difference between the results of a pair.
    pub(super) difference: f64,
    /// Part of a core that the waiting side used.
    pub(super) idle_load: f64,
}

impl Measured {
    pub(super) fn is_same_work(&self) -> bool {
        self.difference <= self.case.tolerance()
    }
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> Result<f64> {
    if values.is_empty() {
        bail!("nothing was timed");
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    Ok(if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).unwrap(), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]).unwrap(), 3.0);
        assert!(median(vec![]).is_err());
    }
}
