//! A request to have a lost log refilled, as roots sign it over the partner's challenge.

use convenio_wire::RECOVERY_TYPE;
use convenio_wire::exchange::v1::{RecoveryRequest, Signature};
use prost::Message;

use crate::canonical;
use crate::dsse::Envelope;
use crate::epoch::MAX_REASON;
use crate::key::SigningKey;
use crate::name::{is_agreement, is_node, is_party};
use crate::origin::LogOrigin;
use crate::root::{RootError, RootSet};

/// Largest encoded request, bytes.
pub const MAX_RECOVERY: usize = 2 * 1024;

/// An unsigned request in its file form, for the officers who hold the roots.
///
/// # Errors
/// [`RootError`] if the request would not be read, whoever signs it.
pub fn recovery_envelope(request: &RecoveryRequest) -> Result<Envelope, RootError> {
    let payload = request.encode_to_vec();
    read(&payload)?;
    Ok(Envelope { payload_type: RECOVERY_TYPE.into(), payload, signatures: Vec::new() })
}

/// What a request file asks for; signatures are not verified.
///
/// # Errors
/// [`RootError`].
pub fn recovery_from(envelope: &Envelope) -> Result<RecoveryRequest, RootError> {
    envelope.expect_type(RECOVERY_TYPE)?;
    read(&envelope.payload)
}

/// Signs a request file with root keys; signatures that it bears stay.
///
/// # Errors
/// [`RootError`].
pub fn sign_recovery(envelope: &Envelope, keys: &[&SigningKey]) -> Result<Envelope, RootError> {
    recovery_from(envelope)?;
    let mut signed = Envelope::signed(RECOVERY_TYPE, envelope.payload.clone(), keys);
    let earlier = envelope.signatures.iter().filter(|s| !signed.signatures.iter().any(|new| new.key_id == s.key_id));
    let earlier: Vec<_> = earlier.cloned().collect();
    signed.signatures.extend(earlier);
    Ok(signed)
}

/// Verifies a request against the roots of the party that asks.
///
/// # Errors
/// [`RootError`].
pub fn verify_recovery(
    payload: &[u8],
    signatures: &[Signature],
    roots: &RootSet,
) -> Result<RecoveryRequest, RootError> {
    let said = read(payload)?;
    roots.verify(RECOVERY_TYPE, payload, signatures)?;
    if said.party != roots.party() {
        return Err(RootError::Mismatch("party"));
    }
    Ok(said)
}

fn read(payload: &[u8]) -> Result<RecoveryRequest, RootError> {
    if payload.len() > MAX_RECOVERY {
        return Err(RootError::TooLarge);
    }
    let said: RecoveryRequest = canonical::decode(payload)?;
    let field = |good: bool, name| if good { Ok(()) } else { Err(RootError::Field(name)) };
    field(is_agreement(&said.agreement), "agreement")?;
    field(is_party(&said.party), "party")?;
    field(is_node(&said.node), "node")?;
    field(is_node(&said.partner) && said.partner != said.node, "partner")?;
    field(said.challenge.len() == 32, "challenge")?;
    field(said.number > 0 && said.number <= i64::MAX as u64, "number")?;
    field(said.reason.len() <= MAX_REASON && !said.reason.chars().any(char::is_control), "reason")?;
    let origin: LogOrigin = said.log_origin.parse().map_err(|_| RootError::Field("log_origin"))?;
    let fits = origin.issuer == said.node && origin.recipient == said.partner && origin.agreement == said.agreement;
    if fits { Ok(said) } else { Err(RootError::Mismatch("log_origin")) }
}

#[cfg(test)]
mod tests;
