//! The writes of a commit: each table by one multi-row statement, or few.

use convenio_model::Ref;
use convenio_store::{
    CheckpointRow, EntryRow, EventRow, ExternalKey, LogId, LogRow, PartRow, RejectionRow, RequestRow, ResourceRow,
    StateRow, StoreError, SubjectKeyRow, TileRow, ViewRow, Writes,
};
use sqlx::query_builder::Separated;
use sqlx::{Encode, QueryBuilder, Sqlite, SqliteConnection, Type};

use super::{BINDS, PREPARED_ROWS};
use crate::error::failed;

/// Writes everything; the order satisfies the foreign keys.
pub(crate) async fn apply(conn: &mut SqliteConnection, writes: Writes) -> Result<(), StoreError> {
    run(conn, &RESOURCE, writes.resources, resource).await?;
    run(conn, &EXTERNAL_DELETE, writes.external_delete, external_key).await?;
    run(conn, &EXTERNAL, writes.external_put, external).await?;
    run(conn, &REQUEST, writes.requests, request).await?;
    run(conn, &VIEW, writes.views, view).await?;
    run(conn, &EVENT, writes.events, event).await?;
    run(conn, &LOG, writes.logs, log).await?;
    for log in writes.cut {
        for table in CUT {
            sqlx::query(table).bind(log).execute(&mut *conn).await.map_err(failed)?;
        }
    }
    run(conn, &ENTRY, writes.entries, entry).await?;
    run(conn, &PART_REPLACED, writes.part_replaced, part_key).await?;
    run(conn, &PART, writes.parts, part).await?;
    for (log, index) in writes.part_delete {
        sqlx::query(PART_DELETE).bind(log).bind(index.cast_signed()).execute(&mut *conn).await.map_err(failed)?;
    }
    run(conn, &TILE, writes.tiles, tile).await?;
    run(conn, &CHECKPOINT, writes.checkpoints, checkpoint).await?;
    run(conn, &REJECTION, writes.rejections, rejection).await?;
    run(conn, &SUBJECT_KEY_DELETE, writes.subject_key_delete, |values, subject| {
        values.id(subject);
    })
    .await?;
    run(conn, &SUBJECT_KEY, writes.subject_keys, subject_key).await?;
    run(conn, &STATE_DELETE, writes.state_delete, |values, key| {
        values.put(key);
    })
    .await?;
    run(conn, &STATE, writes.states, state).await
}

// The triggers refuse what is below the head.
const CUT: [&str; 3] = [
    "DELETE FROM part WHERE log = ?1 AND idx >= (SELECT size FROM log WHERE id = ?1)",
    "DELETE FROM rejection WHERE log = ?1 AND idx >= (SELECT size FROM log WHERE id = ?1)",
    "DELETE FROM entry WHERE log = ?1 AND idx >= (SELECT size FROM log WHERE id = ?1)",
];

const PART_DELETE: &str = "DELETE FROM part WHERE log = ?1 AND idx = ?2";

/// A statement around `VALUES (…), …` of `columns` values a row.
pub(super) struct Statement {
    pub head: &'static str,
    columns: usize,
    pub tail: &'static str,
}

const RESOURCE: Statement = Statement {
    head: "INSERT INTO resource (kind, id, parent, revision, created_ms, updated_ms, body) ",
    columns: 7,
    tail: " ON CONFLICT (kind, id) DO UPDATE SET parent = excluded.parent, revision = excluded.revision, \
           created_ms = excluded.created_ms, updated_ms = excluded.updated_ms, body = excluded.body",
};

// Joined, because SQLite would walk the whole table for `(kind, system, value) IN (VALUES …)`.
pub(super) const EXTERNAL_DELETE: Statement = Statement {
    head: "DELETE FROM external WHERE rowid IN (SELECT e.rowid FROM (",
    columns: 3,
    tail: ") AS k CROSS JOIN external AS e ON e.kind = k.column1 AND e.system = k.column2 AND e.value = k.column3)",
};

