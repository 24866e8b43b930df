//! Groups of jobs: [`Work`] over the backend.

use super::fixtures::*;
use crate::ports::{Store, StoreError};
use crate::rows::*;
use crate::work::{Staged, Work};

pub(super) async fn a_dropped_transaction_leaves_nothing(store: &dyn Store) -> Result<(), StoreError> {
    let mut work = group(store).await?;
    work.put_resource(resource(Kind::Worker, 1));
    drop(work);
    let (tx, writes) = {
        let mut work = group(store).await?;
        work.put_resource(resource(Kind::Worker, 1));
        work.into_parts()
    };
    assert_eq!(writes.resources.len(), 1);
    drop(tx);
    assert_eq!(store.resource((Kind::Worker, reference(1))).await?, None);
    // And the next transaction is not in its way.
    commit(store, Writes { resources: vec![resource(Kind::Worker, 2)], ..Writes::default() }).await
}

pub(super) async fn a_failed_job_leaves_no_trace(store: &dyn Store) -> Result<(), StoreError> {
    let mut work = group(store).await?;
    work.begin_job();
    work.put_log(log(1, 0));
    work.put_view(view(1, "NOMINATED", "CA-ON", 0));
    work.keep_job();

    work.begin_job();
    write_everything(&mut work);
    assert_eq!(work.log(1)?.size, 1);
    assert_eq!(work.staged().count(), 1);
    work.drop_job();

    assert_eq!(work.log(1)?.size, 0);
    assert_eq!(work.staged().count(), 0);
    assert_eq!(work.take_staged(), []);
    assert_eq!(work.resource((Kind::Worker, reference(1))).await?, None);
    assert_eq!(work.view(&view(1, "", "", 0).key).await?.map(|v| v.label).as_deref(), Some("NOMINATED"));
    assert_eq!(work.subject_key(reference(1)).await?, None);
    assert_eq!(work.entries(1, 0, 9).await?, []);
    work.begin_job();
    work.put_view(view(2, "SELECTED", "CA-ON", 0));
    work.keep_job();
    // An open job is dropped by the commit.
    work.begin_job();
    write_everything(&mut work);
    let committed = work.commit().await?;

    assert_eq!((committed.logs, committed.last_change), (vec![log(1, 0)], 2));
    assert_eq!(store.logs().await?, [log(1, 0)]);
    assert_eq!(store.resource((Kind::Worker, reference(1))).await?, None);
    assert_eq!(store.external(&key("a")).await?, None);
    assert_eq!(store.request(&request(1).key).await?, None);
    assert_eq!(store.view(&view(1, "", "", 0).key).await?, Some(view(1, "NOMINATED", "CA-ON", 1)));
    assert_eq!(store.view(&view(2, "", "", 0).key).await?, Some(view(2, "SELECTED", "CA-ON", 2)));
    assert_eq!(store.events(reference(1), 0, 9).await?, []);
    assert_eq!(store.entries(1, 0, 9).await?, []);
    assert_eq!(store.checkpoint_at_most(1, 9).await?, None);
    Ok(())
}

pub(super) async fn jobs_read_what_was_written_before(store: &dyn Store) -> Result<(), StoreError> {
    commit(store, Writes { resources: vec![resource(Kind::Worker, 7)], ..Writes::default() }).await?;
    let mut work = group(store).await?;
    work.put_log(log(1, 0));
    assert_eq!(work.resource((Kind::Worker, reference(1))).await?, None, "known to be absent");
    work.begin_job();
    write_everything(&mut work);
    for kept in [false, true] {
        if kept {
            work.keep_job();
            work.begin_job();
        }
        assert_eq!(work.resource((Kind::Worker, reference(1))).await?, Some(resource(Kind::Worker, 1)));
        assert_eq!(work.resource((Kind::Worker, reference(7))).await?, Some(resource(Kind::Worker, 7)));
        assert_eq!(work.external(&key("a")).await?, Some(reference(1)));
        assert_eq!(work.request(&request(1).key).await?, Some(request(1)));
        assert_eq!(work.view(&view(1, "", "", 0).key).await?, Some(view(1, "SELECTED", "CA-QC", 0)));
        assert_eq!(work.subject_key(reference(1)).await?, Some([1; 16]));
        assert_eq!(work.entries(1, 0, 9).await?, [entry(1, 0)]);
        assert_eq!(work.logs().cloned().collect::<Vec<_>>(), [log(1, 1)]);
    }
    work.put_resource(ResourceRow { revision: 2, ..resource(Kind::Worker, 1) });
    work.keep_job();
    assert_eq!(work.take_staged(), [staged(1)]);
    work.commit().await?;

    let stored = store.resource((Kind::Worker, reference(1))).await?;
    assert_eq!(stored.map(|row| row.revision), Some(2));
    assert_eq!(store.parts(1, 0, 9).await?, [part(1, 0, 0)]);
    assert_eq!(store.events(reference(1), 0, 9).await?.len(), 1);
    Ok(())
}

