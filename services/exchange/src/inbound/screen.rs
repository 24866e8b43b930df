//! Screening of parts before they are stored: each must fit its commitment, and none is stored that could not have been
//! disclosed whatever is decided meanwhile. What is dropped leaves its reason.

use convenio_agreement::act::Kind;
use convenio_agreement::lifecycle::{ActDef, Lifecycle, StageId, StateId};
use convenio_agreement::pack::Pack;
use convenio_agreement::view::World;
use convenio_model::Ref;
use convenio_seal::commitment::commit;
use convenio_store::{StoreError, Subject, ViewKind, Work};
use convenio_wire::exchange::v1::{
    EntryParts, OutcomeDetail, Part, RejectDetail, SaltedPart, Statement, statement::Body,
};
use convenio_wire::{MAX_PARTS, MAX_PARTS_COUNT};
use prost::Message;

use super::check::kind_of;
use super::decide::{CLASS, DETAIL};
use super::told;
use crate::core::Exchange;
use crate::version::Activations;
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
                Ok(part) if part.encode_to_vec() != salted.part => Screened::Drop("NON_CANONICAL"),
                Ok(part) if part.record_id != statement.record_id => Screened::Drop("SCHEMA"),
                Ok(part) if !fits_outcome(statement, &part) => Screened::Drop("SCHEMA"),
                Ok(part) => Screened::Keep { salted, class: part.retention_class.clone(), part: Box::new(part) },
                Err(_) => Screened::Drop("SCHEMA"),
            }
        })
        .collect()
}

/// Subject that the parts name: the leading one, or the first that is kept where that is missing, so that what is left of a
/// record is still held and kept as its subject's.
pub(crate) fn subject(parts: &[Screened]) -> Option<Subject> {
    let mut kept =
        parts.iter().filter_map(|part| if let Screened::Keep { part, .. } = part { Some(part) } else { None });
    kept.next().and_then(|part| subject_of(&part.subject_ref))
}

/// Subject of a name such as `placements/<uuid>`.
pub(crate) fn subject_of(name: &str) -> Option<Subject> {
    let (collection, id) = name.split_once('/')?;
    let kind = match collection {
        "placements" => ViewKind::Placement,
        "jobOrders" => ViewKind::Order,
        "agencies" => ViewKind::Agency,
        "crews" => ViewKind::Crew,
        _ => return None,
    };
    Some(Subject { kind, id: id.parse().ok()? })
}

/// Drops what no decision under way could disclose. `of` gives an entry's parts, its subject and whether it is a RECORD.
pub(super) async fn disclosure<T>(
    work: &mut Work,
    exchange: &Exchange,
    active: &Activations,
    mut arrived: Vec<T>,
    of: impl Fn(&mut T) -> (u64, &mut Vec<Screened>, Option<Subject>, bool),
) -> Result<Vec<T>, StoreError> {
    let mut placements = Vec::new();
    for entry in &mut arrived {
        if let (_, _, Some(Subject { kind: ViewKind::Placement, id }), _) = of(entry) {
            placements.push(id);
        }
    }
    let world = load_world(work, exchange, &placements, &[], &[]).await?;
    for entry in &mut arrived {
        let (index, parts, subject, is_record) = of(entry);
        if !is_record {
            continue;
        }
        let Some(pack) = active.at(index).and_then(|digest| exchange.version(&digest)) else {
            parts.iter_mut().for_each(|part| *part = Screened::Drop("NOT_IN_FORCE"));
            continue;
        };
        // Without a leading part that says what the record is about nothing has been disclosed.
        let (stage, act) = match (parts.first(), subject) {
            (Some(Screened::Keep { part: lead, .. }), Some(subject)) => {
                let act = pack.lifecycle().act_of_lead(&lead.message_name);
                (latest_stage(exchange, pack, &world, subject.id, lead), act)
            }
            _ => (StageId::FIRST, None),
        };
        for part in parts {
            let Screened::Keep { part: said, .. } = part else { continue };
            let of_act = act.is_none_or(|act| act.messages().iter().any(|m| **m == *said.message_name));
            let fits = if of_act { record_part(pack, said, stage) } else { Err("SCHEMA") };
            if let Err(reason) = fits {
                *part = Screened::Drop(reason);
            }
        }
    }
    Ok(arrived)
}

