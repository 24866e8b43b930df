//! The journal of a node: its log, and whether the registry's rows are as the journal left them.
//!
//! [`verify`](crate::verify()) checks the log of a bundle's journal like every other log. [`check_journal`] also folds what
//! its parts say of each row and compares the end with the digests of the live rows: a row that was changed, removed or
//! made behind the service's back is found, and so is a journal that was cut or written anew since the partner's witness
//! saw it. [`accesses`] tells who read whom.

mod fold;
mod heads;
mod reads;
mod walk;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use convenio_seal::{ManifestKeys, TrustFile};
use serde::Serialize;

pub use fold::RowFinding;
pub(crate) use heads::TRUNCATED;
pub use reads::{Access, Accesses, accesses};
pub(crate) use walk::Told;

use crate::audit::Options;
use crate::bundle::{Bundle, JournalLine};
use crate::keys::KeyBook;
use crate::problem::{Check, Problem, Problems, Unusable};
use crate::verify::{Checked, check};
use fold::Fold;
use walk::walk;

/// Digests of the registry's live rows, in a bundle.
pub(crate) const ROWS: &str = "rows";
/// Milliseconds that the clocks of a node and of its partner's witness may differ.
const SKEW_MS: u64 = 30_000;

/// A journal, as it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalSummary {
    /// Origin.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// How many of them a partner's witness vouches for; what came later can still be rewritten by its own node.
    pub witnessed: u64,
    /// Entries whose part is not there.
    pub without_part: u64,
    /// Entries that the partner's witness saw and that are not here: they were cut off, or came after the export.
    pub unseen: u64,
    /// True where they were cut off: the bundle itself tells of a time after that at which the witness saw them.
    pub cut: bool,
}

/// What a journal says of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalReport {
    /// Folder of the bundle.
    pub bundle: String,
    /// Node that exported it.
    pub exporter: String,
    /// Whether the logs are whole and nothing was changed behind the service.
    pub holds: bool,
    /// Journals, by epoch.
    pub journals: Vec<JournalSummary>,
    /// Live rows.
    pub rows: u64,
    /// Rows of which the journal cannot tell any more: what it said was erased.
    pub indeterminate: u64,
    /// Problems found; the list may be shorter.
    pub problem_count: u64,
    /// Problems of integrity.
    pub problems: Vec<Problem>,
    /// Findings; the list may be shorter.
    pub finding_count: u64,
    /// Rows that are not as the journal left them.
    pub findings: Vec<RowFinding>,
    /// What could not be checked, in words.
    pub notes: Vec<String>,
}

/// Verifies the bundle in `path` and compares its registry's rows with its journal; with the partner's bundle in `partner`,
/// also the journal's head with what the partner's witness cosigned.
///
/// # Errors
/// [`Unusable`].
pub fn check_journal(
    path: &Path,
    partner: Option<&Path>,
    trust: &TrustFile,
    options: &Options,
) -> Result<JournalReport, Unusable> {
    let checked = check(path, trust, options)?;
    let partner = partner.map(|path| check(path, trust, options)).transpose()?;
    Ok(examine(&checked, partner.as_ref(), &mut |_| {}))
}

