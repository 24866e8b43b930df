//! Reads of the registry and of views.

use convenio_model::Ref;
use convenio_store::{
    EventRow, ExternalKey, Kind, RequestKey, RequestRow, ResourceKey, ResourceRow, StateRow, StoreError, SubjectKeyRow,
    ViewKey, ViewKind, ViewRow,
};
use sqlx::query_builder::Separated;
use sqlx::{QueryBuilder, SqliteConnection};

use super::{Cells, Lookup, bound, decoded};
use crate::error::failed;

pub(super) const RESOURCES: Lookup = Lookup {
    table: "resource",
    select: "SELECT kind, id, parent, revision, created_ms, updated_ms, body",
    key_columns: 2,
    join: "kind = k.column1 AND id = k.column2",
};

pub(super) const EXTERNALS: Lookup = Lookup {
    table: "external",
    select: "SELECT kind, system, value, id",
    key_columns: 3,
    join: "kind = k.column1 AND system = k.column2 AND value = k.column3",
};

pub(super) const REQUESTS: Lookup = Lookup {
    table: "request",
    select: "SELECT caller, id, method, fingerprint, time_ms, response",
    key_columns: 2,
    join: "caller = k.column1 AND id = k.column2",
};

pub(super) const VIEWS: Lookup = Lookup {
    table: "view",
    select: "SELECT agreement, kind, id, label, area, change, body",
    key_columns: 3,
    join: "agreement = k.column1 AND kind = k.column2 AND id = k.column3",
};

pub(super) const SUBJECT_KEYS: Lookup =
    Lookup { table: "subject_key", select: "SELECT subject, key_id", key_columns: 1, join: "subject = k.column1" };

pub(crate) async fn resources(
    conn: &mut SqliteConnection,
    keys: &[ResourceKey],
) -> Result<Vec<ResourceRow>, StoreError> {
    let bind = |row: &mut Separated<'_, _, _>, key: &ResourceKey| {
        row.push_bind(key.0 as i64).push_bind(key.1.0.to_vec());
    };
    RESOURCES.fetch(conn, keys, bind, resource).await
}

pub(crate) async fn resource_page(
    conn: &mut SqliteConnection,
    kind: Kind,
    after: Option<Ref>,
    limit: u32,
) -> Result<Vec<ResourceRow>, StoreError> {
    // No identifier is below the empty blob.
    let query = "SELECT kind, id, parent, revision, created_ms, updated_ms, body FROM resource \
                 WHERE kind = ? AND id > ? ORDER BY id LIMIT ?";
    let query = sqlx::query(query).bind(kind as i64).bind(after_bytes(after)).bind(limit);
    decoded("resource", query.fetch_all(conn).await, resource)
}

pub(crate) async fn children(
    conn: &mut SqliteConnection,
    kind: Kind,
    parent: Ref,
    limit: u32,
) -> Result<Vec<ResourceRow>, StoreError> {
    let query = "SELECT kind, id, parent, revision, created_ms, updated_ms, body FROM resource \
                 WHERE kind = ? AND parent = ? ORDER BY created_ms, id LIMIT ?";
    let query = sqlx::query(query).bind(kind as i64).bind(parent.0.to_vec()).bind(limit);
    decoded("resource", query.fetch_all(conn).await, resource)
}

pub(crate) async fn externals(
    conn: &mut SqliteConnection,
    keys: &[ExternalKey],
) -> Result<Vec<(ExternalKey, Ref)>, StoreError> {
    let bind = |row: &mut Separated<'_, _, _>, key: &ExternalKey| {
        row.push_bind(key.0 as i64).push_bind(key.1.clone()).push_bind(key.2.clone());
    };
    EXTERNALS.fetch(conn, keys, bind, |row| Ok((external(row)?, row.id(3)?))).await
}

pub(crate) async fn externals_of(
    conn: &mut SqliteConnection,
    key: ResourceKey,
) -> Result<Vec<ExternalKey>, StoreError> {
    let query = "SELECT kind, system, value FROM external WHERE kind = ? AND id = ? ORDER BY system, value";
    let query = sqlx::query(query).bind(key.0 as i64).bind(key.1.0.to_vec());
    decoded("external", query.fetch_all(conn).await, external)
}

pub(crate) async fn requests(conn: &mut SqliteConnection, keys: &[RequestKey]) -> Result<Vec<RequestRow>, StoreError> {
    let bind = |row: &mut Separated<'_, _, _>, key: &RequestKey| {
        row.push_bind(key.0.clone()).push_bind(key.1.0.to_vec());
    };
    let decode = |row: &Cells<'_>| {
        Ok(RequestRow {
            key: (row.text(0)?, row.id(1)?),
            method: row.text(2)?,
            fingerprint: row.array(3)?,
            time_ms: row.number(4)?,
            response: row.bytes(5)?,
        })
    };
    REQUESTS.fetch(conn, keys, bind, decode).await
}

pub(crate) async fn views(conn: &mut SqliteConnection, keys: &[ViewKey]) -> Result<Vec<ViewRow>, StoreError> {
    let bind = |row: &mut Separated<'_, _, _>, key: &ViewKey| {
        row.push_bind(key.0.clone()).push_bind(key.1 as i64).push_bind(key.2.0.to_vec());
    };
    VIEWS.fetch(conn, keys, bind, view).await
}

pub(crate) async fn views_of(conn: &mut SqliteConnection, kind: ViewKind, id: Ref) -> Result<Vec<ViewRow>, StoreError> {
    let query = "SELECT agreement, kind, id, label, area, change, body FROM view \
                 WHERE kind = ? AND id = ? ORDER BY agreement";
    let query = sqlx::query(query).bind(kind as i64).bind(id.0.to_vec());
    decoded("view", query.fetch_all(conn).await, view)
}

