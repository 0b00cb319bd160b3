//! Submissions whose body is the list of jobs itself; lists of batches; what is canceled of one.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use retouch_domain::Band;
use serde_json::{Value, json};

use crate::batches::{id_of, lines, submit};
use crate::edits::edit;
use crate::files::png;
use crate::{Answered, Server, Tenant, options};

async fn send(api: &Server, tenant: &Tenant, query: &str, once: Option<&str>, body: String) -> Answered {
    let request = Request::post(format!("/v1/batches{query}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", tenant.write))
        .header(header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8");
    let request = once.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    // In many pieces, as from a network.
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        body.into_bytes().chunks(1000).map(|piece| Ok(piece.to_vec())).collect();
    api.send(request.body(Body::from_stream(futures_util::stream::iter(pieces))).unwrap()).await
}

#[tokio::test]
async fn the_body_may_be_the_list_of_jobs() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let image = edit(&api, &tenant).await["image"].clone();
    let body: String = (0..1500)
        .map(|row| format!("{}\n", json!({"key": row.to_string(), "instruction": "add a tree"})))
        .collect();
    let body = format!("{body}\nnot json\n");
    let defaults =
        format!("%7B%22image%22:%7B%22file%22:{}%7D,%22steps%22:5%7D", image["file"]).replace('"', "%22");
    let query = format!("?band=standard&label=many&defaults={defaults}&metadata=%7B%22run%22:7%7D");
    let dry = send(&api, &tenant, &format!("{query}&dry_run=true"), None, body.clone()).await;
    assert_eq!((dry.status, dry.json()["valid"].clone()), (StatusCode::OK, json!(1500)), "{:?}", dry.body);
    let accepted = send(&api, &tenant, &query, Some("one"), body.clone()).await;
    let id = id_of(&accepted);
    assert_eq!(accepted.json()["verdicts"], json!({"new": 1500, "duplicate": 0, "invalid": 1}));
    let again = send(&api, &tenant, &query, Some("one"), body.clone()).await;
    assert_eq!(again.json(), accepted.json());
    let other = send(&api, &tenant, "?band=bulk", Some("one"), body).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    let batch = api.get(&format!("/v1/batches/{id}"), &tenant.read).await.json();
    assert_eq!((&batch["band"], &batch["label"]), (&json!("standard"), &json!("many")));
    assert_eq!((&batch["metadata"], &batch["counts"]["total"]), (&json!({"run": 7}), &json!(1500)));
    let verdicts = lines(&api.get(&format!("/v1/batches/{id}/verdicts.jsonl"), &tenant.read).await);
    assert_eq!((verdicts.len(), &verdicts[1500]["code"]), (1501, &json!("json_malformed")));
    let jobs = api.get(&format!("/v1/batches/{id}/jobs?limit=1"), &tenant.read).await.json();
    assert_eq!(jobs["jobs"][0]["parameters"]["steps"], 5);
}

#[tokio::test]
async fn a_list_of_jobs_is_refused_by_name() {
    let small = retouch_api::Options { file_bytes: 4 << 20, ..options() };
    let api = Server::with(small).await;
    let tenant = api.tenant().await;
    let refused = async |query: &str, body: String| send(&api, &tenant, query, None, body).await.problem();
    let invalid = (422, "invalid_request".to_owned());
    assert_eq!(refused("", String::new()).await, invalid);
    assert_eq!(refused("?defaults=7", "{}".to_owned()).await, invalid);
    assert_eq!(refused("?metadata=%7B", "{}".to_owned()).await, invalid);
    assert_eq!(refused("?colour=red", "{}".to_owned()).await, invalid);
    assert_eq!(refused("", "1\n".repeat(1_000_001)).await, (413, "too_many_lines".to_owned()));
    assert_eq!(refused("", " ".repeat(5 << 20)).await, (413, "body_too_large".to_owned()));
    let mixed = api.post("/v1/batches?label=x", &tenant.write, json!({"jobs": [{}]})).await;
    assert_eq!(mixed.problem(), invalid);
    assert_eq!(api.get("/v1/batches", &tenant.read).await.json()["batches"], json!([]));
}

#[tokio::test]
async fn batches_are_listed_by_state_label_and_age() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let one = edit(&api, &tenant).await;
    let mut ids = Vec::new();
    for label in ["a", "b", "a"] {
        ids.push(id_of(&submit(&api, &tenant, json!({"jobs": [one], "label": label})).await));
    }
    let cancel = format!("/v1/batches/{}/cancel", ids[0]);
    api.call(Method::POST, &cancel, Some(&tenant.write), None).await;
    api.store.fold(10).await.unwrap();
    let list = async |query: &str| -> (Vec<String>, Value) {
        let list = api.get(&format!("/v1/batches?{query}"), &tenant.read).await.json();
        let ids = list["batches"].as_array().unwrap().iter();
        (ids.map(|batch| batch["id"].as_str().unwrap().to_owned()).collect(), list["next"].clone())
    };
    assert_eq!(list("").await.0, ids);
    assert_eq!(list("label=a").await.0, [ids[0].clone(), ids[2].clone()]);
    assert_eq!(list("label=a&state=open").await.0, [ids[2].clone()]);
    assert_eq!(list("state=canceled&order=newest").await.0, [ids[0].clone()]);
    let (newest, next) = list("order=newest&limit=2").await;
    assert_eq!(newest, [ids[2].clone(), ids[1].clone()]);
    let rest = format!("order=newest&limit=2&after={}", next.as_str().unwrap());
    assert_eq!(list(&rest).await.0, [ids[0].clone()]);
    for wrong in ["state=gone", "order=best", "limit=0", "after=x"] {
        let answer = api.get(&format!("/v1/batches?{wrong}"), &tenant.read).await;
        assert_eq!(answer.problem(), (422, "invalid_request".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn what_waits_of_a_batch_is_canceled_and_what_runs_goes_on() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let id = id_of(&submit(&api, &tenant, json!({"jobs": vec![edit(&api, &tenant).await; 3]})).await);
    let jobs = api.get(&format!("/v1/batches/{id}/jobs"), &tenant.read).await.json();
    let job = jobs["jobs"][1]["id"].as_str().unwrap().parse().unwrap();
    let hands = api.hands();
    let run = hands.claim(tenant.id, job, Band::Bulk).await;
    let cancel = async |scope: &str| {
        let path = format!("/v1/batches/{id}/cancel?scope={scope}");
        api.call(Method::POST, &path, Some(&tenant.write), None).await
    };
    assert_eq!(cancel("some").await.problem(), (422, "invalid_request".to_owned()));
    let canceled = cancel("waiting").await;
    assert_eq!(canceled.status, StatusCode::ACCEPTED);
    let batch = canceled.json();
    assert_eq!((&batch["state"], &batch["cancel_requested"]), (&json!("open"), &json!(false)));
    assert_eq!((&batch["counts"]["canceled"], &batch["counts"]["live"]), (&json!(2), &json!(1)));
    hands.succeed(&run, &png(2, 2)).await;
    api.store.fold(10).await.unwrap();
    let batch = api.get(&format!("/v1/batches/{id}"), &tenant.read).await.json();
    assert_eq!((&batch["counts"]["succeeded"], &batch["counts"]["canceled"]), (&json!(1), &json!(2)));
    assert!(batch["ended_at"].is_string(), "{batch}");
}
