//! One chunk of a log: 256 entries, their tile and their parts. Chunks do not depend on each other.

use convenio_agreement::Pack;
use convenio_log::tile::{EntryTile, Tile, parse_bundle};
use convenio_log::{Hash, leaf_hash};
use convenio_seal::statement::{EntryError, claimed_statement};
use convenio_seal::{TrustFile, open_entry, verify_entry};
use convenio_wire::exchange::v1::Statement;
use convenio_wire::exchange::v1::statement::Body;

use super::Kind;
use super::ledger::{Fault, Meta};
use crate::bundle::{Bundle, LogLine, MAX_FILE, log_folder};
use crate::keys::{KeyBook, rotated};
use crate::problem::{Check, Problem, Problems};

/// What all workers share.
pub(super) struct Scope<'v> {
    pub(super) bundle: &'v Bundle,
    pub(super) trust: &'v TrustFile,
    pub(super) book: &'v KeyBook,
    /// Digests of the packs, in the order that ledgers count them by.
    pub(super) digests: Vec<[u8; 32]>,
}

impl<'v> Scope<'v> {
    pub(super) fn new<'p>(
        bundle: &'v Bundle,
        trust: &'v TrustFile,
        book: &'v KeyBook,
        packs: impl Iterator<Item = &'p Pack>,
    ) -> Self {
        Self { bundle, trust, book, digests: packs.map(Pack::digest).collect() }
    }

    fn digest(&self, statement: &Statement) -> u8 {
        if statement.agreement_digest.is_empty() {
            return 0;
        }
        let at = self.digests.iter().position(|digest| digest[..] == statement.agreement_digest[..]);
        at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(u8::MAX)
    }
}

/// What a worker found in a chunk.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) leaves: Vec<Hash>,
    pub(super) metas: Vec<Meta>,
    /// Statements of entries that are no RECORD ([`push_special`]).
    pub(super) specials: Vec<u8>,
    pub(super) problems: Problems,
    /// An entry names a key that was not known yet.
    pub(super) unknown_key: bool,
}

/// Checks one chunk.
pub(super) fn check(scope: &Scope<'_>, line: &LogLine, index: u64) -> Chunk {
    let mut out = Chunk::default();
    let Some(tile) = EntryTile::at(index, line.size) else { return out };
    let path = format!("{}{tile}", log_folder(&line.name));
    let Some(bytes) = scope.bundle.read(&path, MAX_FILE, &mut out.problems) else {
        out.problems.locate(&line.name, tile.first_entry());
        return out;
    };
    let entries = match parse_bundle(&bytes, tile.width()) {
        Ok(entries) => entries,
        Err(error) => {
            let problem = Problem::new(Check::Entry, error.to_string()).of(&line.name).entry(tile.first_entry());
            out.problems.push(problem.at(path));
            return out;
        }
    };
    let mut commitments = Vec::with_capacity(entries.len());
    for (entry, index) in entries.into_iter().zip(tile.first_entry()..) {
        out.leaves.push(leaf_hash(entry));
        commitments.push(check_entry(scope, line, index, entry, &mut out));
    }
    check_tile(scope.bundle, line, index, &mut out);
    super::parts::check(scope.bundle, line, tile, &commitments, &mut out);
    out
}

fn check_tile(bundle: &Bundle, line: &LogLine, index: u64, out: &mut Chunk) {
    let Some(tile) = Tile::at(0, index, line.size) else { return };
    let path = format!("{}{tile}", log_folder(&line.name));
    if let Some(bytes) = bundle.read(&path, MAX_FILE, &mut out.problems) {
        let leaf = |at: usize| out.leaves.get(at).map(|leaf| &leaf.as_bytes()[..]);
        let held: Vec<&[u8]> = bytes.chunks(32).collect();
        let first = (0..held.len().max(out.leaves.len())).find(|at| held.get(*at).copied() != leaf(*at));
        if let Some(first) = first {
            let text = "holds other hashes than the entries below it have";
            let problem = Problem::new(Check::Tile, text).of(&line.name).entry(index * 256 + first as u64);
            out.problems.push(problem.at(path));
        }
    }
}

type Commitments = Vec<Vec<u8>>;

