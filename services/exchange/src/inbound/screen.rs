//! Screening of parts before they are stored: each must fit its commitment, and none is stored that could not have been
//! disclosed whatever is decided meanwhile. What is dropped leaves its reason.

use convenio_agreement::act::Kind;
use convenio_agreement::lifecycle::{ActDef, StageId};
use convenio_agreement::view::World;
use convenio_model::Ref;
use convenio_seal::commitment::commit;
use convenio_store::{StoreError, Subject, ViewKind, Work};
use convenio_wire::exchange::v1::{EntryParts, Part, SaltedPart, Statement, statement::Body};
use convenio_wire::{MAX_PARTS, MAX_PARTS_COUNT};
use prost::Message;

use crate::core::Exchange;
use crate::world::load_world;

/// A part that arrived.
pub(crate) enum Screened {
    /// To be stored.
    Keep {
        /// With its salt.
        salted: SaltedPart,
        /// Decoded.
        part: Box<Part>,
        /// Retention class.
        class: String,
    },
    /// Dropped, and why.
    Drop(&'static str),
}

/// Checks the parts of one entry against its commitments.
pub(crate) fn commitments(statement: &Statement, parts: Option<EntryParts>) -> Vec<Screened> {
    let commitments = match &statement.body {
        Some(Body::Record(record)) => record.commitments.as_slice(),
        Some(Body::Outcome(outcome)) => outcome.commitments.as_slice(),
        _ => &[],
    };
    let mut parts = parts.unwrap_or_default().parts.into_iter();
    let mut total = 0;
    commitments
        .iter()
        .take(MAX_PARTS_COUNT)
        .map(|commitment| {
            let Some(salted) = parts.next().filter(|p| !p.part.is_empty()) else {
                return Screened::Drop("PART_MISSING");
            };
            total += salted.part.len();
            if total > MAX_PARTS {
                return Screened::Drop("QUOTA");
            }
            let salt: Result<[u8; 32], _> = salted.salt.as_slice().try_into();
            if !salt.is_ok_and(|salt| commit(&salt, &salted.part).as_slice() == commitment) {
                return Screened::Drop("COMMITMENT_MISMATCH");
            }
            match Part::decode(salted.part.as_slice()) {
                Ok(part) => Screened::Keep { salted, class: part.retention_class.clone(), part: Box::new(part) },
                Err(_) => Screened::Drop("SCHEMA"),
            }
        })
        .collect()
}

/// Subject that the leading part names.
pub(crate) fn subject(parts: &[Screened]) -> Option<Subject> {
    let Some(Screened::Keep { part, .. }) = parts.first() else { return None };
    subject_of(&part.subject_ref)
}

/// Subject of a name such as `placements/<uuid>`.
pub(crate) fn subject_of(name: &str) -> Option<Subject> {
    let (collection, id) = name.split_once('/')?;
    let kind = match collection {
        "placements" => ViewKind::Placement,
        "jobOrders" => ViewKind::Order,
        "agencies" => ViewKind::Agency,
        _ => return None,
    };
    Some(Subject { kind, id: id.parse().ok()? })
}

/// Drops what no decision under way could disclose.
pub(super) async fn disclosure<T>(
    work: &mut Work,
    exchange: &Exchange,
    mut arrived: Vec<T>,
    parts_of: impl Fn(&mut T) -> (&mut Vec<Screened>, Option<Subject>),
) -> Result<Vec<T>, StoreError> {
    let mut placements = Vec::new();
    for entry in &mut arrived {
        if let (_, Some(Subject { kind: ViewKind::Placement, id })) = parts_of(entry) {
            placements.push(id);
        }
    }
    let world = load_world(work, exchange, &placements, &[], &[]).await?;
    for entry in &mut arrived {
        let (parts, subject) = parts_of(entry);
        let Some(Screened::Keep { part: lead, .. }) = parts.first() else { continue };
        let Some(subject) = subject else { continue };
        let stage = latest_stage(exchange, &world, subject.id, &lead.message_name);
        for part in parts {
            let early = match part {
                Screened::Keep { part, .. } => {
                    exchange.pack.message(&part.message_name).is_some()
                        && !exchange.pack.discloses(&part.message_name, &part.message, stage)
                }
                Screened::Drop(_) => false,
            };
            if early {
                *part = Screened::Drop("UNDISCLOSED");
            }
        }
    }
    Ok(arrived)
}

/// The latest stage at which an act could be judged, own undecided transitions counted as accepted.
fn latest_stage(exchange: &Exchange, world: &World, placement: Ref, lead: &str) -> StageId {
    let engine = exchange.engine();
    let lifecycle = exchange.pack.lifecycle();
    let (act, kind) = match lifecycle.act_of_lead(lead) {
        Some(ActDef::Transition(transition)) => (transition.name.as_str(), Kind::Transition),
        Some(ActDef::Fact(fact)) => (fact.name.as_str(), Kind::Fact),
        Some(ActDef::Notice(notice)) => (notice.name.as_str(), Kind::Notice),
        None => return StageId::FIRST,
    };
    let judged = engine.stage_of(world, placement, act, kind);
    let pending = world.placement(placement).map(|view| view.pending.as_slice()).unwrap_or_default();
    let pending = pending.iter().filter_map(|p| lifecycle.state(&p.to)).map(|s| lifecycle.state_at(s).stage);
    pending.chain([judged]).max().unwrap_or(StageId::FIRST)
}
