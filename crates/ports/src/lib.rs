//! The interfaces between retouch's services and what they run on. No adapter and no tensor is known here.

pub mod step_engine;
