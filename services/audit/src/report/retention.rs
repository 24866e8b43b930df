//! Whether what had to be erased was erased in time, and nothing before its time (A18).

use convenio_agreement::config::Retention;

use super::ledger::{Case, Ledger};
use super::{Finding, Gravity};
use crate::history::{History, ReplayedRecord, SubjectView};
use crate::replay::ActOutcome;

const DAY_MS: u64 = 86_400_000;
/// A month is counted with its most days: an audit does not accuse on a boundary.
const MONTH_MS: u64 = 31 * DAY_MS;

/// Whether parts of `class` must be gone at `now_ms`, if the placement ended at `ended_ms`. The time to order an erasure
/// and have it answered is granted.
pub(super) fn is_due(retention: &Retention, class: &str, ended_ms: u64, now_ms: u64) -> bool {
    let Some(class) = retention.class(class).filter(|class| !class.for_ever()) else { return false };
    let granted = u64::from(class.months) * MONTH_MS + u64::from(retention.erase_answer_days) * DAY_MS;
    ended_ms.saturating_add(granted) < now_ms
}

/// Parts of accepted records that are gone although even at `now_ms`, the last time that the bundles tell, the agreement
/// keeps their class. Their message is known from their act; where the lead is gone nothing is, and nothing is said.
pub(super) fn early<'h>(case: &'h Case<'_>, history: &'h History, now_ms: u64) -> impl Iterator<Item = Finding> + 'h {
    let accepted = |record: &&ReplayedRecord| record.missing != 0 && record.act.outcome == ActOutcome::Accepted;
    history.records.iter().filter(accepted).filter_map(move |record| {
        let def = case.pack.lifecycle().act(&record.act.act)?;
        let gone = (0u32..).zip(def.messages()).filter(|(slot, _)| *slot < 16 && record.missing & (1 << slot) != 0);
        let ended_ms = ended(case, history, record);
        let kept = |message: &&str| !case.pack.kept(case.pack.class_of(message), ended_ms).is_free(now_ms);
        let messages: Vec<&str> = gone.map(|(_, message)| &**message).filter(kept).collect();
        let class = case.pack.class_of(messages.first()?);
        Some(Finding {
            criterion: "A18",
            code: "ERASED_TOO_EARLY",
            condition: case.say.with("finding-erased-early", [("class", class.into())]),
            gravity: Gravity::Serious,
            subject: history.subject.clone(),
            places: vec![record.place.clone()],
            count: messages.len() as u64,
            fields: Vec::new(),
        })
    })
}

/// From when minimum retention counts; none while the placement goes on.
fn ended(case: &Case<'_>, history: &History, record: &ReplayedRecord) -> Option<u64> {
    let of = |view: &Option<SubjectView>| match view {
        Some(SubjectView::Placement(view)) => case.pack.ended_ms(view),
        _ => None,
    };
    if history.subject.starts_with("placements/") {
        // Where the sides differ, the end that one of them knows is enough: no accusation on a doubt.
        of(&history.origin).into_iter().chain(of(&history.destination)).min()
    } else {
        Some(record.time_ms)
    }
}

/// Judges the erasures that were ordered, and takes what the duties counted.
pub(super) fn tally(ledger: &mut Ledger) {
    let duties = std::mem::take(&mut ledger.duties);
    let unanswered: Vec<_> = ledger.scan.erasures.unanswered(&duties.answer_ms, duties.now_ms).collect();
    for place in unanswered {
        ledger.of("A18").fail(Gravity::Serious, [place]);
    }
    for (question, counted) in
        [("A12", &duties.fees), ("A14", &duties.late), ("A18", &duties.ended), ("A19", &duties.corrections)]
    {
        ledger.of(question).merge(counted);
    }
    ledger.duties = duties;
}
