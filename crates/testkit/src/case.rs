//! How suites run their cases and wait.

use std::time::Duration;

/// Longer than anything takes on the slowest machine: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs one case of a suite; its name is the last that a failing test prints.
pub async fn case(name: &str, body: impl Future<Output = ()>) {
    eprintln!("case: {name}");
    soon(body).await;
}

/// The outcome of what must come to an end.
#[track_caller]
pub fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(value) => value,
            Err(_) => panic!("nothing came in {PATIENCE:?} at {place}"),
        }
    }
}

/// Waits until something holds that no signal tells of.
#[track_caller]
pub fn eventually(mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    soon(async move {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// A test that needs a server fails without one, and says what to do.
pub fn server_url(variable: &str) -> String {
    match std::env::var(variable) {
        Ok(url) if !url.is_empty() => url,
        _ => panic!(
            "{variable} is not set: run the tests through `cargo xtask services run -- cargo test ...`"
        ),
    }
}
