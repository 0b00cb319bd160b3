//! Waiting for news, and answering only where there is some.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use retouch_ports::live::{Subscription, Topic};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::app::App;
use crate::content::matches_tag;
use crate::problem::{Answer, Problem};

/// The longest wait for an answer.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);
/// How often the store is asked where no event tells.
const ASK: Duration = Duration::from_secs(1);

/// Reads a wait such as `30s` or `30`, cut to [`LONGEST`].
pub(crate) fn wait_of(text: &str) -> Answer<Duration> {
    let seconds = text
        .strip_suffix('s')
        .unwrap_or(text)
        .parse::<u64>()
        .map_err(|_| Problem::invalid_part("wait", "not_a_wait", "use seconds such as 30s, up to 60"))?;
    Ok(Duration::from_secs(seconds).min(LONGEST))
}

/// Reads something until it is as wanted or the wait is over; answers what was read last.
pub(crate) async fn until<T, Found: Future<Output = Answer<T>>>(
    app: &App,
    topic: Topic,
    wait: Duration,
    read: impl Fn() -> Found,
    wanted: impl Fn(&T) -> bool,
) -> Answer<T> {
    let end = Instant::now() + wait;
    // What is published after this is heard, so nothing is missed between a look and the wait.
    let mut news = if wait.is_zero() { None } else { News::of(app, topic).await };
    loop {
        let found = read().await?;
        if wanted(&found) || Instant::now() >= end || app.stop.is_cancelled() {
            return Ok(found);
        }
        tokio::select! {
            () = hear(&mut news) => {}
            () = tokio::time::sleep_until(end.min(Instant::now() + ASK)) => {}
            () = app.stop.cancelled() => {}
        }
    }
}

/// What tells of changes.
pub(crate) struct News(Box<dyn Subscription>);

impl News {
    /// Listens; `None` where the live state is lost: then the store is asked now and then.
    pub(crate) async fn of(app: &App, topic: Topic) -> Option<Self> {
        match app.live.subscribe(&[topic]).await {
            Ok(news) => Some(Self(news)),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "events cannot be heard");
                None
            }
        }
    }
}

/// Waits for the next news; for ever without any.
pub(crate) async fn hear(news: &mut Option<News>) {
    match news {
        Some(News(news)) => drop(news.next().await),
        None => std::future::pending().await,
    }
}

/// An object with its tag; nothing if the caller has it.
pub(crate) fn tagged(object: &impl Serialize, headers: &HeaderMap) -> Response {
    // Objects hold texts, numbers and lists: JSON can say all of it.
    let body = serde_json::to_vec(object).unwrap_or_default();
    let tag = tag(&body);
    if matches_tag(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    ([(header::ETAG, tag)], [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Whether the caller named a tag, and this object has another.
pub(crate) fn is_news(object: &impl Serialize, headers: &HeaderMap) -> bool {
    let tag = tag(&serde_json::to_vec(object).unwrap_or_default());
    headers.contains_key(header::IF_NONE_MATCH) && !matches_tag(headers, &tag)
}

fn tag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let text: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{text}\"")
}
