//! API keys: 256 random bits, of which the server keeps a keyed digest.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use rand::RngCore;
use retouch_ports::store::KeyDigest;
use sha2::Sha256;

/// What every key begins with, so that one in a place where it should not be is found.
pub const PREFIX: &str = "rtk_";

/// What digests of keys are made with. Without it, a copy of the database says nothing about guessed keys.
#[derive(Clone)]
pub struct KeySecret(Hmac<Sha256>);

/// A secret that protects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret of the API's keys has {bytes} bytes; use at least 32 random ones, such as `openssl rand -hex 32`"
)]
pub struct WeakSecret {
    /// How long it is.
    pub bytes: usize,
}

impl KeySecret {
    /// A secret from the settings.
    ///
    /// # Errors
    /// If it is shorter than 32 bytes.
    pub fn new(secret: &str) -> Result<Self, WeakSecret> {
        let weak = WeakSecret { bytes: secret.len() };
        if secret.len() < 32 {
            return Err(weak);
        }
        Hmac::new_from_slice(secret.as_bytes()).map(Self).map_err(|_| weak)
    }

    /// What the store knows a key by.
    pub fn digest(&self, key: &str) -> KeyDigest {
        let mut mac = self.0.clone();
        mac.update(key.as_bytes());
        KeyDigest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A new key: shown once, to its owner.
pub fn new_key() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_their_digests_depend_on_the_secret() {
        let (one, other) = (new_key(), new_key());
        assert!(one != other && one.len() == PREFIX.len() + 43, "{one}");
        let secret = KeySecret::new(&"s".repeat(32)).unwrap();
        assert!(secret.digest(&one) == secret.digest(&one) && secret.digest(&one) != secret.digest(&other));
        assert_ne!(secret.digest(&one), KeySecret::new(&"t".repeat(32)).unwrap().digest(&one));
        assert_eq!(KeySecret::new("short").unwrap_err(), WeakSecret { bytes: 5 });
        assert_eq!(format!("{secret:?}"), "(secret)");
    }
}
