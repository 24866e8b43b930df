//! The form of an entry: what can be refused without knowing any other record. Pure, so that it runs outside the writer,
//! on as many cores as there are.

use convenio_agreement::act::Kind;
use convenio_agreement::pack::Pack;
use convenio_model::{RecordId, Ref};
use convenio_seal::statement::{EntryError, OpenEntry, claimed_statement, open_entry, verify_entry};
use convenio_store::{EntryRow, PartRow, StoreError};
use convenio_wire::exchange::v1::{ActKind, Part, Statement, statement::Body};
use prost::Message;

use super::mirror::is_marker;
use super::screen::subject_of;
use crate::core::{Core, Exchange, Known};
use crate::keys::{Revocations, Timeline};
use crate::lane::Lane;
use crate::outbound::seal::from_rest;
use crate::version::Digest;

/// An entry whose form was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Index in the partner's log.
    pub index: u64,
    /// Record id that it claims.
    pub record_id: RecordId,
    /// An OUTCOME must answer it.
    pub is_record: bool,
    /// The statement with its parts, or the coarse reason of refusal.
    pub form: Result<Form, &'static str>,
}

/// A well-formed entry.
#[derive(Debug)]
pub(crate) struct Form {
    /// Statement.
    pub statement: Statement,
    /// Parts in order; for a RECORD all of them, at least one.
    pub parts: Vec<Part>,
}

/// Checks one entry with its stored parts. A RECORD must be issued under the version that is in force where it stands.
pub(crate) fn check(
    core: &Core,
    exchange: &Exchange,
    lane: &Lane,
    (known, revoked): (&Known, &Revocations),
    row: &EntryRow,
    parts: &[PartRow],
) -> Result<Checked, StoreError> {
    let opened = opened(exchange, lane, (&known.keys, revoked), row.index, &row.bytes);
    let in_force = known.force.active.at(row.index);
    let is_record = super::mirror::is_record(&claimed_statement(&row.bytes).unwrap_or_default());
    let form = match opened {
        Err(reason) => Err(reason),
        Ok(open) => with_parts(core, exchange, in_force, open, row, parts)?,
    };
    Ok(Checked { index: row.index, record_id: row.record_id, is_record, form })
}

/// An entry of the partner that is what it says: signed by the key in force, for this log and recipient.
pub(crate) fn opened(
    exchange: &Exchange,
    lane: &Lane,
    (keys, revoked): (&Timeline, &Revocations),
    index: u64,
    bytes: &[u8],
) -> Result<OpenEntry, &'static str> {
    let open = open_entry(bytes).map_err(EntryError::reason)?;
    let key = keys.at(index).ok_or("UNKNOWN_KEY")?.record;
    verify_entry(&open, &key).map_err(EntryError::reason)?;
    let said = &open.statement;
    // What roots signed stands whoever carried it.
    let by_roots = matches!(said.body, Some(Body::Revoke(_) | Body::KeyRotate(_)));
    if !by_roots && !revoked.good(&key, &lane.origin, index + 1) {
        return Err("REVOKED_KEY");
    }
    if said.version != 1 || Ref::from_slice(&said.record_id).is_err() || said.body.is_none() {
        return Err("SCHEMA");
    }
    if said.recipient != exchange.own_node {
        return Err("WRONG_RECIPIENT");
    }
    if said.issuer != exchange.partner_node || said.log_origin != lane.origin {
        return Err("WRONG_ORIGIN");
    }
    Ok(open)
}

