//! The simulator: two or three states with real cores, registries and databases, driven one durable commit or one message at
//! a time, without sockets and background tasks. A seed draws a list of operations and faults; after each the logs are
//! folded by a small model and compared, and at the end faults stop and both sides must agree within a bound. A failing list
//! is cut down to a short one and printed as a test.
//!
//! One seed reproduces one run, entry by entry.

mod accord;
mod amend;
mod believed;
mod call;
mod draw;
mod end;
pub mod faulty;
mod keys;
mod line;
pub mod model;
mod op;
mod recover;
mod run;
mod shrink;
mod state;
mod suspend;
mod watch;
mod world;

pub use accord::Accord;
pub use op::{Fault, Op};
pub use run::{Failure, Plan, Played, replay, simulate};
pub use shrink::{code, shrink};
