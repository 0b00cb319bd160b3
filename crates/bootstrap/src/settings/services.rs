//! The settings of the API, of workers, of what they fetch, and of the installation on one machine.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};

use serde::Deserialize;

use crate::secret::Secret;

/// `[api]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Address and port.
    pub listen: String,
    /// What digests of keys are made with. Empty: none is set.
    pub key_secret: Secret,
    /// Whose workers do edits.
    pub pool: String,
    /// Of edits that name none. Empty: each has to.
    pub model: String,
    /// Of a JSON body at most.
    pub body_mib: NonZeroU32,
    /// Of an uploaded image at most.
    pub image_mib: NonZeroU32,
    /// Of an uploaded image at most.
    pub image_megapixels: NonZeroU32,
    /// Of another uploaded file at most.
    pub file_mib: NonZeroU32,
    /// Jobs that may wait before submissions are refused.
    pub most_waiting: u64,
    /// Of each key, on average. 0: as many as it likes.
    pub requests_per_second: u32,
    /// Of each key at once, after it was silent.
    pub burst: NonZeroU32,
}

/// `[worker]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Whose jobs it runs.
    pub pool: String,
    /// Where it computes.
    pub device: String,
    /// What it computes in.
    pub dtype: String,
    /// The folder of model folders.
    pub models: String,
    /// Jobs of each band that it holds at a time.
    pub slots: NonZeroU16,
    /// Of device memory for models. 0: all of it.
    pub model_mib: u32,
    /// How long a forward should take at most.
    pub max_step_ms: NonZeroU32,
    /// Without a finished forward, after which the device counts as beyond repair.
    pub stall_seconds: NonZeroU32,
    /// For handing over what it runs.
    pub drain_seconds: u16,
}

/// `[fetch]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchSettings {
    /// That a URL may name.
    pub ports: Vec<u16>,
    /// That are fetched from and posted to although they are not public.
    pub allow: Vec<SocketAddr>,
    /// Of an image at most.
    pub max_mib: NonZeroU32,
    /// For everything together.
    pub total_seconds: NonZeroU32,
}

/// `[up]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpSettings {
    /// Who the installation is.
    pub folder: String,
}
