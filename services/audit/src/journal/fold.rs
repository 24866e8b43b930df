//! What the journal says of each row at its end, against the rows that live.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::{BufRead, BufReader, Read};

use convenio_model::Ref;
use convenio_wire::exchange::v1::{JournalAction, JournalPart};
use serde::Serialize;

use super::JournalReport;
use super::walk::Told;
use crate::bundle::Bundle;
use crate::problem::{Check, MAX_KEPT, Problem, Problems};

/// Longest line of `rows`.
const MAX_LINE: u64 = 256;
/// Kinds of rows that are about a person: worker, contract, placement, pairwise reference, welfare contact.
const PERSONAL: [u8; 5] = [4, 5, 6, 7, 8];
/// Names of the kinds, from 1 on.
const KINDS: [&str; 10] = [
    "agencies",
    "employers",
    "jobOrders",
    "workers",
    "contracts",
    "placements",
    "pairwise",
    "welfareContacts",
    "refusals",
    "crews",
];

/// A row, or a journal entry, that is not as the journal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowFinding {
    /// `UPDATED_BEHIND`, `DELETED_BEHIND`, `INSERTED_BEHIND`, `JOURNAL_PART_MISSING`.
    pub reason: &'static str,
    /// Kind of the row, for example `agencies`; `journal` for an entry of the journal.
    pub kind: String,
    /// Identifier.
    pub id: String,
    /// Revision of the live row; of a row that is gone, the last one that was journalled.
    pub revision: u64,
    /// Journal that told last of the row.
    pub origin: Option<String>,
    /// Index of the entry there.
    pub index: Option<u64>,
}

impl fmt::Display for RowFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{} revision {}", self.reason, self.kind, self.id, self.revision)?;
        match (&self.origin, self.index) {
            (Some(origin), Some(index)) => write!(f, ", last told in {origin} entry {index}"),
            _ => Ok(()),
        }
    }
}

/// The collection or name of a kind of rows, and back.
pub(super) fn kind_named(name: &str) -> Option<u32> {
    KINDS.iter().zip(1..).find(|(kind, _)| **kind == name).map(|(_, number)| number)
}

fn kind_name(kind: u8) -> String {
    let known = usize::from(kind).checked_sub(1).and_then(|at| KINDS.get(at));
    known.map_or_else(|| kind.to_string(), |name| (*name).to_owned())
}

type RowKey = (u8, [u8; 16]);
/// Journal (by order) and index.
type Place = (usize, u64);

struct Last {
    place: Place,
    revision: u64,
    /// None once it was removed.
    digest: Option<[u8; 32]>,
}

/// The rows as the journal leaves them; memory grows with the number of rows.
#[derive(Default)]
pub(super) struct Fold {
    origins: Vec<String>,
    rows: HashMap<RowKey, Last>,
    /// Entries without a part, by record id.
    missing: BTreeMap<[u8; 16], Place>,
    /// Entries that the journal says were erased, and whether everything or only what is about a person went.
    erased: HashMap<[u8; 16], bool>,
    malformed: Vec<Place>,
}

impl Fold {
    pub(super) fn take(&mut self, told: &Told<'_>) {
        if self.origins.last() != Some(&told.line.name) {
            self.origins.push(told.line.name.clone());
        }
        let place = (self.origins.len() - 1, told.index);
        match told.part {
            Some(part) => self.part(place, part),
            None => drop(self.missing.insert(told.entry.record_id.as_slice().try_into().unwrap_or_default(), place)),
        }
    }

    fn part(&mut self, place: Place, part: &JournalPart) {
        // An erasure that names whom it is about can have hidden nothing that is about nobody.
        let everything = part.rows.iter().all(|row| row.kind == 0);
        for row in &part.rows {
            let kind = u8::try_from(row.kind);
            let (Ok(kind), Ok(id)) = (kind, <[u8; 16]>::try_from(row.id.as_slice())) else {
                self.malformed.push(place);
                continue;
            };
            let digest: Option<[u8; 32]> = row.digest.as_slice().try_into().ok();
            match (part.action(), digest) {
                (JournalAction::Erased, _) if kind == 0 => drop(self.erased.insert(id, everything)),
                (JournalAction::Removed, _) => {
                    self.rows.insert((kind, id), Last { place, revision: row.revision, digest: None });
                }
                (_, Some(digest)) => {
                    self.rows.insert((kind, id), Last { place, revision: row.revision, digest: Some(digest) });
                }
                (_, None) if row.digest.is_empty() => {} // read
                (_, None) => self.malformed.push(place),
            }
        }
    }

