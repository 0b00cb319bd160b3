//! What `retouch` and `retouch-engine` have in common: how they fail, their settings, and the services composed of them.

pub mod failure;
pub mod services;
pub mod settings;
