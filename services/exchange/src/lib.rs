//! The exchange between two nodes, in the order in which a record passes.
//!
//! [`outbound`]: project → seal → stage → sequence → deliver. [`inbound`]: mirror → cosign → judge → apply → decide.
//! A [`session`] carries both over one stream. All changes pass through one [`writer`], in groups; each step below is
//! one durable commit, and nothing is said before the commit that backs it.

mod amend;
pub mod auditing;
pub mod bundle;
mod core;
pub mod erase;
mod error;
mod fork;
pub mod inbound;
mod join;
pub mod journal;
mod keys;
mod lane;
mod learn;
mod open;
mod order;
pub mod outbound;
mod parts;
pub mod publish;
pub mod reading;
mod receipt;
pub mod recovery;
mod rotate;
pub mod session;
mod signer;
pub mod step;
pub(crate) mod tiles;
mod version;
pub mod witness;
mod world;
mod writer;

pub use self::core::{Controls, Core, CoreParts, Exchange, Partner};
pub use amend::AmendError;
pub use error::{IssueError, OpenError};
pub use fork::{EQUIVOCATION, NotEvidence};
pub use keys::{OwnKeys, Revocations, Timeline};
pub use lane::Lane;
pub use order::OrderError;
pub use outbound::stage::{ActRequest, Issued, issue_act, issue_notice};
pub use receipt::receipt;
pub use rotate::RotateError;
pub use version::{Activations, MAX_VERSIONS};
pub use world::{load_crews, load_world, save_world};
pub use writer::{Foreseen, Head, Heads, Then};