    /// Compares with the live rows of the file `path`.
    pub(super) fn compare(self, bundle: &Bundle, path: &str, problems: &mut Problems, report: &mut JournalReport) {
        for place in &self.malformed {
            let bad = Problem::new(Check::Parts, "names a row in another form than the journal's");
            problems.push(bad.of(&self.origins[place.0]).entry(place.1));
        }
        let mut said = Said { fold: &self, last_erased: [None; 2], report };
        said.missing();
        let mut seen: HashSet<RowKey> = HashSet::new();
        let Some(Ok(file)) = bundle.stream(path) else { return };
        let mut reader = BufReader::new(file);
        loop {
            let mut line = Vec::new();
            match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return,
            }
            let Some((key, revision, digest)) = row(&line).filter(|(key, ..)| seen.insert(*key)) else {
                problems.push(Problem::new(Check::Evidence, "a line is no row, or a row stands twice").at(path));
                return;
            };
            said.live(key, revision, digest);
        }
        let mut gone: Vec<_> =
            self.rows.iter().filter(|(key, last)| last.digest.is_some() && !seen.contains(*key)).collect();
        gone.sort_unstable_by_key(|(key, _)| **key);
        gone.into_iter().for_each(|(key, last)| said.gone(*key, last));
    }
}

/// `<kind> <id hex> <revision> <sha256 hex>\n`.
fn row(line: &[u8]) -> Option<(RowKey, u64, [u8; 32])> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let mut fields = text.split(' ');
    let (kind, id, revision, hash) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (mut key, mut digest) = ([0; 16], [0; 32]);
    hex::decode_to_slice(id, &mut key).ok()?;
    hex::decode_to_slice(hash, &mut digest).ok()?;
    fields.next().is_none().then_some(((kind.parse().ok()?, key), revision.parse().ok()?, digest))
}

struct Said<'s> {
    fold: &'s Fold,
    /// The last entry that was erased: of those that may have told of everything, of those about a person.
    last_erased: [Option<Place>; 2],
    report: &'s mut JournalReport,
}

impl Said<'_> {
    /// Entries without a part that no erasure explains.
    fn missing(&mut self) {
        let mut places: Vec<_> = self.fold.missing.iter().collect();
        places.sort_unstable_by_key(|(_, place)| **place);
        for (id, place) in places {
            match self.fold.erased.get(id) {
                Some(everything) => {
                    let slot = &mut self.last_erased[usize::from(!everything)];
                    *slot = (*slot).max(Some(*place));
                }
                None => self.find("JOURNAL_PART_MISSING", "journal".to_owned(), *id, 0, Some(*place)),
            }
        }
    }

    fn live(&mut self, key: RowKey, revision: u64, digest: [u8; 32]) {
        self.report.rows += 1;
        let last = self.fold.rows.get(&key);
        if last.is_some_and(|last| last.digest == Some(digest)) {
            return;
        }
        let place = last.map(|last| last.place);
        if self.may_have_told(key.0, place) {
            self.report.indeterminate += 1;
            return;
        }
        let reason = if last.is_some_and(|last| last.digest.is_some()) { "UPDATED_BEHIND" } else { "INSERTED_BEHIND" };
        self.find(reason, kind_name(key.0), key.1, revision, place);
    }

    fn gone(&mut self, key: RowKey, last: &Last) {
        if self.may_have_told(key.0, Some(last.place)) {
            self.report.indeterminate += 1;
            return;
        }
        self.find("DELETED_BEHIND", kind_name(key.0), key.1, last.revision, Some(last.place));
    }

    /// Whether an entry after `place` that was erased may have told of a row of this kind.
    fn may_have_told(&self, kind: u8, place: Option<Place>) -> bool {
        let [everything, personal] = self.last_erased;
        let personal = personal.filter(|_| PERSONAL.contains(&kind));
        everything.max(personal).is_some_and(|erased| place.is_none_or(|place| erased > place))
    }

    fn find(&mut self, reason: &'static str, kind: String, id: [u8; 16], revision: u64, place: Option<Place>) {
        self.report.finding_count += 1;
        if self.report.findings.len() < MAX_KEPT {
            let origin = place.map(|(at, _)| self.fold.origins[at].clone());
            let index = place.map(|(_, index)| index);
            self.report.findings.push(RowFinding { reason, kind, id: Ref(id).to_string(), revision, origin, index });
        }
    }
}
