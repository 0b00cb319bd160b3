//! Workers, models, queues, usage, and how often a key may ask.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use retouch_api::Options;
use retouch_domain::{Band, WorkerBootId};
use retouch_ports::live::{Limit, WorkerModel, WorkerPresence};
use retouch_ports::{Ids, SystemIds};
use serde_json::json;

use crate::batches::{id_of, submit};
use crate::edits::edit;
use crate::files::png;
use crate::{Answered, Server, options};

fn worker(pool: &str, models: &[(&str, bool)]) -> WorkerPresence {
    let model = |(name, loaded): &(&str, bool)| WorkerModel { name: (*name).to_owned(), loaded: *loaded };
    WorkerPresence {
        boot: WorkerBootId::new(SystemIds.uuid()),
        pool: pool.parse().unwrap(),
        slots: 8,
        draining: false,
        models: models.iter().map(model).collect(),
    }
}

#[tokio::test]
async fn workers_and_their_models_are_listed() {
    let pools = ["cpu", "gpu"].map(|pool| pool.parse().unwrap()).to_vec();
    let api = Server::with(Options { pools, ..options() }).await;
    let tenant = api.tenant().await;
    assert_eq!(api.get("/v1/models", &tenant.read).await.json(), json!({"models": []}));
    let one = worker("gpu", &[("large", true), ("small", false)]);
    let two = worker("gpu", &[("small", true)]);
    let other = worker("cpu", &[]);
    for worker in [&one, &two, &other] {
        api.live.announce(worker, Duration::from_secs(600)).await.unwrap();
    }
    let models = api.get("/v1/models", &tenant.read).await.json();
    let expected = json!({"models": [
        {"name": "large", "default": false, "workers": 1, "loaded": 1},
        {"name": "small", "default": true, "workers": 2, "loaded": 1},
    ]});
    assert_eq!(models, expected);
    let workers = api.get("/v1/workers", &tenant.admin).await.json();
    let workers = workers["workers"].as_array().unwrap();
    assert_eq!((workers.len(), &workers[0]["id"]), (3, &json!(other.boot.to_string())));
    let first = workers.iter().find(|worker| worker["id"] == one.boot.to_string()).unwrap();
    let expected = json!({
        "id": one.boot.to_string(), "pool": "gpu", "slots": 8, "draining": false,
        "models": ["large", "small"], "loaded": ["large"]
    });
    assert_eq!(*first, expected);
    api.live.withdraw(&one).await.unwrap();
    assert_eq!(api.get("/v1/workers", &tenant.admin).await.json()["workers"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_waits_runs_and_was_used_is_told() {
    let api = Server::start().await;
    let (tenant, other) = (api.tenant().await, api.tenant().await);
    assert_eq!(api.get("/v1/queues", &tenant.admin).await.json(), json!({"queues": []}));
    let id = id_of(&submit(&api, &tenant, json!({"jobs": vec![edit(&api, &tenant).await; 3]})).await);
    let jobs = api.get(&format!("/v1/batches/{id}/jobs"), &tenant.read).await.json();
    let hands = api.hands();
    let job = |place: usize| jobs["jobs"][place]["id"].as_str().unwrap().parse().unwrap();
    let run = hands.claim(tenant.id, job(0), Band::Bulk).await;
    let queues = api.get("/v1/queues", &tenant.admin).await.json();
    let line = &queues["queues"][0];
    assert_eq!((&line["pool"], &line["band"]), (&json!("gpu"), &json!("bulk")));
    assert_eq!((&line["waiting"], &line["running"]), (&json!(2), &json!(1)));
    hands.succeed(&run, &png(2, 2)).await;
    hands.fail(&hands.claim(tenant.id, job(1), Band::Bulk).await).await;

    let usage = api.get("/v1/usage", &tenant.read).await.json();
    let sum = |name: &str| -> u64 {
        usage["days"].as_array().unwrap().iter().map(|day| day[name].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("jobs"), sum("images"), sum("runs")), (1, 1, 2), "{usage}");
    assert_eq!(api.get("/v1/usage", &other.read).await.json()["days"], json!([]));
    let past = api.get("/v1/usage?from=2020-01-01&to=2020-12-31", &tenant.read).await.json();
    assert_eq!(past, json!({"from": "2020-01-01", "to": "2020-12-31", "days": []}));
    let one = api.get("/v1/usage?to=2020-01-30", &tenant.read).await.json();
    assert_eq!(one["from"], "2020-01-01");
    for wrong in ["from=today", "from=2020-01-02&to=2020-01-01", "from=2019-01-01&to=2020-12-31", "day=1"] {
        let answer = api.get(&format!("/v1/usage?{wrong}"), &tenant.read).await;
        assert_eq!(answer.problem(), (422, "invalid_request".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn each_key_has_its_own_limit() {
    let requests = Some(Limit { burst: 3, per_second: 0.001 });
    let api = Server::with(Options { requests, ..options() }).await;
    let tenant = api.tenant().await;
    let field = |answer: &Answered, name: &str| answer.headers[name].to_str().unwrap().to_owned();
    for left in [2, 1, 0] {
        let answer = api.get("/v1/batches", &tenant.read).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(field(&answer, "ratelimit-policy"), "\"key\";q=3;w=3000");
        assert_eq!(field(&answer, "ratelimit"), format!("\"key\";r={left};t={}", (3 - left) * 1000));
    }
    let refused = api.get("/v1/batches", &tenant.read).await;
    assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
    assert_eq!(
        (refused.json()["retryable"].clone(), field(&refused, "ratelimit").starts_with("\"key\";r=0")),
        (json!(true), true)
    );
    let wait: u64 = refused.header(header::RETRY_AFTER).parse().unwrap();
    assert!((900..=1000).contains(&wait), "{wait}");
    // Another key is another account; who has none has no account, and health is for everybody.
    assert_eq!(api.get("/v1/batches", &tenant.write).await.status, StatusCode::OK);
    let health = api.call(Method::GET, "/healthz", None, None).await;
    assert!(health.status == StatusCode::OK && !health.headers.contains_key("ratelimit"));
}

#[tokio::test]
async fn without_a_limit_nothing_is_said_of_one() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let request = Request::get("/v1/batches")
        .header(header::AUTHORIZATION, format!("Bearer {}", tenant.read))
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .body(Body::empty());
    let answer = api.send(request.unwrap()).await;
    assert!(answer.status == StatusCode::OK && !answer.headers.contains_key("ratelimit"));
}
