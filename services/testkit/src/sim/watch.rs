//! What must hold after every step, seen from outside: the watcher keeps every entry that ever stood in a log and folds
//! each side's logs by the small model, entry by entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Role;
use convenio_log::{Frontier, leaf_hash};
use convenio_model::Ref;
use convenio_store::{LogRow, Store};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Outcome, SaltedPart};

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

/// One side of a link.
pub struct End {
    /// Every entry of its own log.
    pub own: Vec<Seen>,
    /// RECORDs among them.
    pub records: u64,
    /// How much of the other log it holds.
    pub mirrored: u64,
    /// What it knows.
    pub model: Model,
    /// Own log.
    pub row: LogRow,
    /// The mirror.
    pub mirror: LogRow,
    frontier: Frontier,
    decided: BTreeMap<u64, Option<String>>,
    entangled: u64,
    folded: (usize, u64),
}

/// An entry, as its issuer made it.
pub struct Seen {
    bytes: Vec<u8>,
    parts: Vec<Option<SaltedPart>>,
    record: Ref,
    is_record: bool,
    peer: u64,
    act: Option<Act>,
    outcome: Option<Outcome>,
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

fn told(accord: &Accord, side: &State, what: &str) -> Violation {
    format!("{}: {what}", accord.parties[side.at].party)
}

/// Mirrors and folds of both ends.
async fn both(pack: &Pack, a: &mut End, b: &mut End, at_a: &State, at_b: &State) -> Result<(), Violation> {
    a.mirror(pack, at_a, &b.own).await?;
    b.mirror(pack, at_b, &a.own).await?;
    need(a.row.settled <= b.mirror.cosigned_size, || "delivered means cosigned by the other side".to_owned())?;
    need(b.row.settled <= a.mirror.cosigned_size, || "the other side takes for delivered what is not".to_owned())?;
    a.fold(&b.own)?;
    b.fold(&a.own).map_err(|what| format!("the other side: {what}"))
}

impl End {
    fn new(pack: &Arc<Pack>, role: Role) -> Self {
        Self {
            own: Vec::new(),
            records: 0,
            mirrored: 0,
            model: Model::new(pack.clone(), role),
            row: no_log(),
            mirror: no_log(),
            frontier: Frontier::new(),
            decided: BTreeMap::new(),
            entangled: 0,
            folded: (0, 0),
        }
    }

    /// Origin and head of the own log.
    #[must_use]
    pub fn head(&self) -> (String, u64, convenio_log::Hash) {
        (self.row.origin.clone(), self.frontier.size(), self.frontier.root())
    }

    /// Own log: it only grows, and its tree is that of all entries that ever stood in it.
    async fn read(&mut self, pack: &Pack, side: &State) -> Result<(), Violation> {
        let exchange = side.core().exchange(pack.id()).expect("a state has its agreements");
        let logs = side.store().logs().await.map_err(|e| e.to_string())?;
        let row = |id| logs.iter().find(|l| l.id == id).cloned().unwrap_or_else(no_log);
        (self.row, self.mirror) = (row(exchange.own().log), row(exchange.peer().log));
        let begin = self.own.len() as u64;
        need(self.row.size >= begin, || format!("the own log went back from {begin} to {}", self.row.size))?;
        need(self.row.settled <= self.row.size, || "more is delivered than there is".to_owned())?;
        need(self.row.alarm.is_empty(), || format!("alarm {}", self.row.alarm))?;
        if self.row.size > begin {
            for entry in side.books().entries(&self.row, begin).await {
                self.appended(pack, entry)?;
            }
        }
        let head = side.store().checkpoint_at_most(self.row.id, self.row.size).await.map_err(|e| e.to_string())?;
        let head = head.map(|head| (head.size, head.root));
        let tree = (self.frontier.size(), *self.frontier.root().as_bytes());
        need(tree.0 == 0 || head == Some(tree), || format!("the head is not that of the {} entries seen", tree.0))
    }

    fn appended(&mut self, pack: &Pack, entry: Entry) -> Result<(), Violation> {
        self.frontier.append(leaf_hash(&entry.bytes));
        let outcome = entry.outcome().cloned();
        let act = entry.decoded().and_then(|parts| Act::read(pack, entry.record_id(), &parts));
        let is_record = entry.is_record();
        need(!is_record || act.is_some(), || format!("entry {} is an act of nothing", entry.index))?;
        if let Some(Body::PeerCheckpoint(said)) = &entry.statement.body {
            let note = convenio_log::SignedCheckpoint::parse(&said.note).map_err(|e| e.to_string())?;
            let size = note.checkpoint().size();
            need(size > self.entangled, || format!("PEER_CHECKPOINT {size} after {}", self.entangled))?;
            need(size <= self.mirror.size, || "a PEER_CHECKPOINT of more than is mirrored".to_owned())?;
            self.entangled = size;
        }
        self.records += u64::from(is_record);
        self.own.push(Seen {
            record: entry.record_id(),
            peer: entry.statement.peer.unwrap_or_default().size,
            is_record,
            act: act.filter(|_| is_record),
            outcome,
            parts: entry.parts,
            bytes: entry.bytes,
        });
        Ok(())
    }

