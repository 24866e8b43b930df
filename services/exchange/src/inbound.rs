//! A partner's record on its way in: mirror → cosign → judge → apply → decide.

pub mod apply;
pub mod check;
pub mod decide;
pub(crate) mod erase;
pub mod judge;
pub mod mirror;
pub(crate) mod news;
pub(crate) mod screen;
pub(crate) mod told;
