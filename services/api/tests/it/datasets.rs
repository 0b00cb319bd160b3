//! Datasets from request to shard.

use axum::http::StatusCode;
use retouch_domain::Band;
use retouch_ports::jobs::pairs::{PackedShard, RenderedPairs};
use serde_json::{Value, json};

use crate::Server;

async fn jobs(api: &Server, key: &str, batch: &str) -> Vec<Value> {
    let jobs = api.get(&format!("{batch}/jobs?limit=200"), key).await.json();
    jobs["jobs"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_dataset_is_jobs_that_render_and_a_shard_when_they_are_over() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let asked =
        json!({"pairs": 150, "seed": 9, "size": 64, "shard": 100, "label": "d", "metadata": {"a": 1}});
    let accepted = api.post("/v1/datasets", &tenant.write, asked).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{:?}", accepted.body);
    let receipt = accepted.json();
    assert_eq!((&receipt["jobs"], &receipt["shards"]), (&json!(5), &json!(2)));
    let url = receipt["url"].as_str().unwrap();
    let batch = api.get(url, &tenant.read).await.json();
    assert_eq!(
        (&batch["label"], &batch["metadata"], &batch["band"]),
        (&json!("d"), &json!({"a": 1}), &json!("bulk"))
    );
    let made = jobs(&api, &tenant.read, url).await;
    let seen: Vec<(&str, &str, u64, u64)> = made
        .iter()
        .map(|job| {
            let number = |name: &str| job["parameters"][name].as_u64().unwrap();
            (job["kind"].as_str().unwrap(), job["state"].as_str().unwrap(), number("first"), number("count"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("render", "queued", 0, 64),
            ("render", "queued", 64, 36),
            ("pack", "blocked", 0, 100),
            ("render", "queued", 100, 50),
            ("pack", "blocked", 100, 50),
        ]
    );
    let hands = api.hands();
    let id = |place: usize| made[place]["id"].as_str().unwrap().parse().unwrap();
    for place in [0, 1] {
        let run = hands.claim(tenant.id, id(place), Band::Bulk).await;
        hands.end(&run, json!(RenderedPairs { made: 30, ..RenderedPairs::default() })).await;
    }
    let run = hands.claim(tenant.id, id(2), Band::Bulk).await;
    let stored = hands.store_file(&run, "00000.tar", b"a shard").await;
    let (key, hash) = (stored.0, stored.1);
    hands.end(&run, json!(PackedShard { key, samples: 60, bytes: 7, hash })).await;
    let results = api.get(&format!("{url}/results.jsonl"), &tenant.read).await;
    let lines = String::from_utf8(results.body.to_vec()).unwrap();
    let shard: Value = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|job| job["kind"] == "pack")
        .unwrap()["shard"]
        .clone();
    assert_eq!((&shard["name"], &shard["samples"]), (&json!("00000.tar"), &json!(60)));
    let bytes = api.get(shard["url"].as_str().unwrap(), &tenant.read).await;
    assert_eq!(
        (&bytes.body[..], bytes.headers["content-type"].to_str().unwrap()),
        (&b"a shard"[..], "application/x-tar")
    );
    let none = format!("/v1/jobs/{}/shard", made[0]["id"].as_str().unwrap());
    assert_eq!(api.get(&none, &tenant.read).await.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_a_dataset_is_refused_by_its_field() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    for (asked, field) in [
        (json!({"pairs": 0}), "pairs"),
        (json!({"pairs": u64::MAX}), "pairs"),
        (json!({"pairs": 1_000_000}), "pairs"),
        (json!({"pairs": 4000, "shard": 1}), "pairs"),
        (json!({"pairs": 9, "seed": u64::MAX, "size": 15}), "size"),
        (json!({"pairs": 9, "size": 4096}), "size"),
        (json!({"pairs": 9, "shard": 0}), "shard"),
        (json!({"pairs": 9, "shard": 20_001}), "shard"),
        (json!({"pairs": 9, "metadata": {"a": "b".repeat(5000)}}), "metadata"),
    ] {
        let answer = api.post("/v1/datasets", &tenant.write, asked.clone()).await;
        assert_eq!(answer.problem().0, 422, "{asked}");
        assert_eq!(answer.json()["errors"][0]["pointer"], field, "{asked}: {}", answer.json());
    }
    let unknown = api.post("/v1/datasets", &tenant.write, json!({"pairs": 9, "colour": 1})).await;
    assert_eq!(unknown.problem().0, 422);
    let batches = api.get("/v1/batches", &tenant.read).await.json();
    assert_eq!(batches["batches"], json!([]));
}
