//! Names that operators choose: pools and kinds of jobs.

use std::fmt;
use std::str::FromStr;

/// The most bytes of a name.
pub const MAX_NAME_BYTES: usize = 63;

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a {what}: use 1 to 63 of a-z, 0-9, '_', '-' and '.', beginning with a letter or digit"
)]
pub struct InvalidName {
    /// What the name was for.
    pub what: &'static str,
    /// What was given, cut to the length of a name.
    pub text: String,
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= MAX_NAME_BYTES
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|byte| plain(byte) || b"_-.".contains(&byte))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The name as it is stored.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) {
                    return Ok(Self(text.to_owned()));
                }
                Err(InvalidName { what: $what, text: text.chars().take(MAX_NAME_BYTES).collect() })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// The workers that can run a kind: `gpu`, `cpu`, or a named class of GPUs.
    Pool = "pool";
    /// What a worker does with a job's payload, such as `edit`.
    JobKind = "kind of job";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["gpu", "a100-80g", "pack.shard_2", &"x".repeat(63)] {
            assert!(good.parse::<Pool>().is_ok(), "{good}");
        }
        for bad in ["", "GPU", "-x", "a b", "é", &"x".repeat(64)] {
            assert!(bad.parse::<Pool>().is_err(), "{bad}");
        }
    }
}
