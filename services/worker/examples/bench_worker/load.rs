//! What arrives when.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use retouch_domain::Band;
use retouch_ports::step_engine::{Guidance, RowRequest, Task};

/// Of arrivals, those that somebody waits for.
const INTERACTIVE: f64 = 0.2;

/// How much arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Half of what one after the other is capable of.
    Half,
    /// Four fifths of it.
    High,
    /// All the bulk at once, and interactive edits meanwhile, as many as in a tenth of that.
    Saturated,
}

/// An edit to come.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When.
    pub at: Duration,
    /// How urgent it is.
    pub band: Band,
    /// Its steps.
    pub steps: usize,
    /// Of its noise.
    pub seed: u64,
}

impl Load {
    /// Every load.
    pub const ALL: [Self; 3] = [Self::Half, Self::High, Self::Saturated];

    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Half => "50 %",
            Self::High => "80 %",
            Self::Saturated => "saturated",
        }
    }

    /// Poisson arrivals for so long, where one after the other is capable of `rate` edits a second.
    pub fn arrivals(self, rate: f64, during: Duration, seed: u64) -> Vec<Arrival> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let seconds = during.as_secs_f64();
        match self {
            Self::Half => poisson(&mut rng, rate * 0.5, seconds, INTERACTIVE),
            Self::High => poisson(&mut rng, rate * 0.8, seconds, INTERACTIVE),
            Self::Saturated => {
                let mut all = poisson(&mut rng, rate * 0.1, seconds, 1.0);
                all.extend(Self::burst((rate * seconds).ceil() as usize, seed));
                all
            }
        }
    }

    /// So many bulk edits at once.
    pub fn burst(count: usize, seed: u64) -> Vec<Arrival> {
        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
        (0..count).map(|_| arrival(&mut rng, Duration::ZERO, Band::Bulk)).collect()
    }
}

fn poisson(rng: &mut ChaCha8Rng, rate: f64, seconds: f64, interactive: f64) -> Vec<Arrival> {
    let mut at = 0.0;
    let mut all = Vec::new();
    loop {
        // 1 - u is above 0.
        at -= (1.0 - rng.random::<f64>()).ln() / rate;
        if at >= seconds {
            return all;
        }
        let band = if rng.random_bool(interactive) { Band::Interactive } else { Band::Bulk };
        all.push(arrival(rng, Duration::from_secs_f64(at), band));
    }
}

fn arrival(rng: &mut ChaCha8Rng, at: Duration, band: Band) -> Arrival {
    let steps: RangeInclusive<usize> = if band == Band::Interactive { 10..=20 } else { 10..=30 };
    Arrival { at, band, steps: rng.random_range(steps), seed: rng.random() }
}

/// An edit of a plain image.
pub fn request((width, height): (u32, u32), steps: usize, seed: u64) -> RowRequest {
    let image = (0..3 * width * height).map(|i| (i % 251) as f32 / 251.0).collect();
    RowRequest {
        task: Task::Edit { image },
        prompt: "make the vase blue".to_owned(),
        negative: String::new(),
        width,
        height,
        steps,
        sampler: None,
        sigma_interp: None,
        karras: None,
        guidance_text: 7.5,
        guidance_image: 1.5,
        guidance: Guidance::Fixed,
        intents: None,
        spatial: true,
        source_box: None,
        clip_skip: None,
        seed,
        noise: None,
    }
}
