//! The adapters that the URLs name. The only place that knows all of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use retouch_fetch::{Client, Policy};
use retouch_local::{FileBlobStore, LocalLive, LocalQueue};
use retouch_ports::{BlobStore, Clock, Ids, JobQueue, Live, PortError, Ports};

use crate::secret::BackendUrl;
use crate::settings::{BlobSettings, FetchSettings, LiveSettings, QueueSettings, Settings};
use crate::stores;

/// A backend that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No backend has such URLs.
    #[error("[{section}] url = \"{url}\" names no backend; it can be {known}")]
    UnknownScheme {
        /// Of the settings.
        section: &'static str,
        /// Without its password.
        url: BackendUrl,
        /// What it can be.
        known: &'static str,
    },
    /// The backend is not part of this program.
    #[error(
        "[{section}] url = \"{url}\" needs a build with the feature `{feature}`, which this one was made without"
    )]
    CompiledOut {
        /// Of the settings.
        section: &'static str,
        /// Without its password.
        url: BackendUrl,
        /// The feature of this package.
        feature: &'static str,
    },
    /// The URL lacks something.
    #[error("[{section}] url = \"{url}\" {problem}")]
    Incomplete {
        /// Of the settings.
        section: &'static str,
        /// Without its password.
        url: BackendUrl,
        /// What is wrong, and what to write.
        problem: &'static str,
    },
    /// The backend refused or did not answer.
    #[error("[{section}] url = \"{url}\" cannot be used")]
    Port {
        /// Of the settings.
        section: &'static str,
        /// Without its password.
        url: BackendUrl,
        /// Why.
        #[source]
        source: PortError,
    },
}

impl BackendError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownScheme { .. } => "unknown_backend",
            Self::CompiledOut { .. } => "backend_compiled_out",
            Self::Incomplete { .. } => "incomplete_url",
            Self::Port { source, .. } => source.kind().code(),
        }
    }
}

/// What adapters get from the process.
#[derive(Clone)]
pub struct Process<'a> {
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its ids and randomness.
    pub ids: Arc<dyn Ids>,
    /// Its environment, which is asked for what `AWS_*` says where the settings are silent.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// Makes all backends. Database and broker must answer; the others are asked when they are first used.
pub async fn connect(settings: &Settings, process: &Process<'_>) -> Result<Ports, BackendError> {
    Ok(Ports {
        store: stores::store(&settings.store, process).await?,
        queue: queue(&settings.queue, process).await?,
        blobs: blobs(&settings.blobs, process).await?,
        live: live(&settings.live, process)?,
        post: web(&settings.fetch),
        clock: process.clock.clone(),
        ids: process.ids.clone(),
    })
}

/// The broker of `[queue]`.
pub async fn queue(
    settings: &QueueSettings,
    process: &Process<'_>,
) -> Result<Arc<dyn JobQueue>, BackendError> {
    let place = Place { section: "queue", url: &settings.url };
    match settings.url.scheme().as_str() {
        "local" => Ok(Arc::new(LocalQueue::default())),
        "amqp" | "amqps" => rabbitmq(settings, process, &place).await,
        _ => Err(place.unknown("\"local:\" or \"amqp://user:password@host:5672/vhost\"")),
    }
}

#[cfg(feature = "rabbitmq")]
async fn rabbitmq(
    settings: &QueueSettings,
    process: &Process<'_>,
    place: &Place<'_>,
) -> Result<Arc<dyn JobQueue>, BackendError> {
    let url = settings.url.reveal();
    let queue =
        retouch_queue_rabbitmq::RabbitQueue::connect(url, &settings.prefix, process.ids.clone()).await;
    Ok(Arc::new(queue.map_err(|error| place.failed(error))?))
}

#[cfg(not(feature = "rabbitmq"))]
async fn rabbitmq(
    _: &QueueSettings,
    _: &Process<'_>,
    place: &Place<'_>,
) -> Result<Arc<dyn JobQueue>, BackendError> {
    Err(place.compiled_out("rabbitmq"))
}

/// The files of `[blobs]`.
pub async fn blobs(
    settings: &BlobSettings,
    process: &Process<'_>,
) -> Result<Arc<dyn BlobStore>, BackendError> {
    let place = Place { section: "blobs", url: &settings.url };
    match settings.url.scheme().as_str() {
        "file" => {
            let store = FileBlobStore::open(folder(&place)?).await;
            Ok(Arc::new(store.map_err(|error| place.failed(error))?))
        }
        "s3" => s3(settings, process, &place),
        _ => Err(place.unknown("\"file:PATH\" or \"s3://BUCKET/PREFIX\"")),
    }
}

