//! What can go wrong in the engine, each kind with a stable code.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use crate::samplers::SamplerError;

/// Result of the engine's fallible operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the engine. [`Error::code`] is stable; the text may be improved at any time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of a model folder cannot be read.
    #[error("cannot read {}: check that the model folder is complete and readable", path.display())]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A model folder lacks a part.
    #[error("{} has no {what}: {hint}", folder.display())]
    ModelIncomplete {
        /// The folder that was searched.
        folder: PathBuf,
        /// The part that is missing.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A JSON file is not JSON, or not the expected object.
    #[error("{} is not a valid JSON object", path.display())]
    ConfigJson {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A field of a configuration has a value that is not supported.
    #[error("{}: field `{field}` has the value {value}, which is not supported: {expected}", path.display())]
    ConfigField {
        /// The file.
        path: PathBuf,
        /// The field's name.
        field: String,
        /// Its value as JSON.
        value: String,
        /// What is supported.
        expected: String,
    },
    /// A checkpoint is damaged.
    #[error("{} is not a usable safetensors file: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors of a checkpoint do not fit the configuration.
    #[error("{} does not fit its config.json: {}", path.display(), problems.join("; "))]
    Tensors {
        /// The checkpoint's folder.
        path: PathBuf,
        /// One line for each missing, wrong-shaped or non-finite tensor.
        problems: Vec<String>,
    },
    /// The scheduler configuration of a model folder cannot be used.
    #[error("{} is not a usable scheduler configuration", path.display())]
    Scheduler {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: crate::samplers::SamplerError,
    },
    /// The tokenizer cannot be loaded or run.
    #[error("tokenizer in {}: {reason}", path.display())]
    Tokenizer {
        /// The tokenizer's folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The sampler cannot be made from its configuration, or refused a step.
    #[error(transparent)]
    Sampler(crate::samplers::SamplerError),
    /// A request has a parameter outside of what is possible.
    #[error("parameter `{name}` is {value}: {expected}")]
    Parameter {
        /// The parameter's name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is possible.
        expected: String,
    },
    /// LibTorch refused an operation.
    #[error("{operation} failed in LibTorch: {message}")]
    Torch {
        /// What was being done.
        operation: &'static str,
        /// The first line of LibTorch's message.
        message: String,
    },
    /// Something panicked that is not LibTorch: a mistake in this program or in a library of its.
    #[error("{operation} hit a mistake of this program{}: {message}; please report it", place.as_deref().map(|p| format!(" at {p}")).unwrap_or_default())]
    Panic {
        /// What was being done.
        operation: &'static str,
        /// The panic's message.
        message: String,
        /// Source file and line, where they are known.
        place: Option<String>,
    },
    /// The device has no memory left for the operation.
    #[error("{operation} ran out of memory on the device: use a smaller size, fewer rows or another dtype")]
    OutOfMemory {
        /// What was being done.
        operation: &'static str,
    },
    /// A row's latents became NaN or infinite.
    #[error("row {row} became non-finite at forward {forward}{}", hint.as_deref().map(|h| format!(": {h}")).unwrap_or_default())]
    NonFinite {
        /// The row.
        row: u64,
        /// The forward after which it was seen.
        forward: usize,
        /// The tensor to blame, where the weights themselves are non-finite.
        hint: Option<String>,
    },
    /// No row or unit of that id is in the engine.
    #[error("no row {0} in this engine: it was taken, canceled or never admitted")]
    UnknownRow(u64),
    /// An exported row cannot be read.
    #[error("exported row is unusable: {0}")]
    Export(String),
    /// Something other than a model's file cannot be read or written.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// "read" or "write".
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// How a panic of tch begins.
const TCH_PANIC: &str = "called `Result::unwrap()` on an `Err` value: Torch(";
/// How a panic of the shim begins.
const SHIM_PANIC: &str = "an operation of the shim ";
/// How LibTorch and its libraries say that memory is short.
const NO_MEMORY: [&str; 4] = ["out of memory", "can't allocate memory", "bad_alloc", "ALLOC_FAILED"];

impl Error {
    /// A stable, machine-readable name of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::ModelFile { .. } => "model_file_unreadable",
            Error::ModelIncomplete { .. } => "model_incomplete",
            Error::ConfigJson { .. } => "model_config_invalid",
            Error::ConfigField { .. } => "model_config_unsupported",
            Error::Checkpoint { .. } => "model_checkpoint_corrupt",
            Error::Tensors { .. } => "model_tensors_mismatch",
            Error::Scheduler { source, .. } => source.code(),
            Error::Tokenizer { .. } => "model_tokenizer_invalid",
            Error::Sampler(e) => e.code(),
            Error::Parameter { .. } => "parameter_invalid",
            Error::Torch { .. } => "engine_failure",
            Error::Panic { .. } => "engine_panic",
            Error::OutOfMemory { .. } => "out_of_memory",
            Error::NonFinite { .. } => "row_non_finite",
            Error::UnknownRow(_) => "row_unknown",
            Error::Export(_) => "row_export_invalid",
            Error::File { .. } => "file_inaccessible",
        }
    }

    pub(crate) fn model_file(path: &Path, source: std::io::Error) -> Self {
        Error::ModelFile { path: path.to_owned(), source }
    }

    /// Names a panic while doing `operation`: LibTorch's, which tch and the shim panic with, or another.
    fn panic(operation: &'static str, message: &str, place: Option<String>) -> Self {
        let of_torch = message.starts_with(TCH_PANIC) || message.starts_with(SHIM_PANIC);
        if of_torch || NO_MEMORY.iter().any(|text| message.contains(text)) {
            return Error::torch(operation, message);
        }
        let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        Error::Panic { operation, message: shorten(line.to_owned()), place }
    }

    /// Names what LibTorch reported while doing `operation`.
    pub(crate) fn torch(operation: &'static str, message: &str) -> Self {
        if NO_MEMORY.iter().any(|text| message.contains(text)) {
            return Error::OutOfMemory { operation };
        }
        // tch panics with its error as Rust source writes it, and LibTorch appends the stack, a line each.
        let message = message.trim_start_matches(TCH_PANIC).trim_start_matches("\"");
        let mut lines = message.lines().flat_map(|line| line.split("\\n")).map(str::trim);
        let message = lines.find(|line| !line.is_empty()).unwrap_or("no message");
        Error::Torch { operation, message: message.to_owned() }
    }
}

impl From<SamplerError> for Error {
    /// What LibTorch reported inside a sampler is LibTorch's failure, not the request's.
    fn from(error: SamplerError) -> Self {
        match error {
            SamplerError::Tensor { operation, source } => Error::torch(operation, &source.to_string()),
            other => Error::Sampler(other),
        }
    }
}

/// Cuts text from a hostile file to what a message can hold.
pub(crate) fn shorten(mut text: String) -> String {
    const LONGEST: usize = 120;
    if text.len() > LONGEST {
        text.truncate((0..=LONGEST).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0));
        text.push('…');
    }
    text
}

