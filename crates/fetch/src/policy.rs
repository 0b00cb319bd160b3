//! What is fetched and posted to, and how much of it.

use std::net::SocketAddr;
use std::time::Duration;

/// The limits of every fetch, and, but for sizes and redirects, of every post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Ports that a URL may name.
    pub ports: Vec<u16>,
    /// Addresses that are fetched from and posted to although they are not public, each with its port: a service inside the
    /// same network.
    /// None by default.
    pub allow: Vec<SocketAddr>,
    /// Bytes of an image.
    pub max_bytes: u64,
    /// Redirects that are followed.
    pub redirects: u32,
    /// For one address of a host to accept a connection, TLS included.
    pub connect: Duration,
    /// From a connection to the end of the header of the answer.
    pub header: Duration,
    /// Between two parts of the body.
    pub idle: Duration,
    /// For everything together.
    pub total: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ports: vec![80, 443],
            allow: Vec::new(),
            max_bytes: 64 << 20,
            redirects: 3,
            connect: Duration::from_secs(5),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(5),
            total: Duration::from_secs(30),
        }
    }
}
