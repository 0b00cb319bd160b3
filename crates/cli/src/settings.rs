//! The settings as commands take them.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use retouch_bootstrap::backends::Process;
use retouch_bootstrap::{BackendError, Settings, SettingsError};
use retouch_ports::{PortErrorKind, SystemClock, SystemIds};

use crate::failure::{Blame, Failure, chain};

/// What every command takes that uses the backends.
#[derive(Debug, Args)]
pub struct SettingsArgs {
    /// Settings that differ from the defaults; RETOUCH_* variables come after it
    #[arg(long, env = "RETOUCH_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

impl SettingsArgs {
    /// The defaults, then the file, then the environment.
    ///
    /// # Errors
    /// `settings_invalid`
    pub fn load(&self) -> Result<Settings, Failure> {
        Settings::load(self.config.as_deref(), &variable).map_err(|error| {
            let mut told = chain(&error);
            if let SettingsError::Shape { .. } = error {
                // TOML says in a line of its own which setting it was.
                told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            Failure::new(Blame::Parameters, "settings_invalid", told)
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What backends get from this process.
pub fn process() -> Process<'static> {
    Process { clock: Arc::new(SystemClock), ids: Arc::new(SystemIds), variable: &variable }
}

/// A backend that cannot be used, by the caller's fault or the installation's.
pub fn unusable(error: &BackendError) -> Failure {
    let blame = match error {
        BackendError::UnknownScheme { .. } | BackendError::Incomplete { .. } => Blame::Parameters,
        BackendError::Port { source, .. } if source.kind() == PortErrorKind::Invalid => Blame::Parameters,
        BackendError::CompiledOut { .. } | BackendError::Port { .. } => Blame::Installation,
    };
    Failure::new(blame, error.code(), chain(error))
}
