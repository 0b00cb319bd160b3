//! The detector's own error, measured on results whose verdict is known.

mod plant;

use std::collections::BTreeMap;

use retouch_scenes::{Kind, Renderer};

pub use self::plant::Plant;
use crate::detector::Detector;
use crate::error::SuiteError;
use crate::score::Tally;
use crate::suite::Case;

/// How often the detector was wrong about planted results. [`Tally::hits`] counts its right verdicts.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    tallies: BTreeMap<(Plant, Kind), Tally>,
}

impl Audit {
    /// Plants everything in one case.
    ///
    /// # Errors
    /// [`SuiteError::Scene`] for a scene that cannot be rendered.
    pub fn case(
        &mut self,
        case: &Case,
        size: u32,
        detector: &mut Detector,
        renderer: &mut Renderer,
    ) -> Result<(), SuiteError> {
        for plant in Plant::ALL {
            if let Some(image) = plant.image(case, size, renderer)? {
                let verdict = detector.judge(case, &image, None)?;
                self.tallies.entry((plant, case.kind)).or_default().count(verdict.done == plant.is_right());
            }
        }
        Ok(())
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (key, tally) in &other.tallies {
            self.tallies.entry(*key).or_default().merge(*tally);
        }
    }

    /// The verdicts on one plant.
    pub fn of_plant(&self, plant: Plant) -> Tally {
        self.sum(|(of, _)| *of == plant)
    }

    /// The verdicts on right results, or on wrong ones, of one kind of edit or of all.
    pub fn of(&self, right: bool, kind: Option<Kind>) -> Tally {
        self.sum(|(plant, of)| plant.is_right() == right && kind.is_none_or(|kind| kind == *of))
    }

    fn sum(&self, wanted: impl Fn(&(Plant, Kind)) -> bool) -> Tally {
        let mut sum = Tally::default();
        self.tallies.iter().filter(|(key, _)| wanted(key)).for_each(|(_, tally)| sum.merge(*tally));
        sum
    }
}
