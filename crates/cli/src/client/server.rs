//! The server: where it is, and how it is asked.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use retouch_cli::failure::{Blame, Failure, chain};
use retouch_cli::settings::SettingsArgs;
use serde_json::Value;

/// How often a server that is busy is asked again.
const TRIES: u32 = 6;
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// How long nothing may arrive.
const IDLE: Duration = Duration::from_secs(90);

/// Which server.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Of the server; that of `retouch up` in this folder if absent
    #[arg(long, env = "RETOUCH_URL", requires = "key")]
    url: Option<String>,
    /// An API key
    #[arg(long, env = "RETOUCH_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// A way to a server.
pub(super) struct Server {
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Server {
    /// The server that was named, or the one that runs on this machine.
    pub(super) fn find(args: &ServerArgs) -> Result<Self, Failure> {
        let (url, key) = match (&args.url, &args.key) {
            (Some(url), Some(key)) => (url.trim_end_matches('/').to_owned(), key.clone()),
            _ => local()?,
        };
        let http = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(IDLE).build();
        let http =
            http.map_err(|error| Failure::new(Blame::Program, "runtime_unavailable", chain(&error)))?;
        Ok(Self { url, key, http })
    }

    /// The JSON that a path has.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        json(self.ask(|| Ok(self.request(Method::GET, path))).await?).await
    }

    /// The JSON that a path has for these parameters.
    pub(super) async fn get_with(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        json(self.ask(|| Ok(self.request(Method::GET, path).query(query))).await?).await
    }

    /// All of a list that comes in parts.
    pub(super) async fn list(&self, path: &str, name: &str) -> Result<Vec<Value>, Failure> {
        let (mut after, mut items) = (String::new(), Vec::new());
        loop {
            let mut page = self.get(&format!("{path}{after}")).await?;
            items.extend(page[name].as_array_mut().map(std::mem::take).unwrap_or_default());
            let Some(next) = page["next"].as_str() else { return Ok(items) };
            after = format!("?after={next}");
        }
    }

    /// Deletes what a path names.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.ask(|| Ok(self.request(Method::DELETE, path))).await.map(drop)
    }

    /// The body that a path has, part by part.
    pub(super) async fn download(&self, path: &str) -> Result<Response, Failure> {
        self.ask(|| Ok(self.request(Method::GET, path))).await
    }

    /// Posts JSON. With an idempotency key, it has an effect once however often it is sent.
    pub(super) async fn post(&self, path: &str, body: &Value, once: Option<&str>) -> Result<Value, Failure> {
        let asked = self.ask(|| {
            let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
            let request =
                once.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
            Ok(request.body(body.to_string()))
        });
        json(asked.await?).await
    }

    /// Uploads a file; answers its id. What is there already is not stored again.
    pub(super) async fn upload(&self, path: &Path, media_type: &str) -> Result<String, Failure> {
        let asked = self.ask(|| {
            let failed = |error| Failure::file("read", path, &error);
            let file = std::fs::File::open(path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            let stream = tokio_util::io::ReaderStream::new(tokio::fs::File::from_std(file));
            let request = self.request(Method::POST, "/v1/files").header(CONTENT_TYPE, media_type);
            Ok(request.header("content-length", length).body(Body::wrap_stream(stream)))
        });
        let file = json(asked.await.map_err(|failure| failure.about(&path.display()))?).await?;
        Ok(file["id"].as_str().unwrap_or_default().to_owned())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    /// Sends a request, again where the server is too busy to take it.
    async fn ask(&self, request: impl Fn() -> Result<RequestBuilder, Failure>) -> Result<Response, Failure> {
        for attempt in 1.. {
            let response = request()?.send().await.map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
            if busy && attempt < TRIES {
                let asked =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(Duration::from_secs(asked.unwrap_or(1).min(60))).await;
                continue;
            }
            return if status.is_success() { Ok(response) } else { Err(refused(response).await) };
        }
        unreachable!("the last attempt returns")
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let message = format!("{} does not answer: {}; is `retouch up` running?", self.url, chain(error));
        Failure::new(Blame::Server, "server_unreachable", message)
    }
}

/// Where `retouch up` says that it is.
fn local() -> Result<(String, String), Failure> {
    let settings =
        SettingsArgs { config: std::env::var_os("RETOUCH_CONFIG").map(Into::into), json: false }.load()?;
    let path = Path::new(&settings.up.folder).join("server.json");
    let known = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let text = |name: &str| known.as_ref()?[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    text("url").zip(text("key")).ok_or_else(|| {
        let message = format!(
            "no server is known: {} is not there; start `retouch up` here, or say --url and --key",
            path.display()
        );
        Failure::new(Blame::Parameters, "server_unknown", message)
    })
}

async fn json(response: Response) -> Result<Value, Failure> {
    let bytes = response.bytes().await.map_err(|error| broken(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(&error))
}

/// An answer that ended too early, or is none.
pub(super) fn broken(error: &dyn std::error::Error) -> Failure {
    Failure::new(
        Blame::Server,
        "answer_broken",
        format!("the server's answer cannot be read: {}", chain(error)),
    )
}

/// What a problem document says.
async fn refused(response: Response) -> Failure {
    let status = response.status();
    let problem: Value =
        response.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let blame = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Blame::Key,
        _ if status.is_client_error() => Blame::Parameters,
        _ => Blame::Server,
    };
    let code = problem["code"].as_str().unwrap_or("refused").to_owned();
    let mut message =
        problem["detail"].as_str().map_or_else(|| format!("the server says {status}"), str::to_owned);
    for error in problem["errors"].as_array().into_iter().flatten() {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        message += &format!("; {}: {}", text("pointer"), text("message"));
    }
    Failure::new(blame, code, message)
}
