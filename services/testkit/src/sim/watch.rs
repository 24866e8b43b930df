//! What must hold after every step, seen from outside: the watcher keeps every entry that ever stood in a log and folds
//! each side's logs by the small model, entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Role;
use convenio_log::{Frontier, leaf_hash};
use convenio_model::Ref;
use convenio_wire::exchange::v1::{Outcome, Position, SaltedPart};

use super::accord::Accord;
use super::model::{Act, Model};
use super::state::State;

mod fold;
mod logs;

/// Links with their two ends: the origin's, the destination's.
pub struct Watch {
    /// Links.
    pub links: Vec<[End; 2]>,
}

/// One side of a link. Entries and positions are numbered through all epochs.
pub struct End {
    /// Every entry of its own logs.
    pub own: Vec<Seen>,
    /// RECORDs among them.
    pub records: u64,
    /// What it knows.
    pub model: Model,
    pack: Arc<Pack>,
    role: Role,
    /// How many own entries the other side cosigned.
    pub delivered: u64,
    /// How much of the other side's logs it holds.
    pub mirrored: u64,
    /// How much of that it cosigned.
    pub cosigned: u64,
    /// How much of that it judged.
    pub judged: u64,
    /// Where each epoch of its own logs begins, with its origin and tree.
    epochs: BTreeMap<u64, Epoch>,
    decided: BTreeMap<u64, Option<String>>,
    /// Parts whose erasure it ordered.
    erased: BTreeSet<(Ref, u32)>,
    /// Mirrored entries that came with an erased part.
    incomplete: BTreeSet<u64>,
    entangled: u64,
    folded: (usize, u64),
    compared: u64,
    /// Own acts with their parts, whatever was erased or lost since.
    memory: BTreeMap<Ref, (Option<Act>, Vec<Option<SaltedPart>>)>,
}

/// An own log of one epoch.
struct Epoch {
    origin: String,
    start: u64,
    frontier: Frontier,
}

/// An entry, as its issuer made it.
pub struct Seen {
    bytes: Vec<u8>,
    parts: Vec<Option<SaltedPart>>,
    record: Ref,
    is_record: bool,
    peer: Position,
    act: Option<Act>,
    outcome: Option<Outcome>,
    /// Version of the keys that it names.
    rotates: Option<u64>,
    /// True where its own party suspends, false where that withdraws.
    suspends: Option<bool>,
    /// Epoch and size of the checkpoint that it entangles.
    entangles: Option<Position>,
}

/// What does not hold.
pub type Violation = String;

pub(super) fn need(holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Watch {
    /// Nothing is there yet.
    #[must_use]
    pub fn new(accord: &Accord) -> Self {
        let ends = |pack: &Arc<Pack>| [Role::Origin, Role::Destination].map(|role| End::new(pack, role));
        Self { links: accord.links.iter().map(|(pack, ..)| ends(pack)).collect() }
    }

    /// Looks at all logs, and at the views of the states that did something.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn look(&mut self, accord: &Accord, states: &[State], touched: &[usize]) -> Result<(), Violation> {
        for (at, ends) in self.links.iter_mut().enumerate() {
            let (pack, from, to) = &accord.links[at];
            let sides = [&states[*from], &states[*to]];
            for (end, side) in ends.iter_mut().zip(sides) {
                end.read(pack, side).await.map_err(|what| told(accord, side, &what))?;
            }
            let [origin, destination] = ends;
            let done = both(pack, origin, destination, sides[0], sides[1]).await;
            done.map_err(|what| told(accord, sides[0], &what))?;
            for (end, side) in ends.iter().zip(sides).filter(|(_, side)| touched.contains(&side.at)) {
                end.believed(pack, side).await.map_err(|what| told(accord, side, &what))?;
            }
        }
        Ok(())
    }
}

