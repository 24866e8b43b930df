//! Whether a receipt proves its record, by the trust file alone.

use convenio_log::{SignatureType, VerifierKey, cosignature, leaf_hash, proof};
use convenio_seal::{
    LogOrigin, ManifestKeys, TrustFile, commit, open_entry, rotation::verify_key_rotate, verify_entry,
    verify_epoch_open,
};
use convenio_wire::exchange::v1::statement::Body;
use serde::Serialize;

use super::{Proved, Receipt};
use crate::history::Place;
use crate::moment;

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedReceipt {
    /// Record.
    pub record_id: String,
    /// Where it stands.
    pub place: Place,
    /// Node that issued it.
    pub issuer: String,
    /// Party whose roots authorised the issuer's keys.
    pub issuer_party: String,
    /// Node that it is for.
    pub recipient: String,
    /// Party whose roots authorised the keys of the mirror.
    pub recipient_party: String,
    /// Log time as its issuer says, RFC 3339.
    pub stated: String,
    /// When the recipient's mirror held it at the latest, by the mirror's clock, RFC 3339.
    pub mirrored: String,
    /// Mirror that cosigned.
    pub mirror: String,
    /// Entries under the head that was cosigned.
    pub size: u64,
    /// Whether the trust file pins that very head.
    pub pinned: bool,
    /// Digest of the agreement version, hexadecimal; empty where the entry names none.
    pub digest: String,
    /// Commitments of the record.
    pub commitments: u64,
    /// Parts in the receipt that match theirs.
    pub parts: u64,
}

/// Why a receipt proves nothing. The code is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Refused {
    /// Stable code.
    pub code: &'static str,
    /// For people.
    pub text: String,
}

fn refuse(code: &'static str, text: impl ToString) -> Refused {
    Refused { code, text: text.to_string() }
}

/// Checks a receipt.
///
/// # Errors
/// [`Refused`].
pub fn check(receipt: &Receipt, trust: &TrustFile) -> Result<CheckedReceipt, Refused> {
    let record = open_entry(&receipt.record.entry).map_err(|error| refuse("ENTRY", error))?;
    let statement = &record.statement;
    let head = receipt.record.proof.checkpoint().checkpoint();
    let origin: LogOrigin = statement.log_origin.parse().map_err(|error| refuse("ORIGIN", error))?;
    if statement.record_id != receipt.record_id {
        return Err(refuse("RECORD_ID", "the entry is that of another record"));
    }
    if (&*statement.issuer, &*statement.recipient) != (&*origin.issuer, &*origin.recipient) {
        return Err(refuse("ORIGIN", "the entry names another issuer or recipient than its log"));
    }
    let digest: Option<[u8; 32]> = statement.agreement_digest.as_slice().try_into().ok();
    if digest.is_some_and(|digest| !trust.trusts(&origin.agreement, &digest))
        || digest.is_none() && receipt.record.proof.index() != 0
    {
        return Err(refuse("AGREEMENT", "issued under an agreement version that the trust file does not name"));
    }
    let index = receipt.record.proof.index();
    let issuer = chain(&receipt.issuer, &origin, trust)?;
    same_head(&receipt.issuer, receipt.record.proof.checkpoint().to_string().as_str())?;
    // The log's line and the mirror's; whatever else stood there would be signed by nobody that is checked.
    signed_by(&receipt.record, 2)?;
    receipt.recipient.iter().try_for_each(|entry| signed_by(entry, 1))?;
    proved(&receipt.record, &origin, &issuer)?;
    let keys = in_force(&issuer, index).ok_or_else(|| refuse("KEYS", "no keys were in force at the record's index"))?;
    verify_entry(&record, &keys.record).map_err(|error| refuse("SIGNATURE", error))?;
    let (mirror, mirror_keys, seconds) = mirrored(receipt, &origin, trust)?;
    if keys.party == mirror_keys.party {
        return Err(refuse("PARTIES", "one party authorised the keys of both nodes: nobody else held the record"));
    }
    let commitments = match &statement.body {
        Some(Body::Record(record)) => record.commitments.as_slice(),
        Some(Body::Outcome(outcome)) => outcome.commitments.as_slice(),
        _ => &[],
    };
    let same = |pinned: &&convenio_seal::PinnedCheckpoint| pinned.origin == origin && pinned.size == head.size();
    let pinned = trust.checkpoints.iter().find(same);
    if pinned.is_some_and(|pinned| pinned.root != *head.root().as_bytes()) {
        return Err(refuse("PINNED", "the trust file pins another root for that size"));
    }
    Ok(CheckedReceipt {
        record_id: hex::encode(&statement.record_id),
        place: Place::new(&statement.log_origin, index),
        issuer: statement.issuer.clone(),
        issuer_party: keys.party.clone(),
        recipient: statement.recipient.clone(),
        recipient_party: mirror_keys.party,
        stated: moment::rfc3339(statement.time_ms),
        mirrored: moment::rfc3339(seconds.saturating_mul(1_000)),
        mirror,
        size: head.size(),
        pinned: pinned.is_some(),
        digest: digest.map(hex::encode).unwrap_or_default(),
        commitments: commitments.len() as u64,
        parts: opened(receipt, commitments)?,
    })
}

