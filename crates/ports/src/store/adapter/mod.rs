//! What the adapters of the store share beside their SQL: decisions that need no database, and the parameters of set
//! statements. Both databases take many rows as one JSON parameter.

mod gate;
mod intake;
mod rows;

pub use gate::{Holder, TicketRow};
pub use intake::{Accepted, Intake, Known, Wanted, totals};
pub use rows::{as_i64, beats, changes, counts, fences, ids, jobs, leases};
