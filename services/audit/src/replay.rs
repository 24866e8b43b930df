//! Replay: both logs folded again, once for each side, as its node saw them. What a node believed was never exported; it
//! follows from the logs alone (the model's `fold`).
//!
//! A side applies its own entries in order, each after those entries of its partner that lie below the entry's `peer`
//! position; the partner's RECORDs count once an OUTCOME of this side accepts them, its own once one of the partner does.

mod act;
mod cursor;
mod shared;
mod side;

use convenio_agreement::Pack;
use convenio_agreement::act::Kind;
use convenio_agreement::engine::{Discrepancy, Engine};
use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::{PlacementView, World};
use convenio_model::{RecordId, Ref};

use crate::history::{EntryRecord, Place, ReplayedRecord, TimeBounds};
use crate::verify::{Checked, CheckedLog};

pub use act::{ActOutcome, ReplayedAct};
pub use side::{Demand, Divergence, Side};

/// One agreement between two parties, replayed.
pub struct Replay {
    /// The agreement in force at the end of the logs.
    pub pack: Pack,
    /// The origin's side.
    pub origin: Side,
    /// The destination's side.
    pub destination: Side,
}

impl Replay {
    /// A side by its role.
    #[must_use]
    pub fn side(&self, role: Role) -> &Side {
        match role {
            Role::Origin => &self.origin,
            Role::Destination => &self.destination,
        }
    }

    /// Both sides, the origin first.
    pub fn sides(&self) -> impl Iterator<Item = &Side> {
        [&self.origin, &self.destination].into_iter()
    }

    /// The world as the origin knows it.
    #[must_use]
    pub fn origin_world(&self) -> &World {
        &self.origin.world
    }

    /// Log (as `<origin>`) and index of a record.
    #[must_use]
    pub fn place(&self, record: RecordId) -> Option<(String, u64)> {
        self.sides().find_map(|side| Some((side.log.clone(), side.index_of(record)?)))
    }

    /// An act of a side with what the interim form of a replay can tell.
    pub(crate) fn record(&self, side: &Side, act: &ReplayedAct) -> ReplayedRecord {
        let judge = self.side(side.role.other());
        let divergence = judge.divergences.iter().find(|divergence| divergence.index == act.index);
        ReplayedRecord {
            issuer: side.role,
            place: Place::new(&side.log, act.index),
            act: act.clone(),
            kind: Kind::Local,
            time_ms: 0,
            event_time_ms: 0,
            historical: false,
            number: 0,
            known_state: String::new(),
            supersedes: None,
            digest: self.pack.digest(),
            content: Vec::new(),
            missing: 0,
            decided: None,
            divergence: divergence.cloned(),
        }
    }

    pub(crate) fn discrepancies(&self, role: Role, view: &PlacementView) -> Vec<Discrepancy> {
        Engine::new(&self.pack, role).discrepancies(view)
    }

    /// Placements on which the sides disagree, with what differs. Those with an undecided act are left out: there each
    /// side rightly knows something that the other does not.
    #[must_use]
    pub fn disagreements(&self) -> Vec<(Ref, String)> {
        shared::disagreements(self)
    }
}

/// A log with the bundles from which its parts are read.
#[derive(Clone, Copy)]
pub(crate) struct Source<'c> {
    pub(crate) log: &'c CheckedLog,
    pub(crate) bundle: &'c Checked,
    /// Holds parts that the first may lack.
    pub(crate) other: Option<&'c Checked>,
    /// Entries to be replayed.
    pub(crate) limit: u64,
}

/// Replays every agreement whose two logs the bundle holds. With a second bundle, only what both hold of each log.
pub(crate) fn run(checked: &Checked, other: Option<&Checked>) -> Vec<Replay> {
    let mut replays = Vec::new();
    for log in &checked.logs {
        let Some((pack, role)) = role_of(checked, log) else { continue };
        let lines: Vec<_> = checked.logs.iter().map(|log| log.line().clone()).collect();
        let partner = crate::keys::partner_of(&lines, &log.line()).map(|at| &checked.logs[at]);
        let (Role::Origin, Some(partner)) = (role, partner) else { continue };
        let own = source(checked, other, log);
        let peer = source(checked, other, partner);
        let (origin, destination) = std::thread::scope(|scope| {
            let destination = scope.spawn(|| side::fold(pack, Role::Destination, peer, own));
            let origin = side::fold(pack, Role::Origin, own, peer);
            (origin, destination.join().expect("a replay does not panic"))
        });
        replays.push(Replay { pack: pack.clone(), origin, destination });
    }
    replays
}

fn source<'c>(checked: &'c Checked, other: Option<&'c Checked>, log: &'c CheckedLog) -> Source<'c> {
    let same = other.and_then(|other| other.logs.iter().find(|own| own.line().name == log.line().name));
    let limit = same.map_or(log.line().size, |same| same.line().size.min(log.line().size));
    Source { log, bundle: checked, other, limit }
}

/// The agreement that a log last activated, and the role of its issuer.
fn role_of<'c>(checked: &'c Checked, log: &CheckedLog) -> Option<(&'c Pack, Role)> {
    let (_, digest) = log.activations.last()?;
    let pack = checked.packs.get(digest)?;
    let party = &log.opening.keys.party;
    Some((pack, pack.role_of(party)?))
}

/// One entry; its parts from either bundle.
pub(crate) fn entry(first: &Checked, second: Option<&Checked>, origin: &str, index: u64) -> Option<EntryRecord> {
    let of = |checked: &&Checked| checked.logs.iter().any(|log| log.line().name == origin && index < log.line().size);
    let holder = [Some(first), second].into_iter().flatten().find(of)?;
    let log = holder.logs.iter().find(|log| log.line().name == origin)?;
    let (bytes, statement, parts) = cursor::one(source(holder, second, log), index)?;
    let place = Place::new(origin, index);
    let key_version = log.key_version(index);
    Some(EntryRecord { place, bytes, statement, parts, key_version, time: TimeBounds::default() })
}