// A key that points to another record becomes NULL, which the column refuses: the commit fails.
const EXTERNAL: Statement = Statement {
    head: "INSERT INTO external (kind, system, value, id) ",
    columns: 4,
    tail: " ON CONFLICT (kind, system, value) DO UPDATE SET id = CASE WHEN id = excluded.id THEN id END",
};

const REQUEST: Statement = Statement {
    head: "INSERT INTO request (caller, id, method, fingerprint, time_ms, response) ",
    columns: 6,
    tail: "",
};

const VIEW: Statement = Statement {
    head: "INSERT INTO view (agreement, kind, id, label, area, change, body) ",
    columns: 7,
    tail: " ON CONFLICT (agreement, kind, id) DO UPDATE SET label = excluded.label, area = excluded.area, \
           change = excluded.change, body = excluded.body",
};

const EVENT: Statement = Statement { head: "INSERT INTO event (agreement, placement, body) ", columns: 3, tail: "" };

// What names a log never changes: another origin under its number becomes NULL, which the column refuses.
const LOG: Statement = Statement {
    head: "INSERT INTO log (id, origin, agreement, partner, epoch, own, size, peaks, settled, records, decided, \
           rejected, settled_records, cosigned, cosigned_size, entangled, alarm, time_ms, closed) ",
    columns: 19,
    tail: " ON CONFLICT (id) DO UPDATE SET origin = CASE WHEN origin = excluded.origin THEN origin END, \
           size = excluded.size, peaks = excluded.peaks, settled = excluded.settled, records = excluded.records, \
           decided = excluded.decided, rejected = excluded.rejected, settled_records = excluded.settled_records, \
           cosigned = excluded.cosigned, cosigned_size = excluded.cosigned_size, entangled = excluded.entangled, \
           alarm = excluded.alarm, time_ms = excluded.time_ms, closed = excluded.closed",
};

const ENTRY: Statement = Statement {
    head: "INSERT INTO entry (log, idx, record_id, is_record, subject_kind, subject, leaf, bytes) ",
    columns: 8,
    tail: "",
};

// Joined, as above.
pub(super) const PART_REPLACED: Statement = Statement {
    head: "DELETE FROM part WHERE rowid IN (SELECT p.rowid FROM (",
    columns: 3,
    tail: ") AS k CROSS JOIN part AS p ON p.log = k.column1 AND p.idx = k.column2 AND p.part = k.column3)",
};

const PART: Statement = Statement { head: "INSERT INTO part (log, idx, part, key_id, sealed) ", columns: 5, tail: "" };

const TILE: Statement = Statement { head: "INSERT INTO tile (log, level, idx, hashes) ", columns: 4, tail: "" };

// Another root for a committed size becomes NULL, which the column refuses. The first note stays.
const CHECKPOINT: Statement = Statement {
    head: "INSERT INTO checkpoint (log, size, root, note) ",
    columns: 4,
    tail: " ON CONFLICT (log, size) DO UPDATE SET root = CASE WHEN root = excluded.root THEN root END, \
           note = CASE WHEN length(note) = 0 THEN excluded.note ELSE note END",
};

const REJECTION: Statement =
    Statement { head: "INSERT INTO rejection (log, idx, record_id, reason) ", columns: 4, tail: "" };

const SUBJECT_KEY: Statement = Statement { head: "INSERT INTO subject_key (subject, key_id) ", columns: 2, tail: "" };

const SUBJECT_KEY_DELETE: Statement =
    Statement { head: "DELETE FROM subject_key WHERE subject IN (", columns: 1, tail: ")" };

const STATE: Statement = Statement {
    head: "INSERT INTO state (key, body) ",
    columns: 2,
    tail: " ON CONFLICT (key) DO UPDATE SET body = excluded.body",
};

const STATE_DELETE: Statement = Statement { head: "DELETE FROM state WHERE key IN (", columns: 1, tail: ")" };

