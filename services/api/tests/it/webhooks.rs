//! Webhooks through the API. Where they lead is a listener of the test's own.

use axum::http::{Method, StatusCode};
use retouch_ports::store::Page;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::edits::edit;
use crate::{Server, Tenant, options};

/// An API that may post to a listener of its own, and the listener's URL.
async fn server() -> (Server, TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::reaching(address, options()).await;
    (server, listener, format!("http://{address}/hook"))
}

async fn make(api: &Server, tenant: &Tenant, request: Value) -> Value {
    let made = api.post("/v1/webhooks", &tenant.write, request).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    made.json()
}

fn path_of(webhook: &Value) -> String {
    format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_webhook_is_made_listed_rotated_and_deleted() {
    let (api, _listener, url) = server().await;
    let tenant = api.tenant().await;
    let made = make(&api, &tenant, json!({"url": url, "events": ["batch.failed", "batch.completed"]})).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
    assert_eq!(made["events"], json!(["batch.completed", "batch.failed"]));
    assert_eq!((&made["url"], &made["enabled"]), (&json!(url), &json!(true)));
    let path = path_of(&made);
    let rotated = api.post(&format!("{path}/rotate"), &tenant.write, json!({})).await.json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["previous_secret_until"].is_string());
    let all = make(&api, &tenant, json!({"url": url})).await;
    assert_eq!(all["events"], json!(["batch.completed", "batch.canceled", "batch.failed"]));

    let one = api.get(&path, &tenant.read).await;
    let list = api.get("/v1/webhooks", &tenant.read).await;
    for answer in [&one, &list] {
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!text.contains("whsec_") && !text.contains("\"secret\""), "{text}");
    }
    assert_eq!(one.json()["id"], made["id"]);
    assert_eq!(list.json()["webhooks"].as_array().unwrap().len(), 2);
    let part = api.get("/v1/webhooks?limit=1", &tenant.read).await.json();
    let next = format!("/v1/webhooks?limit=1&after={}", part["next"].as_str().unwrap());
    assert_eq!(api.get(&next, &tenant.read).await.json()["webhooks"][0]["id"], all["id"]);

    let deleted = api.call(Method::DELETE, &path, Some(&tenant.write), None).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get(&path, &tenant.read).await.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_a_webhook_is_refused_by_name() {
    let (api, _listener, url) = server().await;
    let tenant = api.tenant().await;
    for (wrong, code) in [
        ("https://127.0.0.1/", "url_address"),
        ("http://169.254.169.254/latest", "url_address"),
        ("http://[::1]/", "url_address"),
        ("http://0x7f000001/", "url_address"),
        ("ftp://example.com/", "url_scheme"),
        ("https://user:word@example.com/", "url_credentials"),
        ("https://example.com:22/", "url_port"),
        ("not a url", "url_invalid"),
        (&format!("https://example.com/{}", "x".repeat(2048)), "too_large"),
    ] {
        let refused = api.post("/v1/webhooks", &tenant.write, json!({"url": wrong})).await;
        assert_eq!(refused.problem(), (422, "invalid_request".to_owned()), "{wrong}");
        assert_eq!(refused.json()["errors"][0]["code"], code, "{wrong}");
        assert_eq!(refused.json()["errors"][0]["pointer"], "url");
    }
    for request in [
        json!({"url": url, "events": []}),
        json!({"url": url, "events": ["webhook.test"]}),
        json!({"url": url, "secret": "mine"}),
        json!({}),
    ] {
        let refused = api.post("/v1/webhooks", &tenant.write, request.clone()).await;
        assert_eq!(refused.problem().0, 422, "{request}");
    }
    assert_eq!(api.get("/v1/webhooks", &tenant.read).await.json()["webhooks"], json!([]));
    for _ in 0..20 {
        make(&api, &tenant, json!({"url": url})).await;
    }
    let refused = api.post("/v1/webhooks", &tenant.write, json!({"url": url})).await;
    assert_eq!(refused.problem(), (409, "webhooks_too_many".to_owned()));
    make(&api, &api.tenant().await, json!({"url": url})).await;
}

