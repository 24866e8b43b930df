//! The decisions about one log, in its order, in files; they are read beside the log that they judge.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use convenio_wire::exchange::v1::Outcome;

/// Bytes of an outcome.
const ROW: usize = 40;
/// Bytes of a rejection.
const REJECT: usize = 16;
/// Most reasons that are told apart.
const MAX_REASONS: usize = 1_024;

/// An OUTCOME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// First index that it covers.
    pub(crate) begin: u64,
    /// One past the last.
    pub(crate) end: u64,
    /// Where it stands: place of its log among those of the bundle, and index.
    pub(crate) by: (u32, u64),
    rejects: (u64, u32),
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing yet.
    Undecided,
    /// It took effect, by the OUTCOME at this place.
    Accepted((u32, u64)),
    /// It did not, for the reason of this number ([`Outcomes::reason`]).
    Rejected((u32, u64), u16),
}

/// Writes the decisions about a log.
pub(crate) struct Recorder {
    rows: BufWriter<File>,
    rejects: BufWriter<File>,
    count: u64,
    rejected: u64,
    reasons: Vec<String>,
}

/// The decisions about a log.
#[derive(Debug)]
pub(crate) struct Outcomes {
    rows: File,
    rejects: File,
    count: u64,
    reasons: Vec<String>,
}

fn file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}

impl Recorder {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let rows = BufWriter::new(file(path)?);
        let rejects = BufWriter::new(file(&path.with_added_extension("rejects"))?);
        Ok(Self { rows, rejects, count: 0, rejected: 0, reasons: Vec::new() })
    }

    /// Adds an OUTCOME that lies behind all before it.
    pub(crate) fn add(&mut self, outcome: &Outcome, by: (u32, u64)) -> io::Result<()> {
        let mut row = [0; ROW];
        row[..8].copy_from_slice(&outcome.begin.to_le_bytes());
        row[8..16].copy_from_slice(&outcome.end.to_le_bytes());
        row[16..24].copy_from_slice(&by.1.to_le_bytes());
        row[24..32].copy_from_slice(&self.rejected.to_le_bytes());
        row[32..36].copy_from_slice(&(outcome.rejects.len() as u32).to_le_bytes());
        row[36..].copy_from_slice(&by.0.to_le_bytes());
        self.rows.write_all(&row)?;
        self.count += 1;
        for reject in &outcome.rejects {
            let number = self.number(&reject.reason);
            self.rejects.write_all(&reject.index.to_le_bytes())?;
            self.rejects.write_all(&u64::from(number).to_le_bytes())?;
            self.rejected += 1;
        }
        Ok(())
    }

    fn number(&mut self, reason: &str) -> u16 {
        let at = self.reasons.iter().position(|known| known == reason).unwrap_or_else(|| {
            if self.reasons.len() < MAX_REASONS {
                self.reasons.push(reason.to_owned());
            }
            self.reasons.len() - 1
        });
        // Below MAX_REASONS.
        at as u16
    }

    pub(crate) fn finish(mut self) -> io::Result<Outcomes> {
        self.rows.flush()?;
        self.rejects.flush()?;
        let open = |writer: BufWriter<File>| writer.into_inner().map_err(io::IntoInnerError::into_error);
        let (rows, rejects) = (open(self.rows)?, open(self.rejects)?);
        Ok(Outcomes { rows, rejects, count: self.count, reasons: self.reasons })
    }
}

impl Outcomes {
    /// A reason by its number.
    pub(crate) fn reason(&self, number: u16) -> &str {
        self.reasons.get(usize::from(number)).map_or("", String::as_str)
    }

    fn row(&self, at: u64) -> io::Result<Told> {
        let mut row = [0; ROW];
        self.rows.read_exact_at(&mut row, at * ROW as u64)?;
        let word = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap_or_default());
        let half = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().unwrap_or_default());
        Ok(Told { begin: word(0), end: word(8), by: (half(36), word(16)), rejects: (word(24), half(32)) })
    }

    /// Number of outcomes that begin at `index` or before.
    fn until(&self, index: u64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle)?.begin <= index { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    fn rejects(&self, told: &Told) -> io::Result<Vec<(u64, u16)>> {
        let mut bytes = vec![0; told.rejects.1 as usize * REJECT];
        self.rejects.read_exact_at(&mut bytes, told.rejects.0 * REJECT as u64)?;
        let one = |row: &[u8; REJECT]| {
            let word = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap_or_default());
            (word(0), word(8) as u16)
        };
        Ok(bytes.as_chunks::<REJECT>().0.iter().map(one).collect())
    }
}

/// Reads the decisions beside a log. Fast where indices ascend.
pub(crate) struct Decisions<'o> {
    outcomes: &'o Outcomes,
    next: u64,
    told: Option<(Told, Vec<(u64, u16)>)>,
}

impl<'o> Decisions<'o> {
    pub(crate) fn new(outcomes: &'o Outcomes) -> Self {
        Self { outcomes, next: 0, told: None }
    }

    /// What became of the RECORD at `index`.
    pub(crate) fn of(&mut self, index: u64) -> io::Result<Decision> {
        if !self.covers(index) {
            self.seek(index)?;
        }
        let Some((told, rejects)) = self.told.as_ref().filter(|_| self.covers(index)) else {
            return Ok(Decision::Undecided);
        };
        Ok(match rejects.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => Decision::Rejected(told.by, rejects[at].1),
            Err(_) => Decision::Accepted(told.by),
        })
    }

    fn covers(&self, index: u64) -> bool {
        self.told.as_ref().is_some_and(|(told, _)| told.begin <= index && index < told.end)
    }

    fn seek(&mut self, index: u64) -> io::Result<()> {
        let behind = self.told.as_ref().is_some_and(|(told, _)| index < told.begin);
        if behind {
            self.next = self.outcomes.until(index)?.saturating_sub(1);
        }
        while self.next < self.outcomes.count {
            let told = self.outcomes.row(self.next)?;
            if index < told.begin {
                return Ok(());
            }
            self.next += 1;
            if index < told.end {
                let rejects = self.outcomes.rejects(&told)?;
                self.told = Some((told, rejects));
                return Ok(());
            }
        }
        Ok(())
    }
}
