//! What the node's own journal tells: who read whom (A15), and whether the live rows are the recorded ones (A7).

use std::collections::BTreeSet;

use convenio_seal::TrustFile;

use super::ledger::Ledger;
use super::{Gravity, Place, Places};
use crate::audit::{Audit, Options};
use crate::bundle::Bundle;
use crate::journal::{accesses, check_journal};
use crate::problem::Unusable;

/// Digests of the live rows, in a bundle.
const ROWS: &str = "rows";

/// What was read of the journals.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Whether a bundle holds a journal's log with parts.
    pub(super) found: bool,
    /// Live rows compared, those that are not as the journal left them, and those of which it cannot tell any more.
    pub(super) rows: Option<(u64, u64, u64)>,
    /// Reads.
    reads: u64,
    /// Reads without a purpose.
    unexplained: Places,
    /// Entries whose part is gone.
    gone: u64,
    /// Who read.
    pub(super) readers: BTreeSet<String>,
    /// For what.
    pub(super) purposes: BTreeSet<String>,
}

impl Journal {
    /// Reads the journals of the bundles, which are verified.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(super) fn of(audit: &Audit, trust: &TrustFile) -> Result<Self, Unusable> {
        let mut journal = Self::default();
        for bundle in audit.bundles().filter(|bundle| !bundle.manifest().journals.is_empty()) {
            journal.reads_of(bundle, trust)?;
            if bundle.lists(ROWS) {
                let compared = check_journal(bundle.dir(), None, trust, &Options::default())?;
                let (rows, failed, gone) = journal.rows.unwrap_or_default();
                let wrong = compared.finding_count + compared.problem_count;
                journal.rows = Some((rows + compared.rows, failed + wrong, gone + compared.indeterminate));
            }
        }
        Ok(journal)
    }

    fn reads_of(&mut self, bundle: &Bundle, trust: &TrustFile) -> Result<(), Unusable> {
        let told = accesses(bundle.dir(), trust, None, &Options::default())?;
        self.found |= !told.accesses.is_empty();
        self.gone += told.indeterminate;
        for access in told.accesses.into_iter().filter(|access| access.action == "READ") {
            self.reads += 1;
            self.readers.insert(access.caller);
            if access.purpose.is_empty() {
                self.unexplained.add(Place::new(&access.origin, access.index));
            } else {
                self.purposes.insert(access.purpose);
            }
        }
        Ok(())
    }
}

pub(super) fn tally(ledger: &mut Ledger) {
    let journal = std::mem::take(&mut ledger.scan.journal);
    if let Some((examined, failed, gone)) = journal.rows {
        let tally = ledger.of("A7");
        tally.examined += examined;
        tally.failed += failed;
        tally.gone += gone;
        tally.gravity = tally.gravity.max((failed > 0).then_some(Gravity::Grave));
    }
    let tally = ledger.of("A15");
    tally.examined += journal.reads;
    tally.gone += journal.gone;
    tally.failed += journal.unexplained.total;
    tally.gravity = tally.gravity.max((journal.unexplained.total > 0).then_some(Gravity::Serious));
    tally.places.merge(&journal.unexplained);
    ledger.scan.journal = journal;
}
