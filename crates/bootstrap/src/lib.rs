//! From settings to backends: `config/default.toml`, then a file, then `RETOUCH_*`; then the adapters that the URLs name.

pub mod backends;
pub mod secret;
pub mod settings;
pub mod stores;

pub use backends::BackendError;
pub use secret::{BackendUrl, Secret};
pub use settings::{Settings, SettingsError};
