//! Reading the small files of a model folder.

use std::io::{Error as IoError, ErrorKind};
use std::path::Path;

use crate::error::{Error, Result};

/// Largest configuration file or shard index that is read; real ones have a few KiB.
const MAX_SMALL_BYTES: u64 = 4 << 20;

/// The length of `path`, which must be a regular file: asked before it is opened, as opening a named pipe waits.
pub(crate) fn regular(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::model_file(path, e))?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(Error::model_file(path, IoError::new(ErrorKind::InvalidInput, "it is not a regular file")))
}

/// The bytes of a configuration file or shard index.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>> {
    let length = regular(path)?;
    if length > MAX_SMALL_BYTES {
        return Err(Error::ConfigField {
            path: path.to_owned(),
            field: "(whole file)".into(),
            value: format!("{length} bytes"),
            expected: format!("at most {MAX_SMALL_BYTES} bytes"),
        });
    }
    std::fs::read(path).map_err(|e| Error::model_file(path, e))
}

/// The text of a configuration file.
pub(crate) fn read_small_text(path: &Path) -> Result<String> {
    String::from_utf8(read_small(path)?)
        .map_err(|e| Error::model_file(path, IoError::new(ErrorKind::InvalidData, e)))
}
