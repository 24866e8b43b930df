//! What must hold after every step, seen from outside: the watcher keeps every entry that ever stood in a log and folds
//! each side's logs by the small model, entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Role;
use convenio_log::{Frontier, leaf_hash};
use convenio_model::Ref;
use convenio_seal::manifest::ManifestKeys;
use convenio_store::{LogRow, Store};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Outcome, Position, SaltedPart};

use super::accord::Accord;
use super::model::{Act, Model};
use super::state::State;
use crate::ledger::Entry;
use crate::records;

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

    /// Own logs: they only grow, and each tree is that of all entries that ever stood in it.
    async fn read(&mut self, pack: &Pack, side: &State) -> Result<(), Violation> {
        let exchange = side.core().exchange(pack.id()).expect("a state has its agreements");
        let logs = side.store().logs().await.map_err(|e| e.to_string())?;
        for lane in exchange.own_lanes().iter() {
            let row = logs.iter().find(|l| l.id == lane.log).ok_or("a lane without a log")?;
            let start = self.own.len() as u64;
            let fresh = || Epoch { origin: lane.origin.clone(), start, frontier: Frontier::new() };
            let epoch = self.epochs.entry(lane.epoch).or_insert_with(fresh);
            let (start, begin) = (epoch.start, epoch.frontier.size());
            need(row.size >= begin, || format!("the own log went back from {begin} to {}", row.size))?;
            need(row.settled <= row.size, || "more is delivered than there is".to_owned())?;
            need(row.alarm.is_empty(), || format!("alarm {}", row.alarm))?;
            if row.size > begin {
                need(start + begin == self.own.len() as u64, || format!("epoch {} grew after its end", lane.epoch))?;
                for entry in side.books().entries(row, begin).await {
                    self.appended(pack, lane.epoch, entry)?;
                }
            }
            self.delivered = start + row.settled;
            self.same_head(side, row, lane.epoch).await?;
        }
        Ok(())
    }

    async fn same_head(&self, side: &State, row: &LogRow, epoch: u64) -> Result<(), Violation> {
        let frontier = &self.epochs[&epoch].frontier;
        let head = side.store().checkpoint_at_most(row.id, row.size).await.map_err(|e| e.to_string())?;
        let head = head.map(|head| (head.size, head.root));
        let tree = (frontier.size(), *frontier.root().as_bytes());
        need(tree.0 == 0 || head == Some(tree), || format!("the head is not that of the {} entries seen", tree.0))
    }

    fn appended(&mut self, pack: &Pack, epoch: u64, entry: Entry) -> Result<(), Violation> {
        self.epochs.get_mut(&epoch).expect("a known epoch").frontier.append(leaf_hash(&entry.bytes));
        let outcome = entry.outcome().cloned();
        let act = entry.decoded().and_then(|parts| Act::read(pack, entry.record_id(), &parts));
        let (act, parts) = self.memory.entry(entry.record_id()).or_insert((act, entry.parts.clone())).clone();
        let is_record = matches!(entry.statement.body, Some(Body::Record(_)) | None);
        if let Some(Body::Erase(order)) = &entry.statement.body {
            let record = Ref::from_slice(&order.record_id).map_err(|e| e.to_string())?;
            self.erased.insert((record, order.part));
        }
        need(!is_record || act.is_some(), || format!("entry {} is an act of nothing", entry.index))?;
        let mut entangles = None;
        if let Some(Body::PeerCheckpoint(said)) = &entry.statement.body {
            let note = convenio_log::SignedCheckpoint::parse(&said.note).map_err(|e| e.to_string())?;
            let (origin, size) = (note.checkpoint().origin(), note.checkpoint().size());
            let epoch = origin.rsplit_once('/').and_then(|(_, epoch)| epoch.parse().ok());
            entangles = Some(Position { epoch: epoch.ok_or("an origin without an epoch")?, size });
        }
        let rotates = match &entry.statement.body {
            Some(Body::KeyRotate(said)) => ManifestKeys::parse(&said.key_manifest).ok().map(|keys| keys.version),
            _ => None,
        };
        self.records += u64::from(is_record);
        self.own.push(Seen {
            rotates,
            record: entry.record_id(),
            peer: entry.statement.peer.unwrap_or_default(),
            is_record,
            act: act.filter(|_| is_record),
            outcome,
            entangles,
            parts,
            bytes: entry.bytes,
        });
        Ok(())
    }

    /// Each mirror is a prefix of its original, and nothing is in it that may never cross.
    async fn mirror(&mut self, pack: &Pack, side: &State, other: &End) -> Result<(), Violation> {
        let exchange = side.core().exchange(pack.id()).expect("a state has its agreements");
        let logs = side.store().logs().await.map_err(|e| e.to_string())?;
        let (mut whole, mut mirrored) = (true, 0);
        for lane in exchange.peer_lanes().iter() {
            let row = logs.iter().find(|l| l.id == lane.log).ok_or("a lane without a log")?;
            let Some(epoch) = other.epochs.get(&lane.epoch) else {
                need(row.size == 0, || "the mirror holds an epoch that was never opened".to_owned())?;
                continue;
            };
            let (start, end) = (epoch.start, epoch.start + row.size);
            need(row.size <= epoch.frontier.size(), || "the mirror holds what was never issued".to_owned())?;
            need(row.settled <= row.size, || "more is judged than is mirrored".to_owned())?;
            need(row.cosigned_size <= row.size, || "more is cosigned than is mirrored".to_owned())?;
            if row.size > 0 {
                (mirrored, self.cosigned) = (end, start + row.cosigned_size);
            }
            if whole && (row.settled > 0 || lane.epoch == 1) {
                self.judged = start + row.settled;
            }
            whole &= row.settled == row.size;
            if end > self.compared {
                let begin = self.compared.max(start) - start;
                for entry in &side.books().entries(row, begin).await {
                    if !same(pack, entry, &other.own[at(start + entry.index)], &other.erased)? {
                        self.incomplete.insert(start + entry.index);
                    }
                }
                self.compared = end;
            }
        }
        need(mirrored >= self.mirrored, || format!("the mirror went back from {} to {mirrored}", self.mirrored))?;
        self.mirrored = mirrored;
        Ok(())
    }

    /// Own entries in order, each after the other side's entries below its peer position.
    fn fold(&mut self, other: &End) -> Result<(), Violation> {
        for index in self.folded.0..self.own.len() {
            if let Some(outcome) = self.own[index].outcome.clone() {
                self.decides(&outcome, other).map_err(|what| format!("own entry {index}: {what}"))?;
            }
            if let Some(Position { epoch, size }) = self.own[index].entangles {
                let size = other.number(epoch, size);
                need(size > self.entangled, || format!("PEER_CHECKPOINT {size} after {}", self.entangled))?;
                need(size <= self.mirrored, || "a PEER_CHECKPOINT of more than is mirrored".to_owned())?;
                self.entangled = size;
            }
        }
        while self.folded.0 < self.own.len() {
            let index = self.folded.0;
            let (peer, act) = (self.own[index].peer, self.own[index].act.clone());
            let peer = other.number(peer.epoch, peer.size);
            need(peer >= self.folded.1, || format!("own entry {index}: its peer position goes back to {peer}"))?;
            self.absorb_to(peer, other)?;
            if let Some(act) = act {
                self.issued(&act).map_err(|what| format!("own entry {index}: {} {what}", act.name))?;
            }
            self.folded.0 += 1;
        }
        self.absorb_to(self.judged, other)
    }

    /// An act must be one that the rules left open to its issuer by what it knew.
    fn issued(&mut self, act: &Act) -> Result<(), Violation> {
        if act.kind != convenio_agreement::act::Kind::Notice {
            let open = self.model.gate(&act.name, act.subject, &act.said);
            let said = super::model::Open { kind: act.kind, number: act.number, known: act.known.clone() };
            need(open.as_ref() == Ok(&said), || format!("says {said:?} and the rules say {open:?}"))?;
        }
        self.model.issue(act);
        Ok(())
    }

    /// One outcome for each RECORD, in order, about what is mirrored.
    fn decides(&mut self, outcome: &Outcome, other: &End) -> Result<(), Violation> {
        let (begin, end) = (other.number(outcome.epoch, outcome.begin), other.number(outcome.epoch, outcome.end));
        need(end <= self.judged, || "decides what is not judged".to_owned())?;
        for index in begin..end {
            if !other.own.get(at(index)).is_some_and(|e| e.is_record) {
                continue;
            }
            let reason = outcome.rejects.iter().find(|r| other.number(outcome.epoch, r.index) == index);
            let earlier = self.decided.insert(index, reason.map(|r| r.reason.clone()));
            need(earlier.is_none(), || format!("entry {index} is decided twice"))?;
        }
        Ok(())
    }

    fn absorb_to(&mut self, end: u64, other: &End) -> Result<(), Violation> {
        while self.folded.1 < end {
            let index = self.folded.1;
            let entry = other.own.get(at(index)).ok_or("a peer position past the other log")?;
            if let Some(outcome) = &entry.outcome {
                self.resolved(outcome);
            }
            if let Some(act) = &entry.act {
                self.judge(index, act).map_err(|what| format!("mirrored entry {index}: {} {what}", act.name))?;
            }
            self.folded.1 += 1;
        }
        Ok(())
    }

    fn resolved(&mut self, outcome: &Outcome) {
        for index in outcome.begin..outcome.end {
            let Some(entry) = self.own.get(at(self.number(outcome.epoch, index))) else { continue };
            if let Some(act) = &entry.act {
                let accepted = !outcome.rejects.iter().any(|r| r.index == index);
                self.model.resolve(act.subject, entry.record, accepted);
            }
        }
    }

    fn judge(&mut self, index: u64, act: &Act) -> Result<(), Violation> {
        let Some(decision) = self.decided.get(&index) else { return Err("was judged without a decision".to_owned()) };
        if decision.as_deref() == Some("PART_MISSING") {
            return need(self.incomplete.contains(&index), || "was said to lack a part that came".to_owned());
        }
        let verdict = self.model.verdict(act);
        let same = decision.as_deref() == verdict.err();
        need(same, || format!("was decided {decision:?} and the rules say {verdict:?}"))?;
        if verdict.is_ok() {
            self.model.accept(act);
        }
        Ok(())
    }
}

