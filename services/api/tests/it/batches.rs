//! Bulk submissions, and what is done to them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use retouch_domain::{Band, BatchId, NewBatch};
use retouch_ports::store::LoadPart;
use retouch_ports::{Ids, SystemIds};
use retouch_testkit::clock::ManualClock;
use serde_json::{Value, json};

use crate::edits::edit;
use crate::files::png;
use crate::{Answered, Server, Tenant, options};

pub async fn submit(api: &Server, tenant: &Tenant, body: Value) -> Answered {
    api.post("/v1/batches", &tenant.write, body).await
}

pub fn id_of(answered: &Answered) -> String {
    assert_eq!(answered.status, StatusCode::ACCEPTED, "{:?}", answered.body);
    answered.json()["id"].as_str().unwrap().to_owned()
}

pub fn lines(answered: &Answered) -> Vec<Value> {
    assert_eq!(answered.header(header::CONTENT_TYPE), "application/jsonl");
    let text = std::str::from_utf8(&answered.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_row_gets_its_verdict() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let image = edit(&api, &tenant).await["image"].clone();
    let row = |key: &str| json!({"key": key, "instruction": "add a tree"});
    let rows = [row("a"), row("b"), row("a"), json!({"key": "c", "instruction": ""})];
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let text = format!("\n{text}not json\n   \n[1]\n{}", row("d"));
    let file = api.upload(&tenant.write, "application/jsonl", text).await.json();
    let request = json!({
        "file": file["id"], "defaults": {"image": image, "steps": 5}, "label": "một", "band": "standard",
        "metadata": {"run": 7}
    });
    let accepted = submit(&api, &tenant, request).await;
    let (id, receipt) = (id_of(&accepted), accepted.json());
    assert_eq!(receipt["verdicts"], json!({"new": 3, "duplicate": 1, "invalid": 3}));
    let refused: Vec<_> =
        receipt["refused"].as_array().unwrap().iter().map(|row| row["code"].clone()).collect();
    assert_eq!(refused, ["empty", "json_malformed", "not_an_object"]);
    let batch = api.get(&format!("/v1/batches/{id}"), &tenant.read).await.json();
    assert_eq!(
        (&batch["state"], &batch["band"], &batch["label"]),
        (&json!("open"), &json!("standard"), &json!("một"))
    );
    assert_eq!((&batch["metadata"], &batch["counts"]["total"]), (&json!({"run": 7}), &json!(3)));
    let verdicts = lines(&api.get(&format!("/v1/batches/{id}/verdicts.jsonl"), &tenant.read).await);
    let told: Vec<_> = verdicts.iter().map(|verdict| verdict["verdict"].as_str().unwrap()).collect();
    assert_eq!(told, ["new", "new", "duplicate", "invalid", "invalid", "invalid", "new"]);
    assert_eq!((&verdicts[2]["at"], &verdicts[3]["at"]), (&json!("a"), &json!("instruction")));
    let job = format!("/v1/jobs/{}", verdicts[6]["job"].as_str().unwrap());
    let job = api.get(&job, &tenant.read).await.json();
    assert_eq!((&job["key"], &job["parameters"]["steps"]), (&json!("d"), &json!(5)));
}

#[tokio::test]
async fn rows_come_in_the_request_or_of_lists() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let one = edit(&api, &tenant).await;
    let receipt = submit(&api, &tenant, json!({"jobs": [one, {"instruction": 7}]})).await;
    assert_eq!(receipt.json()["verdicts"], json!({"new": 1, "duplicate": 0, "invalid": 1}));
    let lists = json!({"seed": [1, 2], "instruction": ["add a tree", "xoá cái cây"]});
    for (how, rows) in [("zip", 2), ("matrix", 4)] {
        let request = json!({"lists": lists, "expand": how, "defaults": {"image": one["image"]}});
        let receipt = submit(&api, &tenant, request).await;
        assert_eq!(receipt.json()["verdicts"]["new"], rows, "{how}");
    }
    for wrong in [
        json!({}),
        json!({"jobs": [one], "file": "x"}),
        json!({"jobs": []}),
        json!({"jobs": vec![json!({}); 1001]}),
        json!({"jobs": [one], "expand": "zip"}),
        json!({"file": "0".repeat(64)}),
        json!({"jobs": [one], "metadata": {"x": "y".repeat(5000)}}),
        json!({"jobs": [one], "colour": 1}),
        json!({"jobs": [one], "label": "x".repeat(201)}),
    ] {
        assert_eq!(submit(&api, &tenant, wrong).await.problem(), (422, "invalid_request".to_owned()));
    }
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let one = edit(&api, &tenant).await;
    let request = json!({"jobs": [one, {}], "defaults": {"size": [512, 512], "steps": 25}});
    let estimate = api.post("/v1/batches?dry_run=true", &tenant.write, request).await;
    assert_eq!(estimate.status, StatusCode::OK);
    let estimate = estimate.json();
    assert_eq!((&estimate["valid"], &estimate["invalid"]), (&json!(1), &json!(1)));
    assert_eq!(estimate["device_seconds"], 1.0);
    assert_eq!(api.get("/v1/batches", &tenant.read).await.json()["batches"], json!([]));
}

