//! The twenty questions, answered one by one. What was not recorded, or is gone, is said and never guessed.

use serde::Serialize;

use super::ledger::Ledger;
use super::places::Places;
use super::{Asked, Gravity, Place};
use crate::audit::Audit;
use crate::compare::SAME_EXPORTER;
use crate::language::{Catalogue, With};
use crate::problem::Problem;

/// The questions of an auditor, by their stable codes (domain.md, "What each user asks").
pub const QUESTIONS: [&str; 20] = [
    "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A17",
    "A18", "A19", "A20",
];

/// Place of a question; the first for what is none.
pub(super) fn number(question: &str) -> usize {
    QUESTIONS.iter().position(|own| *own == question).unwrap_or_default()
}

/// Kind of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Answered {
    /// Examined, and as it should be.
    Ok,
    /// Something is not as it should be.
    Finding,
    /// Cannot be told: a part is gone by ERASE, or the integrity does not hold.
    Indeterminate,
    /// Nothing that could answer it was recorded.
    NotRecorded,
}

impl Answered {
    /// Key of its word.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Ok => "answer-ok",
            Self::Finding => "answer-finding",
            Self::Indeterminate => "answer-indeterminate",
            Self::NotRecorded => "answer-not-recorded",
        }
    }
}

/// One question with its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Stable code, `A1` to `A20`.
    pub code: &'static str,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: Answered,
    /// What was examined: entries, acts, parts, orders, as the condition says.
    pub examined: u64,
    /// How many of them are not as they should be.
    pub failed: u64,
    /// How many could not be judged.
    pub indeterminate: u64,
    /// The rule and where it stands.
    pub criterion: String,
    /// What was seen.
    pub condition: String,
    /// What would record the answer, if it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorder: Option<String>,
    /// Gravity of the gravest finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gravity: Option<Gravity>,
    /// Entries that show what failed, the first [`super::MAX_PLACES`].
    pub evidence: Vec<Place>,
    /// All of them.
    pub evidence_total: u64,
}

/// How many answers are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// As they should be.
    pub ok: u64,
    /// With findings.
    pub finding: u64,
    /// Not to be told.
    pub indeterminate: u64,
    /// Not recorded.
    pub not_recorded: u64,
}

impl Summary {
    pub(super) fn of(answers: &[Answer]) -> Self {
        let count = |kind| answers.iter().filter(|answer| answer.answer == kind).count() as u64;
        Self {
            ok: count(Answered::Ok),
            finding: count(Answered::Finding),
            indeterminate: count(Answered::Indeterminate),
            not_recorded: count(Answered::NotRecorded),
        }
    }
}

/// What was counted for one question.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) examined: u64,
    pub(super) failed: u64,
    pub(super) gone: u64,
    pub(super) gravity: Option<Gravity>,
    pub(super) places: Places,
}

impl Tally {
    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        self.examined += other.examined;
        self.failed += other.failed;
        self.gone = self.gone.saturating_add(other.gone);
        self.gravity = self.gravity.max(other.gravity);
        self.places.merge(&other.places);
    }

    /// Counts a failure that is no finding of its own.
    pub(super) fn fail(&mut self, gravity: Gravity, places: impl IntoIterator<Item = Place>) {
        self.failed += 1;
        self.gravity = self.gravity.max(Some(gravity));
        places.into_iter().for_each(|place| self.places.add(place));
    }
}

/// Why a question has no answer.
enum Silent {
    /// Texts of the condition and of what would record it.
    NotRecorded(String, String),
    /// Text of the condition.
    Indeterminate(String),
}

struct Writer<'w> {
    ledger: &'w Ledger,
    audit: &'w Audit,
    asked: &'w Asked,
    say: &'w Catalogue,
}

/// All answers, in the order of [`QUESTIONS`].
pub(super) fn all(ledger: &Ledger, audit: &Audit, asked: &Asked, say: &Catalogue) -> Vec<Answer> {
    let writer = Writer { ledger, audit, asked, say };
    QUESTIONS.iter().map(|question| writer.answer(question)).collect()
}

