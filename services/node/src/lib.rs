//! Placeholder.
pub mod pki;
pub mod tls;
