//! Health, version, figures, documents, and how errors look.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::json;

use crate::Server;

#[tokio::test]
async fn a_server_says_how_it_is() {
    let api = Server::start().await;
    let get = async |path: &str| api.call(Method::GET, path, None, None).await;
    assert_eq!((get("/healthz").await.status, get("/healthz").await.body), (StatusCode::OK, "ok\n".into()));
    let ready = get("/readyz").await;
    let all = json!({"ready": true, "store": true, "queue": true, "blobs": true, "live": true});
    assert_eq!((ready.status, ready.json()), (StatusCode::OK, all));
    assert_eq!(get("/version").await.json(), json!({"version": env!("CARGO_PKG_VERSION")}));
    let figures = String::from_utf8(get("/metrics").await.body.to_vec()).unwrap();
    let line =
        "retouch_http_request_duration_seconds_count{method=\"GET\",route=\"/healthz\",status=\"200\"} 2";
    assert!(figures.contains(line), "{figures}");
    api.stop.cancel();
    assert_eq!(get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_document_is_served_and_readable() {
    let api = Server::start().await;
    let document = api.call(Method::GET, "/openapi.json", None, None).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document, serde_json::to_value(retouch_api::openapi()).unwrap());
    let page = api.call(Method::GET, "/docs", None, None).await;
    assert!(page.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.contains(path.as_str()), "{path}");
    }
    assert!(!page.contains("<script"));
}

#[tokio::test]
async fn every_operation_is_described() {
    let document = serde_json::to_value(retouch_api::openapi()).unwrap();
    let mut names = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{place} has no summary");
            assert!(operation["tags"].is_array(), "{place} has no tag");
            let needs_key = path.starts_with("/v1/");
            assert_eq!(operation["security"][0]["key"].is_array(), needs_key, "{place}");
            names.push(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "an operation id is used twice");
}

#[tokio::test]
async fn errors_are_problems() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let problem =
        async |method, path: &str| api.call(method, path, Some(&tenant.admin), None).await.problem();
    assert_eq!(problem(Method::GET, "/nowhere").await, (404, "not_found".to_owned()));
    assert_eq!(problem(Method::DELETE, "/healthz").await, (405, "method_not_allowed".to_owned()));
    assert_eq!(problem(Method::GET, "/v1/keys?limit=0").await, (422, "invalid_request".to_owned()));
    assert_eq!(problem(Method::GET, "/v1/keys?lmit=1").await, (422, "invalid_request".to_owned()));
    assert_eq!(problem(Method::POST, "/v1/keys").await, (415, "media_type_unsupported".to_owned()));
    let post = async |text: String| {
        let request = Request::post("/v1/keys")
            .header(header::AUTHORIZATION, format!("Bearer {}", tenant.admin))
            .header(header::CONTENT_TYPE, "application/json");
        api.send(request.body(Body::from(text)).unwrap()).await.problem()
    };
    assert_eq!(post("{".to_owned()).await, (400, "json_malformed".to_owned()));
    let unknown = json!({"name": "x", "scope": "read", "colour": 1}).to_string();
    assert_eq!(post(unknown).await, (422, "invalid_request".to_owned()));
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(5 << 20));
    assert_eq!(post(large).await, (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn every_answer_has_an_id() {
    let api = Server::start().await;
    let id = async |given: &str| {
        let request = Request::get("/nowhere").header("x-request-id", given).body(Body::empty()).unwrap();
        api.send(request).await.header("x-request-id".parse().unwrap()).to_owned()
    };
    assert_eq!(id("mine-1").await, "mine-1");
    assert!(id("with space").await.parse::<uuid::Uuid>().is_ok());
    assert!(id(&"x".repeat(65)).await.parse::<uuid::Uuid>().is_ok());
}