/// A mirrored entry is the original, parts included unless they were erased; false if one was.
fn same(pack: &Pack, entry: &Entry, original: &Seen, erased: &BTreeSet<(Ref, u32)>) -> Result<bool, Violation> {
    need(entry.bytes == original.bytes, || format!("entry {} differs in the mirror", entry.index))?;
    need(entry.parts.len() == original.parts.len(), || format!("parts of {} are missing", entry.index))?;
    let mut whole = true;
    for (number, (part, said)) in (0u32..).zip(entry.parts.iter().zip(&original.parts)) {
        let gone = part.is_none() && erased.contains(&(original.record, number));
        need(gone || part == said, || format!("part {number} of {} differs in the mirror", entry.index))?;
        whole &= !gone;
        part.iter().try_for_each(|part| disclosed(pack, part))?;
    }
    Ok(whole)
}

/// Nothing that never crosses has crossed, and names and documents are where they may be.
fn disclosed(pack: &Pack, part: &SaltedPart) -> Result<(), Violation> {
    let holds = |word: &str| part.part.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    let said = |message: &str| holds(&format!("{}.{message}", pack.config().package));
    need(!holds(records::NEVER) && !holds(records::TAX_ID), || "what never crosses has crossed".to_owned())?;
    need(!holds(records::FAMILY_NAME) || said("CandidateName"), || "a name crossed elsewhere".to_owned())?;
    need(!holds(records::DOCUMENT) || said("CandidateDocument"), || "a document crossed elsewhere".to_owned())
}

pub(super) fn at(index: u64) -> usize {
    usize::try_from(index).expect("a run is short")
}