#[tokio::test]
async fn the_same_submission_is_one_batch() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let body = json!({"jobs": [edit(&api, &tenant).await]}).to_string();
    let send = async || {
        let request = Request::post("/v1/batches")
            .header(header::AUTHORIZATION, format!("Bearer {}", tenant.write))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "one")
            .body(Body::from(body.clone()));
        api.send(request.unwrap()).await
    };
    let (first, second, third) = (send().await, send().await, send().await);
    assert_eq!((first.status, &first.body), (StatusCode::ACCEPTED, &second.body));
    assert_eq!(first.body, third.body);
}

/// As if the process had died between two parts: the rest is stored, once, and the batch opens.
#[tokio::test]
async fn a_submission_that_was_left_half_way_is_finished() {
    let clock = Arc::new(ManualClock::default());
    let api = Server::at(clock.clone(), options()).await;
    let tenant = api.tenant().await;
    let one = edit(&api, &tenant).await;
    let text = format!("{one}\n{one}\n");
    let file = api.upload(&tenant.write, "application/jsonl", text.clone()).await.json();
    let rows = format!("files/{}/{}", tenant.id, file["id"].as_str().unwrap());
    let batch = NewBatch {
        id: BatchId::new(SystemIds.uuid()),
        tenant: tenant.id,
        band: Band::Bulk,
        label: None,
        meta: json!({"rows": rows, "once": ["k", "f"]}),
    };
    api.store.begin_loading(&batch).await.unwrap();
    assert_eq!(api.api.resume().await, 0);
    let part = LoadPart { from: 0, to: text.len() as u64 / 2, jobs: &[], unreadable: 1 };
    api.store.load(tenant.id, batch.id, part).await.unwrap();
    clock.advance(Duration::from_secs(120));
    assert_eq!(api.api.resume().await, 1);
    let path = format!("/v1/batches/{}", batch.id);
    let stored = api.get(&path, &tenant.read).await.json();
    assert_eq!((&stored["state"], &stored["counts"]["total"]), (&json!("open"), &json!(1)));
    assert_eq!(stored["verdicts"], json!({"new": 1, "duplicate": 0, "invalid": 1}));
    let answer = api.store.answer(tenant.id, "k").await.unwrap().unwrap();
    assert!(answer.answer.contains(&batch.id.to_string()), "{}", answer.answer);
    assert_eq!(api.api.resume().await, 0);
}

#[tokio::test]
async fn results_and_errors_are_read_while_it_runs() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let one = edit(&api, &tenant).await;
    let id = id_of(&submit(&api, &tenant, json!({"jobs": vec![one; 3]})).await);
    let jobs = api.get(&format!("/v1/batches/{id}/jobs"), &tenant.read).await.json();
    let hands = api.hands();
    for place in 0..2 {
        let job = jobs["jobs"][place]["id"].as_str().unwrap().parse().unwrap();
        let run = hands.claim(tenant.id, job, Band::Bulk).await;
        if place == 0 { hands.succeed(&run, &png(2, 2)).await } else { hands.fail(&run).await }
    }
    let read = async |name: &str| lines(&api.get(&format!("/v1/batches/{id}/{name}"), &tenant.read).await);
    let (results, errors) = (read("results.jsonl").await, read("errors.jsonl").await);
    assert_eq!((results.len(), &results[0]["id"]), (1, &jobs["jobs"][0]["id"]));
    assert_eq!((errors.len(), &errors[0]["error"]["code"]), (1, &json!("image_corrupt")));
    let waiting = api.get(&format!("/v1/batches/{id}/jobs?state=queued"), &tenant.read).await.json();
    assert_eq!(
        (waiting["jobs"].as_array().unwrap().len(), &waiting["jobs"][0]["id"]),
        (1, &jobs["jobs"][2]["id"])
    );
    let wrong = api.get(&format!("/v1/batches/{id}/jobs?state=gone"), &tenant.read).await;
    assert_eq!(wrong.problem(), (422, "invalid_request".to_owned()));
}