/// Checks form, signature and header of one entry; returns its commitments.
fn check_entry(scope: &Scope<'_>, line: &LogLine, index: u64, bytes: &[u8], out: &mut Chunk) -> Commitments {
    let opened = match open_entry(bytes) {
        Ok(opened) => opened,
        Err(_) => {
            let claimed = claimed_statement(bytes).and_then(|statement| statement.body);
            let record = matches!(claimed, Some(Body::Record(_)));
            out.metas.push(Meta::unreadable(if record { Kind::Record } else { Kind::Unreadable }));
            return Vec::new();
        }
    };
    if let Some(Body::KeyRotate(rotate)) = &opened.statement.body {
        // What follows is signed by these; whether the rotation is in order is seen when the log is walked.
        if let Ok(keys) = rotated(rotate, line, scope.trust) {
            scope.book.add_rotated(keys);
        }
    }
    let mut key = 0;
    let mut fault = match opened.entry.signatures.first() {
        Some(signature) => match scope.book.record(&line.origin.issuer, &signature.key_id) {
            Some(public) => {
                key = key_mark(&signature.key_id);
                verify_entry(&opened, &public).map_or_else(fault_of, |()| Fault::None)
            }
            None => {
                out.unknown_key = true;
                Fault::UnknownKey
            }
        },
        None => Fault::BadSignature,
    };
    let statement = opened.statement;
    if fault == Fault::None && header(line, &statement).is_err() {
        fault = Fault::Header;
    }
    let (kind, commitments) = kind_of(&statement);
    if fault == Fault::None && !body_holds(kind, &commitments) {
        fault = Fault::Body;
    }
    let mut meta = Meta::of(&statement, kind, commitments.len(), scope.digest(&statement), key);
    meta.fault = fault;
    out.metas.push(meta);
    if kind != Kind::Record {
        push_special(&mut out.specials, (index % 256) as u16, &opened.entry.statement);
    }
    commitments
}

/// How a ledger marks a key.
pub(super) fn key_mark(key_id: &[u8]) -> u64 {
    key_id.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

fn fault_of(error: EntryError) -> Fault {
    match error {
        EntryError::UnknownKey => Fault::UnknownKey,
        EntryError::TooLarge | EntryError::Malformed | EntryError::NonCanonical => Fault::NonCanonical,
        EntryError::Unsigned | EntryError::ExtraSignature | EntryError::BadSignature => Fault::BadSignature,
    }
}

fn body_holds(kind: Kind, commitments: &[Vec<u8>]) -> bool {
    let sound = commitments.iter().all(|c| c.len() == 32) && commitments.len() <= convenio_wire::MAX_PARTS_COUNT;
    sound && kind != Kind::Unreadable && (kind != Kind::Record || !commitments.is_empty())
}

/// What is wrong with the header of a statement.
pub(super) fn header(line: &LogLine, statement: &Statement) -> Result<(), &'static str> {
    let ensure = |holds: bool, text| if holds { Ok(()) } else { Err(text) };
    ensure(statement.version == 1, "a statement of an unknown version")?;
    ensure(statement.log_origin == line.name, "a statement of another log")?;
    ensure(statement.issuer == line.origin.issuer, "a statement of another issuer")?;
    ensure(statement.recipient == line.origin.recipient, "a statement for another recipient")?;
    let id = statement.record_id.as_slice();
    let v7 = id.len() == 16 && id[6] >> 4 == 7 && id[8] >> 6 == 2;
    ensure(v7, "a record id that is no UUIDv7")?;
    let digest = statement.agreement_digest.len();
    ensure(digest == 0 || digest == 32, "an agreement digest that is no SHA-256")
}

fn kind_of(statement: &Statement) -> (Kind, Commitments) {
    match &statement.body {
        Some(Body::Record(record)) => (Kind::Record, record.commitments.clone()),
        Some(Body::Outcome(outcome)) => (Kind::Outcome, outcome.commitments.clone()),
        Some(Body::EpochOpen(_)) => (Kind::EpochOpen, Vec::new()),
        Some(Body::Ratify(_)) => (Kind::Ratify, Vec::new()),
        Some(Body::Activate(_)) => (Kind::Activate, Vec::new()),
        Some(Body::Erase(_)) => (Kind::Erase, Vec::new()),
        Some(Body::EraseAnswer(_)) => (Kind::EraseAnswer, Vec::new()),
        Some(Body::PeerCheckpoint(_)) => (Kind::PeerCheckpoint, Vec::new()),
        Some(Body::KeyRotate(_)) => (Kind::KeyRotate, Vec::new()),
        Some(Body::Revoke(_)) => (Kind::Revoke, Vec::new()),
        Some(Body::Suspend(_) | Body::Resume(_) | Body::Terminate(_)) => (Kind::Order, Vec::new()),
        None => (Kind::Unreadable, Vec::new()),
    }
}

fn push_special(out: &mut Vec<u8>, slot: u16, statement: &[u8]) {
    out.extend_from_slice(&slot.to_le_bytes());
    // An entry is shorter than 64 KiB.
    out.extend_from_slice(&(statement.len() as u32).to_le_bytes());
    out.extend_from_slice(statement);
}

/// Takes the next statement off what [`push_special`] wrote: its place in the chunk and its bytes.
pub(super) fn next_special<'b>(bytes: &mut &'b [u8]) -> Option<(u16, &'b [u8])> {
    let (slot, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (statement, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some((u16::from_le_bytes(*slot), statement))
}
