//! What concerns one record wherever it stands: ids that repeat, parts that are gone, erasures. Spooled by record id, so
//! that only a small share of the records is in memory at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::CheckedLog;
use super::shares::{Shares, Writer};
use crate::bundle::{on_every_core, sha256};
use crate::problem::{Check, Problem, Problems};

/// Bytes of an item.
const ROW: usize = 64;
/// Number of shares.
const SHARES: usize = 64;
/// Most shares that are sorted at a time: of 10 million entries each takes some 24 MiB.
const SORTED: usize = 4;

/// Something about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    record_id: [u8; 16],
    log: usize,
    index: u64,
    what: What,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// The record itself, or another entry with an id.
    Entry {
        /// Parts that the bundle does not hold, a bit each.
        missing: u16,
        /// Number of commitments.
        parts: u8,
        /// The recipient did not keep its parts.
        dropped: bool,
        /// It lies behind the end of its epoch.
        superseded: bool,
        /// Position in the partner's log.
        peer: (u64, u64),
        /// Log time.
        time_ms: u64,
    },
    /// An order to erase a part.
    Erase { part: u32, time_ms: u64 },
    /// What became of it.
    Answer { part: u32, erased: bool, time_ms: u64 },
}

impl Id {
    pub(super) fn new(record_id: &[u8], log: usize, index: u64, what: What) -> Self {
        Self { record_id: record_id.try_into().unwrap_or_default(), log, index, what }
    }

    fn write(&self) -> [u8; ROW] {
        let mut row = [0; ROW];
        row[..16].copy_from_slice(&self.record_id);
        row[16..24].copy_from_slice(&self.index.to_le_bytes());
        // At most 64 logs.
        row[24] = self.log as u8;
        let (time, peer) = match self.what {
            What::Entry { missing, parts, dropped, superseded, peer, time_ms } => {
                row[26] = parts;
                row[27] = u8::from(dropped) | u8::from(superseded) << 1;
                row[28..30].copy_from_slice(&missing.to_le_bytes());
                (time_ms, peer)
            }
            What::Erase { part, time_ms } => {
                row[25] = 1;
                (time_ms, (u64::from(part), 0))
            }
            What::Answer { part, erased, time_ms } => {
                row[25] = 2 + u8::from(erased);
                (time_ms, (u64::from(part), 0))
            }
        };
        row[32..40].copy_from_slice(&time.to_le_bytes());
        row[40..48].copy_from_slice(&peer.0.to_le_bytes());
        row[48..56].copy_from_slice(&peer.1.to_le_bytes());
        row
    }

    fn read(row: &[u8; ROW]) -> Self {
        let word = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap_or_default());
        let time_ms = word(32);
        let part = word(40) as u32;
        let what = match row[25] {
            0 => What::Entry {
                missing: u16::from_le_bytes([row[28], row[29]]),
                parts: row[26],
                dropped: row[27] & 1 != 0,
                superseded: row[27] & 2 != 0,
                peer: (word(40), word(48)),
                time_ms,
            },
            1 => What::Erase { part, time_ms },
            answer => What::Answer { part, erased: answer == 3, time_ms },
        };
        Self { record_id: row[..16].try_into().unwrap_or_default(), log: usize::from(row[24]), index: word(16), what }
    }
}

/// The items by share, on disk.
pub(super) struct Spool {
    shares: Shares,
    /// What spreads the ids: whoever chooses these cannot choose their shares.
    salt: [u8; 32],
}

impl Spool {
    /// A spool that so many logs fill side by side. `salt` follows from all that the bundle holds: its digest.
    pub(super) fn create(path: &Path, logs: usize, salt: [u8; 32]) -> io::Result<Self> {
        Ok(Self { shares: Shares::create(path, SHARES, logs)?, salt })
    }

    /// Takes items.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch(self.shares.writer(), self.salt)
    }
}

/// Gathers what goes to the spool.
pub(super) struct Batch<'s>(Writer<'s>, [u8; 32]);

impl Batch<'_> {
    pub(super) fn push(&mut self, id: &Id) -> io::Result<()> {
        let mut salted = [0; 48];
        salted[..32].copy_from_slice(&self.1);
        salted[32..].copy_from_slice(&id.record_id);
        let share = usize::from(sha256(&salted)[0]) % SHARES;
        self.0.push(share, |block| {
            block.extend_from_slice(&id.write());
            Ok(())
        })
    }

    pub(super) fn flush(self) -> io::Result<()> {
        self.0.finish()
    }
}

/// Checks every record; returns problems and findings.
pub(super) fn check(
    spool: &Spool,
    logs: &[CheckedLog],
    exporter: &str,
    parts: bool,
) -> io::Result<(Problems, Problems)> {
    let next = AtomicUsize::new(0);
    let found = on_every_core(SORTED, || {
        let mut found = Vec::new();
        loop {
            let share = next.fetch_add(1, Ordering::Relaxed);
            if share >= SHARES {
                return found;
            }
            let (problems, findings) = Default::default();
            let mut checker = Checker { logs, exporter, parts, problems, findings };
            let done = checker.share(spool, share);
            found.push(done.map(|()| (checker.problems, checker.findings)));
        }
    });
    let (mut problems, mut findings) = (Vec::new(), Vec::new());
    let mut counts = (0, 0);
    for found in found {
        let (own, against) = found?;
        counts.0 += own.count();
        counts.1 += against.count();
        problems.extend(own.into_list());
        findings.extend(against.into_list());
    }
    Ok((Problems::sorted(problems, counts.0), Problems::sorted(findings, counts.1)))
}

struct Checker<'c> {
    logs: &'c [CheckedLog],
    exporter: &'c str,
    parts: bool,
    problems: Problems,
    findings: Problems,
}

