//! Messages to addresses that users name.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::FetchError;

/// The longest that [`Post::post`] takes.
pub const LONGEST: Duration = Duration::from_secs(20);

/// Posts JSON to what a user's URL names. The URL and whatever answers are hostile.
#[async_trait]
pub trait Post: Send + Sync {
    /// Whether the URL may be posted to: how it is written, and where its host is at this moment.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn check(&self, url: &str) -> Result<(), FetchError>;

    /// Posts `body` with these headers. Answers the status, whatever it is: no redirect is followed and no body is read.
    ///
    /// # Errors
    /// Nothing was posted, or no answer came.
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<u16, FetchError>;
}
