//! The report as one page: no script, no other resource, one language.

use std::collections::BTreeSet;

use askama::Template;

use super::{Answer, Answered, Report, Timeline};
use crate::history::Place;
use crate::language::{Catalogue, Language};
use crate::problem::Problem;

/// Findings and problems that the page lists; the JSON lists more.
const SHOWN: usize = 500;
/// Most columns of the chart; longer times are shown by their last months.
const MAX_COLUMNS: usize = 240;
/// Height of one log's bars.
const ROW: u64 = 80;
/// Height of one log with its label and its marks.
const BAND: u64 = ROW + 40;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'p> {
    report: &'p Report,
    say: &'p Catalogue,
    summary: String,
    shown: usize,
    unlisted: u64,
    chart: Chart<'p>,
    problems: Vec<String>,
}

/// The timeline as it is drawn.
struct Chart<'c> {
    width: u64,
    height: u64,
    bar: u64,
    logs: Vec<Drawn<'c>>,
    ticks: Vec<Tick<'c>>,
}

struct Drawn<'c> {
    origin: &'c str,
    label_y: u64,
    base_y: u64,
    bars: Vec<Bar>,
}

struct Bar {
    x: u64,
    y: u64,
    height: u64,
    rejected: u64,
    findings: u64,
    mark_x: u64,
    mark_y: u64,
    title: String,
}

struct Tick<'c> {
    x: u64,
    month: &'c str,
}

pub(super) fn of(report: &Report) -> String {
    let say = Catalogue::of(report.language.parse::<Language>().unwrap_or_default());
    let shown = report.findings.len().min(SHOWN);
    let compared = report.comparison.iter().flat_map(|comparison| &comparison.problems);
    let problems = report.bundles.iter().flat_map(|bundle| &bundle.problems).chain(compared);
    let page = Page {
        report,
        say: &say,
        summary: super::text::summary(report, &say),
        shown,
        unlisted: report.finding_count - (shown as u64).min(report.finding_count),
        chart: chart(&report.timeline, &say),
        problems: problems.take(SHOWN).map(problem).collect(),
    };
    page.render().expect("writing to memory does not fail")
}

impl Page<'_> {
    #[allow(clippy::unused_self)] // templates call methods
    fn class(&self, answer: &Answer) -> &'static str {
        match answer.answer {
            Answered::Ok => "ok",
            Answered::Finding => "finding",
            Answered::Indeterminate => "indeterminate",
            Answered::NotRecorded => "not-recorded",
        }
    }

    fn places(&self, places: &[Place], total: &u64) -> String {
        let listed = places.iter().map(|place| format!("{} #{}", place.origin, place.index)).collect::<Vec<_>>();
        let more = total.saturating_sub(places.len() as u64);
        let end = if more > 0 { format!(" {}", self.more(&more)) } else { String::new() };
        listed.join(", ") + &end
    }

    fn more(&self, count: &u64) -> String {
        self.say.with("label-more", [("count", (*count).into())])
    }
}

fn problem(of: &Problem) -> String {
    let path = of.path.as_deref().unwrap_or_default();
    let origin = of.origin.as_deref().unwrap_or_default();
    let index = of.index.map(|index| format!("#{index}")).unwrap_or_default();
    let place = [path, origin, &index].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{} {place}: {}", of.reason, of.text)
}

fn chart<'c>(logs: &'c [Timeline], say: &Catalogue) -> Chart<'c> {
    let months: BTreeSet<&str> = logs.iter().flat_map(|log| &log.months).map(|month| month.month.as_str()).collect();
    let skipped = months.len().saturating_sub(MAX_COLUMNS);
    let months: Vec<&str> = months.into_iter().skip(skipped).collect();
    let most = logs.iter().flat_map(|log| &log.months).map(|month| month.records).max().unwrap_or(1).max(1);
    let column = (1_000 / months.len().max(1) as u64).clamp(4, 60);
    let x = |month: &str| months.binary_search(&month).ok().map(|at| at as u64 * column);
    let drawn = |(at, log): (usize, &'c Timeline)| {
        let base_y = at as u64 * BAND + BAND - 4;
        let bar = |month: &super::Month| {
            let height = |count: u64| (count * ROW).div_ceil(most);
            let (x, height_all) = (x(&month.month)?, height(month.records));
            let title = format!(
                "{}: {} {}, {} {}, {} {}",
                month.month,
                say.say("label-records"),
                month.records,
                say.say("label-rejected"),
                month.rejected,
                say.say("label-findings"),
                month.findings
            );
            let y = base_y - height_all;
            let (mark_x, mark_y) = (x + column / 2, y.saturating_sub(2));
            let rejected = height(month.rejected);
            Some(Bar { x, y, height: height_all, rejected, findings: month.findings, mark_x, mark_y, title })
        };
        let bars = log.months.iter().filter_map(bar).collect();
        Drawn { origin: &log.origin, label_y: at as u64 * BAND + 14, base_y, bars }
    };
    // A label needs the room of ten or so digits.
    let every = 70u64.div_ceil(column) as usize;
    let ticks = months.iter().enumerate().step_by(every);
    Chart {
        width: (months.len() as u64 * column).max(600),
        height: logs.len() as u64 * BAND + 24,
        bar: column - 1,
        logs: logs.iter().enumerate().map(drawn).collect(),
        ticks: ticks.map(|(at, month)| Tick { x: at as u64 * column, month }).collect(),
    }
}
