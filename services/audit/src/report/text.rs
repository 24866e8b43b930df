//! The report on a terminal.

use std::fmt::Write as _;

use super::{Answer, Answered, Finding, Report};
use crate::history::Place;
use crate::language::{Catalogue, Language};

/// Places that are printed of each answer or finding; the JSON lists more.
const SHOWN: usize = 4;

pub(super) fn of(report: &Report) -> String {
    let say = Catalogue::of(report.language.parse::<Language>().unwrap_or_default());
    let mut out = crate::text::bundles(&report.bundles, report.comparison.as_ref());
    let _ = writeln!(out, "\n{}", say.say("label-answers"));
    for answer in &report.answers {
        line(&mut out, &say, answer);
    }
    let _ = writeln!(out, "\n{}", say.say("label-findings"));
    if report.findings.is_empty() {
        let _ = writeln!(out, "  {}", say.say("label-no-findings"));
    }
    for one in &report.findings {
        finding(&mut out, &say, one);
    }
    let more = report.finding_count - (report.findings.len() as u64).min(report.finding_count);
    if more > 0 {
        let _ = writeln!(out, "  {}", say.with("label-more", [("count", more.into())]));
    }
    let _ = writeln!(out, "\n{}", say.say("label-limits"));
    for limit in &report.limits {
        let _ = writeln!(out, "  {}", limit.text);
    }
    let _ = writeln!(out, "\n{}", summary(report, &say));
    out
}

/// How many answers are of each kind, in words.
pub(super) fn summary(report: &Report, say: &Catalogue) -> String {
    let counts = report.summary;
    say.with(
        "summary-counts",
        [
            ("ok", counts.ok.into()),
            ("finding", counts.finding.into()),
            ("indeterminate", counts.indeterminate.into()),
            ("missing", counts.not_recorded.into()),
        ],
    )
}

fn line(out: &mut String, say: &Catalogue, answer: &Answer) {
    let gravity = answer.gravity.map(|gravity| format!(" [{}]", say.say(gravity.key()))).unwrap_or_default();
    let _ = writeln!(out, "{:<4}{:<14} {}{gravity}", answer.code, say.say(answer.answer.key()), answer.question);
    let _ = writeln!(out, "      {}", answer.condition);
    if let Some(recorder) = &answer.recorder {
        let _ = writeln!(out, "      {}: {recorder}", say.say("label-recorder"));
    }
    if answer.answer == Answered::Finding {
        let _ = writeln!(out, "      {}: {}", say.say("label-criterion"), answer.criterion);
        places(out, say, &answer.evidence, answer.evidence_total);
    }
}

fn finding(out: &mut String, say: &Catalogue, finding: &Finding) {
    let gravity = say.say(finding.gravity.key());
    let _ = writeln!(out, "  {} {} [{gravity}] {}", finding.criterion, finding.code, finding.subject);
    let _ = writeln!(out, "      {}", finding.condition);
    places(out, say, &finding.places, finding.places.len() as u64);
}

fn places(out: &mut String, say: &Catalogue, places: &[Place], total: u64) {
    if places.is_empty() {
        return;
    }
    let shown = places.iter().take(SHOWN).map(|place| format!("{} #{}", place.origin, place.index));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    let more = total.saturating_sub(places.len().min(SHOWN) as u64);
    if more > 0 {
        text += &format!(" {}", say.with("label-more", [("count", more.into())]));
    }
    let _ = writeln!(out, "      {text}");
}
