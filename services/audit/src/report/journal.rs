//! What the nodes' own journals tell: who read whom (A15), and whether the live rows are the recorded ones (A7).

use std::collections::BTreeSet;

use convenio_wire::exchange::v1::JournalAction;

use super::answers::Tally;
use super::ledger::Ledger;
use super::{Gravity, Place};
use crate::audit::Audit;
use crate::journal::{JournalReport, JournalSummary, ROWS, TRUNCATED, Told, examine};
use crate::problem::Problem;
use crate::verify::Checked;

/// What was read of the journals.
#[derive(Debug, Default)]
pub(super) struct Journal {
    rows: Source,
    reads: Source,
    /// Who read.
    pub(super) readers: BTreeSet<String>,
    /// For what.
    pub(super) purposes: BTreeSet<String>,
}

/// What answers one question, by the bundles that can.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Whether any bundle holds it.
    pub(super) found: bool,
    /// Exporters whose bundles do not.
    pub(super) silent: BTreeSet<String>,
    tally: Tally,
}

impl Journal {
    /// Reads the journals of the bundles, each beside what the other one's witness saw of it.
    pub(super) fn of(audit: &Audit) -> Self {
        let mut journal = Self::default();
        for own in audit.checked() {
            journal.read(own, audit.checked().find(|other| !std::ptr::eq(*other, own)));
        }
        journal
    }

    /// What answers A7 or A15; none for the other questions.
    pub(super) fn source(&self, question: &str) -> Option<&Source> {
        match question {
            "A7" => Some(&self.rows),
            "A15" => Some(&self.reads),
            _ => None,
        }
    }

    fn read(&mut self, own: &Checked, partner: Option<&Checked>) {
        let Some(bundle) = &own.bundle else { return };
        let journals = !bundle.manifest().journals.is_empty();
        self.rows.hold(&bundle.manifest().node, journals && bundle.lists(ROWS));
        self.reads.hold(&bundle.manifest().node, journals);
        if journals {
            let compared = examine(own, partner, &mut |told| self.access(told));
            self.compared(&compared);
        }
    }

    fn access(&mut self, told: &Told<'_>) {
        let tally = &mut self.reads.tally;
        match told.part {
            None => tally.gone = tally.gone.saturating_add(1),
            Some(part) if part.action() == JournalAction::Read => {
                tally.examined += 1;
                self.readers.insert(part.caller.clone());
                if part.purpose.is_empty() {
                    tally.fail(Gravity::Serious, [Place::new(&told.line.name, told.index)]);
                } else {
                    self.purposes.insert(part.purpose.clone());
                }
            }
            Some(_) => {}
        }
    }

    fn compared(&mut self, found: &JournalReport) {
        // A signed head may name any size: the sums stop at the largest number.
        let add = |sum: u64, journal: &JournalSummary| sum.saturating_add(journal.unseen);
        self.reads.tally.gone = found.journals.iter().fold(self.reads.tally.gone, add);
        let tally = &mut self.rows.tally;
        tally.examined += found.rows;
        tally.gone = tally.gone.saturating_add(found.indeterminate);
        // What may have come after the export is missing, and no fault.
        tally.gone = found.journals.iter().filter(|journal| !journal.cut).fold(tally.gone, add);
        let is_later = |problem: &&Problem| {
            let own = |origin: &str| found.journals.iter().any(|journal| journal.origin == origin && !journal.cut);
            problem.reason == TRUNCATED && problem.origin.as_deref().is_some_and(own)
        };
        let rows = found.findings.iter().map(|row| (&row.origin, row.index));
        let problems =
            found.problems.iter().filter(|problem| !is_later(problem)).map(|problem| (&problem.origin, problem.index));
        for (origin, index) in rows.chain(problems) {
            let place = origin.as_ref().zip(index).map(|(origin, index)| Place::new(origin, index));
            tally.fail(Gravity::Grave, place);
        }
        // Those that are not listed.
        let listed = (found.findings.len() + found.problems.len()) as u64;
        tally.failed += (found.finding_count + found.problem_count).saturating_sub(listed);
    }
}

impl Source {
    fn hold(&mut self, exporter: &str, holds: bool) {
        self.found |= holds;
        if !holds {
            self.silent.insert(exporter.to_owned());
        }
    }
}

pub(super) fn tally(ledger: &mut Ledger) {
    let journal = std::mem::take(&mut ledger.scan.journal);
    for question in ["A7", "A15"] {
        let Some(source) = journal.source(question) else { continue };
        let tally = ledger.of(question);
        tally.merge(&source.tally);
        if source.found {
            tally.gone = tally.gone.saturating_add(source.silent.len() as u64);
        }
    }
    ledger.scan.journal = journal;
}
