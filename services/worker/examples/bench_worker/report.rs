//! What came of it.

use std::time::Duration;

use retouch_domain::Band;
use serde_json::{Value, json};

use super::load::{Arrival, Load};
use super::servers::{Policy, Served};

/// One way at one load.
pub struct Row {
    policy: Policy,
    load: Load,
    /// Edits a second, from the first arrival to the last image.
    pub images_per_second: f64,
    /// Of the wall time, what the engine computed.
    busy: f64,
    /// Of interactive edits and of the others.
    bands: [Times; 2],
}

/// Times of edits, in milliseconds: median and 99th percentile.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    edits: usize,
    latency: [f64; 2],
    start: [f64; 2],
    ready: [f64; 2],
    step: [f64; 2],
}

impl Row {
    /// Of edits that were served as they arrived.
    pub fn new(
        policy: Policy,
        load: Load,
        arrivals: &[Arrival],
        served: &[Served],
        wall: Duration,
        busy: Duration,
    ) -> Self {
        let of = |interactive: bool| {
            let mine =
                arrivals.iter().zip(served).filter(|(a, _)| (a.band == Band::Interactive) == interactive);
            Times::of(&mine.map(|(_, served)| *served).collect::<Vec<_>>())
        };
        Self {
            policy,
            load,
            images_per_second: served.len() as f64 / wall.as_secs_f64(),
            busy: busy.as_secs_f64() / wall.as_secs_f64(),
            bands: [of(true), of(false)],
        }
    }
}

impl Times {
    fn of(served: &[Served]) -> Self {
        let percentiles = |time: fn(&Served) -> Duration| {
            let mut all: Vec<f64> = served.iter().map(|served| time(served).as_secs_f64() * 1e3).collect();
            all.sort_by(f64::total_cmp);
            let at = |share: f64| {
                let rank = (share * all.len() as f64).ceil() as usize;
                all.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
            };
            [at(0.5), at(0.99)]
        };
        Self {
            edits: served.len(),
            latency: percentiles(|served| served.latency),
            start: percentiles(|served| served.start),
            ready: percentiles(|served| served.ready),
            step: percentiles(|served| served.step),
        }
    }

    fn json(&self) -> Value {
        json!({
            "edits": self.edits, "latency_ms": self.latency, "start_ms": self.start, "ready_ms": self.ready,
            "step_ms": self.step,
        })
    }
}

/// Prints all as one object.
pub fn json(alone: f64, rows: &[Row]) {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "load": row.load.name(), "served": row.policy.name(), "images_per_second": row.images_per_second,
                "busy": row.busy, "interactive": row.bands[0].json(), "bulk": row.bands[1].json(),
            })
        })
        .collect();
    println!("{}", json!({ "one_after_the_other_per_second": alone, "rows": rows }));
}

/// Prints times and, for the baselines, how many times ours these are.
pub fn table(alone: f64, rows: &[Row]) {
    println!("one after the other: {alone:.2} edits a second; times in ms, median and 99th percentile\n");
    println!(
        "{:<10} {:<14} {:>8} {:>5} {:>17} {:>17} {:>17}",
        "load", "served by", "images/s", "busy", "interactive", "its first step", "bulk"
    );
    let pair = |times: [f64; 2]| format!("{:.0} / {:.0}", times[0], times[1]);
    for row in rows {
        let [urgent, bulk] = row.bands;
        println!(
            "{:<10} {:<14} {:>8.2} {:>5.2} {:>17} {:>17} {:>17}",
            row.load.name(),
            row.policy.name(),
            row.images_per_second,
            row.busy,
            pair(urgent.latency),
            pair(urgent.start),
            pair(bulk.latency),
        );
    }
    println!("\nthe others' 99th percentiles and rates, as multiples of ours:");
    for load in Load::ALL {
        let of = |policy| rows.iter().find(|row| row.load == load && row.policy == policy);
        let Some(ours) = of(Policy::Steps) else { continue };
        for theirs in [Policy::One, Policy::Static].into_iter().filter_map(of) {
            let [a, b] = [ours.bands[0], theirs.bands[0]];
            println!(
                "{:<10} {:<14} rate {:.2}, interactive {:.2}, its first step {:.2}",
                load.name(),
                theirs.policy.name(),
                theirs.images_per_second / ours.images_per_second,
                b.latency[1] / a.latency[1],
                b.start[1] / a.start[1],
            );
        }
        let [ready, step] = [ours.bands[0].ready[1], ours.bands[0].step[1]];
        println!("{:<10} ours: from encoded to first step {ready:.0} ms, one step {step:.0} ms", load.name());
    }
}
