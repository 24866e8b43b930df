//! Whether an agreement is in force for an act: its days of validity, and what its parties ordered: suspension, resumption,
//! termination. The same answer at the issuer, at the recipient and in the audit, from the positions alone: an act is judged by
//! the orders that stand before it in its issuer's log and by those of the other party that its issuer had judged.

use convenio_wire::exchange::v1::AgreementOrder;
use convenio_wire::exchange::v1::agreement_order::Order;

use crate::config::Renewal;
use crate::lifecycle::{ActDef, Subject};
use crate::pack::Pack;
use crate::retention::months_after;

const DAY_MS: i64 = 86_400_000;

/// Reason: the agreement is suspended.
pub const SUSPENDED: &str = "SUSPENDED";
/// Reason: the agreement is terminated.
pub const TERMINATED: &str = "TERMINATED";
/// Reason: outside the days of validity.
pub const OUT_OF_VALIDITY: &str = "OUT_OF_VALIDITY";

/// An order as it stands in the log of the party that gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// What was ordered, its signatures checked.
    pub order: AgreementOrder,
    /// Log time of its entry, Unix ms.
    pub time_ms: u64,
}

/// An end of the agreement: when, Unix ms, and the reason of what is refused from then on.
type End = (u64, &'static str);

impl Pack {
    /// Why an act that crosses at `time_ms` (log time, Unix ms) is refused whatever its merits; none if it is not. `orders` are
    /// those that its issuer knew.
    #[must_use]
    pub fn halts<'o>(
        &self,
        orders: impl Iterator<Item = &'o Given> + Clone,
        act: ActDef<'_>,
        time_ms: u64,
    ) -> Option<&'static str> {
        let validity = self.config().validity.as_ref();
        if validity.is_some_and(|validity| time_ms < day_ms(validity.from.number())) {
            return Some(OUT_OF_VALIDITY);
        }
        let goes_on = self.goes_on(act);
        if let Some((end, reason)) = self.end(orders.clone()).filter(|(end, _)| time_ms >= *end) {
            let run_off = months_after(end, validity.map_or(0, |validity| validity.run_off_months));
            return (time_ms >= run_off || !goes_on).then_some(reason);
        }
        (!goes_on && suspended(orders, act.name(), time_ms)).then_some(SUSPENDED)
    }

    /// When the agreement ends by these orders and by its own days, Unix ms; none if nothing says so.
    #[must_use]
    pub fn ends_ms<'o>(&self, orders: impl Iterator<Item = &'o Given> + Clone) -> Option<u64> {
        self.end(orders).map(|(end, _)| end)
    }

    /// What goes on while the agreement is suspended or runs off: facts, licences, and the transitions that the pack names.
    fn goes_on(&self, act: ActDef<'_>) -> bool {
        match act {
            ActDef::Fact(_) => true,
            ActDef::Notice(notice) => notice.subject == Subject::Agencies,
            ActDef::Transition(transition) => {
                let still = self.config().suspension.as_ref().map(|suspension| suspension.still.as_slice());
                still.unwrap_or_default().contains(&transition.name)
            }
        }
    }

    fn end<'o>(&self, orders: impl Iterator<Item = &'o Given> + Clone) -> Option<End> {
        let validity = self.config().validity.as_ref();
        // One that renews itself ends by a notice.
        let term = validity.filter(|validity| validity.renewal != Renewal::Automatic).and_then(|v| v.until);
        let term = term.map(|until| (day_ms(until.number() + 1), OUT_OF_VALIDITY));
        let notice_months = validity.map_or(0, |validity| validity.notice_months);
        let terminated = terminated(orders, notice_months).map(|end| (end, TERMINATED));
        [term, terminated].into_iter().flatten().min_by_key(|(end, _)| *end)
    }
}

/// Beginning of a civil day, UTC; the first moment of all for days before 1970.
fn day_ms(number: i64) -> u64 {
    u64::try_from(number.saturating_mul(DAY_MS)).unwrap_or(0)
}

/// When the agreement ends by notice: that of one party alone not before the period of notice has passed; of both on the later
/// of their days, if that is sooner. A notice may be withdrawn before it takes effect.
fn terminated<'o>(orders: impl Iterator<Item = &'o Given> + Clone, notice_months: u32) -> Option<u64> {
    let mut standing: Vec<(&str, u64, u64)> = Vec::new();
    for given in orders.clone() {
        let Some(Order::Terminate(notice)) = &given.order.order else { continue };
        let alone = notice.effective_ms.max(months_after(given.time_ms, notice_months));
        if !withdrawn(orders.clone(), &given.order, alone) {
            standing.push((&given.order.party, notice.effective_ms, alone));
        }
    }
    let alone = standing.iter().map(|(.., alone)| *alone).min()?;
    let day = |party: &str| standing.iter().filter(|(by, ..)| *by == party).map(|(_, day, _)| *day).min();
    let parties = standing.iter().map(|(party, ..)| *party);
    let together = parties.filter_map(|party| {
        let others = standing.iter().filter(|(by, ..)| *by != party).map(|(_, day, _)| *day).min()?;
        Some(day(party)?.max(others))
    });
    Some(together.min().map_or(alone, |together| together.min(alone)))
}

