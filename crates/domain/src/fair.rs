//! Who is dispatched next: bands first, tenants second, runs of one shape third.
//!
//! Bands: the most urgent band with work goes first, but each lower band with work is owed 1 of every
//! [`Rules::share_of`] dispatches, its oldest job first. A lower band's backlog never takes a higher band's room.
//!
//! Tenants: weighted deficit round robin in estimated milliseconds on the device (M. Shreedhar and G. Varghese,
//! "Efficient Fair Queuing using Deficit Round Robin", SIGCOMM 1995). Deficits and the place in the ring outlive the
//! call: the store keeps them.

use std::collections::{HashMap, VecDeque};

use crate::{Band, JobId, TenantId};

mod tenant_ring;

/// The settings of dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How many dispatched jobs of a pool may wait for a worker.
    pub window: u32,
    /// A lower band with work gets 1 of this many dispatches; at least 3, as there are three bands.
    pub share_of: u32,
    /// The longest run of one shape within a tenant; at least 1.
    pub run: u32,
}

/// A job that may be dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The job.
    pub job: JobId,
    /// Its shape.
    pub shape: String,
    /// Its estimated milliseconds on the device.
    pub cost_ms: u32,
}

/// A tenant's due jobs in one band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantQueue {
    /// The tenant.
    pub tenant: TenantId,
    /// Its share against the others of the band; at least 1.
    pub weight: u32,
    /// What it may still use in this turn, in milliseconds.
    pub deficit: i64,
    /// Its jobs, the oldest first.
    pub jobs: VecDeque<Candidate>,
}

/// One band of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BandQueue {
    /// The band.
    pub band: Band,
    /// Its jobs that are dispatched and not yet claimed.
    pub dispatched: u32,
    /// Dispatches of other bands since it was served last.
    pub owed: u32,
    /// Whose turn it is.
    pub turn: Option<TenantId>,
    /// The tenants with due jobs, by id.
    pub tenants: Vec<TenantQueue>,
}

/// Chooses what to dispatch, and keeps the accounts in `bands` (most urgent first).
///
/// `rooms` holds how many more jobs a tenant may have dispatched or running; a tenant that is not in it has no limit.
pub fn select(
    bands: &mut [BandQueue],
    rooms: &mut HashMap<TenantId, u32>,
    rules: &Rules,
) -> Vec<(Band, JobId)> {
    for band in bands.iter_mut() {
        band.order_in_runs(rules.run.max(1));
    }
    let mut picks = Vec::new();
    while let Some((index, owed)) = next_band(bands, rooms, rules) {
        let band = &mut bands[index];
        let job = if owed { band.take_oldest(rooms) } else { band.take_fair(rooms) };
        let Some(job) = job else { break };
        band.dispatched += 1;
        band.owed = 0;
        picks.push((band.band, job));
        for (other, band) in bands.iter_mut().enumerate() {
            if other != index && band.band != Band::Interactive {
                band.owed = if band.has_work(rooms) { band.owed.saturating_add(1) } else { 0 };
            }
        }
    }
    picks
}

/// The band to serve, and whether it is served because it is owed.
fn next_band(bands: &[BandQueue], rooms: &HashMap<TenantId, u32>, rules: &Rules) -> Option<(usize, bool)> {
    let owed = |band: &BandQueue| {
        band.owed + 1 >= rules.share_of.max(3) && band.dispatched < rules.window && band.has_work(rooms)
    };
    // The band that waits longest, and of two the lower one: the higher one is served otherwise too.
    let longest =
        (0..bands.len()).filter(|index| owed(&bands[*index])).max_by_key(|index| bands[*index].owed);
    if let Some(index) = longest {
        return Some((index, true));
    }
    let mut dispatched = 0;
    for (index, band) in bands.iter().enumerate() {
        dispatched += band.dispatched;
        if dispatched < rules.window && band.has_work(rooms) {
            return Some((index, false));
        }
    }
    None
}

#[cfg(test)]
mod tests;
