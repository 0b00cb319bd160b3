//! The interfaces between retouch's services and what they run on. No adapter and no tensor is known here.

pub mod clock;
pub mod error;
pub mod ids;
pub mod step_engine;
pub mod store;

pub use clock::{Clock, SystemClock};
pub use error::{PortError, PortErrorKind};
pub use ids::{Ids, SystemIds};
pub use store::JobStore;
