//! Rows and wire messages.

use convenio_store::StoreError;
use prost::Message;
use prost_types::Timestamp;

use crate::error::RegistryError;

/// Decodes what this node stored.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8], what: &'static str) -> Result<M, RegistryError> {
    M::decode(bytes).map_err(|_| RegistryError::Store(StoreError::Corrupt(what)))
}

/// A moment of this node's clock.
pub(crate) fn timestamp(ms: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(ms % 1000 * 1_000_000).unwrap_or_default(),
    }
}