pub(super) async fn external_keys_move_within_a_group(store: &dyn Store) -> Result<(), StoreError> {
    commit(store, Writes { external_put: vec![(key("a"), reference(1))], ..Writes::default() }).await?;
    let mut work = group(store).await?;
    work.begin_job();
    work.delete_external(key("a"));
    assert_eq!(work.external(&key("a")).await?, None);
    work.keep_job();
    work.begin_job();
    work.put_external(key("a"), reference(2));
    work.put_external(key("b"), reference(2));
    work.put_external(key("c"), reference(2));
    work.delete_external(key("c"));
    work.keep_job();
    assert_eq!(work.externals_of((Kind::Worker, reference(1))).await?, []);
    assert_eq!(work.externals_of((Kind::Worker, reference(2))).await?, [key("a"), key("b")]);
    work.commit().await?;
    assert_eq!(store.external(&key("a")).await?, Some(reference(2)));
    assert_eq!(store.external(&key("b")).await?, Some(reference(2)));
    assert_eq!(store.external(&key("c")).await?, None);
    Ok(())
}

pub(super) async fn a_row_is_written_once_with_ascending_changes(store: &dyn Store) -> Result<(), StoreError> {
    commit(store, Writes { views: vec![view(9, "NOMINATED", "CA-ON", 41)], ..Writes::default() }).await?;
    let mut work = group(store).await?;
    for n in [3, 1, 2, 3] {
        work.begin_job();
        work.put_view(view(n, "NOMINATED", "CA-ON", 0));
        work.keep_job();
    }
    let (_, writes) = work.into_parts();
    let numbered: Vec<_> = writes.views.iter().map(|v| (v.key.2, v.change)).collect();
    assert_eq!(numbered, [(reference(1), 42), (reference(2), 43), (reference(3), 44)]);

    let work = group(store).await?;
    let untouched = work.commit().await?;
    assert_eq!((untouched.logs, untouched.last_change), (vec![], 41));
    Ok(())
}

pub(super) async fn log_reads_span_stored_and_appended(store: &dyn Store) -> Result<(), StoreError> {
    commit(store, Writes { rejections: vec![rejection(1, 1)], ..filled_log(1, 4) }).await?;
    let mut work = group(store).await?;
    work.begin_job();
    append(&mut work, 4);
    work.push_rejection(rejection(1, 2));
    work.push_tile(TileRow { log: 1, level: 0, index: 0, hashes: vec![1; 8_192] });
    work.keep_job();
    work.begin_job();
    append(&mut work, 5);
    work.push_rejection(rejection(1, 4));

    let entries: Vec<_> = (2..6).map(|index| entry(1, index)).collect();
    assert_eq!(work.log(1)?.size, 6);
    assert_eq!(work.entries(1, 2, 9).await?, entries);
    assert_eq!(work.entry_heads(1, 2, 6).await?, entries.iter().map(EntryRow::head).collect::<Vec<_>>());
    assert_eq!(work.leaves(1, 5, 6).await?, [entry(1, 5).leaf]);
    assert_eq!(work.parts(1, 3, 5).await?, [part(1, 3, 0), part(1, 4, 0)]);
    assert_eq!(work.tile(1, 0, 0).await?.map(|tile| tile.hashes.len()), Some(8_192));
    assert_eq!(work.tile(1, 1, 0).await?, None);
    let ids: Vec<_> = (0..7).map(reference).collect();
    let accepted = |indices: &[u64]| indices.iter().copied().map(reference).collect();
    assert_eq!(work.accepted(1, 9, &ids).await?, accepted(&[0, 3, 5]));
    assert_eq!(work.accepted(1, 5, &ids).await?, accepted(&[0, 3]));

    work.drop_job();
    assert_eq!(work.accepted(1, 9, &ids).await?, accepted(&[0, 3, 4]));
    work.commit().await?;
    assert_eq!(store.leaves(1, 0, 9).await?.len(), 5);
    assert_eq!(store.rejections(1).await?, [rejection(1, 1), rejection(1, 2)]);
    Ok(())
}