#[tokio::test]
async fn a_batch_is_paused_moved_resumed_canceled_and_deleted() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let id = id_of(&submit(&api, &tenant, json!({"jobs": [edit(&api, &tenant).await]})).await);
    let path = format!("/v1/batches/{id}");
    let call = async |method: Method, path: String, body: Option<Value>| {
        api.call(method, &path, Some(&tenant.write), body).await
    };
    let act = async |act: &str| call(Method::POST, format!("{path}/{act}"), None).await;
    for (name, paused) in [("pause", true), ("pause", true), ("resume", false), ("resume", false)] {
        let answered = act(name).await;
        assert_eq!(
            (answered.status, answered.json()["paused"].clone()),
            (StatusCode::OK, json!(paused)),
            "{name}"
        );
    }
    let moved = call(Method::PATCH, path.clone(), Some(json!({"band": "interactive"}))).await;
    assert_eq!((moved.status, &moved.json()["band"]), (StatusCode::OK, &json!("interactive")));
    assert_eq!(call(Method::DELETE, path.clone(), None).await.problem(), (409, "batch_state".to_owned()));
    assert_eq!(act("cancel").await.status, StatusCode::ACCEPTED);
    api.store.fold(10).await.unwrap();
    assert_eq!(act("cancel").await.json()["state"], "canceled");
    for name in ["pause", "resume"] {
        assert_eq!(act(name).await.problem(), (409, "batch_state".to_owned()), "{name}");
    }
    let events = api.get(&format!("{path}/events"), &tenant.read).await;
    let text = String::from_utf8(events.body.to_vec()).unwrap();
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert!(ids.len() >= 6 && text.contains("\"event\":\"batch_over\""), "{text}");
    let request = Request::get(format!("{path}/events"))
        .header(header::AUTHORIZATION, format!("Bearer {}", tenant.read))
        .header("last-event-id", ids[2])
        .body(Body::empty());
    let rest = String::from_utf8(api.send(request.unwrap()).await.body.to_vec()).unwrap();
    let rest: Vec<&str> = rest.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(rest, ids[3..]);
    assert_eq!(act("retry").await.json(), json!({"retried": 1}));
    assert_eq!(act("cancel").await.status, StatusCode::ACCEPTED);
    api.store.fold(10).await.unwrap();
    assert_eq!(call(Method::DELETE, path.clone(), None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(Method::GET, path, None).await.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_watcher_is_told_what_is_new_and_nothing_else() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let id = id_of(&submit(&api, &tenant, json!({"jobs": [edit(&api, &tenant).await]})).await);
    let path = format!("/v1/batches/{id}");
    let tag = api.get(&path, &tenant.read).await.header(header::ETAG).to_owned();
    let watch = async |wait: u32| {
        let request = Request::get(format!("{path}?wait={wait}s"))
            .header(header::AUTHORIZATION, format!("Bearer {}", tenant.read))
            .header(header::IF_NONE_MATCH, &tag)
            .body(Body::empty());
        api.send(request.unwrap()).await
    };
    assert_eq!(watch(0).await.status, StatusCode::NOT_MODIFIED);
    let pause = format!("{path}/pause");
    let pause = api.call(Method::POST, &pause, Some(&tenant.write), None);
    let (news, paused) = tokio::join!(watch(60), pause);
    assert_eq!((news.status, paused.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(news.json()["paused"], true);
    let wrong = api.get(&format!("{path}?wait=soon"), &tenant.read).await;
    assert_eq!(wrong.problem(), (422, "invalid_request".to_owned()));
}
