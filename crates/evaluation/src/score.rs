//! Shares, and how sure they are.

use serde::Serialize;

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub hits: u32,
    /// Of how many.
    pub total: u32,
}

impl Tally {
    /// Counts one.
    pub fn count(&mut self, hit: bool) {
        self.hits += u32::from(hit);
        self.total += 1;
    }

    /// Adds another.
    pub fn merge(&mut self, other: Self) {
        self.hits += other.hits;
        self.total += other.total;
    }

    /// The share; `None` of nothing.
    pub fn share(self) -> Option<f64> {
        (self.total > 0).then(|| f64::from(self.hits) / f64::from(self.total))
    }

    /// The 95 % interval of the share by Wilson's score (Wilson 1927, doi 10.2307/2276774); 0 to 1 of nothing.
    pub fn interval(self) -> (f64, f64) {
        /// The 97.5 % point of the normal distribution.
        const Z: f64 = 1.959_963_984_540_054;
        let Some(share) = self.share() else { return (0.0, 1.0) };
        let n = f64::from(self.total);
        let spread = Z * Z / n;
        let middle = (share + spread / 2.0) / (1.0 + spread);
        let half = Z / (1.0 + spread) * (share * (1.0 - share) / n + spread / (4.0 * n)).sqrt();
        // At the ends rounding must not leave the interval open.
        let low = if self.hits == 0 { 0.0 } else { middle - half };
        let high = if self.hits == self.total { 1.0 } else { middle + half };
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_literature() {
        // Newcombe 1998 (doi 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I, method 3.
        for (hits, total, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let (from, to) = Tally { hits, total }.interval();
            assert!((from - low).abs() < 1e-4 && (to - high).abs() < 1e-4, "{hits}/{total}: {from} {to}");
        }
        assert_eq!(Tally::default().interval(), (0.0, 1.0));
        assert_eq!(Tally { hits: 5, total: 5 }.interval().1, 1.0);
    }
}