pub(super) async fn staged_entries_are_not_forgotten(store: &dyn Store) -> Result<(), StoreError> {
    let mut work = group(store).await?;
    for n in [2, 1] {
        work.begin_job();
        work.stage(staged(n));
        work.keep_job();
    }
    assert_eq!(work.staged().cloned().collect::<Vec<_>>(), [staged(2), staged(1)]);
    work.put_resource(resource(Kind::Worker, 1));
    let answer = work.commit().await;
    assert!(matches!(answer, Err(StoreError::Failed(_))), "{answer:?}");
    assert_eq!(store.resource((Kind::Worker, reference(1))).await?, None);
    Ok(())
}

pub(super) async fn many_jobs_are_one_commit(store: &dyn Store) -> Result<(), StoreError> {
    commit(store, filled_log(1, 0)).await?;
    let mut work = group(store).await?;
    let keys: Vec<_> = (0..200).map(|n| (Kind::Worker, reference(n))).collect();
    work.load_resources(&keys).await?;
    for n in 0..200 {
        work.begin_job();
        assert_eq!(work.resource((Kind::Worker, reference(n))).await?, None);
        work.put_resource(resource(Kind::Worker, n));
        work.put_request(request(n));
        work.put_view(view(n, "NOMINATED", "CA-ON", 0));
        append(&mut work, n);
        work.keep_job();
    }
    let committed = work.commit().await?;
    assert_eq!((committed.logs, committed.last_change), (vec![log(1, 200)], 200));
    assert_eq!(store.resources(Kind::Worker, None, 1_000).await?.len(), 200);
    assert_eq!(store.leaves(1, 0, 1_000).await?.len(), 200);
    let mut work = group(store).await?;
    let requests: Vec<_> = (0..300).map(|n| request(n).key).collect();
    let views: Vec<_> = (0..300).map(|n| view(n, "", "", 0).key).collect();
    work.load_requests(&requests).await?;
    work.load_views(&views).await?;
    assert_eq!(work.request(&requests[199]).await?, Some(request(199)));
    assert_eq!(work.request(&requests[200]).await?, None);
    assert_eq!(work.view(&views[0]).await?.map(|v| v.change), Some(1));
    assert_eq!(work.view(&views[200]).await?, None);
    Ok(())
}

/// One write of every kind, on log 1 with no entries.
fn write_everything(work: &mut Work) {
    work.put_resource(resource(Kind::Worker, 1));
    work.put_external(key("a"), reference(1));
    work.put_request(request(1));
    work.put_view(view(1, "SELECTED", "CA-QC", 0));
    let placement = reference(1);
    work.push_event(EventRow { ordinal: 0, agreement: AGREEMENT.to_owned(), placement, body: vec![1] });
    work.stage(staged(1));
    work.put_subject_key(SubjectKeyRow { subject: reference(1), key_id: [1; 16] });
    append(work, 0);
    work.push_checkpoint(CheckpointRow { log: 1, size: 1, root: [1; 32], note: Vec::new() });
}

fn append(work: &mut Work, index: u64) {
    work.push_entry(entry(1, index));
    work.push_part(part(1, index, 0));
    work.put_log(log(1, index + 1));
}

fn staged(n: u64) -> Staged {
    Staged { log: 1, record_id: reference(n), is_record: true, subject: None, bytes: vec![1], parts: Vec::new() }
}

fn key(value: &str) -> ExternalKey {
    (Kind::Worker, "passport".to_owned(), value.to_owned())
}
