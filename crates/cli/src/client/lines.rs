//! Answers that are a JSON object in each line, read as they come.

use reqwest::Response;
use retouch_cli::failure::Failure;
use serde_json::Value;

use super::server::{Server, broken};

/// The objects of an answer, one after the other.
pub(super) struct Lines {
    body: Response,
    pending: Vec<u8>,
    /// What of `pending` was read.
    read: usize,
}

impl Lines {
    /// The lines that a path has.
    pub(super) async fn of(server: &Server, path: &str) -> Result<Self, Failure> {
        Ok(Self { body: server.download(path).await?, pending: Vec::new(), read: 0 })
    }

    /// The next object; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        let mut seen = self.read;
        loop {
            if let Some(end) = self.pending[seen..].iter().position(|byte| *byte == b'\n') {
                let line = &self.pending[self.read..seen + end];
                let object = serde_json::from_slice(line).map_err(|error| broken(&error))?;
                self.read = seen + end + 1;
                return Ok(Some(object));
            }
            self.pending.drain(..self.read);
            (seen, self.read) = (self.pending.len(), 0);
            match self.body.chunk().await.map_err(|error| broken(&error))? {
                Some(bytes) => self.pending.extend_from_slice(&bytes),
                None if self.pending.is_empty() => return Ok(None),
                None => {
                    return serde_json::from_slice(&self.pending).map(Some).map_err(|error| broken(&error));
                }
            }
        }
    }
}
