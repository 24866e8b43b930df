//! Placements: the row of the state that registered it and what both logs say, shown as one record.

mod act;
mod edit;
mod list;
mod show;

use std::sync::Arc;

use convenio_agreement::lifecycle::{Role, StateId};
use convenio_agreement::view::PlacementView;
use convenio_exchange::{Core, Exchange, Foreseen};
use convenio_model::Ref;
use convenio_store::{Deed, Kind, Reads, ResourceKey, ResourceRow, ViewKind, ViewRow, Work};
use convenio_wire::registry::v1::{Agency, JobOrder, Placement, Worker};

use crate::error::RegistryError;
use crate::request::{Ticket, sha256};
use crate::resource::{Resource, id_of};
use crate::row::decode;

pub(crate) use act::{Act, belongs, complete, perform};
pub(crate) use show::{Shown, positions};

/// Collection of placements.
pub(crate) const COLLECTION: &str = "placements";

/// Rows that showing a placement discloses: its own, and its worker's.
pub(crate) fn rows_of(placement: &Placement) -> impl Iterator<Item = ResourceKey> {
    let row = |kind, collection, name: &str| id_of(collection, name, "name").ok().map(|id| (kind, id));
    let worker = row(Kind::Worker, Worker::COLLECTION, &placement.worker);
    row(Kind::Placement, COLLECTION, &placement.name).into_iter().chain(worker)
}

/// A job shows this placement to its caller: the journal tells it.
pub(crate) fn shown(work: &mut Work, placement: &Placement) {
    work.note(Deed::Read, rows_of(placement));
}

/// Keeps an answer for its repetition, without what an erasure would have to take away.
pub(crate) fn keep(ticket: &Ticket, work: &mut Work, answer: &Placement, now_ms: u64) {
    let lasting = Placement { worker_ref: String::new(), discrepancies: Vec::new(), ..answer.clone() };
    ticket.keep(work, &lasting, now_ms);
}

/// The answer that was given already, with what is still there.
pub(crate) async fn answered(
    ticket: &Ticket,
    work: &mut Work,
    core: &Core,
) -> Result<Option<Placement>, RegistryError> {
    let Some(kept) = ticket.answered::<Placement>(work).await? else { return Ok(None) };
    let case = Case::load(work, core, id_of(COLLECTION, &kept.name, "name")?).await?;
    let now = case.show(&positions(&**core.store(), &case).await?);
    let answer = Placement { worker_ref: now.worker_ref, discrepancies: now.discrepancies, ..kept };
    shown(work, &answer);
    Ok(Some(answer))
}

/// One placement, as it stands.
pub(crate) struct Case {
    /// Identifier.
    pub id: Ref,
    /// Its agreement.
    pub exchange: Arc<Exchange>,
    /// The row, at the state that registered it.
    pub row: Option<ResourceRow>,
    /// What that row holds; empty at the other.
    pub record: Placement,
    /// What both logs say.
    pub view: PlacementView,
    /// Version of both.
    pub etag: String,
}

impl Case {
    /// A placement from what is stored of it.
    pub fn new(exchange: Arc<Exchange>, row: Option<ResourceRow>, view: &ViewRow) -> Result<Self, RegistryError> {
        let record = row.as_ref().map(|row| decode(&row.body, "resource")).transpose()?.unwrap_or_default();
        let revision = row.as_ref().map_or(0, |row| row.revision);
        // A view's change number is known after the commit only; its content is known before.
        let etag = hex::encode(&sha256(&[&revision.to_be_bytes(), &view.body])[..8]);
        let (id, view) = (view.key.2, decode(&view.body, "view")?);
        Ok(Self { id, exchange, row, record, view, etag })
    }

    /// The placement `id`, as a job sees it.
    pub async fn load(work: &mut Work, core: &Core, id: Ref) -> Result<Self, RegistryError> {
        let keys: Vec<_> =
            core.exchanges().iter().map(|ex| (ex.pack().id().to_owned(), ViewKind::Placement, id)).collect();
        work.load_views(&keys).await?;
        let row = work.resource((Kind::Placement, id)).await?;
        for (exchange, key) in core.exchanges().iter().zip(&keys) {
            if let Some(view) = work.view(key).await? {
                return Self::new(exchange.clone(), row, &view);
            }
        }
        Err(RegistryError::NotFound)
    }

