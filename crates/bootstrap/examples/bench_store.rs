//! How fast the job store of RETOUCH_STORE_URL, an empty database, is: `bench_store load JOBS` stores one batch in parts, as a bulk submission
//! does; `bench_store cycle SECONDS` submits, dispatches, claims, renews, commits, folds and deletes batches of 1000 jobs
//! all the time, so that what it leaves behind can be seen.

#![expect(clippy::unwrap_used, reason = "a measurement that fails has no result")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use retouch_bootstrap::backends::Process;
use retouch_bootstrap::{Settings, stores};
use retouch_domain::spec::MAX_ROWS;
use retouch_domain::{Band, NewJob};
use retouch_ports::store::{Beat, Fence, LoadPart, Verdict};
use retouch_ports::{SystemClock, SystemIds};
use retouch_testkit::job_store::desk::{Desk, completion};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, amount] = arguments.as_slice() else { panic!("say: load JOBS, or cycle SECONDS") };
    let variable = |name: &str| std::env::var(name).ok();
    let settings = Settings::load(None, &variable).unwrap();
    stores::migrate(&settings.store).await.unwrap();
    let process = Process { clock: Arc::new(SystemClock), ids: Arc::new(SystemIds), variable: &variable };
    let desk = Desk::new(stores::store(&settings.store, &process).await.unwrap());
    match what.as_str() {
        "load" => load(&desk, amount.parse().unwrap()).await,
        "cycle" => cycle(&desk, Duration::from_secs(amount.parse().unwrap())).await,
        other => panic!("{other} is neither load nor cycle"),
    }
}

async fn load(desk: &Desk, count: usize) {
    let jobs: Vec<NewJob> = desk.new_jobs(count);
    let batch = desk.new_batch(Band::Bulk);
    let start = Instant::now();
    desk.store.begin_loading(&batch).await.unwrap();
    let mut from = 0;
    for part in jobs.chunks(MAX_ROWS) {
        let to = from + part.len() as u64;
        let part = LoadPart { from, to, jobs: part, unreadable: 0 };
        let verdicts = desk.store.load(desk.tenant, batch.id, part).await.unwrap();
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::New));
        from = to;
    }
    desk.store.open(desk.tenant, batch.id, None).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} jobs stored in {seconds:.2} s: {:.0} jobs/s", count as f64 / seconds);
}

async fn cycle(desk: &Desk, length: Duration) {
    let (start, mut done) = (Instant::now(), 0_u64);
    while start.elapsed() < length {
        let (batch, _) = desk.submit(1000).await;
        for tickets in desk.dispatch().await.chunks(64) {
            let runs = desk.claim_as(&desk.terms(), tickets).await;
            let fences: Vec<Fence> = runs.iter().map(|run| run.fence).collect();
            let beat = |fence: &Fence| Beat { fence: *fence, on_device: true, step: 1, steps: 2 };
            let beats: Vec<Beat> = fences.iter().map(beat).collect();
            desk.store.renew(&desk.terms(), &beats).await.unwrap();
            let completions: Vec<_> = fences.iter().map(|fence| completion(*fence)).collect();
            done += desk.store.commit(&completions).await.unwrap().len() as u64;
        }
        desk.store.fold(100).await.unwrap();
        desk.store.delete_batch(desk.tenant, batch).await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{done} jobs run in {seconds:.0} s by one caller: {:.0} jobs/s", done as f64 / seconds);
}
