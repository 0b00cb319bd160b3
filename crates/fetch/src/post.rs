//! One message: no redirect is followed, and of the answer only the status is read.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use retouch_ports::fetch::FetchError;
use retouch_ports::post::{LONGEST, Post};
use tokio::time::timeout;

use crate::client::{Client, addressed, slow};
use crate::target::Target;

impl Client {
    async fn send(
        &self,
        target: &Target,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<u16, FetchError> {
        let addresses = target.addresses(self.resolver.as_ref(), &self.policy).await?;
        let builder = Request::post(target.path()).header(CONTENT_TYPE, "application/json");
        let builder = headers
            .iter()
            .fold(addressed(builder, target), |builder, (name, value)| builder.header(*name, value));
        let request = builder.body(Full::new(body));
        let request = request.map_err(|error| FetchError::Url { reason: error.to_string() })?;
        Ok(self.exchange(target, &addresses, request).await?.response.status().as_u16())
    }
}

#[async_trait]
impl Post for Client {
    async fn check(&self, url: &str) -> Result<(), FetchError> {
        let target = Target::parse(url, &self.policy)?;
        let addresses = timeout(self.policy.connect, target.addresses(self.resolver.as_ref(), &self.policy));
        match addresses.await {
            Ok(addresses) => addresses.map(drop),
            Err(_) => Err(slow(&target, "address", self.policy.connect)),
        }
    }

    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<u16, FetchError> {
        let target = Target::parse(url, &self.policy)?;
        let longest = LONGEST.min(self.policy.total);
        match timeout(longest, self.send(&target, headers, body)).await {
            Ok(status) => status,
            Err(_) => Err(slow(&target, "answer", longest)),
        }
    }
}
