//! One subject's history from both logs, in order: what, who, when at the earliest and at the latest, and what was decided.

use std::fmt::Write as _;

use convenio_agreement::act::Kind;
use serde::Serialize;

use crate::audit::Audit;
use crate::history::{At, History, Place, ReplayedRecord, TimeBounds};
use crate::moment;
use crate::problem::Unusable;
use crate::replay::ActOutcome;

/// A subject's history. As JSON: these members by these names. No content of records, only what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Resource name.
    pub subject: String,
    /// Agreement.
    pub agreement: String,
    /// Its records.
    pub records: Vec<ShownRecord>,
    /// How the sides differ where they must not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<String>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownRecord {
    /// Where it stands.
    pub place: Place,
    /// Record.
    pub record_id: String,
    /// Party that issued it.
    pub party: String,
    /// `transition`, `proposal`, `fact`, `notice`.
    pub kind: &'static str,
    /// Act; empty if its parts are erased.
    pub act: String,
    /// Log time as its issuer says, RFC 3339; empty if it does not say.
    pub stated: String,
    /// When it happened as its issuer says, likewise.
    pub event: String,
    /// The log did not hold it at this time, by cosignatures, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The log held it at this time, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// `undecided`, `accepted`, or the reason of a rejection.
    pub outcome: String,
    /// Gate that refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gate: String,
    /// The OUTCOME that decided it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Place>,
    /// Why its issuer was not entitled to it by what it had seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unentitled: Option<String>,
    /// Record that it corrects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// Parts that are erased or were never stored.
    pub erased_parts: u32,
}

/// The history of `subject` (`placements/<uuid>`, `jobOrders/<uuid>`, `agencies/<uuid>`); none if no record is about it.
///
/// # Errors
/// [`Unusable`].
pub fn show(audit: &Audit, subject: &str) -> Result<Option<Shown>, Unusable> {
    if !audit.holds() {
        return Ok(None);
    }
    for exchange in audit.exchanges() {
        let Some(history) = audit.history(&exchange, subject, &At::End)? else { continue };
        let History { records, disagreement, .. } = history;
        let records = records.iter().map(|record| {
            let bounds = audit.entry(&record.place.origin, record.place.index)?.map(|entry| entry.time);
            Ok(shown(record, &exchange.pack.party(record.issuer).id, bounds.unwrap_or_default()))
        });
        return Ok(Some(Shown {
            subject: subject.to_owned(),
            agreement: exchange.pack.id().to_owned(),
            records: records.collect::<Result<_, Unusable>>()?,
            disagreement,
        }));
    }
    Ok(None)
}

fn shown(record: &ReplayedRecord, party: &str, bounds: TimeBounds) -> ShownRecord {
    let said = |ms: u64| if ms == 0 { String::new() } else { moment::rfc3339(ms) };
    let bound = |seconds: Option<u64>| seconds.map(|seconds| moment::rfc3339(seconds.saturating_mul(1_000)));
    let (outcome, gate) = match &record.act.outcome {
        ActOutcome::Undecided => ("undecided".to_owned(), String::new()),
        ActOutcome::Accepted => ("accepted".to_owned(), String::new()),
        ActOutcome::Rejected { reason, detail } => (reason.clone(), detail.to_string()),
    };
    ShownRecord {
        place: record.place.clone(),
        record_id: hex::encode(record.act.record_id.0),
        party: party.to_owned(),
        kind: match record.kind {
            Kind::Transition => "transition",
            Kind::Proposal => "proposal",
            Kind::Fact => "fact",
            Kind::Notice => "notice",
            Kind::Local => "local",
        },
        act: record.act.act.clone(),
        stated: said(record.time_ms),
        event: said(record.event_time_ms),
        not_before: bound(bounds.not_before),
        not_after: bound(bounds.not_after),
        outcome,
        gate,
        decided: record.decided.clone(),
        unentitled: record.act.unentitled.as_ref().map(ToString::to_string),
        supersedes: record.supersedes.map(|id| hex::encode(id.0)),
        erased_parts: record.missing.count_ones(),
    }
}

/// The history, for people.
#[must_use]
pub fn text(of: &Shown) -> String {
    let mut out = format!("{} ({})\n", of.subject, of.agreement);
    for record in &of.records {
        let act = if record.act.is_empty() { "(erased)" } else { &record.act };
        let _ = writeln!(out, "{} #{}", record.place.origin, record.place.index);
        let _ = writeln!(out, "    {} {} {act}, record {}", record.party, record.kind, record.record_id);
        let from = record.not_before.as_deref().unwrap_or("…");
        let until = record.not_after.as_deref().unwrap_or("…");
        let _ =
            writeln!(out, "    entered between {from} and {until}; stated {}, event {}", record.stated, record.event);
        let by = record.decided.as_ref().map(|place| format!(" by {} #{}", place.origin, place.index));
        let gate = if record.gate.is_empty() { String::new() } else { format!(" (gate {})", record.gate) };
        let _ = writeln!(out, "    {}{gate}{}", record.outcome, by.unwrap_or_default());
        if let Some(why) = &record.unentitled {
            let _ = writeln!(out, "    its issuer was not entitled to it: {why}");
        }
        if let Some(corrected) = &record.supersedes {
            let _ = writeln!(out, "    corrects record {corrected}");
        }
        if record.erased_parts > 0 {
            let _ = writeln!(out, "    {} parts are gone", record.erased_parts);
        }
    }
    if let Some(text) = &of.disagreement {
        let _ = writeln!(out, "the sides differ: {text}");
    }
    out
}
