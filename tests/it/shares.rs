//! Shares between bands and tenants, from the store through dispatch and the queue to claims, under endless load.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use retouch_domain::{Band, JobId, NewJob, TenantId, WorkerBootId};
use retouch_ports::live::WorkerPresence;
use retouch_ports::queue::{Consumer, QueueKey};
use retouch_ports::store::{Claim, LeaseTerms, TenantLimits};
use retouch_ports::{DispatchRules, Dispatcher, Ports, SystemIds};
use retouch_testkit::case::soon;
use retouch_tests::client;
use retouch_tests::site::{Site, pool};
use retouch_worker::worker::Options;
use tempfile::TempDir;
use uuid::Uuid;

const MANY: u16 = 1000;

/// A pool with a worker that claims whatever comes.
struct Floor {
    ports: Ports,
    dispatcher: Dispatcher,
    consumers: Vec<Box<dyn Consumer>>,
    terms: LeaseTerms,
    _folder: TempDir,
}

impl Floor {
    async fn open(slots: u32, share_of: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::embedded(folder.path());
        site.migrate().await.unwrap();
        let ports = site.open().await.unwrap();
        let rules = DispatchRules { tickets_per_slot: 2, least_window: 1, share_of, run: 4 };
        let (store, queue, live) = (ports.store.clone(), ports.queue.clone(), ports.live.clone());
        let dispatcher = Dispatcher::new(store, queue.clone(), live.clone(), rules);
        queue.declare(&pool()).await.unwrap();
        let mut consumers = Vec::new();
        for band in Band::ALL {
            let prefetch = MANY.try_into().unwrap();
            consumers.push(queue.consume(&QueueKey { pool: pool(), band }, prefetch).await.unwrap());
        }
        let boot = WorkerBootId::new(Uuid::now_v7());
        let presence = WorkerPresence { boot, pool: pool(), slots, draining: false, models: Vec::new() };
        live.announce(&presence, Duration::from_secs(3600)).await.unwrap();
        let lease = Options::new(pool(), 1.try_into().unwrap()).lease;
        Self { ports, dispatcher, consumers, terms: LeaseTerms { boot, length: lease }, _folder: folder }
    }

    async fn submit(&self, tenant: TenantId, band: Band, count: usize, cost_ms: u32) {
        let job = |_| NewJob { cost_ms, ..client::job(&SystemIds, serde_json::json!({})) };
        let jobs: Vec<NewJob> = (0..count).map(job).collect();
        client::submit(&*self.ports.store, &SystemIds, tenant, band, &jobs).await.unwrap();
    }

    /// Dispatches once, and claims everything that comes of it.
    async fn serve(&mut self) -> Vec<(Band, TenantId, JobId)> {
        let sent = self.dispatcher.dispatch(&pool()).await.unwrap();
        assert_eq!((sent.returned, sent.busy), (0, false));
        let mut served = Vec::new();
        for (band, consumer) in Band::ALL.into_iter().zip(&mut self.consumers) {
            let key = QueueKey { pool: pool(), band };
            while self.ports.queue.depth(&key).await.unwrap().unwrap().ready > 0 {
                let delivery = soon(consumer.next()).await.unwrap();
                let tickets: Vec<_> = delivery.message.tickets().collect();
                let claims = self.ports.store.claim(&self.terms, &tickets).await.unwrap();
                for (ticket, claim) in tickets.iter().zip(claims) {
                    assert!(matches!(claim, Claim::Claimed(_)), "{claim:?}");
                    served.push((band, ticket.tenant, ticket.job));
                }
                delivery.ack().await.unwrap();
            }
        }
        assert_eq!(served.len(), sent.sent);
        served
    }
}

fn block_on(test: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever runs above, a lower band with work gets 1 of every `k` starts.
    #[test]
    fn every_band_is_served_under_endless_load(slots in 1_u32..6, share_of in 3_u32..12, lower in 1_usize..3) {
        block_on(async {
            let mut floor = Floor::open(slots, share_of).await;
            let loaded = [Band::Interactive, Band::ALL[lower]];
            let mut served: HashMap<Band, usize> = HashMap::new();
            for _ in 0..60 / slots {
                for band in loaded {
                    // More than one round can take.
                    floor.submit(client::tenant(1), band, 2 * slots as usize + 4, 10).await;
                }
                for (band, ..) in floor.serve().await {
                    *served.entry(band).or_default() += 1;
                }
            }
            let total: usize = served.values().sum();
            let share = total / share_of as usize;
            prop_assert!(total >= 60);
            prop_assert!(served[&loaded[1]] + 1 >= share, "{served:?}");
            // And no more than its share, for the other is endless too.
            prop_assert!(served[&loaded[1]] <= share + 2, "{served:?}");
            Ok(())
        })?;
    }

    /// Two tenants with endless work get the device's time by weight, whatever their jobs cost.
    #[test]
    fn tenants_are_served_by_weight(weights in (1_u32..5, 1_u32..5), costs in (1_u32..40, 1_u32..40)) {
        block_on(async {
            let mut floor = Floor::open(4, 10).await;
            let tenants = [client::tenant(1), client::tenant(2)];
            for (tenant, weight) in tenants.into_iter().zip([weights.0, weights.1]) {
                let limits = TenantLimits { weight, max_running: None };
                floor.ports.store.set_limits(tenant, limits).await.unwrap();
            }
            let mut used: HashMap<TenantId, i64> = HashMap::new();
            for _ in 0..40 {
                for (tenant, cost) in tenants.into_iter().zip([costs.0, costs.1]) {
                    floor.submit(tenant, Band::Standard, 8, cost).await;
                }
                for (_, tenant, _) in floor.serve().await {
                    let cost = if tenant == tenants[0] { costs.0 } else { costs.1 };
                    *used.entry(tenant).or_default() += i64::from(cost);
                }
            }
            let per_weight = [used[&tenants[0]] / i64::from(weights.0), used[&tenants[1]] / i64::from(weights.1)];
            // One turn is worth the dearest job.
            let turn = i64::from(costs.0.max(costs.1));
            prop_assert!((per_weight[0] - per_weight[1]).abs() <= 2 * turn + 1, "{per_weight:?}");
            Ok(())
        })?;
    }
}

/// A tenant's limit counts what waits for a worker and what runs.
#[tokio::test]
async fn a_tenant_stays_below_its_limit() {
    let mut floor = Floor::open(10, 10).await;
    let tenant = client::tenant(1);
    let limits = TenantLimits { weight: 1, max_running: Some(3) };
    floor.ports.store.set_limits(tenant, limits).await.unwrap();
    floor.submit(tenant, Band::Standard, 10, 10).await;
    floor.submit(client::tenant(2), Band::Standard, 4, 10).await;
    let served = floor.serve().await;
    assert_eq!(served.iter().filter(|(_, owner, _)| *owner == tenant).count(), 3);
    assert_eq!(served.len(), 7);
    assert!(floor.serve().await.is_empty());
}