#[tokio::test]
async fn the_end_of_a_batch_is_a_delivery_that_can_be_sent_again() {
    let (api, _listener, url) = server().await;
    let tenant = api.tenant().await;
    let webhook = make(&api, &tenant, json!({"url": url})).await;
    let path = path_of(&webhook);
    let accepted = api.post("/v1/edits", &tenant.write, edit(&api, &tenant).await).await.json();
    let batch = accepted["batch"].as_str().unwrap();
    for generation in 1..=2 {
        let cancel = format!("/v1/batches/{batch}/cancel");
        api.call(Method::POST, &cancel, Some(&tenant.write), None).await;
        api.store.fold(10).await.unwrap();
        api.store.fold(10).await.unwrap();
        let listed = api.get(&format!("{path}/deliveries"), &tenant.read).await.json();
        let listed = listed["deliveries"].as_array().unwrap();
        assert_eq!(listed.len(), generation, "one for each time that it ended");
        assert_eq!((&listed[0]["type"], &listed[0]["state"]), (&json!("batch.canceled"), &json!("pending")));
        assert_eq!(listed[0]["data"]["batch"], batch);
        assert_eq!(listed[0]["data"]["generation"], generation);
        assert_eq!(listed[0]["data"]["counts"]["canceled"], 1);
        let retry = format!("/v1/batches/{batch}/retry");
        api.call(Method::POST, &retry, Some(&tenant.write), None).await;
    }
    let first = api.get(&format!("{path}/deliveries?limit=1"), &tenant.read).await.json();
    let newest = first["deliveries"][0]["id"].as_str().unwrap();
    assert!(newest.starts_with("batch_") && newest.ends_with("_2"), "{newest}");
    let after = format!("{path}/deliveries?after={}", first["next"].as_str().unwrap());
    let rest = api.get(&after, &tenant.read).await.json();
    assert!(rest["deliveries"][0]["id"].as_str().unwrap().ends_with("_1"), "{rest}");
    let wrong = api.get(&format!("{path}/deliveries?after=a.b"), &tenant.read).await;
    assert_eq!(wrong.problem(), (422, "invalid_request".to_owned()));

    let again = api.post(&format!("{path}/deliveries/{newest}/redeliver"), &tenant.write, json!({})).await;
    assert_eq!((again.status, &again.json()["id"]), (StatusCode::ACCEPTED, &json!(newest)));
    let missing = api.post(&format!("{path}/deliveries/batch_x_1/redeliver"), &tenant.write, json!({})).await;
    assert_eq!(missing.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn what_is_disabled_is_not_sent_to_until_it_is_enabled() {
    let (api, _listener, url) = server().await;
    let tenant = api.tenant().await;
    let path = path_of(&make(&api, &tenant, json!({"url": url})).await);
    let act = async |act: &str| api.post(&format!("{path}/{act}"), &tenant.write, json!({})).await;
    let tested = act("test").await;
    assert_eq!((tested.status, &tested.json()["type"]), (StatusCode::ACCEPTED, &json!("webhook.test")));
    let delivery = format!("deliveries/{}", tested.json()["id"].as_str().unwrap());
    let disabled = act("disable").await.json();
    assert_eq!((&disabled["enabled"], &disabled["disabled_reason"]), (&json!(false), &json!("by_owner")));
    assert!(disabled["disabled_at"].is_string());
    for name in ["test", &format!("{delivery}/redeliver")] {
        assert_eq!(act(name).await.problem(), (409, "webhook_disabled".to_owned()), "{name}");
    }
    let held = api.get(&format!("{path}/{delivery}"), &tenant.read).await.json();
    assert_eq!((&held["state"], &held["next_attempt_at"]), (&json!("pending"), &Value::Null));
    let enabled = act("enable").await.json();
    assert_eq!((&enabled["enabled"], &enabled["disabled_reason"]), (&json!(true), &Value::Null));
    let found = api.get(&format!("{path}/{delivery}"), &tenant.read).await.json();
    assert!(found["next_attempt_at"].is_string(), "{found}");
    for _ in 1..10 {
        assert_eq!(act("test").await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(act("test").await.problem(), (409, "tests_too_many".to_owned()));
    let webhooks = api.store.webhooks(tenant.id, Page { after: None, limit: 2 }).await.unwrap();
    assert_eq!(webhooks.len(), 1);
}
