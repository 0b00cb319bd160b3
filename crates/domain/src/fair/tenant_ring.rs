//! The turns of tenants within a band.

use std::collections::{HashMap, VecDeque};

use super::{BandQueue, Candidate, TenantQueue};
use crate::{JobId, TenantId};

type Rooms = HashMap<TenantId, u32>;

impl BandQueue {
    pub(super) fn has_work(&self, rooms: &Rooms) -> bool {
        self.tenants.iter().any(|queue| queue.can_go(rooms))
    }

    /// Lays each tenant's jobs in runs of one shape, led by its oldest job.
    pub(super) fn order_in_runs(&mut self, longest: u32) {
        for queue in &mut self.tenants {
            queue.jobs = in_runs(std::mem::take(&mut queue.jobs), longest as usize);
        }
    }

    /// The oldest job of those that lead their tenant's queue.
    pub(super) fn take_oldest(&mut self, rooms: &mut Rooms) -> Option<JobId> {
        let leads = self.tenants.iter().enumerate().filter(|(_, queue)| queue.can_go(rooms));
        let (index, _) = leads.min_by_key(|(_, queue)| queue.jobs.front().map(|candidate| candidate.job))?;
        self.tenants[index].take(rooms)
    }

    /// The next job by deficit round robin.
    pub(super) fn take_fair(&mut self, rooms: &mut Rooms) -> Option<JobId> {
        if !self.has_work(rooms) {
            return None;
        }
        let mut index = self.tenants.iter().position(|queue| Some(queue.tenant) >= self.turn).unwrap_or(0);
        // A turn is worth at least the dearest job, so that each round serves everybody who has work.
        let quantum =
            self.tenants.iter().flat_map(|queue| &queue.jobs).map(|job| job.cost_ms).max().unwrap_or(1);
        loop {
            let queue = &mut self.tenants[index];
            if queue.can_go(rooms) && queue.can_afford() {
                self.turn = Some(queue.tenant);
                return queue.take(rooms);
            }
            index = (index + 1) % self.tenants.len();
            let queue = &mut self.tenants[index];
            if queue.can_go(rooms) {
                queue.deficit =
                    queue.deficit.saturating_add(i64::from(quantum) * i64::from(queue.weight.max(1)));
            }
        }
    }
}

impl TenantQueue {
    fn can_go(&self, rooms: &Rooms) -> bool {
        !self.jobs.is_empty() && rooms.get(&self.tenant).is_none_or(|room| *room > 0)
    }

    fn can_afford(&self) -> bool {
        self.jobs.front().is_some_and(|job| i64::from(job.cost_ms) <= self.deficit)
    }

    /// Takes the first job. What the guarantee of a band takes out of turn is paid for too.
    fn take(&mut self, rooms: &mut Rooms) -> Option<JobId> {
        let candidate = self.jobs.pop_front()?;
        self.deficit -= i64::from(candidate.cost_ms);
        if self.jobs.is_empty() {
            // An idle tenant saves nothing up, and owes nothing.
            self.deficit = 0;
        }
        if let Some(room) = rooms.get_mut(&self.tenant) {
            *room = room.saturating_sub(1);
        }
        Some(candidate.job)
    }
}

fn in_runs(jobs: VecDeque<Candidate>, longest: usize) -> VecDeque<Candidate> {
    let mut by_shape: HashMap<String, VecDeque<usize>> = HashMap::new();
    for (index, job) in jobs.iter().enumerate() {
        by_shape.entry(job.shape.clone()).or_default().push_back(index);
    }
    let mut taken: Vec<Option<Candidate>> = jobs.into_iter().map(Some).collect();
    let mut ordered = VecDeque::with_capacity(taken.len());
    for lead in 0..taken.len() {
        let Some(shape) = taken[lead].as_ref().map(|job| job.shape.clone()) else { continue };
        let Some(indices) = by_shape.get_mut(&shape) else { continue };
        let run = indices.len().min(longest);
        ordered.extend(indices.drain(..run).filter_map(|index| taken[index].take()));
    }
    ordered
}
