//! Logs: ranges, what is never replaced, heads, acceptance.

use super::fixtures::*;
use crate::ports::{Store, StoreError};
use crate::rows::*;

pub(super) async fn ranges_are_half_open_and_ascending(store: &dyn Store) -> Result<(), StoreError> {
    let mut writes = filled_log(1, 10);
    writes.parts.insert(0, part(1, 4, 1));
    writes.entries.reverse();
    commit(store, writes).await?;
    commit(store, filled_log(2, 3)).await?;
    assert_eq!(store.logs().await?, [log(1, 10), log(2, 3)]);

    let entries: Vec<_> = (3..6).map(|index| entry(1, index)).collect();
    assert_eq!(store.entries(1, 3, 6).await?, entries);
    assert_eq!(store.entries(1, 9, u64::MAX).await?, [entry(1, 9)]);
    assert_eq!(store.entries(1, 6, 6).await?, []);
    assert_eq!(store.entries(3, 0, 10).await?, []);
    assert_eq!(store.leaves(1, 3, 6).await?, entries.iter().map(|e| e.leaf).collect::<Vec<_>>());
    assert_eq!(store.parts(1, 4, 6).await?, [part(1, 4, 0), part(1, 4, 1), part(1, 5, 0)]);
    let heads = store.begin().await?.entry_heads(1, 3, 6).await?;
    assert_eq!(heads, entries.iter().map(EntryRow::head).collect::<Vec<_>>());
    assert_eq!(store.record(reference(2)).await?, [(1, 2), (2, 2)]);
    assert_eq!(store.record(reference(99)).await?, []);

    let grown = LogRow { alarm: "fork".to_owned(), size: 11, ..log(1, 10) };
    let entries = vec![entry(1, 10)];
    commit(store, Writes { logs: vec![grown.clone()], entries, ..Writes::default() }).await?;
    assert_eq!(store.logs().await?, [grown, log(2, 3)]);
    Ok(())
}

pub(super) async fn what_is_appended_is_never_replaced(store: &dyn Store) -> Result<(), StoreError> {
    let tile = TileRow { log: 1, level: 0, index: 0, hashes: vec![1; 8_192] };
    let rejections = vec![rejection(1, 1)];
    let writes = Writes { tiles: vec![tile.clone()], rejections: rejections.clone(), ..filled_log(1, 3) };
    commit(store, writes).await?;

    let other = EntryRow { bytes: vec![1], ..entry(1, 2) };
    let entries = vec![entry(1, 3), other];
    refused(store, Writes { entries, ..Writes::default() }, "another entry at an index").await?;
    assert_eq!(store.entries(1, 2, 4).await?, [entry(1, 2)], "all or nothing");
    let parts = vec![part(1, 2, 0)];
    refused(store, Writes { parts, ..Writes::default() }, "another part").await?;
    refused(store, Writes { tiles: vec![tile.clone()], ..Writes::default() }, "another tile").await?;
    assert_eq!(store.tile(1, 0, 0).await?, Some(tile));
    assert_eq!(store.tile(1, 1, 0).await?, None);
    refused(store, Writes { rejections: rejections.clone(), ..Writes::default() }, "another rejection").await?;
    assert_eq!(store.rejections(1).await?, rejections);

    let renamed = LogRow { origin: "another".to_owned(), ..log(1, 3) };
    refused(store, Writes { logs: vec![renamed], ..Writes::default() }, "another origin").await?;
    refused(store, Writes { entries: vec![entry(8, 0)], ..Writes::default() }, "entry without a log").await?;
    refused(store, Writes { parts: vec![part(1, 7, 0)], ..Writes::default() }, "part without an entry").await
}