/// Keys with the index from which they are in force.
type Chain = Vec<(u64, ManifestKeys)>;

/// The keys of one log, each authorised by the roots of its party; every entry proved under one head.
fn chain(entries: &[Proved], origin: &LogOrigin, trust: &TrustFile) -> Result<Chain, Refused> {
    let name = origin.to_string();
    let mut found: Chain = Vec::new();
    for proved in entries {
        let open = open_entry(&proved.entry).map_err(|error| refuse("KEYS", error))?;
        if open.statement.log_origin != name || found.last().is_some_and(|(at, _)| *at >= proved.proof.index()) {
            return Err(refuse("KEYS", "the entries that authorise keys are of another log, or out of order"));
        }
        let keys = match &open.statement.body {
            Some(Body::EpochOpen(opened)) if found.is_empty() && proved.proof.index() == 0 => {
                let claimed = ManifestKeys::parse(&opened.key_manifest).map_err(|error| refuse("KEYS", error))?;
                let roots = trust.roots_of(&claimed.party);
                let roots = roots.ok_or_else(|| refuse("ROOTS", "the trust file names no roots of that party"))?;
                verify_epoch_open(opened, &name, roots).map_err(|error| refuse("ROOTS", error))?
            }
            Some(Body::KeyRotate(rotate)) if !found.is_empty() => {
                let before = &found[found.len() - 1].1;
                let roots = trust.roots_of(&before.party);
                let roots = roots.ok_or_else(|| refuse("ROOTS", "the trust file names no roots of that party"))?;
                let keys = verify_key_rotate(rotate, roots).map_err(|error| refuse("ROOTS", error))?;
                if (&keys.node, &keys.party) != (&before.node, &before.party) || keys.version <= before.version {
                    return Err(refuse("KEYS", "new keys of another node, or of no later version"));
                }
                keys
            }
            _ => return Err(refuse("KEYS", "neither EPOCH_OPEN at index 0 nor KEY_ROTATE after it")),
        };
        if !trust.allows(&keys.party, &keys.node) {
            return Err(refuse(
                "NODE",
                "the trust file does not name the node as one of the party that authorised its keys",
            ));
        }
        verify_entry(&open, &keys.record).map_err(|error| refuse("SIGNATURE", error))?;
        found.push((proved.proof.index(), keys));
    }
    if found.is_empty() {
        return Err(refuse("KEYS", "nothing authorises the keys of a log"));
    }
    let first = entries.first().map(|proved| proved.proof.checkpoint().to_string()).unwrap_or_default();
    same_head(entries, &first)?;
    entries.iter().try_for_each(|entry| proved(entry, origin, &found))?;
    Ok(found)
}

