//! The audit of both bundles, and whether it found exactly what was planted.

use std::path::Path;

use anyhow::Context;
use convenio_audit::{Finding, Problem, Report, load_trust, report};

use super::scenario::Violation;
use super::season::Season;

/// Problems of integrity that are told; the audit's own command lists all.
const TOLD: usize = 3;

/// What the audit says.
pub struct Judgement {
    pub findings: Vec<Finding>,
    /// What does not hold; empty if integrity holds and the findings are those planted.
    pub problems: Vec<String>,
}

/// Audits both bundles together.
///
/// # Errors
/// A bundle or the trust file cannot be read at all.
pub fn judge(one: &Path, other: &Path, trust: &Path, season: &Season) -> anyhow::Result<Judgement> {
    let trust = load_trust(trust).context("the trust file")?;
    let report = report(one, Some(other), &trust).context("the bundles")?;
    let mut problems = integrity(&report);
    if problems.is_empty() {
        problems = differences(&expected(season)?, &report.findings);
    }
    Ok(Judgement { findings: report.findings, problems })
}

/// Problems of integrity, the first few; empty if it holds.
pub fn integrity(report: &Report) -> Vec<String> {
    let of_bundles = report.bundles.iter().flat_map(|bundle| &bundle.problems);
    let of_both = report.comparison.iter().flat_map(|comparison| &comparison.problems);
    let mut problems: Vec<_> = of_bundles.chain(of_both).take(TOLD).map(told).collect();
    if !report.integrity && problems.is_empty() {
        problems.push("integrity does not hold".to_owned());
    }
    problems
}

fn told(problem: &Problem) -> String {
    let place = problem.origin.as_deref().or(problem.path.as_deref()).unwrap_or_default();
    let index = problem.index.map(|index| format!("#{index}")).unwrap_or_default();
    format!("{} {place}{index}: {}", problem.check.as_str(), problem.text)
}

/// Code and subject of what each planted violation must be found as, sorted.
fn expected(season: &Season) -> anyhow::Result<Vec<(String, String)>> {
    let mut expected = Vec::new();
    for (violation, jobs) in &season.victims {
        let planted = season.planted(*violation).context("a violation with victims is planted")?;
        let first = jobs.first().context("a violation has victims")?;
        let subject = match violation {
            Violation::SuspendedAtHome | Violation::SuspendedByPartner => {
                season.suspended(*violation).and_then(|index| season.agencies.get(index)).context("no agency")?
            }
            Violation::LowWage | Violation::OverSubscription => &season.order(first)?.name,
            Violation::Substitution => &first.placement,
        };
        expected.push((planted.finding.clone(), subject.clone()));
    }
    expected.sort();
    Ok(expected)
}

/// What was planted and not found, and what was found and not planted.
fn differences(expected: &[(String, String)], findings: &[Finding]) -> Vec<String> {
    let mut found: Vec<_> = findings.iter().map(|f| (f.code.to_owned(), f.subject.clone())).collect();
    let mut problems = Vec::new();
    for wanted in expected {
        match found.iter().position(|one| one == wanted) {
            Some(at) => drop(found.swap_remove(at)),
            None => problems.push(format!("not found: {} of {}", wanted.0, wanted.1)),
        }
    }
    problems.extend(found.into_iter().map(|(code, subject)| format!("found, not planted: {code} of {subject}")));
    problems
}

#[cfg(test)]
mod tests {
    use convenio_audit::Gravity;

    use super::*;

    fn finding(code: &'static str, subject: &str) -> Finding {
        Finding {
            criterion: "A11",
            code,
            condition: String::new(),
            gravity: Gravity::Informative,
            subject: subject.to_owned(),
            places: Vec::new(),
            count: 1,
            fields: Vec::new(),
        }
    }

    #[test]
    fn only_exactly_what_was_planted_is_ok() {
        let expected = [("A".to_owned(), "x".to_owned()), ("B".to_owned(), "y".to_owned())];
        assert!(differences(&expected, &[finding("B", "y"), finding("A", "x")]).is_empty());
        assert_eq!(differences(&expected, &[finding("B", "y")]), ["not found: A of x"]);
        let twice = [finding("B", "y"), finding("A", "x"), finding("A", "x")];
        assert_eq!(differences(&expected, &twice), ["found, not planted: A of x"]);
        let elsewhere = [finding("B", "y"), finding("A", "z")];
        assert_eq!(differences(&expected, &elsewhere), ["not found: A of x", "found, not planted: A of z"]);
    }
}
