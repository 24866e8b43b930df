//! The views that a decision needs, together.

use std::collections::{BTreeSet, HashMap};

use convenio_model::Ref;

use super::{AgencyView, CrewView, OrderView, PlacementView, QuotaView, quota_ref};

/// The views that a decision needs, loaded by the caller, and which of them it changed.
#[derive(Debug, Default, Clone)]
pub struct World {
    placements: HashMap<Ref, PlacementView>,
    orders: HashMap<Ref, OrderView>,
    agencies: HashMap<Ref, AgencyView>,
    crews: HashMap<Ref, CrewView>,
    quotas: HashMap<Ref, QuotaView>,
    changed: BTreeSet<(Shared, Ref)>,
}

/// Kind of a shared subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shared {
    /// Placement.
    Placement,
    /// Job order.
    Order,
    /// Agency.
    Agency,
    /// Crew list.
    Crew,
    /// Counter of a quota.
    Quota,
}

impl World {
    /// Placement, if known.
    #[must_use]
    pub fn placement(&self, id: Ref) -> Option<&PlacementView> {
        self.placements.get(&id)
    }

    /// Job order, if known.
    #[must_use]
    pub fn order(&self, id: Ref) -> Option<&OrderView> {
        self.orders.get(&id)
    }

    /// Agency, if known.
    #[must_use]
    pub fn agency(&self, id: Ref) -> Option<&AgencyView> {
        self.agencies.get(&id)
    }

    /// Crew list, if known.
    #[must_use]
    pub fn crew(&self, id: Ref) -> Option<&CrewView> {
        self.crews.get(&id)
    }

    /// Adds a view as it is stored; one that is here already stays.
    pub fn load_placement(&mut self, id: Ref, view: PlacementView) {
        self.placements.entry(id).or_insert(view);
    }

    /// As [`World::load_placement`].
    pub fn load_order(&mut self, id: Ref, view: OrderView) {
        self.orders.entry(id).or_insert(view);
    }

    /// As [`World::load_placement`].
    pub fn load_agency(&mut self, id: Ref, view: AgencyView) {
        self.agencies.entry(id).or_insert(view);
    }

    /// As [`World::load_placement`].
    pub fn load_crew(&mut self, id: Ref, view: CrewView) {
        self.crews.entry(id).or_insert(view);
    }

    /// Counter of a quota, if anything was counted.
    #[must_use]
    pub fn quota(&self, name: &str) -> Option<&QuotaView> {
        self.quotas.get(&quota_ref(name))
    }

    /// As [`World::load_placement`].
    pub fn load_quota(&mut self, view: QuotaView) {
        self.quotas.entry(quota_ref(&view.name)).or_insert(view);
    }

    /// Counter of a quota to be changed.
    pub fn quota_mut(&mut self, name: &str) -> &mut QuotaView {
        let id = quota_ref(name);
        self.changed.insert((Shared::Quota, id));
        self.quotas.entry(id).or_insert_with(|| QuotaView { name: name.to_owned(), held: 0 })
    }

    /// Every counter of a quota, in no order.
    pub fn quotas(&self) -> impl Iterator<Item = (Ref, &QuotaView)> {
        self.quotas.iter().map(|(id, view)| (*id, view))
    }

    /// Placement to be changed; `first_crossing` is the state of an unknown one.
    pub fn placement_mut(&mut self, id: Ref, first_crossing: &str) -> &mut PlacementView {
        self.changed.insert((Shared::Placement, id));
        self.placements.entry(id).or_insert_with(|| PlacementView::unknown(first_crossing))
    }

    /// Job order to be changed.
    pub fn order_mut(&mut self, id: Ref) -> &mut OrderView {
        self.changed.insert((Shared::Order, id));
        self.orders.entry(id).or_default()
    }

    /// Agency to be changed.
    pub fn agency_mut(&mut self, id: Ref) -> &mut AgencyView {
        self.changed.insert((Shared::Agency, id));
        self.agencies.entry(id).or_default()
    }

    /// Crew list to be changed.
    pub fn crew_mut(&mut self, id: Ref) -> &mut CrewView {
        self.changed.insert((Shared::Crew, id));
        self.crews.entry(id).or_default()
    }

    /// Every crew list, in no order.
    pub fn crews(&self) -> impl Iterator<Item = (Ref, &CrewView)> {
        self.crews.iter().map(|(id, view)| (*id, view))
    }

    /// Subjects changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<(Shared, Ref)> {
        std::mem::take(&mut self.changed)
    }

    /// Every placement, in no order.
    pub fn placements(&self) -> impl Iterator<Item = (Ref, &PlacementView)> {
        self.placements.iter().map(|(id, view)| (*id, view))
    }

    /// Every job order, in no order.
    pub fn orders(&self) -> impl Iterator<Item = (Ref, &OrderView)> {
        self.orders.iter().map(|(id, view)| (*id, view))
    }

    /// Every agency, in no order.
    pub fn agencies(&self) -> impl Iterator<Item = (Ref, &AgencyView)> {
        self.agencies.iter().map(|(id, view)| (*id, view))
    }
}