fn with_parts(
    core: &Core,
    exchange: &Exchange,
    in_force: Option<Digest>,
    open: OpenEntry,
    row: &EntryRow,
    stored: &[PartRow],
) -> Result<Result<Form, &'static str>, StoreError> {
    let said = in_force.filter(|digest| open.statement.agreement_digest == digest);
    let pack = said.and_then(|digest| exchange.version(&digest));
    let record = matches!(open.statement.body, Some(Body::Record(_)));
    if record && pack.is_none() {
        return Ok(Err("NOT_IN_FORCE"));
    }
    let commitments = match &open.statement.body {
        Some(Body::Record(record)) => record.commitments.len(),
        Some(Body::Outcome(outcome)) => outcome.commitments.len(),
        _ => 0,
    };
    let parts = read_parts(core, &open, row, stored, commitments)?;
    let statement = open.statement;
    let Some(pack) = pack.filter(|_| record) else {
        // Details are erasable: a decision stands without them.
        return Ok(Ok(Form { statement, parts: parts.unwrap_or_default() }));
    };
    let checked = parts.and_then(|parts| record_form(pack, &statement, &parts).map(|()| parts));
    Ok(checked.map(|parts| Form { statement, parts }))
}

/// The parts of an entry, all of them and of this very record.
fn read_parts(
    core: &Core,
    open: &OpenEntry,
    row: &EntryRow,
    stored: &[PartRow],
    commitments: usize,
) -> Result<Result<Vec<Part>, &'static str>, StoreError> {
    let mut parts = Vec::with_capacity(stored.len());
    for part in stored {
        if is_marker(part) {
            return Ok(Err(dropped(&part.sealed)));
        }
        let salted = from_rest(&core.sealer.vault, part.key_id, row.record_id, part.part as usize, &part.sealed)?;
        let Some(salted) = salted else { return Ok(Err("PART_MISSING")) };
        match Part::decode(salted.part.as_slice()) {
            Ok(part) if part.encode_to_vec() != salted.part => return Ok(Err("NON_CANONICAL")),
            Ok(part) if part.record_id != open.statement.record_id => return Ok(Err("SCHEMA")),
            Ok(part) => parts.push(part),
            Err(_) => return Ok(Err("SCHEMA")),
        }
    }
    Ok(if parts.len() == commitments { Ok(parts) } else { Err("PART_MISSING") })
}

/// A RECORD has at least one part; all are of one act on one subject, under the statement's own digest.
fn record_form(pack: &Pack, statement: &Statement, parts: &[Part]) -> Result<(), &'static str> {
    let lead = parts.first().ok_or("SCHEMA")?;
    let same = parts.iter().all(|p| {
        p.agreement_digest == statement.agreement_digest
            && p.subject_ref == lead.subject_ref
            && p.act_kind == lead.act_kind
            && p.placement_sequence == lead.placement_sequence
            && p.retention_class == pack.class_of(&p.message_name)
    });
    let act = pack.lifecycle().act_of_lead(&lead.message_name).ok_or("SCHEMA")?;
    let messages = parts.iter().map(|p| p.message_name.as_str());
    let complete = messages.eq(act.messages().iter().map(|m| m.as_ref()));
    let known = subject_of(&lead.subject_ref).is_some() && kind_of(lead).is_some();
    if same && complete && known { Ok(()) } else { Err("SCHEMA") }
}

/// Kind of act that a part declares.
pub(crate) fn kind_of(part: &Part) -> Option<Kind> {
    match part.act_kind() {
        ActKind::Transition => Some(Kind::Transition),
        ActKind::Proposal => Some(Kind::Proposal),
        ActKind::Fact => Some(Kind::Fact),
        ActKind::Notice => Some(Kind::Notice),
        ActKind::Unspecified => None,
    }
}

/// The reason that the mirror wrote in the place of a dropped part.
fn dropped(marker: &[u8]) -> &'static str {
    match marker {
        b"COMMITMENT_MISMATCH" => "COMMITMENT_MISMATCH",
        b"UNDISCLOSED" => "UNDISCLOSED",
        b"QUOTA" => "QUOTA",
        b"SCHEMA" => "SCHEMA",
        b"NON_CANONICAL" => "NON_CANONICAL",
        b"NOT_IN_FORCE" => "NOT_IN_FORCE",
        _ => "PART_MISSING",
    }
}
