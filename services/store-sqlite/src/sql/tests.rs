//! Statements find their rows by an index, whatever the size of the table: results alone would not tell.

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::{Lookup, registry, write};

#[tokio::test]
async fn many_keys_are_looked_up_by_index() {
    let mut conn = schema().await;
    let lookups: [&Lookup; 5] =
        [&registry::RESOURCES, &registry::EXTERNALS, &registry::REQUESTS, &registry::VIEWS, &registry::SUBJECT_KEYS];
    for lookup in lookups {
        let query = lookup.query(&[&(), &()], |row, ()| {
            for _ in 0..lookup.key_columns {
                row.push("NULL");
            }
        });
        expect_search(&mut conn, query.into_string(), lookup.table, lookup.key_columns).await;
    }
    let delete = write::EXTERNAL_DELETE;
    let query = format!("{}VALUES (1, 'a', 'b'), (1, 'a', 'c'){}", delete.head, delete.tail);
    expect_search(&mut conn, query, "e", 3).await;
}

/// Every column of the key is used, and the table is never walked.
async fn expect_search(conn: &mut SqliteConnection, query: String, table: &str, columns: usize) {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"))).fetch_all(conn).await;
    let plan: Vec<String> = rows.expect(&query).iter().map(|row| row.get(3)).collect();
    let search = plan.iter().find(|step| step.starts_with(&format!("SEARCH {table} ")));
    let used = search.map_or(0, |step| step.matches("=?").count());
    assert_eq!(used, columns, "{query}: {plan:?}");
    assert!(!plan.iter().any(|step| step.starts_with(&format!("SCAN {table}"))), "{query}: {plan:?}");
}

async fn schema() -> SqliteConnection {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await.expect("memory is there");
    sqlx::migrate!().run(&mut conn).await.expect("the schema is right");
    conn
}
