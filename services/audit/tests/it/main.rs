//! The audit against bundles of two simulated nodes. The nodes keep the rules by the same engine as real ones; what they
//! sign, hash and write is made by the crates that a node uses.
#![allow(clippy::unwrap_used)]

mod clocks;
mod epochs;
mod export;
mod findings;
mod flips;
mod golden;
mod hostile;
mod integrity;
mod journal;
mod mutations;
mod page;
mod pair;
mod receipt;
mod records;
mod replays;
mod report;
mod rules;
mod sign_offs;
mod witnesses;
