//! Servers of a test's own, to restart and to kill, through the program that `cargo xtask services` names.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// One server that no other test uses; it ends when this is dropped, or with the next run of `cargo xtask services`.
pub struct PrivateServer {
    tool: Tool,
    server: &'static str,
    url: String,
}

#[derive(Clone)]
struct Tool {
    program: String,
    dir: PathBuf,
}

impl Tool {
    fn call(&self, words: &[&str]) -> String {
        let mut call = Command::new(&self.program);
        let output = call.arg("services").args(words).arg("--dir").arg(&self.dir).output();
        let output = output.unwrap_or_else(|error| panic!("starting {}: {error}", self.program));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "services {words:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Blocks for seconds, which a test's runtime must not.
    async fn call_aside(&self, words: Vec<String>) -> String {
        let tool = self.clone();
        let call = move || tool.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(call).await.expect("the call of the tool")
    }
}

impl PrivateServer {
    /// Starts `postgres`, `rabbitmq` or `redis`.
    pub async fn start(server: &'static str) -> Self {
        let name = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = crate::case::server_url("RETOUCH_TEST_SERVICES_DIR");
        let tool = Tool {
            program: crate::case::server_url("RETOUCH_TEST_SERVICES_TOOL"),
            dir: PathBuf::from(folder).join(name),
        };
        let owner = std::process::id().to_string();
        let words = ["start", "--only", server, "--owner", &owner].map(str::to_owned).to_vec();
        let said = tool.call_aside(words).await;
        let url = said.split('\'').nth(1).expect("the tool prints the address").to_owned();
        Self { tool, server, url }
    }

    /// Its address, the same after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it in good order and starts it with its data.
    pub async fn restart(&self) {
        self.tool.call_aside(vec!["restart".to_owned(), self.server.to_owned()]).await;
    }

    /// Stops it and starts it without its data.
    pub async fn restart_empty(&self) {
        let words = ["restart", self.server, "--wipe"].map(str::to_owned).to_vec();
        self.tool.call_aside(words).await;
    }

    /// Ends it as a crash would.
    pub async fn kill(&self) {
        self.tool.call_aside(vec!["kill".to_owned(), self.server.to_owned()]).await;
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.tool.call(&["stop"]);
    }
}
