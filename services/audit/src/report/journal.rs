//! What the node's own journal tells: who read whom (A15), and whether the live rows are the recorded ones (A7).

use std::collections::BTreeSet;

use super::ledger::Ledger;
use crate::audit::Audit;

/// What was read of the journals.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Whether a bundle holds the journal's log with its parts.
    pub(super) found: bool,
    /// Live rows compared and those that differ, if a bundle tells the live rows.
    pub(super) rows: Option<(u64, u64)>,
    /// Who read.
    pub(super) readers: BTreeSet<String>,
    /// For what.
    pub(super) purposes: BTreeSet<String>,
}

impl Journal {
    pub(super) fn of(_audit: &Audit) -> Self {
        Self::default()
    }
}

pub(super) fn tally(ledger: &mut Ledger) {
    if let Some((examined, failed)) = ledger.scan.journal.rows {
        let tally = ledger.of("A7");
        tally.examined += examined;
        tally.failed += failed;
    }
}