/// Whether a suspension of any party concerns an act now.
fn suspended<'o>(orders: impl Iterator<Item = &'o Given> + Clone, act: &str, time_ms: u64) -> bool {
    orders.clone().any(|given| {
        let Some(Order::Suspend(suspension)) = &given.order.order else { return false };
        let concerns = suspension.scope.is_empty() || suspension.scope.iter().any(|name| name == act);
        let lasts = suspension.until_ms == 0 || time_ms < suspension.until_ms;
        concerns && lasts && !withdrawn(orders.clone(), &given.order, u64::MAX)
    })
}

/// Whether its own party has withdrawn an order before `end`.
fn withdrawn<'o>(mut orders: impl Iterator<Item = &'o Given>, of: &AgreementOrder, end: u64) -> bool {
    orders.any(|given| {
        let resumed = matches!(&given.order.order, Some(Order::Resume(resume)) if resume.of == of.number);
        resumed && given.order.party == of.party && given.time_ms < end
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use convenio_wire::exchange::v1::{ResumptionOrder, SuspensionOrder, TerminationNotice};

    /// 2024-01-31T12:00:00Z.
    const JANUARY: u64 = 1_706_702_400_000;

    fn given(party: &str, number: u64, time_ms: u64, order: Order) -> Given {
        let order = AgreementOrder { party: party.into(), number, order: Some(order), ..AgreementOrder::default() };
        Given { order, time_ms }
    }

    fn notice(party: &str, number: u64, time_ms: u64, effective_ms: u64) -> Given {
        given(party, number, time_ms, Order::Terminate(TerminationNotice { effective_ms }))
    }

    #[test]
    fn a_notice_alone_waits_for_its_period_and_two_agree_on_a_day() {
        let half_a_year = months_after(JANUARY, 6);
        let alone = [notice("sv", 1, JANUARY, JANUARY)];
        assert_eq!(terminated(alone.iter(), 6), Some(half_a_year));
        assert_eq!(terminated(alone.iter(), 0), Some(JANUARY));
        let both = [alone[0].clone(), notice("ca", 1, JANUARY + 5, JANUARY + 9)];
        assert_eq!(terminated(both.iter(), 6), Some(JANUARY + 9));
        // The other's later day does not put off what the first alone would do.
        let late = [alone[0].clone(), notice("ca", 1, JANUARY + 5, half_a_year + 9)];
        assert_eq!(terminated(late.iter(), 6), Some(half_a_year));
        // Two notices of one party are not those of both.
        let twice = [alone[0].clone(), notice("sv", 2, JANUARY + 5, JANUARY + 9)];
        assert_eq!(terminated(twice.iter(), 6), Some(half_a_year));
        assert_eq!(terminated([].iter(), 6), None);
    }

    #[test]
    fn a_party_withdraws_its_own_orders_and_a_notice_only_in_time() {
        let resume = |party: &str, time_ms| given(party, 2, time_ms, Order::Resume(ResumptionOrder { of: 1 }));
        let end = months_after(JANUARY, 6);
        for (by, at, stands) in [("sv", end - 1, false), ("sv", end, true), ("ca", JANUARY, true)] {
            let orders = [notice("sv", 1, JANUARY, JANUARY), resume(by, at)];
            assert_eq!(terminated(orders.iter(), 6).is_some(), stands, "{by} {at}");
        }
        let halt = SuspensionOrder { scope: vec!["nominate".into()], until_ms: JANUARY + 9 };
        let orders = [given("ca", 1, JANUARY, Order::Suspend(halt))];
        assert!(suspended(orders.iter(), "nominate", JANUARY + 8));
        assert!(!suspended(orders.iter(), "nominate", JANUARY + 9));
        assert!(!suspended(orders.iter(), "offer", JANUARY));
        for (by, stands) in [("ca", false), ("sv", true)] {
            let orders = [orders[0].clone(), resume(by, JANUARY + 1)];
            assert_eq!(suspended(orders.iter(), "nominate", JANUARY + 2), stands, "{by}");
        }
    }
}