impl Checker<'_> {
    fn share(&mut self, spool: &Spool, share: usize) -> io::Result<()> {
        let mut ids: Vec<Id> = Vec::new();
        spool.shares.read(share, |block| {
            ids.extend(block.as_chunks::<ROW>().0.iter().map(Id::read));
            Ok(())
        })?;
        ids.sort_unstable();
        for record in ids.chunk_by(|a, b| a.record_id == b.record_id) {
            self.record(record);
        }
        Ok(())
    }

    fn problem(&self, check: Check, id: &Id, reason: &'static str, text: impl Into<String>) -> Problem {
        Problem::new(check, text).because(reason).of(&self.logs[id.log].line().name).entry(id.index)
    }

    /// Everything of one record, in time that grows with its number: an issuer may give one id to any number of entries.
    fn record(&mut self, all: &[Id]) {
        let of = |id: &Id| &self.logs[id.log].line().origin;
        let mut entries: Vec<&Id> = all.iter().filter(|id| matches!(id.what, What::Entry { .. })).collect();
        entries.sort_by_cached_key(|id| {
            let origin = of(id);
            (&origin.issuer, &origin.agreement, &origin.recipient, origin.epoch, id.index)
        });
        for direction in entries.chunk_by(|a, b| {
            let (a, b) = (of(a), of(b));
            (&a.issuer, &a.agreement, &a.recipient) == (&b.issuer, &b.agreement, &b.recipient)
        }) {
            self.repeated(direction);
        }
        let told = Told::of(all, self.logs, self.exporter);
        for id in &entries {
            self.missing(id, &told);
        }
        for id in all.iter().filter(|id| matches!(id.what, What::Answer { .. })) {
            self.answer(id, &told);
        }
    }

    /// One id stands twice in a direction only where its record was re-issued after its epoch was lost.
    fn repeated(&mut self, direction: &[&Id]) {
        let epoch = |id: &Id| self.logs[id.log].line().origin.epoch;
        let mut counted = false;
        let mut found = Vec::new();
        for pair in direction.windows(2) {
            let [earlier, later] = [pair[0], pair[1]];
            let (What::Entry { superseded, peer, .. }, What::Entry { peer: again, .. }) = (earlier.what, later.what)
            else {
                continue;
            };
            counted |= !superseded;
            if counted || epoch(earlier) == epoch(later) {
                let text = "a record id that an earlier entry has";
                found.push(self.problem(Check::Statement, later, "REPEATED_RECORD", text));
            } else if peer != again {
                let text = "re-issued with another position in the partner's log than it had";
                found.push(self.problem(Check::Epoch, later, "REISSUED_CHANGED", text));
            }
        }
        self.problems.extend(found);
    }

    /// A part that is not there was erased by an ERASE in one of the logs, or never stored because of its rejection.
    fn missing(&mut self, id: &Id, told: &Told) {
        let What::Entry { missing, parts, dropped: false, superseded: false, .. } = id.what else { return };
        if missing == 0 || !self.parts {
            return;
        }
        for part in (0..u32::from(parts.min(16))).filter(|part| missing & (1 << part) != 0) {
            if !told.ordered.contains(&part) {
                let text = format!("part {part} is missing and no ERASE orders it");
                let problem = self.problem(Check::Parts, id, "PART_MISSING", text);
                self.problems.push(problem);
            } else if told.last.get(&part).is_some_and(|(.., erased)| !erased) {
                let text = format!("the exporter refused to erase part {part}, and its own bundle does not hold it");
                let problem = self.problem(Check::Erasure, id, "ERASED_WHILE_REFUSED", text);
                self.findings.push(problem);
            }
        }
    }

    fn answer(&mut self, id: &Id, told: &Told) {
        let What::Answer { part, erased, .. } = id.what else { return };
        if !told.ordered.contains(&part) {
            let text = "answers an ERASE that stands in no log";
            let problem = self.problem(Check::Erasure, id, "ERASE_NOT_ORDERED", text);
            self.findings.push(problem);
        }
        // Only a node's own bundle shows what it still holds.
        let own = self.logs[id.log].line().origin.issuer == self.exporter;
        if erased && own && self.parts && part < 16 && told.held & (1 << part) != 0 {
            let text = format!("said that part {part} is erased, and its own bundle still holds it");
            let problem = self.problem(Check::Erasure, id, "ERASED_BUT_PRESENT", text);
            self.findings.push(problem);
        }
    }
}

/// What is told of the parts of one record.
#[derive(Default)]
struct Told {
    /// Parts that an ERASE orders to be erased.
    ordered: BTreeSet<u32>,
    /// The exporter's last answer for each part: its place, and whether it says ERASED. The other is that it keeps it, by a
    /// hold or minimum retention, which ends with ERASED.
    last: BTreeMap<u32, (usize, u64, bool)>,
    /// Parts that the bundle holds, a bit each.
    held: u16,
}

impl Told {
    fn of(all: &[Id], logs: &[CheckedLog], exporter: &str) -> Self {
        let mut told = Self::default();
        for id in all {
            match id.what {
                What::Entry { missing, parts, dropped: false, .. } => {
                    told.held |= !missing & ((1u32 << parts.min(16)) - 1) as u16;
                }
                What::Entry { .. } => {}
                What::Erase { part, .. } => drop(told.ordered.insert(part)),
                What::Answer { part, erased, .. } if logs[id.log].line().origin.issuer == exporter => {
                    let answer = (id.log, id.index, erased);
                    let last = told.last.entry(part).or_insert(answer);
                    *last = answer.max(*last);
                }
                What::Answer { .. } => {}
            }
        }
        told
    }
}
