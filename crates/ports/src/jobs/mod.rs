//! What jobs of each kind say, and what comes of them: one module for a kind, one structure for a version.

pub mod edit;
pub mod pairs;
