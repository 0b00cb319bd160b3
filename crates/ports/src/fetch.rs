//! Images at addresses that users name.

use async_trait::async_trait;
use bytes::Bytes;

/// Gets what a user's URL names. The URL, whatever answers, and what it answers are hostile.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The bytes of the image at `url`: at least their signature is that of an image, and their number is bounded.
    async fn image(&self, url: &str) -> Result<Bytes, FetchError>;
}

/// Why nothing was fetched, or posted. The messages are for the user who gave the URL: they name its host and nothing that
/// the network behind it would reveal, such as the addresses of that host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It cannot be read.
    #[error("the URL cannot be read: {reason}; give one such as https://example.com/path")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// Another protocol.
    #[error("URLs of scheme `{scheme}` are not used: use https or http")]
    Scheme {
        /// The protocol.
        scheme: String,
    },
    /// A user or password in it.
    #[error("the URL has a user or password: leave them out")]
    Credentials,
    /// Another port.
    #[error("port {port} may not be in a URL: use {allowed}")]
    Port {
        /// The port.
        port: u16,
        /// Those that are.
        allowed: String,
    },
    /// The host is, or its name leads to, an address that is not on the public Internet.
    #[error("`{host}` is not on the public Internet: use a host that is")]
    Address {
        /// As it stands in the URL.
        host: String,
    },
    /// The name has no address.
    #[error("`{host}` has no address: check the URL")]
    Name {
        /// The name.
        host: String,
    },
    /// No connection, or one that broke before an answer.
    #[error("`{host}` cannot be reached: {reason}")]
    Unreachable {
        /// As it stands in the URL.
        host: String,
        /// What failed.
        reason: String,
    },
    /// It took too long.
    #[error("`{host}` is too slow: no {what} within {seconds} s")]
    Slow {
        /// As it stands in the URL.
        host: String,
        /// What did not come.
        what: &'static str,
        /// The limit.
        seconds: u64,
    },
    /// Another status than 200.
    #[error("`{host}` answered with status {status}: check that the URL is public and has not expired")]
    Status {
        /// As it stands in the URL.
        host: String,
        /// The status.
        status: u16,
    },
    /// It redirects in circles or to nowhere.
    #[error("`{host}` redirects {what}: use the URL of the image itself")]
    Redirect {
        /// As it stands in the URL.
        host: String,
        /// More often than is followed, or without a target.
        what: String,
    },
    /// It compresses what was asked for uncompressed.
    #[error("`{host}` sends the image in the encoding `{encoding}`: only plain images are fetched")]
    Encoding {
        /// As it stands in the URL.
        host: String,
        /// The value of `Content-Encoding`, cut.
        encoding: String,
    },
    /// More bytes than are read.
    #[error("the image at `{host}` has more than {limit} bytes: use a smaller one")]
    TooLarge {
        /// As it stands in the URL.
        host: String,
        /// The limit.
        limit: u64,
    },
    /// Fewer bytes than were announced.
    #[error("the connection to `{host}` broke in the middle of the image")]
    Truncated {
        /// As it stands in the URL.
        host: String,
    },
    /// Bytes of something else.
    #[error("what `{host}` sends is no image that can be read: {reason}")]
    NotAnImage {
        /// As it stands in the URL.
        host: String,
        /// What it is, as far as its first bytes tell.
        reason: String,
    },
}

impl FetchError {
    /// A name that never changes once released, for clients and for the job's record.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "url_invalid",
            Self::Scheme { .. } => "url_scheme",
            Self::Credentials => "url_credentials",
            Self::Port { .. } => "url_port",
            Self::Address { .. } => "url_address",
            Self::Name { .. } => "url_unknown_host",
            Self::Unreachable { .. } => "url_unreachable",
            Self::Slow { .. } => "url_slow",
            Self::Status { .. } => "url_status",
            Self::Redirect { .. } => "url_redirects",
            Self::Encoding { .. } => "url_encoding",
            Self::TooLarge { .. } => "url_too_large",
            Self::Truncated { .. } => "url_truncated",
            Self::NotAnImage { .. } => "url_not_an_image",
        }
    }

    /// Whether the same URL may be fetched later without anybody changing anything.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Name { .. } | Self::Unreachable { .. } | Self::Slow { .. } | Self::Truncated { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }
}
