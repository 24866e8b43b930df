//! What placements share: job orders with their seats, and agencies. Few, and known by step at each side.

use std::collections::{BTreeSet, HashMap};

use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::{AgencyView, OrderView};
use convenio_model::Ref;

use super::spool::OrderEvent;

/// Placements that want a seat of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Placements that ever waited for a seat.
    pub nominated: BTreeSet<Ref>,
    /// Placements that ever held one.
    pub allocated: BTreeSet<Ref>,
    /// Placements that want or hold one now.
    pub present: BTreeSet<Ref>,
    /// Most of them at one time, beyond the seats of that time.
    pub excess: u64,
    /// Seats at that time.
    pub seats: u32,
}

/// Views of one subject at one side, by the step from which each stands.
type Views<V> = HashMap<Ref, Vec<(u64, V)>>;

/// What one side knows of orders and agencies, over time.
#[derive(Debug, Default)]
pub(super) struct Shared {
    orders: Views<OrderView>,
    agencies: Views<AgencyView>,
    /// Step (upper 40 bits) from which so many seats (lower 24) are held.
    held: HashMap<Ref, Vec<u64>>,
    /// By quota: how its count changed at each step; once settled, what it is from each step on.
    quotas: HashMap<String, Vec<(u64, i64)>>,
}

const SEATS: u32 = 24;

fn at<V>(views: &Views<V>, id: Ref, step: u64) -> Option<&V> {
    let views = views.get(&id)?;
    let after = views.partition_point(|(from, _)| *from < step);
    views.get(after.checked_sub(1)?).map(|(_, view)| view)
}

impl Shared {
    pub(super) fn order(&self, id: Ref, step: u64) -> Option<&OrderView> {
        at(&self.orders, id, step)
    }

    pub(super) fn agency(&self, id: Ref, step: u64) -> Option<&AgencyView> {
        at(&self.agencies, id, step)
    }

    /// Seats of an order that are held just before a step.
    pub(super) fn held(&self, id: Ref, step: u64) -> u32 {
        let Some(held) = self.held.get(&id) else { return 0 };
        let after = held.partition_point(|packed| packed >> SEATS < step);
        let last = after.checked_sub(1).and_then(|at| held.get(at)).copied().unwrap_or_default();
        (last & ((1 << SEATS) - 1)) as u32
    }

    pub(super) fn put_orders(&mut self, id: Ref, views: Vec<(u64, OrderView)>) {
        self.orders.insert(id, views);
    }

    pub(super) fn put_agencies(&mut self, id: Ref, views: Vec<(u64, AgencyView)>) {
        self.agencies.insert(id, views);
    }

    /// Takes the changes of one order's seats.
    pub(super) fn put_seats(&mut self, id: Ref, changes: &[(u64, i32)]) {
        let mut now = 0_u32;
        let mut held: Vec<u64> = Vec::with_capacity(changes.len());
        for (step, seats) in changes {
            now = now.saturating_add_signed(*seats).min((1 << SEATS) - 1);
            let packed = step << SEATS | u64::from(now);
            match held.last_mut() {
                Some(last) if *last >> SEATS == *step => *last = packed,
                _ => held.push(packed),
            }
        }
        held.shrink_to_fit();
        self.held.insert(id, held);
    }

    /// Counts the changes of one order's seats in the quotas that cover it, as its notices come and go.
    fn put_quotas(&mut self, id: Ref, changes: &[(u64, i32)]) {
        let Some(views) = self.orders.get(&id) else { return };
        let mut told: Vec<(&String, u64, i64)> = Vec::new();
        let mut covered: &[String] = &[];
        for (step, view) in views.iter().filter(|(_, view)| !view.quotas.is_empty() || !covered.is_empty()) {
            let held = i64::from(self.held(id, *step));
            told.extend(covered.iter().filter(|name| !view.quotas.contains(name)).map(|name| (name, *step, -held)));
            told.extend(view.quotas.iter().filter(|name| !covered.contains(name)).map(|name| (name, *step, held)));
            covered = &view.quotas;
        }
        for (step, seats) in changes {
            let known = at(&self.orders, id, *step).map(|view| view.quotas.as_slice()).unwrap_or_default();
            told.extend(known.iter().map(|name| (name, *step, i64::from(*seats))));
        }
        let told: Vec<_> = told.into_iter().map(|(name, step, change)| (name.clone(), step, change)).collect();
        for (name, step, change) in told.into_iter().filter(|(.., change)| *change != 0) {
            self.quotas.entry(name).or_default().push((step, change));
        }
    }

    /// Sums up what all orders changed.
    pub(super) fn settle_quotas(&mut self) {
        for changes in self.quotas.values_mut() {
            changes.sort_unstable();
            let mut now = 0;
            for (_, change) in changes.iter_mut() {
                now += *change;
                *change = now;
            }
        }
    }

    /// What a quota counts just before a step.
    pub(super) fn quota(&self, name: &str, step: u64) -> u32 {
        let Some(held) = self.quotas.get(name) else { return 0 };
        let after = held.partition_point(|(from, _)| *from < step);
        let last = after.checked_sub(1).and_then(|at| held.get(at)).map_or(0, |(_, held)| *held);
        u32::try_from(last).unwrap_or_default()
    }

    /// Follows the demand for one order's seats.
    pub(super) fn demand(&self, id: Ref, events: &[&OrderEvent]) -> Demand {
        let mut demand = Demand::default();
        for event in events {
            let Ok(placement) = Ref::from_slice(&event.placement) else { continue };
            if event.waits {
                demand.nominated.insert(placement);
            }
            if event.holds {
                demand.allocated.insert(placement);
            }
            if !(event.waits || event.holds) {
                demand.present.remove(&placement);
                continue;
            }
            demand.present.insert(placement);
            // A notice at the same step is another entry's.
            let seats = self.order(id, event.step).map_or(0, |order| order.seats);
            let excess = (demand.present.len() as u64).saturating_sub(u64::from(seats));
            if excess > demand.excess {
                demand.excess = excess;
                demand.seats = seats;
            }
        }
        demand
    }
}

/// Sorts what one share holds of the orders into `sides` (the origin's first), and returns the demand of those that had
/// more candidates than seats, by the destination.
pub(super) fn settle(events: &[OrderEvent], sides: &mut [Shared; 2]) -> Vec<(Ref, Demand)> {
    let mut by_order: HashMap<&[u8], Vec<&OrderEvent>> = HashMap::new();
    for event in events {
        by_order.entry(&event.order).or_default().push(event);
    }
    let mut short = Vec::new();
    for (order, mut events) in by_order {
        let Ok(id) = Ref::from_slice(order) else { continue };
        events.sort_by_key(|event| (event.step, event.index));
        for (side, at_origin) in [(0, true), (1, false)] {
            let seats = events.iter().filter(|event| event.at_origin == at_origin && event.seats != 0);
            let changes: Vec<(u64, i32)> = seats.map(|event| (event.step, event.seats)).collect();
            if !changes.is_empty() {
                sides[side].put_seats(id, &changes);
                sides[side].put_quotas(id, &changes);
            }
        }
        let wants: Vec<&OrderEvent> = events.into_iter().filter(|event| !event.placement.is_empty()).collect();
        let demand = sides[1].demand(id, &wants);
        if demand.excess > 0 && sides[1].order(id, u64::MAX).is_some() {
            short.push((id, demand));
        }
    }
    short
}

/// Which of two sides.
pub(super) fn side(role: Role) -> usize {
    match role {
        Role::Origin => 0,
        Role::Destination => 1,
    }
}
