//! What the tests of whole services share: the processes that they start, kill and freeze, and the accounts that they keep
//! outside of the system.

pub mod account;
pub mod auditor;
pub mod bench;
pub mod chaos;
pub mod client;
pub mod executor;
pub mod process;
pub mod site;
pub mod unfenced;
