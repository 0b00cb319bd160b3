//! Damage that no code of ours does: the audit names each kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use retouch_domain::audit::{audit_batch, audit_job};
use retouch_domain::{Cost, Loss};
use retouch_ports::store::{Audit, HandOver, Page, Work};
use retouch_store_postgres::{PostgresOptions, PostgresStore};
use retouch_testkit::job_store::desk::Desk;
use sqlx::{AssertSqlSafe, Executor};

use crate::database::Database;

/// Jobs in every interesting state: succeeded, failed, running, handed over, queued, in an ended and in an open batch.
async fn populated() -> (Database, PostgresStore) {
    let database = Database::migrated().await;
    let store = PostgresStore::open(&database.url(), PostgresOptions::default()).await.unwrap();
    let desk = Desk::new(Arc::new(store.clone()));
    desk.submit(1).await;
    let run = desk.start().await.remove(0);
    desk.commit(&[run.fence]).await;
    desk.submit(4).await;
    let tickets = desk.dispatch().await;
    let runs = desk.claim_as(&desk.terms(), &tickets[..3]).await;
    desk.fail(runs[0].fence, Loss::Permanent).await;
    let hand_over = HandOver { fence: runs[1].fence, export: Some(vec![1]), cost: Cost::default() };
    store.hand_over(&[hand_over]).await.unwrap();
    desk.store.fold(10).await.unwrap();
    desk.assert_sound().await;
    (database, store)
}

async fn findings(store: &PostgresStore) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for batch in store.batch_facts(Page { after: None, limit: 100 }).await.unwrap() {
        codes.extend(audit_batch(&batch).iter().map(|finding| finding.code.to_owned()));
        for job in store.job_facts(batch.batch, Page { after: None, limit: 100 }).await.unwrap() {
            codes.extend(audit_job(&job).iter().map(|finding| finding.code.to_owned()));
        }
    }
    codes.extend(store.strays(10).await.unwrap().iter().map(|stray| stray[..8].to_owned()));
    codes
}

#[tokio::test]
async fn each_damage_is_named() {
    let damages = [
        ("update jobs set state = 'queued' where state = 'succeeded'", "row_differs"),
        ("update jobs set epoch = 5 where state = 'running'", "row_differs"),
        ("update jobs set output = null where state = 'succeeded'", "output_wrong"),
        ("update jobs set output = '1' where state = 'failed'", "output_wrong"),
        ("update jobs set error_code = null where state = 'failed'", "error_missing"),
        ("update jobs set dispatched_at = 1 where state = 'running'", "ticket_wrong"),
        ("update jobs set state = 'blocked' where state = 'queued'", "blocked_wrong"),
        ("delete from jobs where state = 'failed'", "counts_differ"),
        ("delete from leases", "lease_missing"),
        ("update leases set epoch = epoch + 1", "lease_stale"),
        ("update leases set job = (select id from jobs where state = 'succeeded')", "lease_left"),
        ("delete from attempts where outcome = 'permanent'", "attempts_differ"),
        ("delete from events where event = 'claimed'", "log_illegal"),
        ("update events set epoch = 9 where event = 'committed'", "log_wrong"),
        ("update batches set succeeded = succeeded + 1", "counts_differ"),
        ("update batches set state = 'completed' where state = 'open'", "batch_early"),
        ("update batches set state = 'open' where state = 'completed'", "batch_late"),
        ("delete from batches where state = 'open'", "job "),
        ("insert into exports (job, state) values ('00000000-0000-0000-0000-000000000001', '')", "export o"),
    ];
    for (damage, code) in damages {
        let (database, store) = populated().await;
        let changed = database.connect().await.execute(AssertSqlSafe(damage)).await.unwrap().rows_affected();
        assert!(changed > 0, "{damage}");
        let found = findings(&store).await;
        assert!(found.iter().any(|found| found.starts_with(code)), "{damage}: {found:?}");
    }
}
