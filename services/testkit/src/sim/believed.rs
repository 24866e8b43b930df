//! What a node believes, against the small model.

use std::collections::BTreeSet;

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Transition;
use convenio_agreement::view::{AgencyView, OrderView, PlacementView};
use convenio_model::Ref;
use convenio_store::{Store, ViewKind};
use prost::Message;

use super::model::Placement;
use super::state::State;
use super::watch::{End, Violation, need};

/// Views that a run makes at most.
const ALL: u32 = 10_000;

impl End {
    /// The views of a side say what its logs say.
    ///
    /// # Errors
    /// What differs.
    pub async fn believed(&self, pack: &Pack, side: &State) -> Result<(), Violation> {
        for (id, view) in views::<PlacementView>(pack, side, ViewKind::Placement).await? {
            let model = self.model.placements.get(&id);
            need(model.is_some() || untouched(&view), || format!("placement {id} comes from no log"))?;
            if let Some(model) = model {
                self.placement(pack, side, model, &view).map_err(|what| format!("placement {id}: {what}"))?;
            }
        }
        let mut orders: BTreeSet<Ref> = self.model.orders.keys().copied().collect();
        for (id, view) in views::<OrderView>(pack, side, ViewKind::Order).await? {
            let model = self.model.orders.get(&id).cloned().unwrap_or_default();
            let believed = (view.open, u64::from(view.seats), u64::from(view.held));
            let told = (model.open, model.seats, self.model.held(id));
            need(believed == told, || format!("order {id}: believes {believed:?}, the logs say {told:?}"))?;
            orders.remove(&id);
        }
        need(orders.is_empty(), || format!("orders {orders:?} are forgotten"))?;
        for (id, view) in views::<AgencyView>(pack, side, ViewKind::Agency).await? {
            let mut believed = [0; 2];
            view.licences.iter().for_each(|licence| believed[usize::from(!licence.by_origin)] = licence.state);
            let told = self.model.agencies.get(&id).copied().unwrap_or_default();
            need(believed == told, || format!("agency {id}: believes {believed:?}, the logs say {told:?}"))?;
        }
        Ok(())
    }

    fn placement(&self, pack: &Pack, side: &State, model: &Placement, view: &PlacementView) -> Result<(), Violation> {
        // Before it crosses, a placement's state is the origin's own.
        let local =
            view.number == 0 && pack.lifecycle().transitions.iter().any(|t| t.is_local() && is_in(pack, t, view));
        let state = if local { view.state.as_str() } else { pack.lifecycle().state_name(model.state) };
        let believed = (view.state.as_str(), view.number, view.reached as usize);
        let told = (state, model.number, model.reached);
        need(believed == told, || format!("believes {believed:?}, the logs say {told:?}"))?;
        let believed: Vec<_> =
            view.pending.iter().map(|p| (p.record_id.clone(), p.to.as_str(), p.number, p.proposal)).collect();
        let name = |p: &super::model::Pending| pack.lifecycle().state_name(p.to);
        let told: Vec<_> = model.pending.iter().map(|p| (p.record.0.to_vec(), name(p), p.number, p.proposal)).collect();
        need(believed == told, || format!("waits for {believed:?}, the logs say {told:?}"))?;
        let believed: Vec<_> = view
            .facts
            .iter()
            .map(|f| (f.name.as_str(), f.by_origin, f.record_id.clone(), f.known_state.as_str(), f.undecided))
            .collect();
        let told: Vec<_> = model
            .facts
            .iter()
            .map(|f| (f.name.as_str(), f.by_origin, f.record.0.to_vec(), f.known.as_str(), f.undecided))
            .collect();
        need(believed == told, || format!("facts {believed:?}, the logs say {told:?}"))?;
        let believed = (view.order_ref(), view.recruiter, view.agency_ref());
        let told = (model.parties.order, model.parties.recruiter, model.parties.agency);
        need(believed == told, || format!("chosen {believed:?}, the logs say {told:?}"))?;
        let terms = (view.authored.len(), view.agreed.is_some(), view.observed.len());
        let told = (model.authored.len(), model.agreed.is_some(), model.observed.len());
        need(terms == told, || format!("contracts {terms:?}, the logs say {told:?}"))?;
        let engine = side.core().exchange(pack.id()).expect("a state has its agreements");
        let found = engine.engine().discrepancies(view);
        let found: BTreeSet<_> = found.into_iter().map(|d| (d.kind, d.field_path)).collect();
        let told = self.model.discrepancies(model);
        need(found == told, || format!("discrepancies {found:?}, the logs say {told:?}"))
    }
}

/// Whether a placement is where a local act begins.
fn is_in(pack: &Pack, act: &Transition, view: &PlacementView) -> bool {
    act.from.iter().any(|from| pack.lifecycle().state_name(*from) == view.state)
}

/// Registered, or moved at home: nothing of it has crossed.
fn untouched(view: &PlacementView) -> bool {
    view.number == 0 && view.pending.is_empty() && view.facts.is_empty()
}

async fn views<M: Message + Default>(pack: &Pack, side: &State, kind: ViewKind) -> Result<Vec<(Ref, M)>, Violation> {
    let rows = side.store().views(kind, pack.id(), "", None, ALL).await.map_err(|e| e.to_string())?;
    let decoded = |body: &[u8]| M::decode(body).map_err(|e| e.to_string());
    rows.into_iter().map(|row| Ok((row.key.2, decoded(&row.body)?))).collect()
}
