//! Sealing: salts, commitments, the statement and its signature; parts encrypted with their subject's data key.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest;
use convenio_model::{Clock, Entropy, RecordId, Ref, uuid_v7};
use convenio_seal::commitment::commit;
use convenio_seal::statement::seal_entry;
use convenio_seal::vault::{DataKeyId, Vault, VaultError};
use convenio_store::{PartRow, Staged, StagedPart, StoreError, Subject, SubjectKeyRow, Work};
use convenio_wire::MAX_PARTS;
use convenio_wire::exchange::v1::{Part, Position, SaltedPart, Statement, statement::Body};
use prost::Message;

use crate::core::Exchange;
use crate::error::IssueError;
use crate::keys::Keys;

/// What sealing needs of a node.
pub(crate) struct Sealer {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub vault: Arc<Vault>,
    pub keys: Keys,
}

/// A part before it is sealed.
#[derive(Debug, Clone)]
pub struct PartDraft {
    /// The part; its record id is filled in here.
    pub part: Part,
    /// Subject whose data key seals it.
    pub subject: Ref,
}

/// Parts with their commitments, sealed for storage.
pub(crate) struct SealedParts {
    pub commitments: Vec<Vec<u8>>,
    pub stored: Vec<StagedPart>,
}

/// Seals the parts of `record_id`.
pub(crate) async fn seal_parts(
    work: &mut Work,
    sealer: &Sealer,
    record_id: RecordId,
    drafts: Vec<PartDraft>,
) -> Result<SealedParts, IssueError> {
    let mut sealed = SealedParts { commitments: Vec::new(), stored: Vec::new() };
    let mut total = 0;
    for (number, mut draft) in drafts.into_iter().enumerate() {
        draft.part.record_id = record_id.0.to_vec();
        let part = draft.part.encode_to_vec();
        total += part.len();
        if total > MAX_PARTS {
            return Err(IssueError::TooLarge);
        }
        let mut salt = [0; 32];
        sealer.entropy.fill(&mut salt);
        sealed.commitments.push(commit(&salt, &part).to_vec());
        let salted = SaltedPart { salt: salt.to_vec(), part };
        let key = data_key(work, sealer, draft.subject, &draft.part.retention_class).await?;
        sealed.stored.push(at_rest(sealer, key, record_id, number, &salted)?);
    }
    Ok(sealed)
}

/// Encrypts one part for storage; it is bound to its record and position.
pub(crate) fn at_rest(
    sealer: &Sealer,
    key: DataKeyId,
    record_id: RecordId,
    number: usize,
    salted: &SaltedPart,
) -> Result<StagedPart, StoreError> {
    let aad = bound_to(record_id, number);
    let sealed =
        sealer.vault.seal(key, &aad, &salted.encode_to_vec(), sealer.entropy.as_ref()).map_err(vault_failed)?;
    Ok(StagedPart { key_id: key.0, sealed })
}

/// Opens what [`at_rest`] made, or says why that cannot be.
pub(crate) fn open_part(
    vault: &Vault,
    key_id: [u8; 16],
    record_id: RecordId,
    number: usize,
    sealed: &[u8],
) -> Result<Vec<u8>, VaultError> {
    vault.unseal(DataKeyId(key_id), &bound_to(record_id, number), sealed)
}

/// Opens what [`at_rest`] made; None if its key was destroyed, or is lost or damaged: what can never be read again must not
/// stop what has to go on.
pub(crate) fn from_rest(
    vault: &Vault,
    key_id: [u8; 16],
    record_id: RecordId,
    number: usize,
    sealed: &[u8],
) -> Result<Option<SaltedPart>, StoreError> {
    match open_part(vault, key_id, record_id, number, sealed) {
        Ok(plain) => SaltedPart::decode(plain.as_slice()).map(Some).map_err(|_| StoreError::Corrupt("part")),
        Err(VaultError::Destroyed) => Ok(None),
        Err(error @ (VaultError::UnknownKey | VaultError::Damaged)) => {
            tracing::error!(reason = %error, "a part is lost with its data key");
            Ok(None)
        }
        Err(error) => Err(vault_failed(error)),
    }
}

/// Seals a stored part under another key; none if it cannot be opened any more.
pub(crate) fn reseal(
    sealer: &Sealer,
    row: &PartRow,
    record_id: RecordId,
    key: DataKeyId,
) -> Result<Option<StagedPart>, StoreError> {
    let number = row.part as usize;
    let Some(salted) = from_rest(&sealer.vault, row.key_id, record_id, number, &row.sealed)? else { return Ok(None) };
    at_rest(sealer, key, record_id, number, &salted).map(Some)
}

