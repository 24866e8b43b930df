//! One chunk of a log: 256 entries, their tile and their parts. Chunks do not depend on each other.

use convenio_log::tile::{EntryTile, Tile, parse_bundle};
use convenio_log::{Hash, SignedCheckpoint, leaf_hash};
use convenio_seal::{open_entry, verify_entry};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Outcome, Ratify, Statement};

use super::{Kind, Meta};
use crate::bundle::{Bundle, LogLine, MAX_FILE, log_folder};
use crate::keys::{LogKeys, cosigned};
use crate::problem::{Check, Problem, Problems};

/// A log as the workers need it.
pub(super) struct Log<'v> {
    pub(super) line: &'v LogLine,
    pub(super) keys: &'v LogKeys,
    /// Keys and name of the log in the other direction.
    pub(super) partner: Option<(&'v LogKeys, &'v LogLine)>,
}

/// What an entry that is no RECORD says, as far as the other checks need it.
pub(super) enum Special {
    Ratify(Ratify),
    Activate(Vec<u8>),
    Outcome(Outcome),
    Erase { record_id: Vec<u8>, part: u32 },
    PeerCheckpoint { size: u64, root: Hash },
}

/// What a worker found in a chunk.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) leaves: Vec<Hash>,
    pub(super) metas: Vec<Meta>,
    pub(super) specials: Vec<(u64, Special)>,
    pub(super) problems: Problems,
}

/// Checks one chunk.
pub(super) fn check(bundle: &Bundle, log: &Log<'_>, index: u64) -> Chunk {
    let mut out = Chunk::default();
    let Some(tile) = EntryTile::at(index, log.line.size) else { return out };
    let path = format!("{}{tile}", log_folder(&log.line.name));
    let Some(bytes) = bundle.read(&path, MAX_FILE, &mut out.problems) else { return out };
    let entries = match parse_bundle(&bytes, tile.width()) {
        Ok(entries) => entries,
        Err(error) => {
            out.problems.push(Problem::new(Check::Entry, error.to_string()).of(&log.line.name).at(path));
            return out;
        }
    };
    let mut commitments = Vec::with_capacity(entries.len());
    for (entry, index) in entries.into_iter().zip(tile.first_entry()..) {
        out.leaves.push(leaf_hash(entry));
        commitments.push(check_entry(log, index, entry, &mut out));
    }
    check_tile(bundle, log, index, &mut out);
    super::parts::check(bundle, log.line, tile, &commitments, &mut out);
    out
}

fn check_tile(bundle: &Bundle, log: &Log<'_>, index: u64, out: &mut Chunk) {
    let Some(tile) = Tile::at(0, index, log.line.size) else { return };
    let path = format!("{}{tile}", log_folder(&log.line.name));
    if let Some(bytes) = bundle.read(&path, MAX_FILE, &mut out.problems) {
        let expected: Vec<u8> = out.leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
        if bytes != expected {
            let text = "holds other hashes than the entries below it have";
            out.problems.push(Problem::new(Check::Tile, text).of(&log.line.name).at(path));
        }
    }
}

/// Checks form, signature and header of one entry; returns its commitments.
fn check_entry(log: &Log<'_>, index: u64, bytes: &[u8], out: &mut Chunk) -> Vec<Vec<u8>> {
    let mut problem = |check, text: String| {
        out.problems.push(Problem::new(check, text).of(&log.line.name).entry(index));
    };
    let opened = match open_entry(bytes) {
        Ok(opened) => opened,
        Err(error) => {
            problem(Check::Entry, error.to_string());
            out.metas.push(Meta::unreadable());
            return Vec::new();
        }
    };
    if let Err(error) = verify_entry(&opened, &log.keys.issuer.record) {
        problem(Check::Entry, error.to_string());
    }
    let statement = opened.statement;
    if let Err(text) = check_header(log.line, &statement) {
        problem(Check::Statement, text.to_owned());
    }
    let (kind, commitments) = kind_of(&statement);
    if kind == Kind::Unreadable {
        problem(Check::Statement, "a statement without a body that this version knows".into());
    }
    if commitments.iter().any(|c| c.len() != 32) || commitments.len() > convenio_wire::MAX_PARTS_COUNT {
        problem(Check::Statement, "a commitment that is no SHA-256, or too many".into());
    }
    if kind == Kind::Record && commitments.is_empty() {
        problem(Check::Statement, "a RECORD without parts".into());
    }
    out.metas.push(Meta::of(&statement, kind, commitments.len()));
    match special(log, statement.body) {
        Ok(Some(special)) => out.specials.push((index, special)),
        Ok(None) => {}
        Err(bad) => out.problems.push(bad.of(&log.line.name).entry(index)),
    }
    commitments
}

fn check_header(line: &LogLine, statement: &Statement) -> Result<(), &'static str> {
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

fn kind_of(statement: &Statement) -> (Kind, Vec<Vec<u8>>) {
    match &statement.body {
        Some(Body::Record(record)) => (Kind::Record, record.commitments.clone()),
        Some(Body::Outcome(outcome)) => (Kind::Outcome, outcome.commitments.clone()),
        Some(Body::EpochOpen(_)) => (Kind::EpochOpen, Vec::new()),
        Some(Body::Ratify(_)) => (Kind::Ratify, Vec::new()),
        Some(Body::Activate(_)) => (Kind::Activate, Vec::new()),
        Some(Body::Erase(_) | Body::EraseAnswer(_)) => (Kind::Erase, Vec::new()),
        Some(Body::PeerCheckpoint(_)) => (Kind::PeerCheckpoint, Vec::new()),
        // The rotation of keys has no signed form yet: nothing that follows one could be trusted.
        Some(Body::KeyRotate(_) | Body::Revoke(_)) | None => (Kind::Unreadable, Vec::new()),
    }
}

fn special(log: &Log<'_>, body: Option<Body>) -> Result<Option<Special>, Problem> {
    Ok(Some(match body {
        Some(Body::Ratify(ratify)) => Special::Ratify(ratify),
        Some(Body::Activate(activate)) => Special::Activate(activate.digest),
        Some(Body::Outcome(outcome)) => Special::Outcome(outcome),
        Some(Body::Erase(erase)) => Special::Erase { record_id: erase.record_id, part: erase.part },
        Some(Body::PeerCheckpoint(peer)) => peer_checkpoint(log, &peer.note)?,
        _ => return Ok(None),
    }))
}

/// The note must be the partner's checkpoint, signed by its log and cosigned by this issuer's mirror.
fn peer_checkpoint(log: &Log<'_>, note: &[u8]) -> Result<Special, Problem> {
    let bad = |text: String| Problem::new(Check::PeerCheckpoint, text);
    let signed = SignedCheckpoint::parse(note).map_err(|error| bad(error.to_string()))?;
    if signed.to_string().as_bytes() != note {
        return Err(bad("the note is not in its one spelling".into()));
    }
    let Some((keys, line)) = log.partner else {
        return Err(bad("the partner's log is not in the bundle".into()));
    };
    if signed.checkpoint().origin() != line.name {
        return Err(bad("a checkpoint of another log than the partner's".into()));
    }
    signed.verify_log(&keys.log).map_err(|error| bad(error.to_string()))?;
    let own = &log.keys.issuer;
    match cosigned(&signed, &own.node, &own.mirror, Some(&own.witness)) {
        Ok(Some(_)) => {}
        Ok(None) => return Err(bad("not cosigned by the issuer's mirror".into())),
        Err(error) => return Err(bad(error.to_string())),
    }
    Ok(Special::PeerCheckpoint { size: signed.checkpoint().size(), root: signed.checkpoint().root() })
}
