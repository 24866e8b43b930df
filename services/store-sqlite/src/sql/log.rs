//! Reads of logs.

use convenio_model::RecordId;
use convenio_store::{CheckpointRow, EntryHead, EntryRow, LogId, LogRow, PartRow, RejectionRow, StoreError, TileRow};
use sqlx::{QueryBuilder, SqliteConnection};

use super::{BINDS, Cells, PREPARED_ROWS, bound, decoded};

pub(crate) async fn logs(conn: &mut SqliteConnection) -> Result<Vec<LogRow>, StoreError> {
    let query = "SELECT id, origin, agreement, partner, epoch, own, size, peaks, settled, records, decided, rejected, \
                 settled_records, cosigned, cosigned_size, entangled, alarm, time_ms, closed FROM log ORDER BY id";
    decoded("log", sqlx::query(query).fetch_all(conn).await, |row| {
        Ok(LogRow {
            id: row.integer(0)?,
            origin: row.text(1)?,
            agreement: row.text(2)?,
            partner: row.text(3)?,
            epoch: row.number(4)?,
            own: row.flag(5)?,
            size: row.number(6)?,
            peaks: row.bytes(7)?,
            settled: row.number(8)?,
            records: row.number(9)?,
            decided: row.number(10)?,
            rejected: row.number(11)?,
            settled_records: row.number(12)?,
            cosigned: row.bytes(13)?,
            cosigned_size: row.number(14)?,
            entangled: row.number(15)?,
            alarm: row.text(16)?,
            time_ms: row.number(17)?,
            closed: row.flag(18)?,
        })
    })
}

pub(crate) async fn entry_heads(
    conn: &mut SqliteConnection,
    log: LogId,
    begin: u64,
    end: u64,
) -> Result<Vec<EntryHead>, StoreError> {
    let query = "SELECT idx, record_id, is_record, subject_kind, subject FROM entry \
                 WHERE log = ? AND idx >= ? AND idx < ? ORDER BY idx";
    let query = sqlx::query(query).bind(log).bind(bound(begin)).bind(bound(end));
    decoded("entry", query.fetch_all(conn).await, |row| {
        Ok(EntryHead {
            index: row.number(0)?,
            record_id: row.id(1)?,
            is_record: row.flag(2)?,
            subject: row.subject(3)?,
        })
    })
}

pub(crate) async fn entries(
    conn: &mut SqliteConnection,
    log: LogId,
    begin: u64,
    end: u64,
) -> Result<Vec<EntryRow>, StoreError> {
    let query = "SELECT idx, record_id, is_record, subject_kind, subject, leaf, bytes FROM entry \
                 WHERE log = ? AND idx >= ? AND idx < ? ORDER BY idx";
    let query = sqlx::query(query).bind(log).bind(bound(begin)).bind(bound(end));
    decoded("entry", query.fetch_all(conn).await, |row| {
        Ok(EntryRow {
            log,
            index: row.number(0)?,
            record_id: row.id(1)?,
            is_record: row.flag(2)?,
            subject: row.subject(3)?,
            leaf: row.array(5)?,
            bytes: row.bytes(6)?,
        })
    })
}

pub(crate) async fn parts(
    conn: &mut SqliteConnection,
    log: LogId,
    begin: u64,
    end: u64,
) -> Result<Vec<PartRow>, StoreError> {
    let query = "SELECT idx, part, key_id, sealed FROM part WHERE log = ? AND idx >= ? AND idx < ? ORDER BY idx, part";
    let query = sqlx::query(query).bind(log).bind(bound(begin)).bind(bound(end));
    decoded("part", query.fetch_all(conn).await, |row| {
        Ok(PartRow { log, index: row.number(0)?, part: row.small(1)?, key_id: row.array(2)?, sealed: row.bytes(3)? })
    })
}

pub(crate) async fn parts_of_key(conn: &mut SqliteConnection, key_id: [u8; 16]) -> Result<Vec<PartRow>, StoreError> {
    let query = "SELECT log, idx, part, key_id, sealed FROM part WHERE key_id = ? ORDER BY log, idx, part";
    decoded("part", sqlx::query(query).bind(key_id.to_vec()).fetch_all(conn).await, |row| {
        Ok(PartRow {
            log: row.integer(0)?,
            index: row.number(1)?,
            part: row.small(2)?,
            key_id: row.array(3)?,
            sealed: row.bytes(4)?,
        })
    })
}

