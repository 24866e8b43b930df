//! Two bundles side by side: whether both states tell the same story.

use std::path::Path;

use convenio_seal::TrustFile;
use serde::Serialize;

use crate::audit::Options;
use crate::history::{At, Exchange, History, SubjectView, Visit};
use crate::problem::{Check, Problem, Problems, Unusable};
use crate::replay;
pub use crate::verify::COLLUSION;
use crate::verify::tree::Roots;
use crate::verify::{Checked, CheckedLog, Verification, check};

/// Reason of the problem that both bundles are of one exporter.
pub(crate) const SAME_EXPORTER: &str = "SAME_EXPORTER";

/// Two bundles compared. As JSON: these members by these names.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// True if both bundles hold and agree.
    pub holds: bool,
    /// The first bundle.
    pub a: Verification,
    /// The second bundle.
    pub b: Verification,
    /// Logs of either.
    pub logs: Vec<LogComparison>,
    /// Placements compared.
    pub placements: u64,
    /// Where the bundles do not agree.
    pub problems: Vec<Problem>,
    /// All of them.
    pub problem_count: u64,
    /// What this does not exclude.
    pub note: &'static str,
}

/// One log in both bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogComparison {
    /// Origin.
    pub origin: String,
    /// Entries in the first bundle.
    pub a_size: u64,
    /// Entries in the second bundle.
    pub b_size: u64,
    /// Entries that are the same in both, from the first on.
    pub common: u64,
    /// Entries that the issuer has and its partner does not yet have. No problem in itself.
    pub undelivered: u64,
}

/// Compares the bundles in `a` and `b`.
///
/// # Errors
/// [`Unusable`].
pub fn compare(a: &Path, b: &Path, trust: &TrustFile) -> Result<Comparison, Unusable> {
    let options = Options::default();
    let (a, b) = (check(a, trust, &options)?, check(b, trust, &options)?);
    of(&a, &b, &options)
}

/// The comparison; both sides are replayed if the bundles agree on the logs. What an exporter exchanges with third states is
/// no matter of the two: its partner holds nothing of it. What both activated follows from the entries that they share.
pub(crate) fn of(a: &Checked, b: &Checked, options: &Options) -> Result<Comparison, Unusable> {
    let mut problems = Problems::default();
    let exporters = [&a.verification.exporter, &b.verification.exporter];
    if exporters[0] == exporters[1] && !exporters[0].is_empty() {
        let text = format!("both bundles were exported by {}: nothing here is the other state's word", exporters[0]);
        problems.push(Problem::new(Check::Compare, text).because(SAME_EXPORTER));
    }
    let between = |log: &&CheckedLog| {
        let origin = &log.line().origin;
        exporters[0] == exporters[1] || [&origin.issuer, &origin.recipient].iter().all(|node| exporters.contains(node))
    };
    let mut logs: Vec<LogComparison> = a.logs.iter().filter(between).map(|log| one(a, log, b, &mut problems)).collect();
    for log in b.logs.iter().filter(between).filter(|log| a.logs.iter().all(|own| own.line().name != log.line().name)) {
        let mut other = one(b, log, a, &mut problems);
        std::mem::swap(&mut other.a_size, &mut other.b_size);
        logs.push(other);
    }
    logs.sort_by(|x, y| x.origin.cmp(&y.origin));
    if logs.is_empty() && a.verification.holds && b.verification.holds {
        let text = "the exporters have no log between them: there is nothing to compare";
        problems.push(Problem::new(Check::Compare, text).because("NOTHING_IN_COMMON"));
    }
    let mut compared = Compared { placements: 0, problems: &mut problems };
    if compared.problems.count() == 0 && a.verification.holds && b.verification.holds {
        let shared = |exchange: &Exchange| logs.iter().any(|log| exchange.origin_logs.contains(&log.origin));
        for exchange in replay::exchanges(a).into_iter().filter(shared) {
            replay::run(a, Some(b), &exchange, &At::End, options, &mut compared)?;
        }
    }
    let placements = compared.placements;
    Ok(Comparison {
        holds: a.verification.holds && b.verification.holds && problems.count() == 0,
        a: a.verification.clone(),
        b: b.verification.clone(),
        logs,
        placements,
        problem_count: problems.count(),
        problems: problems.into_list(),
        note: COLLUSION,
    })
}

/// Collects where the replays of both sides differ.
struct Compared<'c> {
    placements: u64,
    problems: &'c mut Problems,
}

impl Visit for Compared<'_> {
    fn history(&mut self, history: History) {
        let known = history.origin.as_ref().or(history.destination.as_ref());
        self.placements += u64::from(matches!(known, Some(SubjectView::Placement(_))));
        if let Some(text) = history.disagreement {
            let text = format!("the replays of both sides disagree on {}: {text}", history.subject);
            self.problems.push(Problem::new(Check::Compare, text).because("DISAGREEMENT"));
        }
    }
}

fn one(own: &Checked, log: &CheckedLog, other: &Checked, problems: &mut Problems) -> LogComparison {
    let name = &log.line().name;
    let size = log.line().size;
    let mut found = LogComparison { origin: name.clone(), a_size: size, b_size: 0, common: 0, undelivered: size };
    let Some(twin) = other.logs.iter().find(|twin| twin.line().name == *name) else {
        // An epoch that was opened after the other export, or of which nothing was delivered before it, is no fault.
        let later = other.logs.iter().any(|earlier| earlier.continued_by(log));
        let known = log.delivered > 0 || log.line().origin.issuer == other.verification.exporter;
        if known && !later {
            problems
                .push(Problem::new(Check::Compare, "the log is in one bundle only").because("LOG_MISSING").of(name));
        }
        return found;
    };
    found.b_size = twin.line().size;
    found.undelivered = found.a_size.abs_diff(found.b_size);
    found.common = common(own, log, other, twin).unwrap_or_default();
    if found.common < found.a_size.min(found.b_size) {
        let text = "the bundles hold different entries from here on: one of them was rewritten";
        problems.push(Problem::new(Check::Compare, text).because("REWRITTEN").of(name).entry(found.common));
    }
    found
}

/// Entries that two copies of a log have in common, from the first on.
fn common(own: &Checked, log: &CheckedLog, other: &Checked, twin: &CheckedLog) -> Option<u64> {
    let size = log.line().size.min(twin.line().size);
    let mut roots = Roots::new(own.bundle.as_ref()?, &log.scanned);
    let mut others = Roots::new(other.bundle.as_ref()?, &twin.scanned);
    if roots.at(size)? == others.at(size)? {
        return Some(size);
    }
    let chunk = (0..size / 256).find(|chunk| roots.chunk(*chunk) != others.chunk(*chunk)).unwrap_or(size / 256);
    Some((chunk * 256..size).find(|index| roots.leaf(*index) != others.leaf(*index)).unwrap_or(size))
}