pub(crate) async fn view_page(
    conn: &mut SqliteConnection,
    kind: ViewKind,
    agreement: &str,
    label: &str,
    after: Option<Ref>,
    limit: u32,
) -> Result<Vec<ViewRow>, StoreError> {
    let mut query = QueryBuilder::new("SELECT agreement, kind, id, label, area, change, body FROM view WHERE kind = ");
    query.push_bind(kind as i64).push(" AND id > ").push_bind(after_bytes(after));
    if !agreement.is_empty() {
        query.push(" AND agreement = ").push_bind(agreement.to_owned());
    }
    if !label.is_empty() {
        query.push(" AND label = ").push_bind(label.to_owned());
    }
    query.push(" ORDER BY id, agreement LIMIT ").push_bind(limit);
    decoded("view", query.build().fetch_all(conn).await, view)
}

/// Walks the index of changes: a cursor is mostly near its end, and the order comes for nothing. The plus signs keep
/// other indices out (SQLite query planner §2.6).
pub(crate) async fn views_changed(
    conn: &mut SqliteConnection,
    kind: ViewKind,
    areas: &[String],
    change: u64,
    limit: u32,
) -> Result<Vec<ViewRow>, StoreError> {
    let head = "SELECT agreement, kind, id, label, area, change, body FROM view WHERE change > ";
    let mut query = QueryBuilder::new(head);
    query.push_bind(bound(change)).push(" AND +kind = ").push_bind(kind as i64).push(" AND area IN (");
    let mut list = query.separated(", ");
    for area in areas.iter().take(super::BINDS) {
        list.push_bind(area.clone());
    }
    query.push(") ORDER BY change LIMIT ").push_bind(limit);
    decoded("view", query.build().fetch_all(conn).await, view)
}

pub(crate) async fn events(
    conn: &mut SqliteConnection,
    placement: Ref,
    after: u64,
    limit: u32,
) -> Result<Vec<EventRow>, StoreError> {
    let query = "SELECT ordinal, agreement, placement, body FROM event \
                 WHERE placement = ? AND ordinal > ? ORDER BY ordinal LIMIT ?";
    let query = sqlx::query(query).bind(placement.0.to_vec()).bind(bound(after)).bind(limit);
    decoded("event", query.fetch_all(conn).await, |row| {
        Ok(EventRow { ordinal: row.number(0)?, agreement: row.text(1)?, placement: row.id(2)?, body: row.bytes(3)? })
    })
}

pub(crate) async fn subject_keys(
    conn: &mut SqliteConnection,
    subjects: &[Ref],
) -> Result<Vec<SubjectKeyRow>, StoreError> {
    let bind = |row: &mut Separated<'_, _, _>, subject: &Ref| {
        row.push_bind(subject.0.to_vec());
    };
    let decode = |row: &Cells<'_>| Ok(SubjectKeyRow { subject: row.id(0)?, key_id: row.array(1)? });
    SUBJECT_KEYS.fetch(conn, subjects, bind, decode).await
}

pub(super) const STATES: Lookup =
    Lookup { table: "state", select: "SELECT key, body", key_columns: 1, join: "key = k.column1" };

pub(crate) async fn states(conn: &mut SqliteConnection, keys: &[String]) -> Result<Vec<StateRow>, StoreError> {
    let bind = |row: &mut Separated<'_, _, _>, key: &String| {
        row.push_bind(key.clone());
    };
    STATES.fetch(conn, keys, bind, state).await
}

pub(crate) async fn state_page(
    conn: &mut SqliteConnection,
    prefix: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<StateRow>, StoreError> {
    // Keys are ASCII paths: what begins with the prefix lies between it and itself with the last code point behind.
    let query = "SELECT key, body FROM state WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?";
    let end = format!("{prefix}\u{10ffff}");
    let query = sqlx::query(query).bind(prefix).bind(end).bind(after).bind(limit);
    decoded("state", query.fetch_all(conn).await, state)
}

fn state(row: &Cells<'_>) -> Result<StateRow, StoreError> {
    Ok(StateRow { key: row.text(0)?, body: row.bytes(1)? })
}

pub(crate) async fn last_change(conn: &mut SqliteConnection) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT coalesce(max(change), 0) FROM view").fetch_one(conn).await.map_err(failed)?;
    Cells::new(&row, "view").number(0)
}

fn after_bytes(after: Option<Ref>) -> Vec<u8> {
    after.map_or_else(Vec::new, |id| id.0.to_vec())
}

fn external(row: &Cells<'_>) -> Result<ExternalKey, StoreError> {
    Ok((row.kind(0)?, row.text(1)?, row.text(2)?))
}

fn resource(row: &Cells<'_>) -> Result<ResourceRow, StoreError> {
    Ok(ResourceRow {
        kind: row.kind(0)?,
        id: row.id(1)?,
        parent: row.optional_id(2)?,
        revision: row.number(3)?,
        created_ms: row.number(4)?,
        updated_ms: row.number(5)?,
        body: row.bytes(6)?,
    })
}

fn view(row: &Cells<'_>) -> Result<ViewRow, StoreError> {
    Ok(ViewRow {
        key: (row.text(0)?, row.view_kind(1)?, row.id(2)?),
        label: row.text(3)?,
        area: row.text(4)?,
        change: row.number(5)?,
        body: row.bytes(6)?,
    })
}
