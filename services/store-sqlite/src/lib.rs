//! The store in one SQLite file: WAL, synchronous FULL, one writer, a few readers.
//!
//! All SQL is in `sql/` and `migrations/`. A statement costs about 40 µs whatever its size, so a commit writes each
//! table by one multi-row statement for each few thousand values, and a bulk load is one statement with the keys in it.

mod error;
mod file;
mod open;
mod sql;
mod store;
mod tx;

pub use store::SqliteStore;
