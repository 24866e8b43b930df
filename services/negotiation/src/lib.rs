//! Negotiations (negociaciones) between states before an agreement is in force: signed acts that form a chain, and drafts.
//! Pure: whoever stores acts, on a disk or in a database, asks here whether one may be added and how it stands.
//!
//! An act is believed by the key of the office that signed it ([`SignedAct::verify`]), fits by the acts before it alone
//! ([`Negotiation::fits`]), and brings a draft that is loaded like any stranger's pack ([`draft::load`]). Nothing of it
//! binds: only ratifications do.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod act;
pub mod chain;
pub mod draft;
mod refusal;

pub use act::{Act, Deed, DraftLines, FileLine, SignedAct};
pub use chain::{Negotiation, State};
pub use refusal::Refusal;

/// SHA-256.
pub type Hash = [u8; 32];

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    out
}
