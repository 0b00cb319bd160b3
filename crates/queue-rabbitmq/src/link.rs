//! A connection that is made again when it is lost.

use std::sync::Arc;
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use retouch_ports::queue::Result;
use retouch_ports::{Backoff, Ids, PortError, PortErrorKind};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::failed;

/// How long a connection may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds after which a broker that says nothing is taken for gone, where the URL says nothing else.
const HEARTBEAT: u16 = 10;
/// Between tries to connect.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };

/// One connection to the broker, made when it is needed and not there.
pub(crate) struct Link {
    uri: AMQPUri,
    name: &'static str,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Link {
    pub(crate) fn new(url: &str, name: &'static str) -> Result<Self> {
        let mut uri: AMQPUri = url.parse().map_err(|reason: String| {
            // The URL holds a password and is not repeated.
            let text = format!("the URL of the queue is no amqp://user:password@host:port/vhost ({reason})");
            PortError::new(PortErrorKind::Invalid, text)
        })?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self { uri, name, connection: Mutex::new(None) })
    }

    /// Where it leads, without the password.
    fn address(&self) -> String {
        let authority = &self.uri.authority;
        format!("{}:{}/{}", authority.host, authority.port, self.uri.vhost)
    }

    /// The connection, made anew where it was lost.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>> {
        let mut connection = self.connection.lock().await;
        if let Some(known) = connection.as_ref().filter(|known| known.status().connected()) {
            return Ok(known.clone());
        }
        *connection = None;
        let properties = ConnectionProperties::default().with_connection_name(self.name.into());
        let what = format!("connecting to RabbitMQ at {}", self.address());
        let made = match timeout(PATIENCE, Connection::connect_uri(self.uri.clone(), properties)).await {
            Ok(made) => Arc::new(made.map_err(|error| failed(what, error))?),
            Err(_) => return Err(silent(&what)),
        };
        *connection = Some(made.clone());
        Ok(made)
    }

    /// A new channel, which is closed when its last copy is dropped.
    pub(crate) async fn channel(&self) -> Result<Channel> {
        let connection = self.connection().await?;
        let what = format!("opening a channel to RabbitMQ at {}", self.address());
        self.ask(&what, connection.create_channel()).await
    }

    /// The answer to a request. A broker that gives none is taken for gone, and the connection with it: one that is
    /// starting takes requests that it never answers.
    pub(crate) async fn ask<T>(
        &self,
        what: &str,
        request: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        match timeout(PATIENCE, request).await {
            Ok(answer) => answer.map_err(|error| failed(what, error)),
            Err(_) => {
                *self.connection.lock().await = None;
                Err(silent(what))
            }
        }
    }
}

fn silent(what: &str) -> PortError {
    let text = format!("{what} failed: the broker does not answer in {PATIENCE:?}");
    PortError::new(PortErrorKind::Unavailable, text)
}

/// Failures in a row, and with them the time before the next try.
#[derive(Default)]
pub(crate) struct Tries {
    failures: u32,
}

impl Tries {
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn next(&mut self, ids: &dyn Ids) -> Duration {
        self.failures = self.failures.saturating_add(1);
        BACKOFF.wait(self.failures, ids)
    }
}

#[cfg(test)]
mod tests {
    use retouch_ports::SystemIds;

    use super::*;

    #[test]
    fn a_url_that_is_none_is_told_without_its_password() {
        let error = Link::new("http://user:secret@host/", "x").err().unwrap();
        assert_eq!(error.kind(), PortErrorKind::Invalid);
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn waits_grow_to_five_seconds() {
        let mut tries = Tries::default();
        let waits: Vec<_> = (0..20).map(|_| tries.next(&SystemIds)).collect();
        assert!(waits[0] <= Duration::from_millis(50));
        assert!(waits[19] >= Duration::from_millis(2500) && waits[19] <= Duration::from_secs(5));
        tries.reset();
        assert!(tries.next(&SystemIds) <= Duration::from_millis(50));
    }
}