/// As [`check_journal`], of bundles that were verified; each entry is shown to `see` as it passes by.
pub(crate) fn examine(checked: &Checked, partner: Option<&Checked>, see: &mut dyn FnMut(&Told<'_>)) -> JournalReport {
    let mut problems = Problems::default();
    problems.extend(partner.iter().flat_map(|partner| &partner.verification.problems).cloned());
    let mut report = JournalReport {
        bundle: checked.verification.bundle.clone(),
        exporter: checked.verification.exporter.clone(),
        holds: false,
        journals: Vec::new(),
        rows: 0,
        indeterminate: 0,
        problem_count: 0,
        problems: Vec::new(),
        finding_count: 0,
        findings: Vec::new(),
        notes: Vec::new(),
    };
    if checked.verification.holds
        && let Some(bundle) = &checked.bundle
    {
        compared(bundle, checked, partner, &mut problems, &mut report, see);
    }
    report.problem_count = checked.verification.problem_count + problems.count();
    report.problems = checked.verification.problems.clone();
    report.problems.extend(problems.into_list());
    report.holds = report.problem_count == 0 && report.finding_count == 0;
    report
}

fn compared(
    bundle: &Bundle,
    checked: &Checked,
    partner: Option<&Checked>,
    problems: &mut Problems,
    report: &mut JournalReport,
    see: &mut dyn FnMut(&Told<'_>),
) {
    let keys = manifests(bundle, &checked.book);
    let mut fold = Fold::default();
    let (mut last_ms, mut seen_ms) = (checked.last_ms(), Vec::new());
    for line in by_epoch(bundle) {
        let theirs = partner.and_then(|partner| heads::witnessed(partner, line, &keys, problems));
        let wanted: BTreeSet<u64> = theirs.iter().map(|seen| seen.head.size()).collect();
        let (mut without_part, mut unseen) = (0, 0);
        let roots = walk(bundle, line, &wanted, &mut Problems::default(), &mut |told| {
            without_part += u64::from(told.part.is_none());
            last_ms = last_ms.max(told.entry.time_ms);
            fold.take(&told);
            see(&told);
        });
        let mut witnessed = heads::check(bundle, line, &keys, None, problems);
        if let Some(seen) = &theirs {
            heads::agrees(line, &seen.head, &roots, problems);
            witnessed = witnessed.max(seen.head.size());
            unseen = seen.head.size().saturating_sub(line.size);
        }
        seen_ms.push(theirs.map_or(u64::MAX, |seen| seen.time_ms));
        let (origin, size) = (line.name.clone(), line.size);
        report.journals.push(JournalSummary { origin, size, witnessed, without_part, unseen, cut: false });
    }
    for (journal, seen_ms) in report.journals.iter_mut().zip(seen_ms) {
        journal.cut = journal.unseen > 0 && last_ms > seen_ms.saturating_add(SKEW_MS);
    }
    match bundle.manifest().journals.is_empty() {
        true => report.notes.push("the bundle holds no journal".to_owned()),
        false if !bundle.lists(ROWS) => {
            report.notes.push("the bundle holds no digests of rows: it has commitments only".to_owned());
        }
        false => fold.compare(bundle, ROWS, problems, report),
    }
}

/// Checks the journals of a bundle as logs; part of the verification of a bundle.
pub(crate) fn verify(bundle: &Bundle, book: &KeyBook, problems: &mut Problems) {
    let keys = manifests(bundle, book);
    for line in &bundle.manifest().journals {
        if line.origin.node != bundle.manifest().node {
            problems.push(Problem::new(Check::Manifest, "a journal of another node").of(&line.name));
        }
        let wanted = heads::sizes(bundle, line);
        let roots = walk(bundle, line, &wanted, problems, &mut |_| {});
        heads::check(bundle, line, &keys, Some(&roots), problems);
    }
    // Hashed here; what it says is compared on demand.
    if bundle.lists(ROWS)
        && let Some(Ok(mut file)) = bundle.stream(ROWS)
        && !file.finish()
    {
        problems.push(crate::bundle::differs(ROWS));
    }
}

/// Every key manifest that the roots of the nodes of a bundle's logs authorised.
fn manifests(bundle: &Bundle, book: &KeyBook) -> Vec<ManifestKeys> {
    let logs = bundle.manifest().logs.iter();
    let nodes: BTreeSet<&str> = logs.flat_map(|log| [&*log.origin.issuer, &*log.origin.recipient]).collect();
    nodes.into_iter().flat_map(|node| book.ring(node).all().cloned().collect::<Vec<_>>()).collect()
}

impl JournalReport {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{} (exported by {})\n", self.bundle, self.exporter);
        for journal in &self.journals {
            let JournalSummary { origin, size, witnessed, without_part, unseen, cut } = journal;
            let _ = writeln!(
                out,
                "  journal {origin}: {size} entries, {witnessed} witnessed by a partner, {without_part} without part"
            );
            let why = if *cut { "cut off" } else { "cut off, or later than this export: ask for a new one" };
            if *unseen > 0 {
                let _ = writeln!(out, "  {unseen} entries that the partner's witness saw are not here: {why}");
            }
        }
        let _ = writeln!(out, "  {} rows, {} of them indeterminate", self.rows, self.indeterminate);
        for problem in self.problems.iter().take(SHOWN) {
            let place = problem.origin.as_deref().or(problem.path.as_deref()).unwrap_or_default();
            let index = problem.index.map(|index| format!(" entry {index}")).unwrap_or_default();
            let _ = writeln!(out, "  PROBLEM {} {place}{index}: {}", problem.reason, problem.text);
        }
        for finding in self.findings.iter().take(SHOWN) {
            let _ = writeln!(out, "  {finding}");
        }
        for note in &self.notes {
            let _ = writeln!(out, "  note: {note}");
        }
        let verdict = if self.holds { "as the journal left them" } else { "NOT as the journal left them" };
        let _ = writeln!(out, "  the rows are {verdict}");
        out
    }
}

/// Lines of one kind that are printed.
const SHOWN: usize = 50;

/// The journals of a bundle in the order in which they were written.
fn by_epoch(bundle: &Bundle) -> Vec<&JournalLine> {
    let mut lines: Vec<_> = bundle.manifest().journals.iter().collect();
    lines.sort_by_key(|line| line.origin.epoch);
    lines
}

/// Folder of a journal's log.
fn folder(line: &JournalLine) -> String {
    crate::bundle::log_folder(&line.name)
}
