//! The findings about job orders: too many candidates, and contracts refused as worse.

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::lifecycle::{Gate, Role};
use convenio_model::Ref;

use super::ledger::Case;
use super::{FieldDifference, Finding, Gravity, Place, Places};
use crate::history::{History, SubjectView};
use crate::replay::{ActOutcome, Demand};

/// What is kept of job orders while the subjects pass by.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Orders with more candidates than seats: the demand and its nominations.
    short: BTreeMap<Ref, (Demand, Places)>,
    /// Order for which a placement was nominated, of those orders alone.
    nominated: BTreeMap<Ref, Ref>,
    /// The notice of each order that stands.
    notices: BTreeMap<Ref, Place>,
    /// Orders of the placements that local refusals name.
    refused: BTreeMap<String, Option<Ref>>,
}

impl Orders {
    pub(super) fn new(case: &Case<'_>, short: &[(Ref, Demand)]) -> Self {
        let placements = case.refusals.iter().filter(|refusal| refusal.subject.starts_with("placements/"));
        let mut orders = Self { refused: placements.map(|r| (r.subject.clone(), None)).collect(), ..Self::default() };
        for (order, demand) in short {
            orders.nominated.extend(demand.nominated.iter().map(|placement| (*placement, *order)));
            orders.short.insert(*order, (demand.clone(), Places::default()));
        }
        orders
    }

    /// Reads one subject.
    pub(super) fn see(&mut self, case: &Case<'_>, history: &History) {
        let Some(id) = history.id() else { return };
        if history.subject.starts_with("jobOrders/") {
            let Some(SubjectView::Order(view)) = history.side(Role::Destination) else { return };
            let stands = history.records.iter().find(|record| record.act.record_id.0[..] == view.record_id[..]);
            self.notices.extend(stands.map(|record| (id, record.place.clone())));
            return;
        }
        if let Some(order) = self.refused.get_mut(&history.subject) {
            let views = [Role::Origin, Role::Destination].into_iter().filter_map(|role| history.placement(role));
            *order = views.filter_map(convenio_agreement::view::PlacementView::order_ref).next();
        }
        let Some((_, places)) = self.nominated.get(&id).and_then(|order| self.short.get_mut(order)) else { return };
        let crossings = history.records.iter().filter(|record| case.first_crossing(&record.act.act));
        let crossings = crossings.filter(|record| record.act.outcome == ActOutcome::Accepted);
        crossings.for_each(|record| places.add(record.place.clone()));
    }

    pub(super) fn into_findings(self, case: &Case<'_>) -> Vec<Finding> {
        let mut found = self.terms_refused(case);
        for (order, (demand, places)) in self.short {
            found.push(oversubscribed(case, order, &demand, places, self.notices.get(&order)));
        }
        found
    }

    /// One for each order under which a contract with worse terms was refused at home, by the word of one side.
    fn terms_refused(&self, case: &Case<'_>) -> Vec<Finding> {
        let mut by_subject: BTreeMap<String, (u64, BTreeSet<&str>)> = BTreeMap::new();
        for refusal in case.refusals.iter().filter(|r| r.gate == Gate::TermsNotWorse.as_str()) {
            let order = self.refused.get(&refusal.subject).copied().flatten();
            let subject = order.map_or_else(|| refusal.subject.clone(), |order| format!("jobOrders/{order}"));
            let entry = by_subject.entry(subject).or_default();
            entry.0 += refusal.count;
            entry.1.extend(refusal.field_paths.iter().map(String::as_str));
        }
        let finding = |(subject, (count, paths)): (String, (u64, BTreeSet<&str>))| {
            let order: Option<Ref> = subject.strip_prefix("jobOrders/").and_then(|id| id.parse().ok());
            let joined = paths.iter().copied().collect::<Vec<_>>().join(", ");
            let difference = |path: &&str| FieldDifference { path: (*path).to_owned(), ..FieldDifference::default() };
            Finding {
                criterion: "A13",
                code: "TERMS_REFUSED",
                condition: case.say.with("finding-terms-refused", [("paths", joined.into())]),
                gravity: Gravity::Minor,
                subject,
                places: order.and_then(|order| self.notices.get(&order)).cloned().into_iter().collect(),
                count,
                fields: paths.iter().map(difference).collect(),
            }
        };
        by_subject.into_iter().map(finding).collect()
    }
}

fn oversubscribed(case: &Case<'_>, order: Ref, demand: &Demand, mut places: Places, notice: Option<&Place>) -> Finding {
    let waits = |id| demand.present.contains(id) && !demand.allocated.contains(id);
    let told = demand.nominated.iter().filter(|id| !demand.allocated.contains(id) && !waits(id)).count();
    notice.cloned().into_iter().for_each(|place| places.add(place));
    let values = [
        ("candidates", demand.nominated.len().into()),
        ("seats", demand.seats.into()),
        ("allocated", demand.allocated.len().into()),
        ("told", told.into()),
    ];
    Finding {
        criterion: "A10",
        code: "OVERSUBSCRIBED",
        condition: case.say.with("finding-oversubscribed", values),
        gravity: Gravity::Minor,
        subject: format!("jobOrders/{order}"),
        count: demand.nominated.len() as u64,
        places: places.into_list(),
        fields: Vec::new(),
    }
}
