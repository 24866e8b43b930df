//! All statements. Reads take a connection, so that readers and the write transaction share them.

mod cells;
pub(crate) mod log;
pub(crate) mod registry;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use convenio_store::StoreError;
use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use self::cells::Cells;
use crate::error::failed;

/// Values bound to one statement at most: a quarter of SQLite's limit (32,766), which bounds the memory of a statement.
const BINDS: usize = 8_000;
/// Statements of at most so many rows stay prepared; a larger one is unlikely to come again in that size.
const PREPARED_ROWS: usize = 2;

/// Look-ups of at most so many keys stay prepared: their number is a power of two, so that there are few of them.
const PREPARED_KEYS: usize = 256;

/// A look-up of many keys at once.
///
/// A join, with the keys in the outer loop: SQLite would walk the whole table for `(a, b) IN (VALUES …)`.
struct Lookup {
    table: &'static str,
    select: &'static str,
    /// Values in a key, `k.column1` and on in `join`.
    key_columns: usize,
    join: &'static str,
}

impl Lookup {
    fn query<K>(
        &self,
        keys: &[&K],
        bind: impl Fn(&mut Separated<'_, Sqlite, &'static str>, &K),
    ) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new(self.select);
        query.push(" FROM (SELECT DISTINCT * FROM (");
        query.push_values(keys, |mut row, key| bind(&mut row, key));
        query.push(")) AS k CROSS JOIN ").push(self.table).push(" ON ").push(self.join);
        query
    }

    /// The rows that exist, in as few statements as fit.
    async fn fetch<K, R>(
        &self,
        conn: &mut SqliteConnection,
        keys: &[K],
        bind: impl Fn(&mut Separated<'_, Sqlite, &'static str>, &K),
        decode: impl Fn(&Cells<'_>) -> Result<R, StoreError>,
    ) -> Result<Vec<R>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BINDS / self.key_columns) {
            let padded = padded(chunk);
            let mut query = self.query(&padded, &bind);
            let rows = query.build().persistent(padded.len() <= PREPARED_KEYS).fetch_all(&mut *conn).await;
            found.append(&mut decoded(self.table, rows, &decode)?);
        }
        Ok(found)
    }
}

/// The keys, the last one repeated until their number is a power of two; a look-up tells a key once however often it
/// is asked.
fn padded<K>(keys: &[K]) -> Vec<&K> {
    let more = keys.len().next_power_of_two() - keys.len();
    keys.iter().chain(keys.last().into_iter().cycle().take(more)).collect()
}

fn decoded<R>(
    table: &'static str,
    rows: Result<Vec<SqliteRow>, sqlx::Error>,
    decode: impl Fn(&Cells<'_>) -> Result<R, StoreError>,
) -> Result<Vec<R>, StoreError> {
    rows.map_err(failed)?.iter().map(|row| decode(&Cells::new(row, table))).collect()
}

/// SQLite's integers end at 2^63 - 1; as a bound of a range that is as good as any larger one.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
