//! The API over the embedded backends, as a client sees it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod batches;
mod bulk;
mod datasets;
mod door;
mod edits;
mod files;
mod fleet;
mod hands;
mod keys;
mod operations;
mod reading;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use retouch_api::{KeySecret, Options};
use retouch_bootstrap::backends::Process;
use retouch_bootstrap::{Settings, backends, stores};
use retouch_domain::{KeyId, Scope, TenantId};
use retouch_ports::store::NewKey;
use retouch_ports::{BlobStore, Clock, Ids, JobStore, Live, SystemClock, SystemIds};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::hands::Hands;

/// An API with a store and files of its own.
struct Server {
    api: retouch_api::Api,
    router: Router,
    store: Arc<dyn JobStore>,
    blobs: Arc<dyn BlobStore>,
    live: Arc<dyn Live>,
    secret: KeySecret,
    stop: CancellationToken,
    _folder: TempDir,
}

fn options() -> Options {
    Options { model: Some("small".to_owned()), ..Options::new("gpu".parse().unwrap()) }
}

/// A tenant with a key of each scope.
struct Tenant {
    id: TenantId,
    read: String,
    write: String,
    admin: String,
}

/// What was answered.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(&name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    /// The code of a problem document, and that it is one.
    fn problem(&self) -> (u16, String) {
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        assert_eq!(json["type"], format!("urn:retouch:problem:{}", json["code"].as_str().unwrap()));
        assert!(json["detail"].is_string() && json["title"].is_string() && json["retryable"].is_boolean());
        (self.status.as_u16(), json["code"].as_str().unwrap().to_owned())
    }
}

impl Server {
    async fn start() -> Self {
        Self::with(options()).await
    }

    async fn with(options: Options) -> Self {
        Self::at(Arc::new(SystemClock), options).await
    }

    async fn at(clock: Arc<dyn Clock>, options: Options) -> Self {
        Self::open(clock, None, options).await
    }

    /// One whose webhooks may lead to a server of the test's own.
    async fn reaching(address: SocketAddr, options: Options) -> Self {
        Self::open(Arc::new(SystemClock), Some(address), options).await
    }

    async fn open(clock: Arc<dyn Clock>, reachable: Option<SocketAddr>, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        let variable = |name: &str| match name {
            "RETOUCH_STORE_URL" => Some(format!("sqlite:{}", place("jobs.db"))),
            "RETOUCH_BLOBS_URL" => Some(format!("file:{}", place("blobs"))),
            "RETOUCH_FETCH_ALLOW" => reachable.map(|address| format!("[\"{address}\"]")),
            "RETOUCH_FETCH_PORTS" => reachable.map(|address| format!("[80, 443, {}]", address.port())),
            _ => None,
        };
        let settings = Settings::load(None, &variable).unwrap();
        let process = Process { clock, ids: Arc::new(SystemIds), variable: &variable };
        stores::migrate(&settings.store).await.unwrap();
        let ports = backends::connect(&settings, &process).await.unwrap();
        let (store, blobs, live) = (ports.store.clone(), ports.blobs.clone(), ports.live.clone());
        let secret = KeySecret::new("a secret of a test, 32 bytes at least").unwrap();
        let stop = CancellationToken::new();
        let api = retouch_api::Api::new(ports, secret.clone(), options, stop.clone());
        let router = api.router();
        Self { api, router, store, blobs, live, secret, stop, _folder: folder }
    }

    fn hands(&self) -> Hands {
        Hands { store: self.store.clone(), blobs: self.blobs.clone() }
    }

    async fn tenant(&self) -> Tenant {
        let id = TenantId::new(SystemIds.uuid());
        let [read, write, admin] = Scope::ALL;
        Tenant {
            id,
            read: self.key(id, read).await,
            write: self.key(id, write).await,
            admin: self.key(id, admin).await,
        }
    }

    async fn key(&self, tenant: TenantId, scope: Scope) -> String {
        let key = retouch_api::key::new_key();
        let id = KeyId::new(SystemIds.uuid());
        let digest = self.secret.digest(&key);
        let record = NewKey { id, tenant, name: scope.code().to_owned(), scope, digest, expires_at: None };
        self.store.add_key(&record).await.unwrap();
        key
    }

    async fn send(&self, request: Request<Body>) -> Answered {
        let answer = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            Answered { status: parts.status, headers: parts.headers, body }
        };
        retouch_testkit::case::soon(answer).await
    }

    async fn call(&self, method: Method, path: &str, key: Option<&str>, body: Option<Value>) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// Whether the body of an answer ends before its end.
    async fn broken_off(&self, path: &str, key: &str) -> bool {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        retouch_testkit::case::soon(axum::body::to_bytes(response.into_body(), usize::MAX)).await.is_err()
    }

    async fn get(&self, path: &str, key: &str) -> Answered {
        self.call(Method::GET, path, Some(key), None).await
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Answered {
        self.call(Method::POST, path, Some(key), Some(body)).await
    }

    /// Uploads bytes as `kind`.
    async fn upload(&self, key: &str, kind: &str, bytes: impl Into<Body>) -> Answered {
        let request = Request::post("/v1/files")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, kind)
            .body(bytes.into())
            .unwrap();
        self.send(request).await
    }
}
