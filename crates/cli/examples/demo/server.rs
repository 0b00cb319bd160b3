//! A `retouch up` in a process of its own, and how it is asked.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Method, RequestBuilder};
use retouch_cli::failure::{Blame, Failure, chain};
use serde_json::Value;

/// A server that runs; killed with its owner.
pub struct Server {
    child: Child,
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts one that has the model, and keeps its data in the folder.
    pub async fn start(model: &Path, folder: &Path) -> Result<Self, Failure> {
        let mut command = retouch(folder)?;
        command.args(["up", "--json", "--listen", "127.0.0.1:0", "--models"]).arg(model.join(".."));
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| unstarted(&error))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| unstarted(&error))?;
        }
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let (url, key) = (text("url"), text("key"));
        let server = Self { child, url, key, http: reqwest::Client::new() };
        if server.url.is_empty() {
            return Err(Failure::new(
                Blame::Server,
                "server_unstarted",
                format!("`retouch up` said {line:?}"),
            ));
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|error| unstarted(&error))
    }

    /// The JSON of a path.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        json(&self.bytes(path).await?)
    }

    /// The body of a path.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        send(self.request(Method::GET, path)).await
    }

    /// Posts a body.
    pub async fn post(&self, path: &str, media_type: &str, body: Vec<u8>) -> Result<Value, Failure> {
        json(&send(self.request(Method::POST, path).header("content-type", media_type).body(body)).await?)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was killed already needs nothing.
        let _ = self.kill();
    }
}

/// How many contradictions `retouch audit` finds in the data of the folder.
pub fn audit(folder: &Path) -> Result<u64, Failure> {
    let output = retouch(folder)?.args(["audit", "--json"]).output().map_err(|error| unstarted(&error))?;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    report["findings"].as_array().map(|findings| findings.len() as u64).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Failure::new(Blame::Program, "audit_failed", format!("`retouch audit` said {said:?}"))
    })
}

/// The program beside this one's folder, with nothing of the caller's settings.
fn retouch(folder: &Path) -> Result<Command, Failure> {
    let own = std::env::current_exe().map_err(|error| unstarted(&error))?;
    let programs: Option<PathBuf> = own.parent().and_then(Path::parent).map(Path::to_owned);
    let mut command = Command::new(programs.unwrap_or_default().join("retouch"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RETOUCH_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder);
    Ok(command)
}

async fn send(request: RequestBuilder) -> Result<Vec<u8>, Failure> {
    let failed = |error: &reqwest::Error| Failure::new(Blame::Server, "server_unreachable", chain(error));
    let response = request.send().await.map_err(|error| failed(&error))?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| failed(&error))?;
    if status.is_success() {
        return Ok(body.into());
    }
    Err(Failure::new(
        Blame::Server,
        "request_refused",
        format!("{status}: {}", String::from_utf8_lossy(&body)),
    ))
}

fn json(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(Blame::Server, "answer_unreadable", chain(&error)))
}

fn unstarted(error: &std::io::Error) -> Failure {
    Failure::new(Blame::Installation, "program_unstarted", format!("running `retouch`: {}", chain(error)))
}
