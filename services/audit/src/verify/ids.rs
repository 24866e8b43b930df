//! What concerns one record wherever it stands: ids that repeat, parts that are gone, erasures. Spooled by record id, so
//! that only a small share of the records is in memory at a time.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::CheckedLog;
use super::shares::{Shares, Writer};
use crate::bundle::on_every_core;
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
pub(super) struct Spool(Shares);

impl Spool {
    /// A spool that so many logs fill side by side.
    pub(super) fn create(path: &Path, logs: usize) -> io::Result<Self> {
        Shares::create(path, SHARES, logs).map(Self)
    }

    /// Takes items.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch(self.0.writer())
    }
}

/// Gathers what goes to the spool.
pub(super) struct Batch<'s>(Writer<'s>);

impl Batch<'_> {
    pub(super) fn push(&mut self, id: &Id) -> io::Result<()> {
        // The last byte of a UUIDv7 is random.
        let share = usize::from(id.record_id[15]) % SHARES;
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
        spool.0.read(share, |block| {
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

    fn record(&mut self, all: &[Id]) {
        let entries = || all.iter().filter(|id| matches!(id.what, What::Entry { .. }));
        for (at, id) in entries().enumerate().skip(1) {
            for before in entries().take(at) {
                self.repeated(before, id);
            }
        }
        for id in entries() {
            self.missing(id, all);
        }
        for id in all.iter().filter(|id| matches!(id.what, What::Answer { .. })) {
            self.answer(id, all);
        }
    }

    /// One id stands twice in a direction only where its record was re-issued after its epoch was lost.
    fn repeated(&mut self, before: &Id, after: &Id) {
        let direction = |id: &Id| {
            let origin = &self.logs[id.log].line().origin;
            (&origin.issuer, &origin.agreement, &origin.recipient, origin.epoch)
        };
        let (a, b) = (direction(before), direction(after));
        if (a.0, a.1, a.2) != (b.0, b.1, b.2) {
            return;
        }
        let (earlier, later) = if a.3 <= b.3 { (before, after) } else { (after, before) };
        let (What::Entry { superseded, peer, .. }, What::Entry { peer: again, .. }) = (earlier.what, later.what) else {
            return;
        };
        if a.3 == b.3 || !superseded {
            let text = "a record id that an earlier entry has";
            let problem = self.problem(Check::Statement, later, "REPEATED_RECORD", text);
            self.problems.push(problem);
        } else if peer != again {
            let text = "re-issued with another position in the partner's log than it had";
            let problem = self.problem(Check::Epoch, later, "REISSUED_CHANGED", text);
            self.problems.push(problem);
        }
    }

    /// A part that is not there was erased by an ERASE in one of the logs, or never stored because of its rejection.
    fn missing(&mut self, id: &Id, all: &[Id]) {
        let What::Entry { missing, parts, dropped: false, superseded: false, .. } = id.what else { return };
        if missing == 0 || !self.parts {
            return;
        }
        for part in (0..u32::from(parts.min(16))).filter(|part| missing & (1 << part) != 0) {
            let ordered = all.iter().any(|id| matches!(id.what, What::Erase { part: own, .. } if own == part));
            if !ordered {
                let text = format!("part {part} is missing and no ERASE orders it");
                let problem = self.problem(Check::Parts, id, "PART_MISSING", text);
                self.problems.push(problem);
            } else if self.refused(part, all) {
                let text = format!("the exporter refused to erase part {part}, and its own bundle does not hold it");
                let problem = self.problem(Check::Erasure, id, "ERASED_WHILE_REFUSED", text);
                self.findings.push(problem);
            }
        }
    }

    /// Whether the exporter answered last that it keeps a part: a hold or minimum retention, which ends with ERASED.
    fn refused(&self, part: u32, all: &[Id]) -> bool {
        let own = |id: &&Id| self.logs[id.log].line().origin.issuer == self.exporter;
        let answers = all.iter().filter(own).filter_map(|id| match id.what {
            What::Answer { part: of, erased, .. } if of == part => Some((id.log, id.index, erased)),
            _ => None,
        });
        answers.max().is_some_and(|(.., erased)| !erased)
    }

    fn answer(&mut self, id: &Id, all: &[Id]) {
        let What::Answer { part, erased, .. } = id.what else { return };
        let ordered = all.iter().any(|id| matches!(id.what, What::Erase { part: own, .. } if own == part));
        if !ordered {
            let text = "answers an ERASE that stands in no log";
            let problem = self.problem(Check::Erasure, id, "ERASE_NOT_ORDERED", text);
            self.findings.push(problem);
        }
        // Only a node's own bundle shows what it still holds.
        let own = self.logs[id.log].line().origin.issuer == self.exporter;
        let held = all.iter().any(|id| match id.what {
            What::Entry { missing, parts, dropped, .. } => {
                part < u32::from(parts.min(16)) && missing & (1 << part) == 0 && !dropped
            }
            _ => false,
        });
        if erased && own && self.parts && held {
            let text = format!("said that part {part} is erased, and its own bundle still holds it");
            let problem = self.problem(Check::Erasure, id, "ERASED_BUT_PRESENT", text);
            self.findings.push(problem);
        }
    }
}
