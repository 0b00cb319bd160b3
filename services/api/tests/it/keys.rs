//! Making, listing and revoking keys.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::Server;

#[tokio::test]
async fn a_key_is_made_used_and_revoked() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let made = api.post("/v1/keys", &tenant.admin, json!({"name": "của tôi", "scope": "admin"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = made.json();
    let key = made["key"].as_str().unwrap();
    let listed = api.get("/v1/keys", key).await.json();
    let listed = listed["keys"].as_array().unwrap();
    assert_eq!(listed.len(), 4);
    let found = listed.iter().find(|found| found["id"] == made["id"]).unwrap();
    assert_eq!((&found["name"], &found["scope"]), (&json!("của tôi"), &json!("admin")));
    assert!(found.get("key").is_none() && found["created_at"].is_string());
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    for _ in 0..2 {
        let revoked = api.call(Method::DELETE, &path, Some(&tenant.admin), None).await;
        assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(api.get("/v1/keys", key).await.problem(), (401, "key_invalid".to_owned()));
}

#[tokio::test]
async fn a_key_ends_when_it_was_told_to() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let make = async |at: &str| {
        let request = json!({"name": "x", "scope": "admin", "expires_at": at});
        api.post("/v1/keys", &tenant.admin, request).await
    };
    let past = make("2020-01-01T00:00:00Z").await.json();
    let answer = api.get("/v1/keys", past["key"].as_str().unwrap()).await;
    assert_eq!(answer.problem(), (401, "key_invalid".to_owned()));
    let later = make("2100-01-01T00:00:00+07:00").await.json();
    assert_eq!(later["expires_at"], "2099-12-31T17:00:00Z");
    assert_eq!(api.get("/v1/keys", later["key"].as_str().unwrap()).await.status, StatusCode::OK);
    let refused = make("tomorrow").await;
    assert_eq!(refused.problem(), (422, "invalid_request".to_owned()));
    assert_eq!(refused.json()["errors"][0]["pointer"], "expires_at");
}

#[tokio::test]
async fn lists_come_in_parts() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let (mut seen, mut path) = (0, "/v1/keys?limit=2".to_owned());
    loop {
        let part = api.get(&path, &tenant.admin).await.json();
        seen += part["keys"].as_array().unwrap().len();
        let Some(next) = part["next"].as_str() else { break };
        path = format!("/v1/keys?limit=2&after={next}");
    }
    assert_eq!(seen, 3);
}
