//! Why an edit does not come about, and whose fault it is.

use retouch_domain::{ErrorCode, JobError, Loss};
use retouch_imaging::ImageError;
use retouch_ports::step_engine::{EngineError, EngineErrorKind};
use retouch_ports::{FetchError, PortError};

use crate::run::Stop;

/// A failed edit. The texts are for the user who asked for it.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    #[error("this worker does not run jobs of kind `{kind}`, version {version}")]
    Kind { kind: String, version: u16 },
    #[error("the job cannot be read: {reason}")]
    Payload { reason: String },
    #[error("`{name}` is no name of a file")]
    FileName { name: String },
    #[error("the file `{name}` is not there any more: upload it again")]
    FileGone { name: String },
    #[error("the file `{name}` has {bytes} bytes, more than {limit}: use a smaller one")]
    FileLarge { name: String, bytes: u64, limit: usize },
    #[error("the file store fails: {0}")]
    Store(#[source] PortError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{0}")]
    Image(#[source] ImageError),
    #[error("{width}x{height} is too large to edit at: give a size of at most {most} pixels")]
    Size { width: u32, height: u32, most: u64 },
    #[error("the model `{model}` makes images from words and edits none: name another")]
    NoEditor { model: String },
    #[error("{0}")]
    Engine(#[source] EngineError),
    #[error("the result cannot be written: {source}")]
    Result { source: serde_json::Error },
    #[error("a codec failed on the image")]
    Panicked,
    #[error("the run is to stop: {0:?}")]
    Stopped(Stop),
    #[error("the device is gone")]
    Gone,
}

impl EditError {
    /// What follows for the job.
    pub(super) fn ruling(&self) -> (Loss, JobError) {
        let (loss, code) = match self {
            Self::Kind { .. } => (Loss::Permanent, "kind_unknown"),
            Self::Payload { .. } => (Loss::Permanent, "payload_invalid"),
            Self::FileName { .. } => (Loss::Permanent, "input_name_invalid"),
            Self::FileGone { .. } => (Loss::Permanent, "input_missing"),
            Self::FileLarge { .. } => (Loss::Permanent, "image_too_large"),
            Self::Store(error) if error.kind().is_transient() => (Loss::Transient, "storage_unavailable"),
            Self::Store(_) => (Loss::Transient, "storage_failed"),
            Self::Fetch(error) if error.is_transient() => (Loss::Transient, error.code()),
            Self::Fetch(error) => (Loss::Permanent, error.code()),
            Self::Image(error) => (Loss::Permanent, error.code()),
            Self::Size { .. } => (Loss::Permanent, "size_too_large"),
            Self::NoEditor { .. } => (Loss::Permanent, "model_edits_nothing"),
            Self::Engine(error) => (of_engine(error.kind), error.code),
            Self::Result { .. } => (Loss::Permanent, "result_invalid"),
            Self::Panicked => (Loss::Permanent, "image_codec_failed"),
            Self::Stopped(_) | Self::Gone => (Loss::Transient, "stopped"),
        };
        (loss, JobError { code: ErrorCode::new(code), message: self.to_string() })
    }
}

fn of_engine(kind: EngineErrorKind) -> Loss {
    match kind {
        // The same numbers come out wherever it runs.
        EngineErrorKind::Invalid | EngineErrorKind::NonFinite => Loss::Permanent,
        EngineErrorKind::OutOfMemory => Loss::OutOfMemory,
        EngineErrorKind::Unavailable | EngineErrorKind::Internal => Loss::Transient,
    }
}
