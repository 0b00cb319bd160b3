//! What `retouch` and `retouch-engine` have in common: how they fail, their settings, the sheets they
//! draw, and the services composed of them.

pub mod drawing;
pub mod failure;
pub mod services;
pub mod settings;
