//! One edit from request to image.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use retouch_domain::{Band, JobId};
use serde_json::{Value, json};

use crate::files::png;
use crate::{Answered, Server, Tenant, options};

/// A good edit of an uploaded file.
pub async fn edit(api: &Server, tenant: &Tenant) -> Value {
    let file = api.upload(&tenant.write, "image/png", png(6, 4)).await.json();
    json!({"image": {"file": file["id"]}, "instruction": "thêm một cái cây"})
}

fn job_of(answered: &Answered) -> JobId {
    answered.json()["id"].as_str().unwrap().parse().unwrap()
}

async fn post_with(api: &Server, tenant: &Tenant, header: (&str, &str), body: &Value) -> Answered {
    let request = Request::post("/v1/edits")
        .header(header::AUTHORIZATION, format!("Bearer {}", tenant.write))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header.0, header.1)
        .body(Body::from(body.to_string()));
    api.send(request.unwrap()).await
}

#[tokio::test]
async fn an_edit_is_stored_run_and_downloaded() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let accepted = api.post("/v1/edits", &tenant.write, edit(&api, &tenant).await).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{:?}", accepted.body);
    let (job, path) = (job_of(&accepted), accepted.header(header::LOCATION).to_owned());
    let waiting = api.get(&path, &tenant.read).await;
    assert_eq!(waiting.json()["state"], "queued");
    assert_eq!(waiting.json()["parameters"]["model"], "small");
    let hands = api.hands();
    let run = hands.claim(tenant.id, job, Band::Interactive).await;
    assert_eq!(
        run.inputs,
        [format!("files/{}/{}", tenant.id, run.payload["image"]["file"].as_str().unwrap())]
    );
    hands.succeed(&run, &png(6, 4)).await;
    let done = api.get(&format!("{path}?wait=30s"), &tenant.read).await.json();
    assert_eq!((&done["state"], &done["starts"]), (&json!("succeeded"), &json!(1)));
    let image = api.get(done["images"][0]["url"].as_str().unwrap(), &tenant.read).await;
    assert_eq!((image.status, &image.body[..]), (StatusCode::OK, &png(6, 4)[..]));
    let beyond = api.get(&format!("{path}/images/1"), &tenant.read).await;
    assert_eq!(beyond.problem(), (404, "not_found".to_owned()));
    let attempts = api.get(&format!("{path}/attempts"), &tenant.read).await.json();
    assert_eq!(attempts["attempts"][0]["outcome"], "succeeded");
}

#[tokio::test]
async fn a_caller_may_wait_for_the_end() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let body = edit(&api, &tenant).await;
    let impatient = post_with(&api, &tenant, ("prefer", "wait=0"), &body).await;
    assert_eq!(impatient.status, StatusCode::ACCEPTED);
    let waits = async {
        let answered = post_with(&api, &tenant, ("prefer", "respond-async, wait=60"), &body).await;
        assert_eq!((answered.status, answered.json()["state"].as_str()), (StatusCode::OK, Some("failed")));
        assert_eq!(answered.json()["error"], json!({"code": "image_corrupt", "message": "it is broken"}));
    };
    let fails = async {
        let hands = api.hands();
        loop {
            let batches = api.get("/v1/batches", &tenant.read).await.json();
            let Some(batch) = batches["batches"].get(1) else {
                tokio::task::yield_now().await;
                continue;
            };
            let jobs = format!("/v1/batches/{}/jobs", batch["id"].as_str().unwrap());
            let jobs = api.get(&jobs, &tenant.read).await.json();
            let job = jobs["jobs"][0]["id"].as_str().unwrap().parse().unwrap();
            return hands.fail(&hands.claim(tenant.id, job, Band::Interactive).await).await;
        }
    };
    tokio::join!(waits, fails);
}

