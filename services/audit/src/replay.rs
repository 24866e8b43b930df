//! Replay: both logs folded again, once for each side, as its node saw them. What a node believed was never exported; it
//! follows from the logs alone (the model's `fold`).
//!
//! A side applies its own entries in order, each after those entries of its partner that lie below the entry's `peer`
//! position; the partner's RECORDs count once an OUTCOME of this side accepts them, its own once one of the partner does.
//! A record is judged by the agreement version under which it was issued and by what its issuer, or its judge, knew.
//!
//! Three passes keep memory bounded. The logs are read once and their RECORDs spooled by subject. Each subject is folded
//! alone for what others depend on: seats, and the notices of orders and agencies. Then each is folded again and judged
//! beside these. Decisions stand in the logs, so no verdict of a replay changes what it folds.

mod act;
mod chain;
mod cursor;
mod fold;
mod gather;
mod passes;
mod shared;
mod spool;
mod timeline;

use convenio_agreement::lifecycle::Role;

use crate::history::{At, EntryRecord, Exchange, Place, ReplaySummary, TimeBounds, Visit};
use crate::problem::Unusable;
use crate::verify::{Checked, CheckedLog, chains};

pub use act::{ActOutcome, ReplayedAct};
pub use timeline::Demand;

/// A decision of one side that the rules do not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// Index in the partner's log.
    pub index: u64,
    /// Subject.
    pub subject: String,
    /// What was decided: `ACCEPTED` or the reason.
    pub decided: String,
    /// What the rules say.
    pub replayed: String,
}

/// The exchanges whose logs in both directions a bundle holds.
pub(crate) fn exchanges(checked: &Checked) -> Vec<Exchange> {
    let all = chains(&checked.logs);
    let name = |at: &usize| checked.logs[*at].line().name.clone();
    let mut found = Vec::new();
    for own in &all {
        let first = &checked.logs[own[0]];
        let reverse = |other: &&Vec<usize>| {
            let (a, b) = (&first.line().origin, &checked.logs[other[0]].line().origin);
            a.agreement == b.agreement && a.issuer == b.recipient && a.recipient == b.issuer
        };
        let active = own.iter().rev().find_map(|at| checked.logs[*at].activations.last());
        let pack = active.and_then(|(_, digest)| checked.packs.get(digest));
        let Some(pack) = pack.and_then(|pack| pack.corridor(&first.line().origin.agreement)) else { continue };
        let role = pack.role_of(&first.opening.keys.party);
        if let (Some(Role::Origin), Some(peer)) = (role, all.iter().find(reverse)) {
            found.push(Exchange {
                pack,
                origin_logs: own.iter().map(name).collect(),
                destination_logs: peer.iter().map(name).collect(),
            });
        }
    }
    found
}

/// Replays one exchange of bundles that hold.
pub(crate) fn run(
    checked: &Checked,
    other: Option<&Checked>,
    exchange: &Exchange,
    at: &At,
    options: &crate::audit::Options,
    visit: &mut dyn Visit,
) -> Result<ReplaySummary, Unusable> {
    let place = |name: &String| checked.logs.iter().position(|log| log.line().name == *name);
    let places = |names: &[String]| names.iter().filter_map(place).collect::<Vec<usize>>();
    let logs = [places(&exchange.origin_logs), places(&exchange.destination_logs)];
    let work = crate::verify::store::scratch(options)?;
    passes::run(checked, other, exchange, &logs, at, options, &work, visit)
        .map_err(|source| Unusable::Io { path: work.path(""), source })
}

/// One entry; its parts from either bundle.
pub(crate) fn entry(first: &Checked, second: Option<&Checked>, origin: &str, index: u64) -> Option<EntryRecord> {
    let of = |checked: &&Checked| checked.logs.iter().any(|log| log.line().name == origin && index < log.line().size);
    let holder = [Some(first), second].into_iter().flatten().find(of)?;
    let other = if std::ptr::eq(holder, first) { second } else { Some(first) };
    let log = holder.logs.iter().find(|log| log.line().name == origin)?;
    let (bytes, statement, parts) = cursor::one(holder, other, log, index)?;
    let place = Place::new(origin, index);
    let key_version = log.key_version(index);
    Some(EntryRecord { place, bytes, statement, parts, key_version, time: bounds(log, index) })
}

/// Between which cosignatures an entry came to be.
fn bounds(log: &CheckedLog, index: u64) -> TimeBounds {
    let heads = || log.heads.iter().filter(|head| head.mirror);
    TimeBounds {
        not_before: heads().filter(|head| head.size <= index).map(|head| head.time).max(),
        not_after: heads().filter(|head| head.size > index).map(|head| head.time).min(),
    }
}
