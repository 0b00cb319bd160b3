//! The log as server-sent events, from any place in it.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use retouch_domain::{BatchId, BatchState, JobId, TenantId};
use retouch_ports::PortError;
use retouch_ports::live::Topic;
use retouch_ports::store::{Cursor, EventRecord, EventScope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::moment;
use crate::problem::{Answer, Problem};
use crate::watch::{News, hear};

/// How often the log is read where no event tells.
const ASK: Duration = Duration::from_secs(1);
/// Entries that are read together.
const PAGE: u32 = 200;

/// Whose entries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    Batch(BatchId),
    Job(JobId),
}

/// An entry of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventObject {
    /// The batch.
    batch: String,
    /// The job; absent if it is of the batch itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// What happened.
    event: String,
    /// The state of the job or batch afterwards.
    state: String,
    /// The run, or how often the batch was opened.
    epoch: u32,
    /// When.
    at: String,
}

/// Follows the log behind `Last-Event-ID`, or from its beginning, until what it is of is over.
pub(crate) async fn follow(
    app: App,
    tenant: TenantId,
    subject: Subject,
    headers: &HeaderMap,
) -> Answer<Response> {
    let after = match headers.get("last-event-id") {
        Some(text) => text.to_str().ok().and_then(cursor).ok_or_else(|| {
            let detail = "Last-Event-ID is not the `id` of an event of this stream";
            Problem::new(StatusCode::BAD_REQUEST, "last_event_id_invalid", detail)
        })?,
        None => Cursor::default(),
    };
    let topic = match subject {
        Subject::Batch(batch) => Topic::Batch(batch),
        Subject::Job(job) => Topic::Job(job),
    };
    let news = News::of(&app, topic).await;
    let feed = Feed { app, tenant, subject, after, news, read: VecDeque::new() };
    let events = stream::try_unfold(feed, |mut feed| async move {
        Ok::<_, PortError>(feed.next().await?.map(|event| (event, feed)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}

struct Feed {
    app: App,
    tenant: TenantId,
    subject: Subject,
    after: Cursor,
    news: Option<News>,
    read: VecDeque<EventRecord>,
}

impl Feed {
    /// The next entry; `None` when there will be no more.
    async fn next(&mut self) -> Result<Option<Event>, PortError> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                self.after = entry.cursor;
                return Ok(Some(event(&entry)));
            }
            // Asked before the log is read: what happens in between is read.
            let over = self.is_over().await?;
            self.read = self.entries().await?.into();
            if !self.read.is_empty() {
                continue;
            }
            if over || self.app.stop.is_cancelled() {
                return Ok(None);
            }
            tokio::select! {
                () = hear(&mut self.news) => {}
                () = tokio::time::sleep(ASK) => {}
                () = self.app.stop.cancelled() => {}
            }
        }
    }

    async fn entries(&mut self) -> Result<Vec<EventRecord>, PortError> {
        match self.subject {
            Subject::Batch(batch) => {
                self.app.store.events(EventScope::Batch(self.tenant, batch), self.after, PAGE).await
            }
            Subject::Job(job) => {
                let all = self.app.store.job_events(self.tenant, job).await?;
                Ok(all.into_iter().filter(|entry| entry.cursor > self.after).collect())
            }
        }
    }

    /// Whether nothing more will happen, short of a retry.
    async fn is_over(&mut self) -> Result<bool, PortError> {
        match self.subject {
            Subject::Batch(batch) => {
                let batch = self.app.store.batch(self.tenant, batch).await?;
                let live = |state| matches!(state, BatchState::Loading | BatchState::Open);
                Ok(!batch.is_some_and(|batch| live(batch.state)))
            }
            Subject::Job(job) => {
                let job = self.app.store.job(self.tenant, job).await?;
                Ok(job.is_none_or(|job| job.state.is_terminal()))
            }
        }
    }
}

fn event(entry: &EventRecord) -> Event {
    let object = EventObject {
        batch: entry.batch.to_string(),
        job: entry.job.map(|job| job.to_string()),
        event: entry.event.clone(),
        state: entry.state.clone(),
        epoch: entry.epoch,
        at: moment::text(entry.at),
    };
    let data = serde_json::to_string(&object).unwrap_or_default();
    Event::default().id(cursor_text(entry.cursor)).event("entry").data(data)
}

/// A place in the log as clients see it.
pub(crate) fn cursor_text(cursor: Cursor) -> String {
    format!("{}-{}", cursor.transaction, cursor.entry)
}

/// The place that a text names; `None` if it names none.
pub(crate) fn cursor(text: &str) -> Option<Cursor> {
    let (transaction, entry) = text.split_once('-')?;
    Some(Cursor { transaction: transaction.parse().ok()?, entry: entry.parse().ok()? })
}