    /// What a job about the placement `id` reads: its row and views; its worker, order and agency; its data keys.
    pub fn foreseen(core: &Arc<Core>, ticket: &Ticket, id: Ref) -> Foreseen {
        let exchanges = core.exchanges();
        let first = Reads {
            resources: vec![(Kind::Placement, id)],
            views: exchanges.iter().map(|ex| (ex.pack().id().to_owned(), ViewKind::Placement, id)).collect(),
            subject_keys: exchanges.iter().flat_map(|ex| ex.key_subjects(id)).collect(),
            ..ticket.reads()
        };
        let core = core.clone();
        Foreseen { first, then: Some(Box::new(move |work| named(work, &core, id))) }
    }

    /// Refuses another version than `etag`, unless that is empty.
    pub fn expect(&self, etag: &str) -> Result<(), RegistryError> {
        if etag.is_empty() || etag == self.etag { Ok(()) } else { Err(RegistryError::EtagMismatch) }
    }

    /// Whether the placement is the origin's alone still, or again: in a local state, with nothing undecided.
    pub fn is_local(&self) -> bool {
        let lifecycle = self.exchange.pack().lifecycle();
        let local = |state: StateId| {
            let mut acts = lifecycle.transitions.iter().filter(|act| act.is_local());
            state == lifecycle.initial || state == lifecycle.first_crossing || acts.any(|act| act.to == state)
        };
        self.view.pending.is_empty() && lifecycle.state(&self.view.state).is_some_and(local)
    }

    /// Job order: while local the origin's choice, then what crossed.
    pub fn order(&self) -> Option<Ref> {
        let chosen = || self.record.job_order.strip_prefix("jobOrders/")?.parse().ok();
        if self.row.is_some() && self.is_local() { chosen() } else { self.view.order_ref().or_else(chosen) }
    }

    /// Agency, likewise.
    pub fn agency(&self) -> Option<Ref> {
        let chosen = || self.record.agency.strip_prefix("agencies/")?.parse().ok();
        if self.row.is_some() && self.is_local() { chosen() } else { self.view.agency_ref().or_else(chosen) }
    }

    /// Kind of recruiter, likewise.
    pub fn recruiter(&self) -> i32 {
        if self.row.is_some() && self.is_local() { self.record.recruiter_kind } else { self.view.recruiter }
    }

    /// The party of a role.
    pub fn party(&self, by_origin: bool) -> &str {
        let role = if by_origin { Role::Origin } else { Role::Destination };
        &self.exchange.pack().party(role).id
    }

    /// `placements/<uuid>`.
    pub fn name(&self) -> String {
        format!("{COLLECTION}/{}", self.id)
    }
}

/// The rows that the stored ones of a placement name.
fn named(work: &Work, core: &Core, id: Ref) -> Reads {
    let mut reads = Reads::default();
    let row = work.loaded_resource(&(Kind::Placement, id));
    let kept = row.and_then(|row| decode::<Placement>(&row.body, "resource").ok()).unwrap_or_default();
    reads.resources.extend(rows_of(&kept));
    for exchange in core.exchanges() {
        let agreement = exchange.pack().id();
        let view = work.loaded_view(&(agreement.to_owned(), ViewKind::Placement, id));
        let Some(view) = view.and_then(|row| decode::<PlacementView>(&row.body, "view").ok()) else { continue };
        let chosen = |collection, name: &str| id_of(collection, name, "name").ok();
        let orders =
            [view.order_ref(), chosen(JobOrder::COLLECTION, &kept.job_order), Ref::from_slice(&view.seat_in).ok()];
        let agencies = [view.agency_ref(), chosen(Agency::COLLECTION, &kept.agency)];
        for order in orders.into_iter().flatten() {
            reads.resources.push((Kind::JobOrder, order));
            reads.views.push((agreement.to_owned(), ViewKind::Order, order));
        }
        for agency in agencies.into_iter().flatten() {
            reads.resources.push((Kind::Agency, agency));
            reads.views.push((agreement.to_owned(), ViewKind::Agency, agency));
        }
    }
    reads
}
