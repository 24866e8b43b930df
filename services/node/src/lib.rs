//! A state's node: configuration, TLS, and the composition of everything below into one running service.
//!
//! [`config`] is parsed and checked whole, then a [`Node`] is started from it; [`tls`] accepts and dials, and each
//! partner with an address is kept connected. Nothing here is global: two nodes run in one process.

pub mod config;
mod dial;
mod export;
pub mod logging;
mod node;
pub mod pki;
mod recover;
mod reload;
mod retention;
pub mod sealed;
mod submit;
pub mod tls;

pub use config::Config;
pub use convenio_exchange::bundle::BundleKind;
pub use convenio_exchange::recovery::client::{Opened, Refilled};
pub use export::{BundleError, export, export_under};
pub use node::{Node, StartError, WITNESS_HEADS, check_database};
pub use recover::{NodeRecovery, RecoveryError};
pub use reload::ReloadError;
pub use retention::due;
