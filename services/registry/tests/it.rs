//! The registry over two real nodes whose session runs in one process.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "it/journal.rs"]
mod journal;
#[path = "it/pair.rs"]
mod pair;
#[path = "it/placements.rs"]
mod placements;
#[path = "it/registers.rs"]
mod registers;