/// A part of a RECORD: nothing but what the agreement lets cross by `stage`, and a header in which nothing else hides; a
/// retention class of the partner's own making would also cost a data key each.
fn record_part(pack: &Pack, part: &Part, stage: StageId) -> Result<(), &'static str> {
    let header = subject_of(&part.subject_ref).is_some()
        && matches!(part.supersedes.len(), 0 | 16)
        && part.agreement_digest == pack.digest()
        && part.retention_class == pack.class_of(&part.message_name)
        && (part.known_state.is_empty() || pack.lifecycle().state(&part.known_state).is_some());
    if !header {
        return Err("SCHEMA");
    }
    let disclosed = pack.disclosed(&part.message_name, &part.message, stage);
    disclosed.map(drop).map_err(|error| error.code())
}

/// Whether a part is what an OUTCOME's must be, if that is its statement: a bare header, and of each rejection a gate and paths.
fn fits_outcome(statement: &Statement, part: &Part) -> bool {
    let Some(Body::Outcome(outcome)) = &statement.body else { return true };
    let header = Part {
        record_id: statement.record_id.clone(),
        agreement_digest: statement.agreement_digest.clone(),
        message_name: DETAIL.to_owned(),
        retention_class: CLASS.to_owned(),
        message: part.message.clone(),
        ..Part::default()
    };
    let Ok(detail) = OutcomeDetail::decode(part.message.as_slice()) else { return false };
    let told = |said: &RejectDetail| {
        let kept = told::detail(said.clone());
        (&kept.gate, &kept.clause, &kept.fact, &kept.field_paths)
            == (&said.gate, &said.clause, &said.fact, &said.field_paths)
    };
    let same = detail.rejects.iter().map(|said| said.index).eq(outcome.rejects.iter().map(|said| said.index));
    *part == header && detail.encode_to_vec() == part.message && same && detail.rejects.iter().all(told)
}

/// The latest stage at which an act could be judged: own undecided transitions and facts counted as accepted, whose OUTCOME
/// may stand in the same batch, and the issuer's own ones that may stand in the log before it.
fn latest_stage(exchange: &Exchange, pack: &Pack, world: &World, placement: Ref, lead: &Part) -> StageId {
    let engine = exchange.engine_of(pack);
    let lifecycle = pack.lifecycle();
    let issuer = exchange.me.other();
    let view = world.placement(placement);
    let pending = view.map(|view| view.pending.as_slice()).unwrap_or_default();
    let pending: Vec<_> = pending.iter().filter_map(|p| lifecycle.state(&p.to)).collect();
    let stages = pending.iter().map(|state| lifecycle.state_at(*state).stage);
    let facts = view.map(|view| view.facts.as_slice()).unwrap_or_default().iter();
    let stages = stages.chain(facts.filter_map(|fact| lifecycle.fact(&fact.name)?.stage));
    let reached = stages.chain(view.map(|view| engine.stage(view))).max().unwrap_or(StageId::FIRST);
    let own = match (lifecycle.act_of_lead(&lead.message_name), kind_of(lead)) {
        (Some(ActDef::Transition(act)), Some(Kind::Transition)) => {
            let now = view.and_then(|view| lifecycle.state(&view.state)).unwrap_or(lifecycle.first_crossing);
            let open = reachable(exchange, lifecycle, pending.into_iter().chain([now]).collect());
            let possible = |state: &StateId| open.contains(state) && lifecycle.governor(*state) == issuer;
            (act.by == issuer && act.from.iter().any(possible)).then(|| lifecycle.state_at(act.to).stage)
        }
        (Some(ActDef::Fact(fact)), Some(Kind::Fact)) if fact.by == issuer => fact.stage,
        _ => None,
    };
    own.map_or(reached, |own| own.max(reached))
}

/// These states and those to which the issuer alone may have moved on from them.
fn reachable(exchange: &Exchange, lifecycle: &Lifecycle, mut states: Vec<StateId>) -> Vec<StateId> {
    let issuer = exchange.me.other();
    let mut at = 0;
    while let Some(state) = states.get(at).copied() {
        at += 1;
        if lifecycle.governor(state) != issuer {
            continue;
        }
        for next in lifecycle.transitions.iter().filter(|t| t.by == issuer && t.from.contains(&state)) {
            if !states.contains(&next.to) {
                states.push(next.to);
            }
        }
    }
    states
}
