//! The settings and where they come from. `config/default.toml` has every one, so the structs need no defaults.

mod scheduler;
mod services;

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

pub use self::scheduler::SchedulerSettings;
pub use self::services::{ApiSettings, FetchSettings, UpSettings, WorkerSettings};
use crate::secret::{BackendUrl, Secret};

/// Every setting with its default and a sentence.
pub const DEFAULT: &str = include_str!("../../../config/default.toml");

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `[store]`
    pub store: StoreSettings,
    /// `[queue]`
    pub queue: QueueSettings,
    /// `[blobs]`
    pub blobs: BlobSettings,
    /// `[live]`
    pub live: LiveSettings,
    /// `[api]`
    pub api: ApiSettings,
    /// `[worker]`
    pub worker: WorkerSettings,
    /// `[fetch]`
    pub fetch: FetchSettings,
    /// `[scheduler]`
    pub scheduler: SchedulerSettings,
    /// `[up]`
    pub up: UpSettings,
}

/// The jobs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// Which database.
    pub url: BackendUrl,
    /// How many connections a process has at most.
    pub connections: NonZeroU32,
    /// After how many seconds PostgreSQL gives up a statement.
    pub statement_timeout_seconds: NonZeroU32,
}

/// The broker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Which one.
    pub url: BackendUrl,
    /// Of the names of its queues.
    pub prefix: String,
}

/// The files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobSettings {
    /// Which store.
    pub url: BackendUrl,
    /// What `s3:` needs beside it.
    pub s3: S3Settings,
}

/// How a bucket is reached. Empty texts are settings that are not made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// Of the bucket.
    pub region: String,
    /// Of a store other than S3.
    pub endpoint: String,
    /// The bucket in the path instead of the host name.
    pub path_style: bool,
    /// Names the key.
    pub access_key: String,
    /// The key.
    pub secret_key: Secret,
    /// Comes with keys that expire.
    pub session_token: Secret,
}

/// Progress, presence, events, limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveSettings {
    /// Where.
    pub url: BackendUrl,
    /// Of the names of its keys.
    pub prefix: String,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there or cannot be read.
    #[error("reading the settings in {path} failed", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("the settings in {path} are no TOML", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A setting that does not exist, or of another type.
    #[error("the settings in {origin} do not fit; config/default.toml lists all of them", origin = origin)]
    Shape {
        /// The file, or the environment.
        origin: String,
        /// Which one.
        #[source]
        source: toml::de::Error,
    },
    /// A variable whose value is not what the setting takes.
    #[error("{variable} is no {expected}")]
    Variable {
        /// Its name.
        variable: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl Settings {
    /// The defaults, then what the file says, then what the environment says through `variable`.
    pub fn load(
        file: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let mut table = defaults();
        if let Some(path) = file {
            let read = |source| SettingsError::Read { path: path.to_owned(), source };
            let text = fs::read_to_string(path).map_err(read)?;
            let syntax = |source| SettingsError::Syntax { path: path.to_owned(), source };
            merge(&mut table, text.parse::<Table>().map_err(syntax)?);
            // Once more below; here the file is to blame.
            parse(table.clone(), &path.display().to_string())?;
        }
        override_from(&mut table, "RETOUCH", variable)?;
        parse(table, "the environment")
    }
}

fn defaults() -> Table {
    DEFAULT.parse().expect("a test reads the file that is compiled in")
}

fn parse(table: Table, origin: &str) -> Result<Settings, SettingsError> {
    table.try_into().map_err(|source| SettingsError::Shape { origin: origin.to_owned(), source })
}

/// Tables merge, everything else is replaced.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Takes each setting's variable, if it is set; the type is that of the default.
fn override_from(
    table: &mut Table,
    prefix: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), SettingsError> {
    for (key, value) in table.iter_mut() {
        let name = format!("{prefix}_{}", key.to_ascii_uppercase());
        if let Value::Table(table) = value {
            override_from(table, &name, variable)?;
        } else if let Some(text) = variable(&name) {
            *value = typed(value, text, name)?;
        }
    }
    Ok(())
}

fn typed(like: &Value, text: String, variable: String) -> Result<Value, SettingsError> {
    let (value, expected) = match like {
        Value::String(_) => return Ok(Value::String(text)),
        Value::Boolean(_) => (text.parse().ok().map(Value::Boolean), "boolean (true or false)"),
        Value::Integer(_) => (text.parse().ok().map(Value::Integer), "whole number"),
        Value::Float(_) => (text.parse().ok().map(Value::Float), "number"),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => (
            format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value")),
            "TOML value",
        ),
    };
    value.ok_or(SettingsError::Variable { variable, expected })
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn the_default_file_has_every_setting_and_no_other() {
        // The structs refuse unknown keys and have no defaults of their own.
        let settings = Settings::load(None, &none).unwrap();
        assert_eq!(settings.queue.url.reveal(), "local:");
    }

    #[test]
    fn every_setting_has_a_sentence_above_it() {
        let lines: Vec<&str> = DEFAULT.lines().collect();
        for (number, line) in
            lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'))
        {
            assert!(lines[number - 1].starts_with("# "), "line {}: {line}", number + 1);
        }
    }

    #[test]
    fn a_file_and_then_the_environment_win() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "[queue]\nurl = \"amqp://file\"\nprefix = \"file\"\n").unwrap();
        let environment = |name: &str| match name {
            "RETOUCH_QUEUE_PREFIX" => Some("environment".to_owned()),
            "RETOUCH_BLOBS_S3_PATH_STYLE" => Some("true".to_owned()),
            _ => None,
        };
        let settings = Settings::load(Some(file.path()), &environment).unwrap();
        assert_eq!(settings.queue.url.reveal(), "amqp://file");
        assert_eq!(settings.queue.prefix, "environment");
        assert!(settings.blobs.s3.path_style);
        assert_eq!(settings.live.prefix, "retouch");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let told = |text: &str| {
            fs::write(file.path(), text).unwrap();
            let error = Settings::load(Some(file.path()), &none).unwrap_err();
            assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
            error.source().unwrap().to_string()
        };
        assert!(told("[queue]\nurll = \"x\"\n").contains("unknown field `urll`"));
        assert!(told("[que]\nurl = \"x\"\n").contains("unknown field `que`"));
        assert!(told("[queue]\nurl = 7\n").contains("invalid type"));
        assert!(told("[queue\n").contains("TOML parse error"));
        let missing = Settings::load(Some(Path::new("/nonexistent.toml")), &none).unwrap_err();
        assert_eq!(missing.to_string(), "reading the settings in /nonexistent.toml failed");
        let wrong = |name: &str| (name == "RETOUCH_BLOBS_S3_PATH_STYLE").then(|| "yes".to_owned());
        let error = Settings::load(None, &wrong).unwrap_err();
        assert_eq!(error.to_string(), "RETOUCH_BLOBS_S3_PATH_STYLE is no boolean (true or false)");
    }

    #[test]
    fn settings_are_shown_without_their_secrets() {
        let secrets = |name: &str| match name {
            "RETOUCH_QUEUE_URL" => Some("amqp://me:hunter2@host/".to_owned()),
            "RETOUCH_BLOBS_S3_SECRET_KEY" | "RETOUCH_BLOBS_S3_SESSION_TOKEN" => Some("hunter2".to_owned()),
            _ => None,
        };
        let shown = format!("{:?}", Settings::load(None, &secrets).unwrap());
        assert!(shown.contains("amqp://me:***@host/") && !shown.contains("hunter2"), "{shown}");
    }
}