    /// The mirror is a prefix of the original, and nothing is in it that may never cross.
    async fn mirror(&mut self, pack: &Pack, side: &State, theirs: &[Seen]) -> Result<(), Violation> {
        let (begin, size) = (self.mirrored, self.mirror.size);
        need(size >= begin, || format!("the mirror went back from {begin} to {size}"))?;
        need(size <= theirs.len() as u64, || "the mirror holds what was never issued".to_owned())?;
        need(self.mirror.settled <= size, || "more is judged than is mirrored".to_owned())?;
        need(self.mirror.cosigned_size <= size, || "more is cosigned than is mirrored".to_owned())?;
        if size > begin {
            for (entry, original) in side.books().entries(&self.mirror, begin).await.iter().zip(&theirs[at(begin)..]) {
                need(entry.bytes == original.bytes, || format!("entry {} differs in the mirror", entry.index))?;
                need(entry.parts == original.parts, || format!("parts of {} differ in the mirror", entry.index))?;
                entry.parts.iter().flatten().try_for_each(|part| disclosed(pack, part))?;
            }
        }
        self.mirrored = size;
        Ok(())
    }

    /// Own entries in order, each after the other log's entries below its peer position.
    fn fold(&mut self, theirs: &[Seen]) -> Result<(), Violation> {
        let begin = self.folded.0;
        for index in begin..self.own.len() {
            let covered = |e: &Seen| Some((e.outcome.clone()?, e.peer));
            if let Some((outcome, _)) = covered(&self.own[index]) {
                self.decides(&outcome, theirs).map_err(|what| format!("own entry {index}: {what}"))?;
            }
        }
        while self.folded.0 < self.own.len() {
            let index = self.folded.0;
            let (peer, act) = (self.own[index].peer, self.own[index].act.clone());
            need(peer >= self.folded.1, || format!("own entry {index}: its peer position goes back to {peer}"))?;
            self.absorb_to(peer, theirs)?;
            if let Some(act) = act {
                self.issued(&act).map_err(|what| format!("own entry {index}: {} {what}", act.name))?;
            }
            self.folded.0 += 1;
        }
        self.absorb_to(self.mirror.settled, theirs)
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
    fn decides(&mut self, outcome: &Outcome, theirs: &[Seen]) -> Result<(), Violation> {
        need(outcome.end <= self.mirror.settled, || "decides what is not judged".to_owned())?;
        for index in outcome.begin..outcome.end {
            if !theirs.get(at(index)).is_some_and(|e| e.is_record) {
                continue;
            }
            let reason = outcome.rejects.iter().find(|r| r.index == index).map(|r| r.reason.clone());
            let earlier = self.decided.insert(index, reason);
            need(earlier.is_none(), || format!("entry {index} is decided twice"))?;
        }
        Ok(())
    }

    fn absorb_to(&mut self, end: u64, theirs: &[Seen]) -> Result<(), Violation> {
        while self.folded.1 < end {
            let index = self.folded.1;
            let entry = theirs.get(at(index)).ok_or("a peer position past the other log")?;
            if let Some(outcome) = &entry.outcome {
                self.resolved(outcome);
            }
            if let Some(act) = &entry.act {
                self.judged(index, act).map_err(|what| format!("mirrored entry {index}: {} {what}", act.name))?;
            }
            self.folded.1 += 1;
        }
        Ok(())
    }

    fn resolved(&mut self, outcome: &Outcome) {
        for index in outcome.begin..outcome.end.min(self.own.len() as u64) {
            let entry = &self.own[at(index)];
            if let Some(act) = &entry.act {
                let accepted = !outcome.rejects.iter().any(|r| r.index == index);
                self.model.resolve(act.subject, entry.record, accepted);
            }
        }
    }

    fn judged(&mut self, index: u64, act: &Act) -> Result<(), Violation> {
        let Some(decision) = self.decided.get(&index) else { return Err("was judged without a decision".to_owned()) };
        let verdict = self.model.verdict(act);
        let same = decision.as_deref() == verdict.err();
        need(same, || format!("was decided {decision:?} and the rules say {verdict:?}"))?;
        if verdict.is_ok() {
            self.model.accept(act);
        }
        Ok(())
    }
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

fn no_log() -> LogRow {
    LogRow {
        id: 0,
        origin: String::new(),
        agreement: String::new(),
        partner: String::new(),
        epoch: 0,
        own: false,
        size: 0,
        peaks: Vec::new(),
        settled: 0,
        records: 0,
        decided: 0,
        rejected: 0,
        settled_records: 0,
        cosigned: Vec::new(),
        cosigned_size: 0,
        entangled: 0,
        alarm: String::new(),
        closed: false,
        time_ms: 0,
    }
}
