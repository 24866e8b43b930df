//! Who is on the other end of a connection, and the connections themselves.
//!
//! Each state has its own certificate authority; a caller is what the SPIFFE id in its certificate
//! says. Reading order is a connection's life: [`convenio_model::Identity`] is the name, [`TlsMaterial`] the files,
//! `revocation` the lists among them, `verify` decides whom to believe, `config` makes the rustls configurations,
//! [`LiveTls`] replaces them while the node runs, [`serve`] accepts, [`connect`] dials.
//!
//! TLS 1.3 only (RFC 8446), aws-lc-rs only, client certificates always, no session resumption: a
//! resumed session would skip the verification of the certificate.

mod config;
mod connect;
mod identity;
mod live;
mod material;
mod revocation;
mod serve;
mod verify;

#[cfg(test)]
mod tests;

pub use config::ConfigError;
pub use connect::{ConnectError, Connected, connect, connect_judged, connect_lazy, connect_stream};
pub use identity::from_certificate;
pub use live::LiveTls;
pub use material::{LoadedTls, MaterialError, TlsMaterial, TrustedServer, trusted_server};
pub use serve::{Known, RECHECK, ServeLimits, serve};