impl Watch {
    /// A side lost its disk: what it has now is looked at from the beginning, and the other's copy of it too.
    pub fn lost(&mut self, link: usize, origin: bool) {
        let ends = &mut self.links[link];
        let (own, other) = if origin { (0, 1) } else { (1, 0) };
        ends[own] = ends[own].forgotten();
        ends[other].compared = 0;
    }
}

fn told(accord: &Accord, side: &State, what: &str) -> Violation {
    format!("{}: {what}", accord.parties[side.at].party)
}

/// Mirrors and folds of both ends.
async fn both(pack: &Pack, a: &mut End, b: &mut End, at_a: &State, at_b: &State) -> Result<(), Violation> {
    a.mirror(pack, at_a, b).await?;
    b.mirror(pack, at_b, a).await?;
    need(a.delivered <= b.cosigned, || "takes for delivered what the other side did not cosign".to_owned())?;
    need(b.delivered <= a.cosigned, || "the other side takes for delivered what is not cosigned".to_owned())?;
    a.fold(b)?;
    b.fold(a).map_err(|what| format!("the other side: {what}"))
}

impl End {
    fn new(pack: &Arc<Pack>, role: Role) -> Self {
        Self {
            own: Vec::new(),
            records: 0,
            model: Model::new(pack.clone(), role),
            pack: pack.clone(),
            role,
            delivered: 0,
            mirrored: 0,
            cosigned: 0,
            judged: 0,
            epochs: BTreeMap::new(),
            decided: BTreeMap::new(),
            erased: BTreeSet::new(),
            incomplete: BTreeSet::new(),
            entangled: 0,
            folded: (0, 0),
            compared: 0,
            memory: BTreeMap::new(),
        }
    }

    /// The same side, whose logs are to be looked at from their beginning.
    fn forgotten(&mut self) -> Self {
        Self { memory: std::mem::take(&mut self.memory), ..Self::new(&self.pack, self.role) }
    }

    /// What must survive of the first `size` own entries, wherever a copy of them does.
    pub fn lasting(&self, size: u64) -> impl Iterator<Item = Ref> + '_ {
        let lasts = |entry: &&Seen| entry.is_record || entry.outcome.is_some();
        self.own[..at(size)].iter().filter(lasts).map(|entry| entry.record)
    }

    /// Where the keys of a version begin in the own log of the last epoch: its origin, the size before them, the root there.
    #[must_use]
    pub fn rotated(&self, version: u64) -> Option<(String, u64, convenio_log::Hash)> {
        let epoch = self.epochs.values().next_back()?;
        let mut frontier = Frontier::new();
        for entry in &self.own[at(epoch.start)..] {
            if entry.rotates == Some(version) {
                return Some((epoch.origin.clone(), frontier.size(), frontier.root()));
            }
            frontier.append(leaf_hash(&entry.bytes));
        }
        None
    }

    /// Origin and head of the own log of the last epoch.
    #[must_use]
    pub fn head(&self) -> (String, u64, convenio_log::Hash) {
        let last = self.epochs.values().next_back().expect("a state has its first epoch");
        (last.origin.clone(), last.frontier.size(), last.frontier.root())
    }

    /// Counts what this side decided, and what its placements came to.
    pub fn tally(&self, pack: &Pack, tally: &mut BTreeMap<String, u64>) {
        let mut count = |what: String| *tally.entry(what).or_default() += 1;
        for decision in self.decided.values() {
            count(decision.as_ref().map_or_else(|| "accepted".to_owned(), |reason| format!("rejected {reason}")));
        }
        for placement in self.model.placements.values() {
            count(format!("placement {}", pack.lifecycle().state_name(placement.state)));
            self.model.discrepancies(placement).into_iter().for_each(|(kind, _)| count(kind.to_owned()));
        }
    }

    /// A position of this side's logs, numbered through.
    fn number(&self, epoch: u64, index: u64) -> u64 {
        self.epochs.get(&epoch).map_or(0, |epoch| epoch.start) + index
    }
}

pub(super) fn at(index: u64) -> usize {
    usize::try_from(index).expect("a run is short")
}
