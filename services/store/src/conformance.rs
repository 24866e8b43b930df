//! What every backend must do. Call [`run`] from a test of the backend, with a function that opens a new, empty store.

mod fixtures;
mod groups;
mod logs;
mod registry;

use std::sync::Arc;

use crate::ports::{Store, StoreError};

/// Runs all checks, each on a store of its own.
///
/// # Errors
/// What the backend reports where it should have succeeded.
///
/// # Panics
/// Where the backend answered and the answer is wrong.
pub async fn run(open: impl AsyncFn() -> Arc<dyn Store>) -> Result<(), StoreError> {
    registry::records_are_inserted_then_replaced(&*open().await).await?;
    registry::pages_ascend_and_end(&*open().await).await?;
    registry::an_external_key_points_to_one_record(&*open().await).await?;
    registry::an_answer_is_never_replaced(&*open().await).await?;
    registry::views_are_found_by_every_filter(&*open().await).await?;
    registry::changes_are_followed_in_order(&*open().await).await?;
    registry::events_are_numbered_in_order(&*open().await).await?;
    registry::a_data_key_is_never_replaced(&*open().await).await?;

    logs::ranges_are_half_open_and_ascending(&*open().await).await?;
    logs::what_is_appended_is_never_replaced(&*open().await).await?;
    logs::what_is_past_a_head_is_cut(&*open().await).await?;
    logs::a_head_keeps_its_root_and_gains_one_note(&*open().await).await?;
    logs::accepted_is_standing_and_not_rejected(&*open().await).await?;
    logs::a_part_is_sealed_anew_and_its_key_forgotten(&*open().await).await?;
    logs::a_state_is_put_replaced_and_let_go(&*open().await).await?;
    logs::a_big_batch_is_one_commit(&*open().await).await?;
    logs::a_number_out_of_range_is_refused(&*open().await).await?;

    groups::a_dropped_transaction_leaves_nothing(&*open().await).await?;
    groups::a_failed_job_leaves_no_trace(&*open().await).await?;
    groups::jobs_read_what_was_written_before(&*open().await).await?;
    groups::external_keys_move_within_a_group(&*open().await).await?;
    groups::a_row_is_written_once_with_ascending_changes(&*open().await).await?;
    groups::log_reads_span_stored_and_appended(&*open().await).await?;
    groups::staged_entries_are_not_forgotten(&*open().await).await?;
    groups::many_jobs_are_one_commit(&*open().await).await
}
