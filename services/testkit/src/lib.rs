//! A pair of states for tests: two nodes with real databases, keys, packs and logs; a link between them that can be cut,
//! delayed and tampered with; a dishonest partner; and the invariants in which every test of the exchange ends.
//!
//! Failures panic with what is wrong: this crate is for tests only.
#![allow(clippy::unwrap_used)] // a test kit fails by panicking

pub mod acts;
pub mod calls;
pub mod consul;
pub mod dishonest;
pub mod drill;
pub mod erasure;
pub mod fold;
pub mod invariants;
pub mod kills;
pub mod ledger;
pub mod link;
pub mod loss;
pub mod nodes;
pub mod pair;
pub mod process;
pub mod records;
pub mod side;
pub mod sim;
pub mod site;
pub mod states;
pub mod third;
pub mod treaty;
pub mod versions;
pub mod web;

pub use acts::Case;
pub use calls::Caller;
pub use consul::Consulate;
pub use dishonest::Dishonest;
pub use ledger::Books;
pub use link::{Direction, Link, Relay};
pub use nodes::Nodes;
pub use pair::Pair;
pub use side::Side;
pub use site::Site;
pub use states::States;
pub use treaty::Treaty;
