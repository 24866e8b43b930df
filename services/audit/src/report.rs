//! What happened: the twenty questions of an auditor answered one by one, with the findings behind the answers, each with
//! the entries that show it. One model, three renderings: terminal text, JSON (`report.schema.json`) and one HTML page.

mod agencies;
mod answers;
mod duties;
mod figures;
mod findings;
mod html;
mod integrity;
mod journal;
mod ledger;
mod limits;
mod orders;
mod places;
mod rejections;
mod retention;
mod scan;
mod text;
mod timeline;
mod times;

use std::path::Path;

use convenio_seal::TrustFile;
use serde::Serialize;

use crate::audit::{Audit, Options};
use crate::compare::Comparison;
pub use crate::history::Place;
use crate::language::{Catalogue, Language};
use crate::problem::Unusable;
use crate::verify::Verification;

pub use answers::{Answer, Answered, QUESTIONS, Summary};
pub use figures::{Figure, Figures, FiguresError};
pub use limits::Limit;
pub use places::MAX_PLACES;
pub(crate) use places::{Places, listed};
pub use timeline::{Month, Timeline};

/// `format` of the JSON.
pub const FORMAT: &str = "convenio-report/v1";
/// Findings that a report lists at most; `finding_count` tells how many there are.
pub const MAX_FINDINGS: usize = 10_000;

/// How a report is made.
#[derive(Clone, Default)]
pub struct Asked {
    /// Language of its texts.
    pub language: Language,
    /// Published figures to be reproduced.
    pub figures: Option<Figures>,
    /// How the audit works.
    pub options: Options,
}

/// What a report says. As JSON: these members by these names (`report.schema.json`).
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: &'static str,
    /// Language of its texts, ISO 639-1.
    pub language: &'static str,
    /// True if the integrity of what was read holds; else nothing is said of what happened.
    pub integrity: bool,
    /// How many answers are of each kind.
    pub summary: Summary,
    /// The answers, A1 to A20.
    pub answers: Vec<Answer>,
    /// Findings, sorted by question, code and subject; the first [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// All of them.
    pub finding_count: u64,
    /// What this report cannot show.
    pub limits: Vec<Limit>,
    /// Records by month and log.
    pub timeline: Vec<Timeline>,
    /// RECORDs that could not be judged because a part is erased.
    pub erased: u64,
    /// The bundles.
    pub bundles: Vec<Verification>,
    /// The comparison, if there are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// A rule worked as it should.
    Informative,
    /// Somebody should look at it.
    Minor,
    /// A rule was broken, or nearly.
    Serious,
    /// Somebody is harmed, or the evidence itself is broken.
    Grave,
}

impl Gravity {
    /// Key of its word.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Informative => "gravity-informative",
            Self::Minor => "gravity-minor",
            Self::Serious => "gravity-serious",
            Self::Grave => "gravity-grave",
        }
    }
}

/// One finding: one for each case, however many entries show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Question that it answers (`A10` quota, `A11` licence, `A13` terms, …).
    pub criterion: &'static str,
    /// Stable code.
    pub code: &'static str,
    /// What was found, for people, in the report's language.
    pub condition: String,
    /// Gravity.
    pub gravity: Gravity,
    /// Resource name; empty if it concerns a log as a whole.
    pub subject: String,
    /// Entries that show it, the first [`MAX_PLACES`].
    pub places: Vec<Place>,
    /// How many acts it concerns.
    pub count: u64,
    /// Terms that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldDifference>,
}

/// A term that differs; the values are those of contracts, not of persons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Path in registry terms, for example `contract.terms.wage_rate`.
    pub path: String,
    /// Agreed value; empty if the source does not tell it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agreed: String,
    /// Observed or offered value, likewise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed: String,
    /// Where the agreed value stands, if it is in a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed_at: Option<Place>,
    /// Where the observed value stands, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Place>,
}

/// Verifies the bundle (and compares it with a second one) and reports what a replay finds, in English.
///
/// # Errors
/// [`Unusable`].
pub fn report(bundle: &Path, second: Option<&Path>, trust: &TrustFile) -> Result<Report, Unusable> {
    report_as(bundle, second, trust, &Asked::default())
}

/// As [`report`], as asked.
///
/// # Errors
/// [`Unusable`].
pub fn report_as(bundle: &Path, second: Option<&Path>, trust: &TrustFile, asked: &Asked) -> Result<Report, Unusable> {
    let audit = Audit::open(bundle, second, trust, &asked.options)?;
    let say = Catalogue::of(asked.language);
    let ledger = ledger::keep(&audit, trust, asked, &say)?;
    let answers = answers::all(&ledger, &audit, asked, &say);
    Ok(Report {
        format: FORMAT,
        language: asked.language.code(),
        integrity: audit.holds(),
        summary: Summary::of(&answers),
        limits: limits::of(&audit, trust, &say),
        timeline: ledger.timeline.finish(&ledger.findings),
        erased: ledger.gone,
        finding_count: ledger.finding_count,
        findings: ledger.findings,
        answers,
        bundles: audit.verifications().cloned().collect(),
        comparison: audit.comparison().cloned(),
    })
}

impl Report {
    /// Whether an answer is a finding.
    #[must_use]
    pub fn has_findings(&self) -> bool {
        self.answers.iter().any(|answer| answer.answer == Answered::Finding)
    }

    /// The terminal text.
    #[must_use]
    pub fn text(&self) -> String {
        text::of(self)
    }

    /// One HTML page that needs nothing else.
    #[must_use]
    pub fn html(&self) -> String {
        html::of(self)
    }

    /// The JSON, with a final newline.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers, texts and lists always serialise") + "\n"
    }
}
