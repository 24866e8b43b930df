//! Agreements as signed data: loading a pack, its digest, its lifecycle, and the plan by which registry
//! records become its messages. Pure apart from reading the pack's files.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod act;
pub mod amendment;
pub mod config;
pub mod diff;
pub mod digest;
pub mod engine;
pub mod floor;
pub mod lifecycle;
pub mod lint;
pub mod matrix;
pub mod pack;
pub mod plan;
mod reading;
pub mod retention;
pub mod standing;
pub mod view;

pub use pack::{Pack, PackError};