/// The data key of a subject's parts of one retention class, so that a contract's terms outlive the name.
pub(crate) async fn data_key(
    work: &mut Work,
    sealer: &Sealer,
    subject: Ref,
    class: &str,
) -> Result<DataKeyId, StoreError> {
    data_key_of(work, sealer, keyed(subject, class)).await
}

/// The data key of a subject and class; a new one where there is none, or where it was destroyed.
pub(crate) async fn data_key_of(work: &mut Work, sealer: &Sealer, subject: Ref) -> Result<DataKeyId, StoreError> {
    if let Some(key) = work.subject_key(subject).await? {
        match sealer.vault.available(DataKeyId(key)) {
            // A vault may also be younger than a restored database: what that key sealed is gone with it.
            Err(VaultError::Destroyed | VaultError::Damaged | VaultError::UnknownKey) => work.drop_subject_key(subject),
            _ => return Ok(DataKeyId(key)),
        }
    }
    let key = sealer.vault.create(sealer.entropy.as_ref()).map_err(vault_failed)?;
    work.put_subject_key(SubjectKeyRow { subject, key_id: key.0 });
    Ok(key)
}

impl Exchange {
    /// Under what the data keys of parts about `subject` stand, one for each retention class of the agreement.
    pub fn key_subjects(&self, subject: Ref) -> impl Iterator<Item = Ref> {
        let classes: BTreeSet<&String> = self.versions().flat_map(|pack| pack.retention().classes.keys()).collect();
        classes.into_iter().map(move |class| keyed(subject, class))
    }
}

/// Signs a statement of this node's log and stages it; it gets its index when the group is sequenced.
pub(crate) fn stage_statement(
    work: &mut Work,
    sealer: &Sealer,
    exchange: &Exchange,
    record_id: RecordId,
    body: Body,
    subject: Option<Subject>,
    parts: Vec<StagedPart>,
) -> Result<(), IssueError> {
    let peer = exchange.judged(work)?;
    stage_at(work, sealer, exchange, record_id, body, subject, parts, peer)
}

/// As [`stage_statement`], at a position that is not the present one.
#[allow(clippy::too_many_arguments)] // one statement, flat
pub(crate) fn stage_at(
    work: &mut Work,
    sealer: &Sealer,
    exchange: &Exchange,
    record_id: RecordId,
    body: Body,
    subject: Option<Subject>,
    parts: Vec<StagedPart>,
    peer: Position,
) -> Result<(), IssueError> {
    let own = exchange.own();
    let is_record = matches!(body, Body::Record(_));
    let statement = Statement {
        version: 1,
        issuer: exchange.own_node.clone(),
        recipient: exchange.partner_node.clone(),
        log_origin: own.origin.clone(),
        agreement_digest: if matches!(body, Body::EpochOpen(_)) {
            Vec::new()
        } else {
            exchange.pack().digest().to_vec()
        },
        record_id: record_id.0.to_vec(),
        peer: Some(peer),
        time_ms: sealer.clock.now_ms(),
        captures: Vec::new(),
        body: Some(body),
    };
    let bytes = seal_entry(&statement, &sealer.keys.now().keys.record).map_err(|_| IssueError::TooLarge)?;
    work.stage(Staged { log: own.log, record_id, is_record, subject, bytes, parts });
    Ok(())
}

/// A fresh record id.
pub(crate) fn fresh_record_id(sealer: &Sealer) -> RecordId {
    uuid_v7(sealer.clock.now_ms(), sealer.entropy.as_ref()).into()
}

/// Subject under which the data key of one retention class stands.
pub(crate) fn keyed(subject: Ref, class: &str) -> Ref {
    let mut input = subject.0.to_vec();
    input.extend_from_slice(class.as_bytes());
    let mut out = [0; 16];
    out.copy_from_slice(&digest::digest(&digest::SHA256, &input).as_ref()[..16]);
    Ref(out)
}

fn bound_to(record_id: RecordId, number: usize) -> [u8; 24] {
    let mut aad = [0; 24];
    aad[..16].copy_from_slice(&record_id.0);
    aad[16..].copy_from_slice(&(number as u64).to_be_bytes());
    aad
}

fn vault_failed(error: VaultError) -> StoreError {
    StoreError::Failed(format!("data keys: {error}"))
}
