//! A connection to an address that was checked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use retouch_ports::fetch::FetchError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::policy::Policy;
use crate::target::Target;

/// The authorities that are trusted.
pub struct Roots(RootCertStore);

impl Roots {
    /// Those of the machine. What cannot be read of them is left out; without any, https fails.
    pub fn of_machine() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (_, unusable) = roots.add_parsable_certificates(found.certs);
        if roots.is_empty() || unusable > 0 || !found.errors.is_empty() {
            let errors = found.errors.len();
            tracing::warn!(trusted = roots.len(), unusable, errors, "certificates of the machine");
        }
        Self(roots)
    }

    /// Just this one, in DER; `None` if it is no certificate.
    pub fn only(certificate: Vec<u8>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate)).ok()?;
        Some(Self(roots))
    }
}

/// Plain or encrypted.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections.
pub(crate) struct Connector {
    tls: TlsConnector,
}

impl Connector {
    pub(crate) fn new(roots: Roots) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default protocol versions");
        let config = builder.with_root_certificates(roots.0).with_no_client_auth();
        Self { tls: TlsConnector::from(Arc::new(config)) }
    }

    /// The first of `addresses` that accepts, with TLS where the target asks for it. Nothing is resolved here.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        addresses: &[SocketAddr],
        policy: &Policy,
    ) -> Result<Box<dyn Stream>, FetchError> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for &address in addresses {
            match timeout(policy.connect, self.open(target, address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        let host = target.host();
        if last.kind() == io::ErrorKind::TimedOut {
            return Err(FetchError::Slow { host, what: "connection", seconds: policy.connect.as_secs() });
        }
        // A TLS failure says which; the system's errors are named by kind, for their texts may name addresses.
        let reason = match last.kind() {
            io::ErrorKind::InvalidData => format!("no secure connection ({last})"),
            kind => kind.to_string(),
        };
        Err(FetchError::Unreachable { host, reason })
    }

    async fn open(&self, target: &Target, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(address).await?;
        if !target.is_https() {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(target.server_name())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}
