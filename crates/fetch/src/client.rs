//! One download: hop by hop, then the body. And what every exchange is made of.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, LOCATION, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use retouch_imaging::Format;
use retouch_ports::fetch::{Fetch, FetchError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connect::{Connector, Roots};
use crate::policy::Policy;
use crate::resolve::{Resolve, SystemResolver};
use crate::target::Target;

/// Bytes that the header of an answer may have.
const MAX_HEADER_BYTES: usize = 32 << 10;
/// Fields that it may have.
const MAX_HEADERS: usize = 100;
/// Bytes that tell every image format that is read.
const SIGNATURE_BYTES: usize = 12;

/// Downloads images, and posts messages, within a [`Policy`].
pub struct Client {
    pub(crate) policy: Policy,
    pub(crate) resolver: Box<dyn Resolve>,
    connector: Connector,
}

impl Client {
    /// With the machine's names and certificates.
    pub fn new(policy: Policy) -> Self {
        Self::with(policy, SystemResolver, Roots::of_machine())
    }

    /// With other names and certificates.
    pub fn with(policy: Policy, resolver: impl Resolve + 'static, roots: Roots) -> Self {
        Self { policy, resolver: Box::new(resolver), connector: Connector::new(roots) }
    }

    async fn follow(&self, url: &str) -> Result<Bytes, FetchError> {
        let mut target = Target::parse(url, &self.policy)?;
        for _ in 0..=self.policy.redirects {
            let addresses = target.addresses(self.resolver.as_ref(), &self.policy).await?;
            let mut exchange = self.exchange(&target, &addresses, request(&target)).await?;
            let Some(location) = exchange.redirect(&target)? else {
                return exchange.body(&target, &self.policy).await;
            };
            target = target.join(&location, &self.policy)?;
        }
        let what = format!("more than {} times", self.policy.redirects);
        Err(FetchError::Redirect { host: target.host(), what })
    }

    /// Sends one request to the first of `addresses` that accepts a connection.
    pub(crate) async fn exchange(
        &self,
        target: &Target,
        addresses: &[std::net::SocketAddr],
        request: Request<Full<Bytes>>,
    ) -> Result<Exchange, FetchError> {
        let stream = self.connector.connect(target, addresses, &self.policy).await?;
        let broken = |error: hyper::Error| FetchError::Unreachable {
            host: target.host(),
            reason: format!("no HTTP answer ({error})"),
        };
        let ask = async {
            let (mut sender, connection) = http1::Builder::new()
                .max_buf_size(MAX_HEADER_BYTES)
                .max_headers(MAX_HEADERS)
                .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
                .await?;
            let mut task = JoinSet::new();
            // Its error is the request's too.
            task.spawn(async move { drop(connection.await) });
            let response = sender.send_request(request).await?;
            Ok::<_, hyper::Error>(Exchange { response, _connection: task })
        };
        match timeout(self.policy.header, ask).await {
            Ok(exchange) => exchange.map_err(broken),
            Err(_) => Err(slow(target, "answer", self.policy.header)),
        }
    }
}

#[async_trait]
impl Fetch for Client {
    async fn image(&self, url: &str) -> Result<Bytes, FetchError> {
        match timeout(self.policy.total, self.follow(url)).await {
            Ok(result) => result,
            Err(_) => {
                let target = Target::parse(url, &self.policy)?;
                Err(slow(&target, "whole image", self.policy.total))
            }
        }
    }
}

pub(crate) fn slow(target: &Target, what: &'static str, limit: Duration) -> FetchError {
    FetchError::Slow { host: target.host(), what, seconds: limit.as_secs() }
}

fn request(target: &Target) -> Request<Full<Bytes>> {
    let builder = Request::get(target.path()).header(ACCEPT, "image/*").header(ACCEPT_ENCODING, "identity");
    addressed(builder, target).body(Full::default()).expect("a parsed URL has a valid path and host")
}

/// With what every request says.
pub(crate) fn addressed(builder: Builder, target: &Target) -> Builder {
    builder
        .header(HOST, target.authority())
        .header(CONNECTION, "close")
        .header(USER_AGENT, concat!("retouch/", env!("CARGO_PKG_VERSION")))
}

/// An answer and the connection that it comes over, which ends with it.
pub(crate) struct Exchange {
    pub(crate) response: Response<Incoming>,
    _connection: JoinSet<()>,
}

impl Exchange {
    /// Where it redirects to; `None` if it is the answer itself.
    fn redirect(&mut self, target: &Target) -> Result<Option<String>, FetchError> {
        let status = self.response.status();
        let host = target.host();
        match status {
            StatusCode::OK => Ok(None),
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => {
                let location = self.response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                let nowhere = || FetchError::Redirect { host, what: "to nowhere".to_owned() };
                location.map(|location| Some(location.to_owned())).ok_or_else(nowhere)
            }
            _ => Err(FetchError::Status { host, status: status.as_u16() }),
        }
    }

    async fn body(self, target: &Target, policy: &Policy) -> Result<Bytes, FetchError> {
        let host = target.host();
        let encoding = self.response.headers().get(CONTENT_ENCODING);
        if let Some(encoding) =
            encoding.filter(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).chars().take(32).collect();
            return Err(FetchError::Encoding { host, encoding });
        }
        let too_large = || FetchError::TooLarge { host: host.clone(), limit: policy.max_bytes };
        let mut body = self.response.into_body();
        if body.size_hint().lower() > policy.max_bytes {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        let mut known = false;
        loop {
            let Ok(frame) = timeout(policy.idle, body.frame()).await else {
                return Err(slow(target, "further byte", policy.idle));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| FetchError::Truncated { host: host.clone() })?;
            let Ok(data) = frame.into_data() else { continue };
            if (bytes.len() + data.len()) as u64 > policy.max_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
            if !known && bytes.len() >= SIGNATURE_BYTES {
                sniff(&bytes, &host)?;
                known = true;
            }
        }
        sniff(&bytes, &host)?;
        Ok(bytes.freeze())
    }
}

/// Whether these bytes begin an image; what the server calls them is not asked.
fn sniff(bytes: &[u8], host: &str) -> Result<(), FetchError> {
    let no_image = |error: retouch_imaging::ImageError| FetchError::NotAnImage {
        host: host.to_owned(),
        reason: error.to_string(),
    };
    Format::sniff(bytes).map(drop).map_err(no_image)
}
