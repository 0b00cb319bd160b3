//! The conformance suite of the job store: plain async cases over `Arc<dyn JobStore>`, each named.
//!
//! An adapter runs all of it, each case on a fresh database:
//!
//! ```ignore
//! retouch_testkit::job_store_suite!(crate::fresh);
//! ```
//!
//! where `async fn fresh() -> Fresh<G>` gives an empty store and whatever must live as long as it. Cases use no clock:
//! leases of length zero have expired, leases of an hour have not.

#![expect(clippy::unwrap_used, reason = "cases are tests")]

pub mod claims;
pub mod control;
pub mod dependencies;
pub mod desk;
pub mod dispatch;
pub mod faults;
pub mod keys;
pub mod model;
pub mod reading;
pub mod runs;
pub mod submission;
pub mod upkeep;
pub mod webhooks;

use std::sync::Arc;

use retouch_ports::JobStore;

/// The store of one case.
pub struct Fresh<G> {
    /// An empty store.
    pub store: Arc<dyn JobStore>,
    /// What must live as long as it.
    pub guard: G,
}

/// One `#[tokio::test]` for each case of the suite; `$fresh` is the path of an async function that makes a [`Fresh`].
#[macro_export]
macro_rules! job_store_suite {
    ($fresh:path) => {
        $crate::job_store_suite! { @cases $fresh;
            submission:
                a_submission_is_stored_whole, each_row_gets_its_verdict, an_idempotency_key_replays_its_answer,
                a_batch_is_stored_once, limits_are_kept, an_empty_batch_completes, a_loading_batch_is_invisible,
                loading_goes_on_where_it_stopped, an_abandoned_batch_leaves_nothing, tenants_see_only_their_own,
                a_key_that_is_loading_is_no_duplicate_yet;
            dispatch:
                the_window_is_filled_and_kept, a_returned_ticket_is_given_again, lost_tickets_are_found,
                tenants_take_turns_by_weight, a_tenant_keeps_its_limit, a_limit_holds_across_pools, a_lower_band_gets_its_share,
                runs_of_a_shape_stay_together, the_third_parking_fails_the_job, the_backlog_adds_up;
            claims:
                a_job_runs_and_succeeds, a_ticket_is_worth_one_run, many_claimants_get_a_job_once, a_claim_is_refused_by_name,
                a_refused_ticket_is_dispatched_again, a_live_holder_keeps_its_run, a_run_is_readopted_by_its_worker,
                an_expired_lease_is_taken_over, a_dead_holders_waiting_run_is_taken_over,
                a_run_to_be_canceled_is_not_taken_over, workers_hold_their_liveness;
            runs:
                a_stale_epoch_changes_nothing, many_commits_take_effect_once, a_beat_renews_and_reports,
                a_beat_tells_what_to_do, a_transient_failure_backs_off, a_permanent_failure_is_final,
                a_row_that_kills_its_workers_fails_by_name, twenty_starts_are_the_end, a_hand_over_keeps_the_state,
                children_come_with_the_result, what_breaks_a_limit_changes_nothing,
                a_null_is_a_result;
            control:
                a_waiting_job_is_canceled_at_once, a_running_job_is_canceled_by_its_worker, a_commit_wins_over_a_cancel,
                cancel_and_commit_race, a_batch_is_canceled, what_waits_of_a_batch_is_canceled, a_job_is_retried, a_batch_is_retried, a_paused_batch_waits,
                a_paused_batch_is_handed_over, a_batch_moves_between_bands,
                a_batch_that_is_not_open_to_it_is_not_retried, a_claim_races_with_pause_and_cancel;
            dependencies:
                a_success_lets_go_on, a_failure_fails_what_waits, a_batch_is_waited_for, several_successes_at_once_let_go_on,
                a_retry_waits_again, a_batch_is_retried_in_order, unknown_dependencies_are_refused,
                an_abandoned_batch_fails_what_waits, rows_that_are_not_stored_hold_nobody, a_retry_and_a_success_race,
                what_is_deleted_keeps_its_meaning;
            upkeep:
                due_jobs_are_released, leases_are_reaped, deadlines_expire, a_batch_completes_once, folding_at_once_counts_once,
                orphans_are_listed_until_swept, an_ended_batch_is_deleted, a_deletion_and_a_retry_race, answers_are_forgotten;
            reading:
                pages_follow_each_other, batches_are_found_by_state_and_label, the_log_is_read_by_cursor,
                a_late_commit_is_not_skipped, ended_jobs_are_read_by_cursor, the_usage_adds_up;
            keys:
                a_key_is_found_while_it_is_in_force, keys_are_their_tenants, a_key_is_stored_once;
            webhooks:
                webhooks_are_their_tenants, webhooks_keep_their_limits, the_end_of_a_batch_is_told_once,
                every_end_is_told_as_what_it_is, folding_at_once_tells_once, a_delivery_is_claimed_by_one,
                many_schedulers_claim_each_delivery_once, a_failed_attempt_is_tried_again,
                what_is_disabled_is_sent_nothing, a_secret_is_rotated, old_deliveries_are_forgotten;
            faults:
                many_workers_lose_and_double_nothing;
            model:
                random_operations_agree_with_the_model;
        }
    };
    (@cases $fresh:path; $($module:ident: $($case:ident),+;)+) => {$(
        mod $module {
            use $fresh as fresh;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let fresh = fresh().await;
                    $crate::job_store::$module::$case(fresh.store.clone()).await;
                    drop(fresh);
                }
            )+
        }
    )+};
}