fn same_head(entries: &[Proved], head: &str) -> Result<(), Refused> {
    let same = entries.iter().all(|entry| entry.proof.checkpoint().to_string() == head);
    if same { Ok(()) } else { Err(refuse("HEAD", "the proofs of one log lead to several heads")) }
}

/// The entry stands in its log, under a head that the log's key signed.
fn proved(entry: &Proved, origin: &LogOrigin, keys: &Chain) -> Result<(), Refused> {
    let signed = entry.proof.checkpoint();
    let head = signed.checkpoint();
    let name = origin.to_string();
    let key = in_force(keys, head.size().saturating_sub(1)).filter(|_| head.origin() == name);
    let key = key.ok_or_else(|| refuse("HEAD", "the head of another log"))?;
    let key = VerifierKey::new(&name, SignatureType::Ed25519, key.log.raw()).map_err(|error| refuse("HEAD", error))?;
    signed.verify_log(&key).map_err(|error| refuse("HEAD", error))?;
    let leaf = leaf_hash(&entry.entry);
    let root = head.root();
    let found = proof::verify_inclusion(entry.proof.hashes(), &leaf, entry.proof.index(), head.size(), &root);
    found.map_err(|error| refuse("INCLUSION", error))
}

fn signed_by(entry: &Proved, lines: usize) -> Result<(), Refused> {
    let found = entry.proof.checkpoint().note().signatures().len();
    if found == lines { Ok(()) } else { Err(refuse("HEAD", "a head with more or fewer signatures than are checked")) }
}

fn in_force(keys: &Chain, index: u64) -> Option<&ManifestKeys> {
    keys.iter().rev().find(|(from, _)| *from <= index).map(|(_, keys)| keys)
}

/// The recipient's mirror cosigned the head: its name, its keys and its time, Unix seconds.
fn mirrored(receipt: &Receipt, origin: &LogOrigin, trust: &TrustFile) -> Result<(String, ManifestKeys, u64), Refused> {
    let first = receipt.recipient.first().and_then(|entry| open_entry(&entry.entry).ok());
    let reverse: LogOrigin = first
        .and_then(|entry| entry.statement.log_origin.parse().ok())
        .ok_or_else(|| refuse("MIRROR", "nothing authorises the recipient's keys"))?;
    let is_reverse = (&reverse.issuer, &reverse.recipient) == (&origin.recipient, &origin.issuer);
    if !is_reverse || reverse.agreement != origin.agreement {
        return Err(refuse("MIRROR", "the recipient's keys are those of another exchange"));
    }
    let signed = receipt.record.proof.checkpoint();
    for (_, keys) in chain(&receipt.recipient, &reverse, trust)? {
        let name = format!("{}/mirror/{}", origin.recipient, keys.version);
        let named = signed.note().signatures().iter().any(|line| line.name() == name);
        if !named {
            continue;
        }
        let key = VerifierKey::new(&name, SignatureType::CosignatureV1, keys.mirror.raw());
        let key = key.map_err(|error| refuse("MIRROR", error))?;
        let time = cosignature::verify(signed, &key).map_err(|error| refuse("MIRROR", error))?;
        return Ok((name, keys, time));
    }
    Err(refuse("MIRROR", "no mirror of the recipient that its roots authorise cosigned the head"))
}

fn opened(receipt: &Receipt, commitments: &[Vec<u8>]) -> Result<u64, Refused> {
    let Some(parts) = &receipt.parts else { return Ok(0) };
    if parts.len() != commitments.len() {
        return Err(refuse("PARTS", "another number of parts than the record commits to"));
    }
    let mut held = 0;
    for (part, commitment) in parts.iter().zip(commitments) {
        let Some(part) = part else { continue };
        let salt: &[u8; 32] =
            part.salt.as_slice().try_into().map_err(|_| refuse("PARTS", "a salt of another length"))?;
        if commit(salt, &part.part)[..] != commitment[..] {
            return Err(refuse("PARTS", "a part that does not match its commitment"));
        }
        held += 1;
    }
    Ok(held)
}
