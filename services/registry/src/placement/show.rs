//! A placement as callers see it.

use std::collections::HashMap;

use convenio_exchange::inbound::apply::rejection;
use convenio_model::{RecordId, Ref};
use convenio_store::Store;
use convenio_wire::registry::v1::{Discrepancy, Placement};

use super::Case;
use crate::error::RegistryError;
use crate::row::timestamp;

/// Where records stand: `<log origin>#<index>`.
pub(crate) type Positions = HashMap<RecordId, String>;

/// Looks up where the records stand that the placement's discrepancies name.
pub(crate) async fn positions(store: &dyn Store, case: &Case) -> Result<Positions, RegistryError> {
    let mut found = Positions::new();
    for discrepancy in case.exchange.engine().discrepancies(&case.view) {
        for record in [discrepancy.agreed_record, discrepancy.observed_record].into_iter().flatten() {
            if found.contains_key(&record) {
                continue;
            }
            for (log, index) in store.record(record).await? {
                if let Some(lane) = case.exchange.lane_of(log) {
                    found.insert(record, format!("{}#{index}", lane.origin));
                }
            }
        }
    }
    Ok(found)
}

/// What a caller is shown.
pub(crate) trait Shown {
    /// The placement.
    fn show(&self, positions: &Positions) -> Placement;
}

impl Shown for Case {
    fn show(&self, positions: &Positions) -> Placement {
        let (exchange, view, record) = (&self.exchange, &self.view, &self.record);
        let name = |collection: &str, id: Option<Ref>| id.map(|id| format!("{collection}/{id}")).unwrap_or_default();
        let worker_ref = if record.worker_ref.is_empty() { &view.worker_ref } else { &record.worker_ref };
        let engine = exchange.engine();
        let came = came(self);
        Placement {
            name: self.name(),
            agreement: exchange.pack().id().to_owned(),
            worker: record.worker.clone(),
            worker_ref: worker_ref.clone(),
            job_order: name("jobOrders", self.order()),
            recruiter_kind: self.recruiter(),
            agency: name("agencies", self.agency()),
            state: view.state.clone(),
            sequence: i64::try_from(view.number).unwrap_or(i64::MAX),
            effective_state: view.effective().0.to_owned(),
            pending_acts: pending(self),
            facts: view.facts.iter().map(|fact| format!("{}:{}", self.party(fact.by_origin), fact.name)).collect(),
            stage: exchange.pack().lifecycle().stage_name(engine.stage(view)).to_owned(),
            last_rejection: view.rejected.as_ref().map(rejection),
            discrepancies: engine.discrepancies(view).into_iter().map(|found| discrepancy(found, positions)).collect(),
            agreement_data: record.agreement_data.clone(),
            etag: self.etag.clone(),
            create_time: self.row.as_ref().map(|row| timestamp(row.created_ms)),
            update_time: self.row.as_ref().map(|row| timestamp(row.updated_ms)),
            return_offer_shown: record.return_offer_shown,
            crew: came.crew,
            entry_route: came.entry_route,
            accompanying_adults: came.accompanying_adults,
            accompanying_minors: came.accompanying_minors,
        }
    }
}

/// How the worker came: while local as it was registered, then as it crossed.
fn came(case: &Case) -> Placement {
    let Some(crossed) = case.view.came.as_ref().filter(|_| case.row.is_none() || !case.is_local()) else {
        return case.record.clone();
    };
    let crew = Ref::from_slice(&crossed.crew).map(|id| format!("crews/{id}")).unwrap_or_default();
    Placement {
        crew,
        entry_route: crossed.route,
        accompanying_adults: crossed.adults,
        accompanying_minors: crossed.minors,
        ..Placement::default()
    }
}

/// Own acts without a decision, oldest first: record ids grow with time.
fn pending(case: &Case) -> Vec<String> {
    let acts = case.view.pending.iter().map(|act| (&act.record_id, &act.act));
    let facts = case.view.facts.iter().filter(|fact| fact.undecided).map(|fact| (&fact.record_id, &fact.name));
    let mut pending: Vec<_> = acts.chain(facts).collect();
    pending.sort();
    pending.into_iter().map(|(_, act)| act.clone()).collect()
}

fn discrepancy(found: convenio_agreement::engine::Discrepancy, positions: &Positions) -> Discrepancy {
    let at = |record: Option<RecordId>| record.and_then(|id| positions.get(&id).cloned()).unwrap_or_default();
    Discrepancy {
        agreed_at: at(found.agreed_record),
        observed_at: at(found.observed_record),
        kind: found.kind.to_owned(),
        field_path: found.field_path,
        agreed: found.agreed,
        observed: found.observed,
        clause: found.clause,
    }
}
