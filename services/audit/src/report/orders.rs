//! The findings about job orders.

use super::findings::{Case, listed};
use super::{Finding, Gravity, Place};
use crate::replay::ActOutcome;

/// One for each order with more candidates at one time than seats.
pub(super) fn oversubscribed(case: &Case<'_>) -> Vec<Finding> {
    let destination = &case.replay.destination;
    let lifecycle = case.replay.pack.lifecycle();
    let first = |act: &str| {
        let crossing = |t: &convenio_agreement::lifecycle::Transition| t.from.contains(&lifecycle.first_crossing);
        lifecycle.transition(act).is_some_and(crossing)
    };
    let mut found = Vec::new();
    for (order, demand) in destination.demand.iter().filter(|(_, demand)| demand.excess > 0) {
        // An order that is not known has no seats to be short of.
        if destination.world.order(*order).is_none() {
            continue;
        }
        let waits = |id| demand.present.contains(id) && !demand.allocated.contains(id);
        let told = demand.nominated.iter().filter(|id| !demand.allocated.contains(id) && !waits(id)).count();
        let nominations = case.replay.origin.acts.iter().filter(|act| {
            let placement = act.subject.strip_prefix("placements/").and_then(|id| id.parse().ok());
            let nominated = placement.is_some_and(|id| demand.nominated.contains(&id));
            nominated && act.outcome == ActOutcome::Accepted && first(&act.act)
        });
        let nominations: Vec<Place> = nominations.map(|act| Case::place(&case.replay.origin, act)).collect();
        found.push(Finding {
            criterion: "A10",
            code: "OVERSUBSCRIBED",
            condition: format!(
                "{} candidates for {} seats: {} were allocated, {told} were told that there is none",
                demand.nominated.len(),
                demand.seats,
                demand.allocated.len(),
            ),
            gravity: Gravity::Medium,
            subject: format!("jobOrders/{order}"),
            places: listed(case.order_notice(*order).into_iter().chain(nominations)),
            count: demand.nominated.len() as u64,
            fields: Vec::new(),
        });
    }
    found
}