impl Writer<'_> {
    fn answer(&self, code: &'static str) -> Answer {
        let tally = self.ledger.at(code);
        let silent = self.silent(code);
        let (answer, condition, recorder) = match silent {
            _ if tally.failed > 0 => (Answered::Finding, self.text(code, "finding"), None),
            Some(Silent::NotRecorded(condition, recorder)) => (Answered::NotRecorded, condition, Some(recorder)),
            Some(Silent::Indeterminate(condition)) => (Answered::Indeterminate, condition, None),
            None if tally.gone > 0 => (Answered::Indeterminate, self.gone(tally.gone), None),
            None => (Answered::Ok, self.text(code, "ok"), None),
        };
        Answer {
            code,
            question: self.text(code, "question"),
            answer,
            examined: tally.examined,
            failed: tally.failed,
            indeterminate: tally.gone,
            criterion: self.text(code, "rule"),
            condition,
            recorder,
            gravity: tally.gravity.filter(|_| tally.failed > 0),
            evidence: tally.places.list(),
            evidence_total: tally.places.total,
        }
    }

    fn gone(&self, count: u64) -> String {
        self.say.with("condition-gone", [("count", count.into())])
    }

    /// A text of a question with everything that any of them names.
    fn text(&self, code: &str, ending: &str) -> String {
        let (ledger, tally) = (self.ledger, self.ledger.at(code));
        let scan = &ledger.scan;
        let (median, slowest) = ledger.duties.delays();
        let silent = scan.journal.source(code).map(|source| source.silent.iter().cloned().collect::<Vec<_>>());
        let values: [With<'_>; 16] = [
            ("examined", tally.examined.into()),
            ("failed", tally.failed.into()),
            ("logs", ledger.counts.logs.into()),
            ("bounded", ledger.counts.bounded.into()),
            ("pinned", ledger.counts.pinned.into()),
            ("undelivered", ledger.counts.undelivered.into()),
            ("erased", ledger.parts_gone.into()),
            ("hours", ledger.duties.hours.into()),
            ("median", median.into()),
            ("slowest", slowest.into()),
            ("readers", (scan.journal.readers.len() as u64).into()),
            ("purposes", (scan.journal.purposes.len() as u64).into()),
            ("silent", silent.unwrap_or_default().join(", ").into()),
            ("orders", scan.erasures.ordered.into()),
            ("which", ledger.counts.wrong.join("; ").into()),
            ("agreement", self.agreements().into()),
        ];
        self.say.with(&format!("{code}-{ending}"), values)
    }

    fn agreements(&self) -> String {
        self.audit.packs().map(|pack| pack.id().to_owned()).collect::<Vec<_>>().join(", ")
    }

    /// Why a question cannot be answered from what was read, if nothing failed.
    fn silent(&self, code: &str) -> Option<Silent> {
        let of_integrity = number(code) <= number("A6");
        let holds = self.audit.holds();
        let read = self.audit.verifications().all(|one| !one.logs.is_empty());
        if code == "A6" && self.alone() {
            return Some(self.not_recorded(code));
        }
        let judged = holds || of_integrity && read;
        if !judged {
            return Some(Silent::Indeterminate(self.say.say("condition-integrity")));
        }
        if of_integrity {
            return None;
        }
        if let Some(source) = self.ledger.scan.journal.source(code) {
            let some = source.found && !source.silent.is_empty();
            let silent = some.then(|| Silent::Indeterminate(self.text(code, "condition-some")));
            return if source.found { silent } else { Some(self.not_recorded(code)) };
        }
        let tally = self.ledger.at(code);
        let recorded = match code {
            "A12" => self.has_fees(),
            "A17" => false,
            "A20" => self.asked.figures.is_some(),
            _ if self.ledger.exchanges == 0 => {
                let recorder = self.say.say("recorder-use");
                return Some(Silent::NotRecorded(self.say.say("condition-no-logs"), recorder));
            }
            // Nothing to correct, to erase or to be late with is as it should be.
            "A14" | "A18" | "A19" => true,
            _ if tally.examined == 0 && tally.gone == 0 => {
                let recorder = self.say.say("recorder-use");
                return Some(Silent::NotRecorded(self.say.say("condition-none-seen"), recorder));
            }
            _ => true,
        };
        (!recorded).then(|| self.not_recorded(code))
    }

    /// Whether only one state was heard.
    fn alone(&self) -> bool {
        let same = |problem: &Problem| problem.reason == SAME_EXPORTER;
        self.audit.comparison().is_none_or(|comparison| comparison.problems.iter().any(same))
    }

    fn not_recorded(&self, code: &str) -> Silent {
        Silent::NotRecorded(self.text(code, "condition-none"), self.text(code, "recorder"))
    }

    /// Whether an agreement has a place where a fee could be recorded; a rule to hold it against each has.
    fn has_fees(&self) -> bool {
        self.audit.packs().any(|pack| {
            pack.messages()
                .flat_map(|message| &message.fields)
                .any(|field| super::duties::is_fee(field.source.as_str()))
        })
    }
}
