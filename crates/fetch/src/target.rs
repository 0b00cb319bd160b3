//! What a URL names, once it is read.

use std::net::{IpAddr, SocketAddr};

use retouch_ports::fetch::FetchError;
use url::{Host, Url};

use crate::address::is_public;
use crate::policy::Policy;
use crate::resolve::Resolve;

/// Longest URL that is read; signed ones are long.
const MAX_URL_BYTES: usize = 4096;

/// A URL whose scheme, port and spelling are accepted; its address is not yet known to be.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    url: Url,
    host: Host<String>,
    port: u16,
}

impl Target {
    /// Reads a URL as a browser does: whatever notation an address is in, `Url` knows it for one.
    pub(crate) fn parse(text: &str, policy: &Policy) -> Result<Self, FetchError> {
        if text.len() > MAX_URL_BYTES {
            return Err(FetchError::Url { reason: format!("it has more than {MAX_URL_BYTES} bytes") });
        }
        let url = Url::parse(text).map_err(|error| FetchError::Url { reason: error.to_string() })?;
        Self::new(url, policy)
    }

    /// Where a redirect leads.
    pub(crate) fn join(&self, location: &str, policy: &Policy) -> Result<Self, FetchError> {
        if location.len() > MAX_URL_BYTES {
            return Err(FetchError::Redirect {
                host: self.host(),
                what: format!("to a URL of more than {MAX_URL_BYTES} bytes"),
            });
        }
        let url = self.url.join(location).map_err(|error| FetchError::Redirect {
            host: self.host(),
            what: format!("to a URL that cannot be read ({error})"),
        })?;
        Self::new(url, policy)
    }

    fn new(url: Url, policy: &Policy) -> Result<Self, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme { scheme: url.scheme().chars().take(32).collect() });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Credentials);
        }
        let no_host = || FetchError::Url { reason: "it has no host".to_owned() };
        let host = url.host().ok_or_else(no_host)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(no_host)?;
        if !policy.ports.contains(&port) {
            let ports: Vec<String> = policy.ports.iter().map(u16::to_string).collect();
            return Err(FetchError::Port { port, allowed: ports.join(" or ") });
        }
        Ok(Self { url, host, port })
    }

    /// Whether it asks for TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host for messages, cut: a name may have any length.
    pub(crate) fn host(&self) -> String {
        self.host.to_string().chars().take(100).collect()
    }

    /// The host as TLS knows it: without the dot of an absolute name, and without the brackets of an address.
    pub(crate) fn server_name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.trim_end_matches('.').to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The value of `Host`.
    pub(crate) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Path and query, without the fragment.
    pub(crate) fn path(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// The addresses to connect to. One that is not public refuses them all: a name that mixes them has no good reason.
    pub(crate) async fn addresses(
        &self,
        resolver: &dyn Resolve,
        policy: &Policy,
    ) -> Result<Vec<SocketAddr>, FetchError> {
        let found: Vec<IpAddr> = match &self.host {
            Host::Ipv4(address) => vec![(*address).into()],
            Host::Ipv6(address) => vec![(*address).into()],
            Host::Domain(name) => {
                let unknown = || FetchError::Name { host: self.host() };
                let found = resolver.resolve(name).await.map_err(|_| unknown())?;
                if found.is_empty() {
                    return Err(unknown());
                }
                found
            }
        };
        let addresses: Vec<SocketAddr> =
            found.into_iter().map(|address| SocketAddr::new(address, self.port)).collect();
        let fine = |address: &SocketAddr| is_public(address.ip()) || policy.allow.contains(address);
        if addresses.iter().all(fine) {
            return Ok(addresses);
        }
        Err(FetchError::Address { host: self.host() })
    }
}
