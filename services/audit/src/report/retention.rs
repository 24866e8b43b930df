//! Whether what had to be erased was erased in time (A18).

use convenio_agreement::config::Retention;

use super::Gravity;
use super::ledger::Ledger;

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
