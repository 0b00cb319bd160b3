//! Where the bucket is and who asks.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use retouch_ports::blob::Result;
use retouch_ports::{PortError, PortErrorKind};

/// How long a connection may take to be there, and an answer to begin.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 3;

/// The key of an account.
#[derive(Clone)]
pub struct Credentials {
    /// Names the key.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// Given with keys that expire.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Which bucket, and how it is reached.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket, which must exist.
    pub bucket: String,
    /// What the keys of all blobs begin with; empty for nothing.
    pub prefix: String,
    /// The bucket's region; stores other than S3 take any.
    pub region: String,
    /// The URL of a store other than S3.
    pub endpoint: Option<String>,
    /// Name the bucket in the path and not in the host, as most other stores want it.
    pub path_style: bool,
    /// Who asks.
    pub credentials: Credentials,
}

impl S3Options {
    /// Bucket and prefix, the prefix with its slash.
    pub(crate) fn place(&self) -> Result<(String, String)> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        let bucket = &self.bucket;
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) {
            let text = format!("{bucket:?} is no bucket: use 3 to 63 letters, digits, '-' and '.'");
            return Err(PortError::new(PortErrorKind::Invalid, text));
        }
        let prefix = self.prefix.trim_matches('/');
        Ok((bucket.clone(), if prefix.is_empty() { String::new() } else { format!("{prefix}/") }))
    }

    pub(crate) fn client(self) -> aws_sdk_s3::Client {
        let Credentials { access_key, secret_key, session_token } = self.credentials;
        let credentials =
            aws_sdk_s3::config::Credentials::new(access_key, secret_key, session_token, None, "retouch");
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(ANSWER).build();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
            .region(Region::new(self.region))
            .force_path_style(self.path_style)
            .credentials_provider(credentials)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts);
        config.set_endpoint_url(self.endpoint);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}