/// Looks the record ids up and filters: ids are few, and the plus signs keep SQLite from walking the log instead.
pub(crate) async fn accepted(
    conn: &mut SqliteConnection,
    log: LogId,
    before: u64,
    ids: &[RecordId],
) -> Result<Vec<(RecordId, u64)>, StoreError> {
    let mut found = Vec::new();
    for chunk in ids.chunks(BINDS) {
        let mut query = QueryBuilder::new("SELECT record_id, idx FROM entry WHERE +log = ");
        query.push_bind(log).push(" AND +idx < ").push_bind(bound(before));
        query.push(" AND NOT EXISTS (SELECT 1 FROM rejection WHERE log = entry.log AND idx = entry.idx)");
        query.push(" AND record_id IN (");
        query.push_values(chunk, |mut row, id| {
            row.push_bind(id.0.to_vec());
        });
        query.push(")");
        let query = query.build().persistent(chunk.len() <= PREPARED_ROWS);
        found.append(&mut decoded("entry", query.fetch_all(&mut *conn).await, |row| Ok((row.id(0)?, row.number(1)?)))?);
    }
    Ok(found)
}

pub(crate) async fn leaves(
    conn: &mut SqliteConnection,
    log: LogId,
    begin: u64,
    end: u64,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let query = "SELECT leaf FROM entry WHERE log = ? AND idx >= ? AND idx < ? ORDER BY idx";
    let query = sqlx::query(query).bind(log).bind(bound(begin)).bind(bound(end));
    decoded("entry", query.fetch_all(conn).await, |row| row.array(0))
}

pub(crate) async fn tile(
    conn: &mut SqliteConnection,
    log: LogId,
    level: u8,
    index: u64,
) -> Result<Option<TileRow>, StoreError> {
    let query = "SELECT hashes FROM tile WHERE log = ? AND level = ? AND idx = ?";
    let query = sqlx::query(query).bind(log).bind(level).bind(bound(index));
    let found =
        decoded("tile", query.fetch_all(conn).await, |row| Ok(TileRow { log, level, index, hashes: row.bytes(0)? }))?;
    Ok(found.into_iter().next())
}

pub(crate) async fn checkpoint_at_most(
    conn: &mut SqliteConnection,
    log: LogId,
    size: u64,
) -> Result<Option<CheckpointRow>, StoreError> {
    let query = "SELECT size, root, note FROM checkpoint WHERE log = ? AND size <= ? ORDER BY size DESC LIMIT 1";
    let query = sqlx::query(query).bind(log).bind(bound(size));
    let found = decoded("checkpoint", query.fetch_all(conn).await, |row| checkpoint(log, row))?;
    Ok(found.into_iter().next())
}

pub(crate) async fn kept_checkpoints(
    conn: &mut SqliteConnection,
    log: LogId,
) -> Result<Vec<CheckpointRow>, StoreError> {
    let query = "SELECT size, root, note FROM checkpoint WHERE log = ? AND length(note) > 0 ORDER BY size";
    decoded("checkpoint", sqlx::query(query).bind(log).fetch_all(conn).await, |row| checkpoint(log, row))
}

pub(crate) async fn record(conn: &mut SqliteConnection, id: RecordId) -> Result<Vec<(LogId, u64)>, StoreError> {
    // A log that was recovered ends where its mirror ended; what stands behind was issued again elsewhere.
    let query = "SELECT e.log, e.idx FROM entry AS e JOIN log AS l ON l.id = e.log \
                 WHERE e.record_id = ? AND e.idx < l.size ORDER BY e.log, e.idx";
    let query = sqlx::query(query).bind(id.0.to_vec());
    decoded("entry", query.fetch_all(conn).await, |row| Ok((row.integer(0)?, row.number(1)?)))
}

pub(crate) async fn rejections(conn: &mut SqliteConnection, log: LogId) -> Result<Vec<RejectionRow>, StoreError> {
    let query = "SELECT idx, record_id, reason FROM rejection WHERE log = ? ORDER BY idx";
    decoded("rejection", sqlx::query(query).bind(log).fetch_all(conn).await, |row| {
        Ok(RejectionRow { log, index: row.number(0)?, record_id: row.id(1)?, reason: row.text(2)? })
    })
}

fn checkpoint(log: LogId, row: &Cells<'_>) -> Result<CheckpointRow, StoreError> {
    Ok(CheckpointRow { log, size: row.number(0)?, root: row.array(1)?, note: row.bytes(2)? })
}
