//! The short texts that people read.

use std::fmt::Write as _;

use crate::compare::Comparison;
use crate::problem::Problem;
use crate::verify::Verification;

/// Problems that are printed.
const SHOWN: usize = 20;

/// A verification, for people.
#[must_use]
pub fn verification(of: &Verification) -> String {
    format!("{} ", of.bundle) + &verified(of)
}

/// The same whatever the folder is called.
fn verified(of: &Verification) -> String {
    let mut out = format!("(exported by {})\n", of.exporter);
    for agreement in &of.agreements {
        let _ = writeln!(out, "  agreement {} {}", agreement.id, agreement.digest);
    }
    for log in &of.logs {
        let _ = writeln!(
            out,
            "  log {}: {} entries, {} delivered, {} records ({} accepted, {} rejected)",
            log.origin, log.size, log.delivered, log.records, log.accepted, log.rejected
        );
    }
    problems(&mut out, &of.problems, of.problem_count);
    let _ = writeln!(out, "  integrity {}", if of.holds { "holds" } else { "DOES NOT HOLD" });
    out
}

/// A comparison, for people.
#[must_use]
pub fn comparison(of: &Comparison) -> String {
    verification(&of.a) + &verification(&of.b) + &compared(of)
}

fn compared(of: &Comparison) -> String {
    let mut out = String::new();
    for log in &of.logs {
        let _ = writeln!(
            out,
            "  log {}: {} and {} entries, {} in common, {} undelivered",
            log.origin, log.a_size, log.b_size, log.common, log.undelivered
        );
    }
    problems(&mut out, &of.problems, of.problem_count);
    let _ = writeln!(out, "  {} placements replayed from both sides", of.placements);
    let _ = writeln!(out, "  the bundles {}", if of.holds { "agree" } else { "DO NOT AGREE" });
    let _ = writeln!(out, "  note: {}", of.note);
    out
}

/// What was read, for the head of a report.
pub(crate) fn bundles(bundles: &[Verification], comparison: Option<&Comparison>) -> String {
    bundles.iter().map(verified).chain(comparison.map(compared)).collect()
}

fn problems(out: &mut String, list: &[Problem], count: u64) {
    for problem in list.iter().take(SHOWN) {
        let _ = write!(out, "  PROBLEM {}", problem.check.as_str());
        if let Some(path) = &problem.path {
            let _ = write!(out, " {path}");
        }
        if let Some(origin) = &problem.origin {
            let _ = write!(out, " {origin}");
        }
        if let Some(index) = problem.index {
            let _ = write!(out, " #{index}");
        }
        let _ = writeln!(out, ": {}", problem.text);
    }
    let shown = list.len().min(SHOWN) as u64;
    if count > shown {
        let _ = writeln!(out, "  … and {} more problems", count - shown);
    }
}
