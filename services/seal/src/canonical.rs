//! The canonical form of a message: its bytes equal their own deterministic re-encoding.
//!
//! Unknown fields, repeated singular fields, spelled-out defaults, long varints and odd field order all differ from the
//! re-encoding, so two programs cannot read the same accepted bytes in two ways.

use prost::Message;

/// Bytes are not the canonical encoding of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    /// They do not decode.
    #[error("not an encoding of the expected message")]
    Malformed,
    /// They decode, but differ from the re-encoding.
    #[error("differs from its deterministic re-encoding")]
    Differs,
}

/// Decodes `bytes` and demands that they are canonical. Meant for messages without maps.
///
/// # Errors
/// [`NotCanonical`].
pub fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, NotCanonical> {
    let message = M::decode(bytes).map_err(|_| NotCanonical::Malformed)?;
    if message.encoded_len() != bytes.len() || message.encode_to_vec() != bytes {
        return Err(NotCanonical::Differs);
    }
    Ok(message)
}