async fn run<T>(
    conn: &mut SqliteConnection,
    statement: &Statement,
    rows: Vec<T>,
    bind: fn(&mut Values<'_, '_>, T),
) -> Result<(), StoreError> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let (mut count, mut too_large) = (0, false);
        let mut query = QueryBuilder::new(statement.head);
        query.push_values(rows.by_ref().take(BINDS / statement.columns), |separated, row| {
            count += 1;
            bind(&mut Values { separated, too_large: &mut too_large }, row);
        });
        query.push(statement.tail);
        if too_large {
            return Err(StoreError::Failed("a number exceeds 2^63 - 1".to_owned()));
        }
        query.build().persistent(count <= PREPARED_ROWS).execute(&mut *conn).await.map_err(failed)?;
    }
    Ok(())
}

/// The values of one row, pushed in the order of the columns.
struct Values<'q, 'f> {
    separated: Separated<'q, Sqlite, &'static str>,
    too_large: &'f mut bool,
}

impl Values<'_, '_> {
    fn put<T: for<'v> Encode<'v, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        self.separated.push_bind(value);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        let stored = i64::try_from(number).unwrap_or_else(|_| {
            *self.too_large = true;
            0
        });
        self.put(stored)
    }

    fn id(&mut self, id: Ref) -> &mut Self {
        self.put(id.0.to_vec())
    }
}

fn resource(values: &mut Values<'_, '_>, row: ResourceRow) {
    values.put(row.kind as i64).id(row.id).put(row.parent.map(|id| id.0.to_vec())).number(row.revision);
    values.number(row.created_ms).number(row.updated_ms).put(row.body);
}

fn external_key(values: &mut Values<'_, '_>, (kind, system, value): ExternalKey) {
    values.put(kind as i64).put(system).put(value);
}

fn external(values: &mut Values<'_, '_>, (key, id): (ExternalKey, Ref)) {
    external_key(values, key);
    values.id(id);
}

fn request(values: &mut Values<'_, '_>, row: RequestRow) {
    values.put(row.key.0).id(row.key.1).put(row.method).put(row.fingerprint.to_vec());
    values.number(row.time_ms).put(row.response);
}

fn view(values: &mut Values<'_, '_>, row: ViewRow) {
    values.put(row.key.0).put(row.key.1 as i64).id(row.key.2).put(row.label).put(row.area);
    values.number(row.change).put(row.body);
}

fn event(values: &mut Values<'_, '_>, row: EventRow) {
    values.put(row.agreement).id(row.placement).put(row.body);
}

fn log(values: &mut Values<'_, '_>, row: LogRow) {
    values.put(row.id).put(row.origin).put(row.agreement).put(row.partner).number(row.epoch).put(row.own);
    values.number(row.size).put(row.peaks).number(row.settled).number(row.records).number(row.decided);
    values.number(row.rejected).number(row.settled_records).put(row.cosigned).number(row.cosigned_size);
    values.number(row.entangled).put(row.alarm).number(row.time_ms).put(row.closed);
}

fn entry(values: &mut Values<'_, '_>, row: EntryRow) {
    values.put(row.log).number(row.index).id(row.record_id).put(row.is_record);
    values.put(row.subject.map(|s| s.kind as i64)).put(row.subject.map(|s| s.id.0.to_vec()));
    values.put(row.leaf.to_vec()).put(row.bytes);
}

fn part(values: &mut Values<'_, '_>, row: PartRow) {
    values.put(row.log).number(row.index).put(i64::from(row.part)).put(row.key_id.to_vec()).put(row.sealed);
}

fn part_key(values: &mut Values<'_, '_>, (log, index, part): (LogId, u64, u32)) {
    values.put(log).number(index).put(i64::from(part));
}

fn tile(values: &mut Values<'_, '_>, row: TileRow) {
    values.put(row.log).put(i64::from(row.level)).number(row.index).put(row.hashes);
}

fn checkpoint(values: &mut Values<'_, '_>, row: CheckpointRow) {
    values.put(row.log).number(row.size).put(row.root.to_vec()).put(row.note);
}

fn rejection(values: &mut Values<'_, '_>, row: RejectionRow) {
    values.put(row.log).number(row.index).id(row.record_id).put(row.reason);
}

fn state(values: &mut Values<'_, '_>, row: StateRow) {
    values.put(row.key).put(row.body);
}

fn subject_key(values: &mut Values<'_, '_>, row: SubjectKeyRow) {
    values.id(row.subject).put(row.key_id.to_vec());
}
