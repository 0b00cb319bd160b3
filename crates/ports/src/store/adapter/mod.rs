//! What the adapters of the store share beside their SQL: decisions that need no database, and the parameters of set
//! statements. Both databases take many rows as one JSON parameter.

mod checks;
mod gate;
mod intake;
mod keys;
mod rows;
mod rules;
mod webhooks;

pub use checks::{
    all_changed, batch_is_valid, children_are_valid, conflict, exports_fit, illegal, limits_are_valid,
    must_be_found, must_be_new, must_be_open, must_be_over, must_be_retriable, must_follow, must_load,
    not_found, outputs_fit, replayed, rows_fit,
};
pub use gate::{Holder, TicketRow};
pub use intake::{Accepted, Intake, Known, Wanted, totals};
pub use keys::check_key_name;
pub use rows::{as_i64, beats, changes, counts, dependencies, fences, folded, ids, jobs, leases};
pub use rules::{
    Claims, TakingOver, Unfolded, Waits, canceled, each, end, follow, may_be_retried, no_run, reaped,
    retried, runs, signal, start,
};
pub use webhooks::{
    check_webhook_url, kinds, kinds_of, secret_of, test_data, told, told_given_up, too_many_tests,
    too_many_webhooks,
};
