//! Agreements as signed data: loading a pack, its digest, its lifecycle, and the plan by which registry
//! records become its messages. Pure apart from reading the pack's files.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod config;
pub mod digest;
pub mod lifecycle;
pub mod pack;
pub mod plan;

pub use pack::{Pack, PackError};
