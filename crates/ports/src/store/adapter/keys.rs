//! What both stores say about keys.

use retouch_domain::spec::MAX_TEXT_BYTES;

use crate::{PortError, PortErrorKind};

/// Whether a key can have this name.
///
/// # Errors
/// `Invalid` if it is too long or holds the character NUL.
pub fn check_key_name(name: &str) -> Result<(), PortError> {
    if name.len() <= MAX_TEXT_BYTES && !name.contains('\0') {
        return Ok(());
    }
    let text = format!("the name of a key has at most {MAX_TEXT_BYTES} bytes, and no character NUL");
    Err(PortError::new(PortErrorKind::Invalid, text))
}
