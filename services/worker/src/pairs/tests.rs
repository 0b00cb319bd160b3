//! Pairs and shards, with files in memory.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use retouch_domain::{Band, JobId};
use retouch_imaging::{Limits, decode};
use retouch_ports::jobs::pairs::{PackedShard, RenderedPairs};
use retouch_ports::store::Fence;
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

use super::*;
use crate::memory::Memory;

fn job(kind: &str, number: u128, payload: Value) -> Claimed {
    Claimed {
        fence: Fence { job: JobId::new(Uuid::from_u128(number)), epoch: 1 },
        tenant: TenantId::new(Uuid::from_u128(1)),
        batch: BatchId::new(Uuid::from_u128(2)),
        kind: kind.parse().expect("a kind"),
        version: VERSION,
        payload,
        inputs: Vec::new(),
        shape: String::new(),
        timeout: Duration::from_secs(60),
        starts: 1,
        alone: false,
        export: None,
    }
}

fn handle(job: &Claimed) -> RunHandle {
    RunHandle::new(job.fence, Band::Bulk, Arc::new(Notify::new()))
}

async fn done<T: DeserializeOwned>(maker: &PairMaker, job: &Claimed) -> T {
    match maker.run(job, &handle(job)).await {
        Outcome::Done { output, .. } => serde_json::from_value(output).expect("a result"),
        outcome => panic!("{outcome:?}"),
    }
}

fn render(first: u64, count: u64) -> Claimed {
    let payload = json!({"set": "s", "seed": 7, "first": first, "count": count, "size": 32});
    job("render", u128::from(first) + 100, payload)
}

/// The files of a shard by name.
fn members(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("a tar file");
    entries
        .map(|entry| {
            let mut entry = entry.expect("a member");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its bytes");
            (entry.path().expect("a name").to_string_lossy().into_owned(), bytes)
        })
        .collect()
}

#[tokio::test]
async fn pairs_become_shards_that_are_the_same_whoever_makes_them() {
    let blobs = Arc::new(Memory::default());
    let maker = PairMaker::new(blobs.clone());
    let parts = [render(0, 5), render(5, 5), render(10, 2)];
    let made =
        futures_util::future::join_all(parts.iter().map(|job| done::<RenderedPairs>(&maker, job))).await;
    let made: u64 = made.iter().map(|part| part.made).sum();
    assert!(made >= 10, "{made}");
    let pack =
        |number, count| job("pack", number, json!({"set": "s", "first": 0, "count": count, "shard": 3}));
    let shard: PackedShard = done(&maker, &pack(1, 12)).await;
    assert!(shard.key.ends_with("/00003.tar"));
    assert_eq!(shard.samples, made);
    let bytes = blobs.read(&shard.key);
    assert_eq!((bytes.len() as u64, bytes.len() % 512), (shard.bytes, 0));
    let members = members(&bytes);
    assert_eq!(members.len() as u64, 3 * made);
    for sample in members.chunks(3) {
        let stems: Vec<&str> = sample.iter().filter_map(|(name, _)| name.split('.').next()).collect();
        assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
        let [before, after] =
            [0, 1].map(|i| decode(&sample[i].1, &Limits::default()).expect("an image").pixels);
        assert_eq!((before.dimensions(), after.dimensions()), ((32, 32), (32, 32)));
        assert_ne!(before, after);
        let record: Value = serde_json::from_slice(&sample[2].1).expect("JSON");
        assert!(record["edit_prompt"].as_str().is_some_and(|text| !text.is_empty()));
    }
    let elsewhere = Arc::new(Memory::default());
    let other = PairMaker::new(elsewhere.clone());
    done::<RenderedPairs>(&other, &render(0, 12)).await;
    let again: PackedShard = done(&other, &pack(2, 12)).await;
    assert_eq!((again.hash, elsewhere.read(&again.key)), (shard.hash, bytes));
}

#[tokio::test]
async fn a_run_that_was_cut_short_is_continued() {
    let blobs = Arc::new(Memory::default());
    let maker = PairMaker::new(blobs.clone());
    let job = render(0, 40);
    let handle = handle(&job);
    let outcome = tokio::select! {
        outcome = maker.run(&job, &handle) => outcome,
        never = handle.tell_after(3, Stop::HandOver) => match never {},
    };
    assert!(matches!(outcome, Outcome::HandedOver { .. }), "{outcome:?}");
    let before: BTreeMap<String, Vec<u8>> =
        blobs.keys().into_iter().map(|key| (key.clone(), blobs.read(&key))).collect();
    assert!(!before.is_empty() && before.len() < 3 * 30, "{}", before.len());
    let done: RenderedPairs = done(&maker, &job).await;
    assert_eq!(done.kept, before.len() as u64 / 3);
    assert_eq!(done.made + done.kept + done.skipped, 40);
    assert!(before.iter().all(|(key, bytes)| blobs.read(key) == *bytes));
}

#[tokio::test]
async fn bad_jobs_have_a_code() {
    let blobs = Arc::new(Memory::default());
    let maker = PairMaker::new(blobs.clone());
    let render = |change: Value| {
        let mut payload = json!({"set": "s", "seed": 7, "first": 0, "count": 1, "size": 32});
        for (name, value) in change.as_object().expect("an object") {
            payload[name] = value.clone();
        }
        job("render", 1, payload)
    };
    for (job, code) in [
        (render(json!({"count": 0})), "payload_invalid"),
        (render(json!({"count": 1000})), "payload_invalid"),
        (render(json!({"first": u64::MAX})), "payload_invalid"),
        (render(json!({"size": 0})), "payload_invalid"),
        (render(json!({"size": 100_000})), "payload_invalid"),
        (render(json!({"set": "../../other"})), "payload_invalid"),
        (render(json!({"colour": 1})), "payload_invalid"),
        (job("pack", 2, json!({"set": "s", "first": 0, "count": 9, "shard": 0})), "pairs_missing"),
        (job("edit", 3, json!({})), "kind_unknown"),
    ] {
        let outcome = maker.run(&job, &handle(&job)).await;
        let Outcome::Failed { loss, error, .. } = outcome else { panic!("{code}: {outcome:?}") };
        assert_eq!((loss, error.code.as_str()), (Loss::Permanent, code), "{}", error.message);
    }
    // A pair that lost its images is a fault of the store, which may heal.
    let part = render(json!({}));
    blobs.write(key(part.tenant, part.batch, "half", 0, "json").expect("a key").to_string(), b"{}".to_vec());
    let pack = job("pack", 4, json!({"set": "half", "first": 0, "count": 1, "shard": 0}));
    let outcome = maker.run(&pack, &handle(&pack)).await;
    let Outcome::Failed { loss, error, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((loss, error.code.as_str()), (Loss::Transient, "storage_failed"));
}
