//! Who may do what, for every route of the OpenAPI document.

use axum::http::{Method, StatusCode};
use retouch_domain::{EventId, Scope, WebhookId, WebhookKind};
use retouch_ports::store::{NewWebhook, Page, WebhookSecret};
use retouch_ports::{Ids, SystemIds};
use serde_json::{Value, json};

use crate::edits::edit;
use crate::files::png;
use crate::{Server, Tenant};

/// A route that needs a key.
struct Route {
    method: Method,
    path: String,
    scope: Scope,
}

impl Route {
    /// All of them.
    fn all() -> Vec<Self> {
        let document = serde_json::to_value(retouch_api::openapi()).unwrap();
        let mut routes = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let Some(scope) = operation["security"][0]["key"][0].as_str() else { continue };
                let method = method.to_uppercase().parse().unwrap();
                routes.push(Self { method, path: path.clone(), scope: Scope::from_code(scope).unwrap() });
            }
        }
        assert!(routes.len() >= 6, "{}", routes.len());
        routes
    }

    /// The path with what is the tenant's in place of its parameters.
    fn path_of(&self, owned: &Owned) -> String {
        let path = owned.things.iter().fold(self.path.clone(), |path, (name, id)| path.replace(name, id));
        assert!(!path.contains('{'), "nothing is known for the parameters of {path}");
        path
    }

    fn names_something(&self) -> bool {
        self.path.contains('{')
    }
}

/// What a tenant has.
struct Owned {
    things: Vec<(&'static str, String)>,
}

impl Owned {
    async fn by(api: &Server, tenant: &Tenant) -> Self {
        let file = api.upload(&tenant.write, "image/png", png(3, 3)).await.json();
        let keys = api.store.keys(tenant.id, Page { after: None, limit: 1 }).await.unwrap();
        let accepted = api.post("/v1/edits", &tenant.write, edit(api, tenant).await).await.json();
        let cancel = format!("/v1/batches/{}/cancel", accepted["batch"].as_str().unwrap());
        api.call(Method::POST, &cancel, Some(&tenant.write), None).await;
        // Over, so that streams of events end.
        api.store.fold(10).await.unwrap();
        let (webhook, event) = (WebhookId::new(SystemIds.uuid()), EventId::of_test(SystemIds.uuid()));
        let (url, secret) = ("https://example.com/".to_owned(), WebhookSecret([7; 32]));
        let record =
            NewWebhook { id: webhook, tenant: tenant.id, url, kinds: WebhookKind::CHOICE.to_vec(), secret };
        api.store.add_webhook(&record).await.unwrap();
        api.store.add_test(tenant.id, webhook, &event).await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let things = vec![
            ("{file}", text(&file["id"])),
            ("{key}", keys[0].id.to_string()),
            ("{job}", text(&accepted["id"])),
            ("{batch}", text(&accepted["batch"])),
            ("{image}", "0".to_owned()),
            ("{webhook}", webhook.to_string()),
            ("{delivery}", event.to_string()),
        ];
        Self { things }
    }
}

fn body(route: &Route) -> Option<Value> {
    match route.method.as_str() {
        "POST" => Some(json!({})),
        "PATCH" => Some(json!({"band": "bulk"})),
        _ => None,
    }
}

#[tokio::test]
async fn no_route_answers_without_a_key_in_force() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let owned = Owned::by(&api, &tenant).await;
    let revoked = api.key(tenant.id, Scope::Admin).await;
    let found = api.store.key_in_force(&api.secret.digest(&revoked)).await.unwrap().unwrap();
    api.store.revoke_key(tenant.id, found.id).await.unwrap();
    let unknown = retouch_api::key::new_key();
    for route in Route::all() {
        let path = route.path_of(&owned);
        for (key, code) in [
            (None, "key_missing"),
            (Some("not-a-key"), "key_missing"),
            (Some(revoked.as_str()), "key_invalid"),
            (Some(unknown.as_str()), "key_invalid"),
        ] {
            let answer = api.call(route.method.clone(), &path, key, body(&route)).await;
            assert_eq!(answer.problem(), (401, code.to_owned()), "{} {path}", route.method);
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
}

#[tokio::test]
async fn no_route_answers_to_a_narrower_scope() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let owned = Owned::by(&api, &tenant).await;
    for route in Route::all() {
        let path = route.path_of(&owned);
        for (scope, key) in [(Scope::Read, &tenant.read), (Scope::Write, &tenant.write)] {
            let answer = api.call(route.method.clone(), &path, Some(key), body(&route)).await;
            let narrow = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(narrow, !scope.allows(route.scope), "{} {path} {scope:?}", route.method);
            if narrow {
                assert_eq!(answer.problem().1, "scope_too_narrow");
            }
        }
    }
}

#[tokio::test]
async fn no_route_tells_of_another_tenants_things() {
    let api = Server::start().await;
    let (tenant, other) = (api.tenant().await, api.tenant().await);
    let owned = Owned::by(&api, &tenant).await;
    for route in Route::all().into_iter().filter(Route::names_something) {
        let path = route.path_of(&owned);
        let answer = api.call(route.method.clone(), &path, Some(&other.admin), body(&route)).await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()), "{} {path}", route.method);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(&tenant.id.to_string()), "{text}");
    }
}
