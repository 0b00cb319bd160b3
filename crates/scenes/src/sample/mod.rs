//! Edit pairs from a seed: a scene, an edit in words, and the scene after it.

mod attempt;
mod caption;
mod describe;
mod draw;
mod options;
mod plan;
mod populate;
mod split;
mod world;

use retouch_instruction::{Intent, Language};
use serde::{Deserialize, Serialize};

pub use self::caption::{CAPTIONS, caption};
pub use self::options::{Kind, Level, PairOptions};
pub use self::split::{Combination, Operation, Split};
use crate::render::Renderer;
use crate::scene::Scene;
use attempt::Attempt;
use draw::Draw;
use plan::Plan;

/// Attempts at one pair. About one in three succeeds; one in ten of held-out pairs.
const ATTEMPTS: u64 = 2000;
/// Two scenes and what leads from one to the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The seed that it was sampled from.
    pub seed: u64,
    /// How hard it is.
    pub level: Level,
    /// The kind of its first edit.
    pub kind: Kind,
    /// What is done to which looks; all of them on the side of [`PairOptions::split`].
    pub combinations: Vec<Combination>,
    /// The scene before.
    pub before: Scene,
    /// The scene after.
    pub after: Scene,
    /// What is asked for, in order.
    pub intents: Vec<Intent>,
    /// The same in words.
    pub instruction: String,
    /// The language of the words.
    pub language: Language,
    /// Captions of both scenes in the same phrasing.
    pub captions: Captions,
}

/// Captions of both scenes; what the edit leaves alone is told in the same words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captions {
    /// Before, English.
    pub before: String,
    /// After, English.
    pub after: String,
    /// Before, Vietnamese.
    pub before_vietnamese: String,
    /// After, Vietnamese.
    pub after_vietnamese: String,
}

/// Why no pair came of a seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no pair of kind {kind:?} came of seed {seed} in {ATTEMPTS} attempts, take another seed")]
pub struct SampleError {
    /// The seed.
    pub seed: u64,
    /// What was to be sampled.
    pub kind: Kind,
}

impl SampleError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        "sample_exhausted"
    }
}

impl Pair {
    /// The pair of a seed: the same on every platform.
    ///
    /// # Errors
    /// [`SampleError`] where the options leave (almost) nothing to sample.
    pub fn sample(seed: u64, options: &PairOptions) -> Result<Self, SampleError> {
        Self::sample_with(seed, options, &mut Renderer::new())
    }

    /// As [`Pair::sample`], with the buffers of a renderer.
    ///
    /// # Errors
    /// As [`Pair::sample`].
    pub fn sample_with(
        seed: u64,
        options: &PairOptions,
        renderer: &mut Renderer,
    ) -> Result<Self, SampleError> {
        let mut draw = Draw::new(seed, 0);
        // Decided once, so that what is rarely possible is not rarely sampled.
        let level = options.level.unwrap_or_else(|| draw.pick(&Level::ALL));
        let kind = draw.kind(options, &[]);
        let double = level == Level::Hard && !kind.is_of_whole_image() && draw.chance(0.3);
        let second = double.then(|| draw.kind(options, &[kind]));
        let second = second.filter(|kind| !kind.is_of_whole_image());
        (1..=ATTEMPTS)
            .find_map(|attempt| {
                let draw = &mut Draw::new(seed, attempt);
                let plans: Vec<Plan> = [Some(kind), second]
                    .into_iter()
                    .flatten()
                    .map(|kind| Plan::draw(kind, level, draw))
                    .collect();
                Attempt { seed, level, options, plans }.run(draw, renderer)
            })
            .ok_or(SampleError { seed, kind })
    }
}

impl Draw {
    /// A kind that is not one of these.
    fn kind(&mut self, options: &PairOptions, not: &[Kind]) -> Kind {
        let weight = |kind: &Kind| {
            let weight = options.weights[*kind as usize];
            if weight.is_finite() && weight > 0.0 && !not.contains(kind) { weight } else { 0.0 }
        };
        Kind::ALL[self.weighted(Kind::ALL.iter().map(weight))]
    }
}
