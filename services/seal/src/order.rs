//! Orders about an agreement, as a party's roots sign them: suspension, resumption, notice of termination.

use convenio_wire::ORDER_TYPE;
use convenio_wire::exchange::v1::agreement_order::Order;
use convenio_wire::exchange::v1::{AgreementOrder, Resume, Signature, Suspend, Terminate, statement::Body};
use prost::Message;

use crate::canonical;
use crate::dsse::Envelope;
use crate::key::{PublicKey, SigningKey};
use crate::name::{is_agreement, is_party};
use crate::root::{RootError, RootSet};

/// Largest encoded order, bytes.
pub const MAX_ORDER: usize = 4 * 1024;
/// Most acts that a suspension names.
const MAX_SCOPE: usize = 64;
/// Longest name or code, bytes.
const MAX_WORD: usize = 64;

/// Signs an order with root keys.
///
/// # Errors
/// [`RootError`] if the order would not be read, whoever signs it.
pub fn sign_order(order: &AgreementOrder, keys: &[&SigningKey]) -> Result<Envelope, RootError> {
    let payload = order.encode_to_vec();
    read(&payload)?;
    Ok(Envelope::signed(ORDER_TYPE, payload, keys))
}

/// The entry body of a file that [`sign_order`] made, and what it says; signatures are not verified.
///
/// # Errors
/// [`RootError`].
pub fn order_from(envelope: &Envelope) -> Result<(Body, AgreementOrder), RootError> {
    envelope.expect_type(ORDER_TYPE)?;
    let said = read(&envelope.payload)?;
    Ok((body(&said, envelope.payload.clone(), envelope.signatures.clone()), said))
}

/// What an entry orders, verified against the roots of the party that orders it; none if it is no order.
///
/// # Errors
/// [`RootError`].
pub fn verify_order(entry: &Body, roots: &RootSet) -> Result<Option<AgreementOrder>, RootError> {
    let Some((payload, signatures)) = signed(entry) else { return Ok(None) };
    let said = read(payload)?;
    roots.verify(ORDER_TYPE, payload, signatures)?;
    if said.party != roots.party() {
        return Err(RootError::Mismatch("party"));
    }
    if std::mem::discriminant(&body(&said, Vec::new(), Vec::new())) != std::mem::discriminant(entry) {
        return Err(RootError::Mismatch("order"));
    }
    Ok(Some(said))
}

/// What an entry orders, whoever signed it; none if it is no order, or not one that can be read.
#[must_use]
pub fn claimed_order(entry: &Body) -> Option<AgreementOrder> {
    read(signed(entry)?.0).ok()
}

/// The order with one signature of each root and no others: an entry that repeats it must hold it.
#[must_use]
pub fn order_by(entry: &Body, roots: &RootSet) -> Option<Body> {
    let (payload, signatures) = signed(entry)?;
    let said = read(payload).ok()?;
    let first = |key: &PublicKey| signatures.iter().find(|one| one.key_id == key.key_id()).cloned();
    Some(body(&said, payload.to_vec(), roots.keys().iter().filter_map(first).collect()))
}

/// Payload and signatures of an order.
#[must_use]
pub fn signed(entry: &Body) -> Option<(&[u8], &[Signature])> {
    match entry {
        Body::Suspend(Suspend { payload, signatures })
        | Body::Resume(Resume { payload, signatures })
        | Body::Terminate(Terminate { payload, signatures }) => Some((payload, signatures)),
        _ => None,
    }
}

fn body(said: &AgreementOrder, payload: Vec<u8>, signatures: Vec<Signature>) -> Body {
    match said.order {
        Some(Order::Resume(_)) => Body::Resume(Resume { payload, signatures }),
        Some(Order::Terminate(_)) => Body::Terminate(Terminate { payload, signatures }),
        Some(Order::Suspend(_)) | None => Body::Suspend(Suspend { payload, signatures }),
    }
}

fn read(payload: &[u8]) -> Result<AgreementOrder, RootError> {
    if payload.len() > MAX_ORDER {
        return Err(RootError::TooLarge);
    }
    let said: AgreementOrder = canonical::decode(payload)?;
    let field = |good: bool, name| if good { Ok(()) } else { Err(RootError::Field(name)) };
    let word = |text: &str, more: fn(u8) -> bool| text.len() <= MAX_WORD && text.bytes().all(more);
    let code = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    field(is_agreement(&said.agreement), "agreement")?;
    field(is_party(&said.party), "party")?;
    field(said.number > 0 && said.number <= i64::MAX as u64, "number")?;
    field(word(&said.reason_code, code), "reason_code")?;
    match &said.order {
        None => field(false, "order"),
        Some(Order::Suspend(suspend)) => {
            let act = |name: &String| !name.is_empty() && word(name, |b| b.is_ascii_lowercase() || b == b'_');
            field(suspend.scope.len() <= MAX_SCOPE && suspend.scope.iter().all(act), "suspend.scope")?;
            field(suspend.until_ms <= i64::MAX as u64, "suspend.until_ms")
        }
        Some(Order::Resume(resume)) => field((1..said.number).contains(&resume.of), "resume.of"),
        Some(Order::Terminate(notice)) => {
            field((1..=i64::MAX as u64).contains(&notice.effective_ms), "terminate.effective_ms")
        }
    }?;
    Ok(said)
}

#[cfg(test)]
mod tests;