pub(super) async fn what_is_past_a_head_is_cut(store: &dyn Store) -> Result<(), StoreError> {
    let rejections = vec![rejection(1, 1), rejection(1, 4)];
    let hidden = Writes { logs: vec![log(1, 3)], rejections, ..filled_log(1, 5) };
    commit(store, hidden).await?;
    assert_eq!(store.record(reference(4)).await?, [], "past the head");

    let mut work = group(store).await?;
    work.begin_job();
    work.put_log(log(1, 2));
    work.cut(1);
    work.drop_job();
    work.begin_job();
    work.cut(1);
    work.keep_job();
    work.commit().await?;
    assert_eq!(store.entries(1, 0, 9).await?, (0..3).map(|i| entry(1, i)).collect::<Vec<_>>());
    assert_eq!(store.parts(1, 0, 9).await?, (0..3).map(|i| part(1, i, 0)).collect::<Vec<_>>());
    assert_eq!(store.rejections(1).await?, [rejection(1, 1)]);

    let (logs, entries, parts) = (vec![log(1, 4)], vec![entry(1, 3)], vec![part(1, 3, 0)]);
    commit(store, Writes { logs, cut: vec![1], entries, parts, ..Writes::default() }).await?;
    assert_eq!(store.entries(1, 3, 9).await?, [entry(1, 3)], "appended in its place");
    Ok(())
}

pub(super) async fn a_head_keeps_its_root_and_gains_one_note(store: &dyn Store) -> Result<(), StoreError> {
    let head = |size, note: &[u8]| CheckpointRow { log: 1, size, root: [2; 32], note: note.to_vec() };
    let checkpoints = vec![head(10, b""), head(20, b""), head(30, b"kept")];
    commit(store, Writes { logs: vec![log(1, 30)], checkpoints, ..Writes::default() }).await?;
    assert_eq!(store.checkpoint_at_most(1, 9).await?, None);
    assert_eq!(store.checkpoint_at_most(1, 10).await?, Some(head(10, b"")));
    assert_eq!(store.checkpoint_at_most(1, 29).await?, Some(head(20, b"")));
    assert_eq!(store.checkpoint_at_most(1, u64::MAX).await?, Some(head(30, b"kept")));
    assert_eq!(store.checkpoint_at_most(2, 99).await?, None);

    let fork = CheckpointRow { root: [3; 32], ..head(20, b"") };
    refused(store, Writes { checkpoints: vec![fork], ..Writes::default() }, "another root for a size").await?;
    let checkpoints = vec![head(10, b"first"), head(30, b"later")];
    commit(store, Writes { checkpoints, ..Writes::default() }).await?;
    assert_eq!(store.kept_checkpoints(1).await?, [head(10, b"first"), head(30, b"kept")]);
    Ok(())
}

pub(super) async fn accepted_is_standing_and_not_rejected(store: &dyn Store) -> Result<(), StoreError> {
    let mut writes = filled_log(1, 6);
    // A replayed record id, rejected where it stands again.
    writes.entries[5].record_id = reference(1);
    writes.rejections = vec![rejection(1, 2), RejectionRow { record_id: reference(1), ..rejection(1, 5) }];
    commit(store, writes).await?;
    commit(store, filled_log(2, 9)).await?;

    let ids: Vec<_> = [1, 2, 3, 4, 7].into_iter().map(reference).collect();
    let mut tx = store.begin().await?;
    let mut found = tx.accepted(1, 4, &ids).await?;
    found.sort();
    assert_eq!(found, [(reference(1), 1), (reference(3), 3)]);
    assert_eq!(tx.accepted(1, 6, &[reference(1)]).await?, [(reference(1), 1)]);
    assert_eq!(tx.accepted(1, 6, &[]).await?, []);
    Ok(())
}

