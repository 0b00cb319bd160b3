//! Settings that hold passwords: they are used, and never shown.

use std::fmt;

use serde::Deserialize;
use url::Url;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(empty)" } else { "(secret)" })
    }
}

/// The URL of a backend; shown without its password and without its query.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct BackendUrl(String);

impl BackendUrl {
    /// The whole URL, for the adapter.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon, in lower case.
    pub fn scheme(&self) -> String {
        self.0.split_once(':').map_or_else(String::new, |(scheme, _)| scheme.to_ascii_lowercase())
    }

    /// What stands behind the first colon.
    pub fn rest(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, rest)| rest)
    }
}

impl From<&str> for BackendUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is no URL may be a password that was put in the wrong place.
        let Ok(mut url) = Url::parse(&self.0) else { return f.write_str("(not a URL)") };
        if url.password().is_some() {
            // Only URLs without a host refuse one, and they have none.
            let _ = url.set_password(Some("***"));
        }
        if url.query().is_some() {
            url.set_query(Some("***"));
        }
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for BackendUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let shown = |text: &str| BackendUrl::from(text).to_string();
        assert_eq!(shown("amqp://me:hunter2@host:5672/%2f"), "amqp://me:***@host:5672/%2f");
        assert_eq!(shown("redis://:hunter2@host/0"), "redis://:***@host/0");
        assert_eq!(shown("postgres://host/db?password=hunter2"), "postgres://host/db?***");
        assert_eq!(shown("local:"), "local:");
        assert_eq!(shown("hunter2"), "(not a URL)");
        assert_eq!(format!("{:?}", Secret::from("hunter2".to_owned())), "(secret)");
    }
}
