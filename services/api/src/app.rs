//! What the API runs on, and its routes put together.

use std::future::IntoFuture;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use retouch_ports::{Dispatcher, Ports};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::gate::{self, Depth};
use crate::key::KeySecret;
use crate::observe::{self, Figures};
use crate::options::Options;
use crate::problem::Problem;
use crate::routes;
use crate::work::load;

/// How often submissions that were left half way are looked for.
const RESUME_EVERY: Duration = Duration::from_secs(30);

/// How many archives are made at a time.
const ARCHIVES: usize = 16;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

pub(crate) struct Shared {
    ports: Ports,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) secret: KeySecret,
    pub(crate) options: Options,
    pub(crate) figures: Figures,
    pub(crate) depth: Depth,
    /// The archives that may yet begin.
    pub(crate) archives: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Deref for Shared {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}

/// An API.
pub struct Api(App);

impl Api {
    /// An API on these ports. It ends waits and streams when `stop` is canceled, and is not ready from then on.
    pub fn new(ports: Ports, secret: KeySecret, options: Options, stop: CancellationToken) -> Self {
        let Ports { store, queue, live, .. } = ports.clone();
        let dispatcher = Dispatcher::new(store, queue, live, options.dispatch);
        let (figures, depth) = (Figures::default(), Depth::default());
        let archives = Arc::new(Semaphore::new(ARCHIVES));
        Self(App(Arc::new(Shared { ports, dispatcher, secret, options, figures, depth, archives, stop })))
    }

    /// Its routes as a service.
    pub fn router(&self) -> Router {
        let app = self.0.clone();
        let (router, document) = described().split_for_parts();
        router
            .merge(routes::docs::router(&document))
            .fallback(async || Problem::not_found("route"))
            .method_not_allowed_fallback(async || {
                let detail = "this route does not know this method; /docs lists what there is";
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
            })
            .layer(DefaultBodyLimit::max(app.options.body_bytes))
            .layer(from_fn_with_state(app.clone(), observe::observe))
            .with_state(app)
    }

    /// Goes on with submissions whose process died half way. Answers how many there were.
    pub async fn resume(&self) -> usize {
        let resumed = load::resume(&self.0).await.unwrap_or_else(|problem| {
            tracing::debug!(code = problem.code(), "submissions that were left half way are not known");
            0
        });
        if resumed > 0 {
            gate::dispatch(&self.0, &self.0.options.pool);
        }
        resumed
    }

    /// Serves until `stop` is canceled and the requests that run are answered.
    ///
    /// # Errors
    /// As the listener's.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<()> {
        let stop = self.0.stop.clone();
        let resuming = async {
            loop {
                tokio::time::sleep(RESUME_EVERY).await;
                self.resume().await;
            }
        };
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(stop.cancelled_owned());
        tokio::select! {
            served = serving.into_future() => served,
            () = resuming => Ok(()),
        }
    }
}

/// The OpenAPI document of all routes.
pub fn openapi() -> OpenApi {
    described().into_openapi()
}

fn described() -> OpenApiRouter<App> {
    let mut info = utoipa::openapi::Info::new("retouch", env!("CARGO_PKG_VERSION"));
    info.description = Some("Text-instructed image editing in bulk.".to_owned());
    let mut document = OpenApi::new(info, utoipa::openapi::Paths::new());
    KeyScheme.modify(&mut document);
    OpenApiRouter::with_openapi(document).merge(routes::all())
}

/// How callers are known: a key as bearer token.
struct KeyScheme;

impl Modify for KeyScheme {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}
