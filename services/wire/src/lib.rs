//! The messages of the contract in `proto/convenio`, generated at build time, without service stubs.
//!
//! Only the core contract is compiled in. An agreement's own messages are read at run time.
#![allow(missing_docs)] // generated; every field is documented in its .proto

/// Generated modules, one for each package.
#[allow(clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/convenio.rs"));
}

pub use generated::convenio::{agreement, audit, consular, exchange, node, registry, r#type};

/// Encoded `FileDescriptorSet` of the contract with all imports and custom options.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// DSSE payload type of a statement.
pub const STATEMENT_TYPE: &str = "application/vnd.convenio.statement.v1+protobuf";
/// DSSE payload type of a ratification.
pub const RATIFICATION_TYPE: &str = "application/vnd.convenio.ratification.v1+protobuf";
/// DSSE payload type of an office's sign-off.
pub const SIGN_OFF_TYPE: &str = "application/vnd.convenio.signoff.v1+protobuf";
/// DSSE payload type of an act of a negotiation.
pub const NEGOTIATION_TYPE: &str = "application/vnd.convenio.negotiation.v1+protobuf";
/// DSSE payload type of the authorisation of an epoch.
pub const EPOCH_TYPE: &str = "application/vnd.convenio.epoch.v1+protobuf";
/// DSSE payload type of a key manifest that replaces another.
pub const KEYS_TYPE: &str = "application/vnd.convenio.keys.v1+protobuf";
/// DSSE payload type of the revocation of a key.
pub const REVOCATION_TYPE: &str = "application/vnd.convenio.revocation.v1+protobuf";
/// DSSE payload type of an encoded `AgreementOrder`.
pub const ORDER_TYPE: &str = "application/vnd.convenio.order.v1+protobuf";
/// DSSE payload type of a request to refill a lost log.
pub const RECOVERY_TYPE: &str = "application/vnd.convenio.recovery.v1+protobuf";

/// Largest encoded entry, bytes (it is stored behind a 16-bit length).
pub const MAX_ENTRY: usize = 65_535;
/// Largest sum of the encoded parts of one record, bytes.
pub const MAX_PARTS: usize = 256 * 1024;
/// Most parts of one record.
pub const MAX_PARTS_COUNT: usize = 16;
/// Entries that one OUTCOME may cover; one over more is void.
pub const MAX_OUTCOME: u64 = 4096;