pub(super) async fn a_part_is_sealed_anew_and_its_key_forgotten(store: &dyn Store) -> Result<(), StoreError> {
    let subject_keys = vec![SubjectKeyRow { subject: reference(1), key_id: [5; 16] }];
    commit(store, Writes { subject_keys, ..filled_log(1, 4) }).await?;
    assert_eq!(store.parts_of_key([5; 16]).await?, (0..4).map(|i| part(1, i, 0)).collect::<Vec<_>>());

    let anew = PartRow { key_id: [6; 16], sealed: vec![1; 9], ..part(1, 2, 0) };
    let mut work = group(store).await?;
    work.begin_job();
    assert_eq!(work.parts_of_key([5; 16]).await?.len(), 4);
    work.drop_part(1, 1, 0);
    work.drop_part(1, 2, 0);
    work.push_part(anew.clone());
    work.drop_subject_key(reference(1));
    assert_eq!(work.subject_key(reference(1)).await?, None);
    work.put_subject_key(SubjectKeyRow { subject: reference(1), key_id: [6; 16] });
    assert_eq!(work.subject_key(reference(1)).await?, Some([6; 16]));
    assert_eq!(work.parts_of_key([5; 16]).await?, [part(1, 0, 0), part(1, 3, 0)]);
    assert_eq!(work.parts(1, 0, 4).await?, [part(1, 0, 0), anew.clone(), part(1, 3, 0)]);
    work.keep_job();
    work.commit().await?;

    assert_eq!(store.parts(1, 0, 4).await?, [part(1, 0, 0), anew.clone(), part(1, 3, 0)]);
    assert_eq!(store.parts_of_key([6; 16]).await?, [anew]);
    assert_eq!(store.subject_keys(&[reference(1)]).await?[0].key_id, [6; 16]);
    Ok(())
}

pub(super) async fn a_state_is_put_replaced_and_let_go(store: &dyn Store) -> Result<(), StoreError> {
    let state = |key: &str, body: &[u8]| StateRow { key: key.to_owned(), body: body.to_vec() };
    let states = vec![state("a/1", b"one"), state("a/2", b"two"), state("b/1", b"")];
    commit(store, Writes { states, ..Writes::default() }).await?;
    assert_eq!(store.state("a/2").await?, Some(state("a/2", b"two")));
    assert_eq!(store.state("a/3").await?, None);
    assert_eq!(store.states("a/", "", 10).await?, [state("a/1", b"one"), state("a/2", b"two")]);
    assert_eq!(store.states("a/", "a/1", 10).await?, [state("a/2", b"two")]);
    assert_eq!(store.states("", "", 1).await?, [state("a/1", b"one")]);

    let mut work = group(store).await?;
    work.begin_job();
    work.put_state("a/1", Some(b"uno".to_vec()));
    work.put_state("a/2", None);
    work.put_state("c", Some(vec![]));
    assert_eq!(work.state("a/1").await?, Some(state("a/1", b"uno")));
    assert_eq!(work.state("a/2").await?, None);
    assert_eq!(work.state("b/1").await?, Some(state("b/1", b"")));
    work.keep_job();
    work.begin_job();
    work.put_state("b/1", None);
    work.drop_job();
    work.commit().await?;
    assert_eq!(store.states("", "", 10).await?, [state("a/1", b"uno"), state("b/1", b""), state("c", b"")]);
    Ok(())
}

pub(super) async fn a_big_batch_is_one_commit(store: &dyn Store) -> Result<(), StoreError> {
    let mut writes = filled_log(1, 5_000);
    writes.parts.extend((0..5_000).map(|index| part(1, index, 1)));
    commit(store, writes).await?;
    assert_eq!(store.leaves(1, 0, 5_000).await?.len(), 5_000);
    assert_eq!(store.parts(1, 4_990, 5_000).await?.len(), 20);
    let ids: Vec<_> = (0..20_000).map(reference).collect();
    assert_eq!(store.begin().await?.accepted(1, 5_000, &ids).await?.len(), 5_000);
    Ok(())
}

pub(super) async fn a_number_out_of_range_is_refused(store: &dyn Store) -> Result<(), StoreError> {
    let logs = vec![LogRow { time_ms: u64::MAX, ..log(1, 0) }];
    refused(store, Writes { logs, ..Writes::default() }, "above 2^63 - 1").await?;
    assert_eq!(store.logs().await?, []);
    Ok(())
}