/// Runs `f`, turning a panic (LibTorch's exceptions surface as panics of tch) into a named error.
///
/// The default panic hook still prints; the engine's thread installs [`quiet_panics`] once.
pub(crate) fn contain<T>(operation: &'static str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    CONTAINED.with(|c| c.set(c.get() + 1));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    CONTAINED.with(|c| c.set(c.get() - 1));
    match result {
        Ok(result) => result,
        Err(payload) => {
            let message = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without a message");
            Err(Error::panic(operation, message, PLACE.with(Cell::take)))
        }
    }
}

thread_local! {
    static CONTAINED: Cell<u32> = const { Cell::new(0) };
    /// Where the last contained panic came from.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Keeps panics that [`contain`] turns into errors off standard error. Idempotent.
pub(crate) fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CONTAINED.with(Cell::get) == 0 {
                previous(info);
            } else {
                PLACE.with(|place| {
                    place.set(info.location().map(|at| format!("{}:{}", at.file(), at.line())))
                });
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_libtorch_is_one_line() {
        let fail = || {
            let wide = tch::Tensor::zeros([2, 3], (tch::Kind::Float, tch::Device::Cpu));
            Ok(wide.expand([1], false))
        };
        let error = contain("a test", fail).expect_err("the sizes do not fit");
        let text = error.to_string();
        assert!(
            text.starts_with("a test failed in LibTorch: expand(CPUFloatType{[2, 3]}, size=[1])"),
            "{text}"
        );
        assert!(!text.contains("frame #0") && !text.contains("unwrap"), "{text}");
    }

    #[test]
    fn a_mistake_of_ours_is_not_blamed_on_libtorch() {
        quiet_panics();
        let error = contain("a test", || -> Result<()> { panic!("one row too many\nand more") });
        let error = error.expect_err("it panics");
        assert_eq!(error.code(), "engine_panic");
        let text = error.to_string();
        assert!(
            text.starts_with("a test hit a mistake of this program at ") && text.contains("error.rs:"),
            "{text}"
        );
        assert!(text.ends_with(": one row too many; please report it"), "{text}");
        let error = contain("a test", || -> Result<()> { panic!("std::bad_alloc") }).expect_err("it panics");
        assert_eq!(error.code(), "out_of_memory");
    }
}