/// `file:relative`, `file:/absolute` and `file:///absolute` are folders; a host is none.
fn folder(place: &Place<'_>) -> Result<PathBuf, BackendError> {
    let rest = place.url.rest();
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(place.incomplete("names a host; write file:PATH or file:///PATH")),
        None => rest,
    };
    if path.is_empty() {
        return Err(place.incomplete("names no folder; write file:PATH"));
    }
    Ok(PathBuf::from(path))
}

#[cfg(feature = "s3")]
fn s3(
    settings: &BlobSettings,
    process: &Process<'_>,
    place: &Place<'_>,
) -> Result<Arc<dyn BlobStore>, BackendError> {
    use retouch_blob_s3::{Credentials, S3BlobStore, S3Options};
    let Some(path) = place.url.rest().strip_prefix("//") else {
        return Err(place.incomplete("names no bucket; write s3://BUCKET/PREFIX"));
    };
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    let or = |setting: &str, variable: &str| match setting {
        "" => (process.variable)(variable).filter(|value| !value.is_empty()),
        setting => Some(setting.to_owned()),
    };
    let s3 = &settings.s3;
    let access_key = or(&s3.access_key, "AWS_ACCESS_KEY_ID");
    let secret_key = or(s3.secret_key.reveal(), "AWS_SECRET_ACCESS_KEY");
    let (Some(access_key), Some(secret_key)) = (access_key, secret_key) else {
        let problem = "needs a key; set [blobs.s3] access_key and secret_key, or AWS_ACCESS_KEY_ID and \
                       AWS_SECRET_ACCESS_KEY";
        return Err(place.incomplete(problem));
    };
    let session_token = or(s3.session_token.reveal(), "AWS_SESSION_TOKEN");
    let options = S3Options {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        region: or(&s3.region, "AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
        endpoint: or(&s3.endpoint, "AWS_ENDPOINT_URL"),
        path_style: s3.path_style,
        credentials: Credentials { access_key, secret_key, session_token },
    };
    Ok(Arc::new(S3BlobStore::new(options).map_err(|error| place.failed(error))?))
}

#[cfg(not(feature = "s3"))]
fn s3(_: &BlobSettings, _: &Process<'_>, place: &Place<'_>) -> Result<Arc<dyn BlobStore>, BackendError> {
    Err(place.compiled_out("s3"))
}

/// The live state of `[live]`.
pub fn live(settings: &LiveSettings, process: &Process<'_>) -> Result<Arc<dyn Live>, BackendError> {
    let place = Place { section: "live", url: &settings.url };
    match settings.url.scheme().as_str() {
        "local" => Ok(Arc::new(LocalLive::new(process.clock.clone()))),
        "redis" | "rediss" => redis(settings, process, &place),
        _ => Err(place.unknown("\"local:\" or \"redis://user:password@host:6379/db\"")),
    }
}

#[cfg(feature = "redis")]
fn redis(
    settings: &LiveSettings,
    process: &Process<'_>,
    place: &Place<'_>,
) -> Result<Arc<dyn Live>, BackendError> {
    let (clock, ids) = (process.clock.clone(), process.ids.clone());
    let live = retouch_live_redis::RedisLive::open(settings.url.reveal(), &settings.prefix, clock, ids);
    Ok(Arc::new(live.map_err(|error| place.failed(error))?))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &LiveSettings, _: &Process<'_>, place: &Place<'_>) -> Result<Arc<dyn Live>, BackendError> {
    Err(place.compiled_out("redis"))
}

/// The way to users' URLs of `[fetch]`.
pub fn web(settings: &FetchSettings) -> Arc<Client> {
    Arc::new(Client::new(Policy {
        ports: settings.ports.clone(),
        allow: settings.allow.clone(),
        max_bytes: u64::from(settings.max_mib.get()) << 20,
        total: Duration::from_secs(settings.total_seconds.get().into()),
        ..Policy::default()
    }))
}

/// Where in the settings a URL stands, for errors.
pub(crate) struct Place<'a> {
    pub(crate) section: &'static str,
    pub(crate) url: &'a BackendUrl,
}

impl Place<'_> {
    pub(crate) fn unknown(&self, known: &'static str) -> BackendError {
        BackendError::UnknownScheme { section: self.section, url: self.url.clone(), known }
    }

    fn incomplete(&self, problem: &'static str) -> BackendError {
        BackendError::Incomplete { section: self.section, url: self.url.clone(), problem }
    }

    pub(crate) fn failed(&self, source: PortError) -> BackendError {
        BackendError::Port { section: self.section, url: self.url.clone(), source }
    }

    #[cfg_attr(
        all(
            feature = "postgres",
            feature = "rabbitmq",
            feature = "redis",
            feature = "s3",
            feature = "sqlite"
        ),
        expect(dead_code, reason = "nothing is compiled out")
    )]
    pub(crate) fn compiled_out(&self, feature: &'static str) -> BackendError {
        BackendError::CompiledOut { section: self.section, url: self.url.clone(), feature }
    }
}
