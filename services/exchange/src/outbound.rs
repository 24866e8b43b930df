//! A record's way out: project → seal → stage → sequence → deliver.

pub mod deliver;
pub(crate) mod entangle;
pub mod project;
pub mod seal;
pub mod sequence;
pub mod stage;