#[tokio::test]
async fn the_same_request_is_done_once() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let body = edit(&api, &tenant).await;
    let first = post_with(&api, &tenant, ("idempotency-key", "k1"), &body).await;
    let again = post_with(&api, &tenant, ("idempotency-key", "k1"), &body).await;
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    let other = json!({"image": body["image"], "instruction": "another"});
    let refused = post_with(&api, &tenant, ("idempotency-key", "k1"), &other).await;
    assert_eq!(refused.problem(), (422, "idempotency_key_reused".to_owned()));
    let empty = post_with(&api, &tenant, ("idempotency-key", ""), &body).await;
    assert_eq!(empty.problem(), (400, "idempotency_key_invalid".to_owned()));
    let batches = api.get("/v1/batches", &tenant.read).await.json();
    assert_eq!(batches["batches"].as_array().unwrap().len(), 1);
    let all = futures_util::future::join_all(
        (0..8).map(|_| post_with(&api, &tenant, ("idempotency-key", "k2"), &body)),
    )
    .await;
    assert!(all.iter().all(|answered| answered.body == all[0].body));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_by_its_field() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let good = edit(&api, &tenant).await;
    for (field, value, pointer, code) in [
        ("instruction", json!("  "), "instruction", "empty"),
        ("instruction", json!("x".repeat(4097)), "instruction", "too_large"),
        ("image", json!({"file": "0".repeat(64)}), "file", "file_unknown"),
        ("image", json!({"url": "file:///etc/passwd"}), "image.url", "not_a_url"),
        ("image", json!({"path": "x"}), "", "invalid_job"),
        ("colour", json!(1), "", "invalid_job"),
        ("steps", json!(0), "steps", "out_of_range"),
        ("steps", json!(1001), "steps", "out_of_range"),
        ("images", json!(17), "images", "out_of_range"),
        ("quality", json!(0), "quality", "out_of_range"),
        ("size", json!([4, 512]), "size", "out_of_range"),
        ("source_box", json!([0.5, 0.0, 0.4, 1.0]), "source_box", "out_of_range"),
        ("deadline", json!("soon"), "deadline", "not_a_moment"),
        ("timeout_seconds", json!(0), "timeout_seconds", "out_of_range"),
        ("max_attempts", json!(101), "max_attempts", "out_of_range"),
        ("key", json!("x"), "key", "not_here"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let refused = api.post("/v1/edits", &tenant.write, body).await;
        assert_eq!(refused.problem(), (422, "invalid_request".to_owned()), "{field}");
        let error = &refused.json()["errors"][0];
        assert_eq!(
            (error["pointer"].as_str(), error["code"].as_str()),
            (Some(pointer), Some(code)),
            "{field}"
        );
    }
    assert_eq!(api.get("/v1/batches", &tenant.read).await.json()["batches"], json!([]));
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let api = Server::with(retouch_api::Options { most_waiting: 0, ..options() }).await;
    let tenant = api.tenant().await;
    let refused = api.post("/v1/edits", &tenant.write, edit(&api, &tenant).await).await;
    assert_eq!(refused.header(header::RETRY_AFTER), "10");
    assert_eq!(refused.problem(), (429, "queue_full".to_owned()));
    assert_eq!(refused.json()["retryable"], true);
}

#[tokio::test]
async fn jobs_are_canceled_and_retried() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let accepted = api.post("/v1/edits", &tenant.write, edit(&api, &tenant).await).await;
    let (job, path) = (job_of(&accepted), accepted.header(header::LOCATION).to_owned());
    let act =
        async |act: &str| api.call(Method::POST, &format!("{path}/{act}"), Some(&tenant.write), None).await;
    assert_eq!(act("retry").await.problem(), (409, "not_retryable".to_owned()));
    for _ in 0..2 {
        let canceled = act("cancel").await;
        assert_eq!((canceled.status, &canceled.json()["state"]), (StatusCode::OK, &json!("canceled")));
    }
    let retried = act("retry").await;
    assert_eq!((retried.status, &retried.json()["state"]), (StatusCode::OK, &json!("queued")));
    let hands = api.hands();
    let run = hands.claim(tenant.id, job, Band::Interactive).await;
    assert_eq!(act("cancel").await.status, StatusCode::ACCEPTED);
    hands.succeed(&run, &png(3, 3)).await;
    assert_eq!(act("cancel").await.problem(), (409, "job_over".to_owned()));
    let events = api.get(&format!("{path}/events"), &tenant.read).await;
    let text = String::from_utf8(events.body.to_vec()).unwrap();
    for event in ["canceled", "retried", "claimed", "committed"] {
        assert!(text.contains(&format!("\"event\":\"{event}\"")), "{event}: {text}");
    }
}
