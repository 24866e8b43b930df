//! What the state that registered a placement writes of it itself: before the first crossing everything, afterwards what never crosses.

use convenio_agreement::lifecycle::{Role, Transition};
use convenio_agreement::plan::Root;
use convenio_agreement::view::PlacementView;
use convenio_exchange::{Core, Exchange, load_world, save_world};
use convenio_model::{Ref, uuid_v4};
use convenio_store::{Kind, ResourceRow, ViewKind, Work};
use convenio_wire::registry::v1::{CreatePlacementRequest, Placement, UpdatePlacementRequest};
use prost::Message;
use prost_types::FieldMask;

use super::{COLLECTION, Case, Shown, answered, keep, positions, shown};
use crate::Registry;
use crate::caller::Caller;
use crate::error::{RegistryError, Violation};
use crate::mask;
use crate::request::Ticket;
use crate::resource::id_of;
use crate::rules::{agreement_data, not_in_force};

/// Fields that may change while the placement is of the state alone that registered it.
const CHANGEABLE: [&str; 9] = [
    "job_order",
    "recruiter_kind",
    "agency",
    "return_offer_shown",
    "agreement_data",
    "crew",
    "entry_route",
    "accompanying_adults",
    "accompanying_minors",
];
/// The one that it may change at any time.
const ANY_TIME: &str = "return_offer_shown";

impl Registry {
    /// Registers a worker for an agreement: at the origin, or at a destination that may speak first.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn create_placement(
        &self,
        caller: &Caller,
        mut request: CreatePlacementRequest,
    ) -> Result<Placement, RegistryError> {
        self.rules().request("convenio.registry.v1.CreatePlacementRequest", &request)?;
        let request_id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "CreatePlacement", &request_id, &request)?;
        let actor = caller.acting("Placement", "CreatePlacement");
        let asked = request.placement.unwrap_or_default();
        let exchange = self.core().exchange(&asked.agreement).ok_or_else(|| not_in_force("placement.agreement"))?;
        if !may_register(exchange) {
            return Err(RegistryError::PermissionDenied("placements are the origin's to register"));
        }
        let exchange = exchange.clone();
        agreement_data(self.core(), Root::Placement, &asked.agreement_data)?;
        let worker = id_of("workers", &asked.worker, "placement.worker")?;
        check_names(&asked)?;
        // Random, so that it tells the partner nothing, not even when.
        let random = || Ref::from(uuid_v4(&**self.core().entropy()));
        let id = if request.placement_id.is_empty() {
            random()
        } else {
            self.chosen_id(&request.placement_id, "placement_id")?
        };
        let fresh = random();
        let core = self.core().clone();
        let mut foreseen = Case::foreseen(&core, &ticket, id);
        foreseen.first.resources.push((Kind::Worker, worker));
        let job = self.core().write_foreseen(actor, foreseen, move |work| {
            Box::pin(async move {
                if let Some(answer) = answered(&ticket, work, &core).await? {
                    return Ok(answer);
                }
                let key = (exchange.pack().id().to_owned(), ViewKind::Placement, id);
                work.load_resources(&[(Kind::Worker, worker), (Kind::Placement, id)]).await?;
                let taken = work.resource((Kind::Placement, id)).await?.is_some() || work.view(&key).await?.is_some();
                if taken {
                    return Err(RegistryError::AlreadyExists(vec![Violation::new(
                        "placement_id",
                        "belongs to a record",
                    )]));
                }
                if work.resource((Kind::Worker, worker)).await?.is_none() {
                    return Err(RegistryError::field("placement.worker", "no such worker"));
                }
                let worker_ref = pairwise(work, &core, &exchange, worker, fresh).await?;
                put_first(work, &core, id, worker, Placement { worker_ref: worker_ref.to_string(), ..kept(&asked) });
                register(work, &exchange, id).await?;
                let answer = Case::load(work, &core, id).await?.show(&Default::default());
                keep(&ticket, work, &answer, core.clock().now_ms());
                shown(work, &answer);
                Ok(answer)
            })
        });
        job.await
    }

    /// Changes what the origin chose, before the nomination; whether the return offer was shown, at any time.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn update_placement(
        &self,
        caller: &Caller,
        mut request: UpdatePlacementRequest,
    ) -> Result<Placement, RegistryError> {
        let request_id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "UpdatePlacement", &request_id, &request)?;
        let actor = caller.acting("Placement", "UpdatePlacement");
        let patch = request.placement.ok_or_else(|| RegistryError::field("placement", "required"))?;
        let id = id_of(COLLECTION, &patch.name, "placement.name")?;
        let mask = changed_fields(request.update_mask, &patch)?;
        agreement_data(self.core(), Root::Placement, &patch.agreement_data)?;
        check_names(&patch)?;
        let (core, rules) = (self.core().clone(), self.rules().clone());
        let foreseen = Case::foreseen(&core, &ticket, id);
        let job = self.core().write_foreseen(actor, foreseen, move |work| {
            Box::pin(async move {
                if let Some(answer) = answered(&ticket, work, &core).await? {
                    return Ok(answer);
                }
                let case = Case::load(work, &core, id).await?;
                case.expect(&patch.etag)?;
                let Some(row) = &case.row else {
                    return Err(RegistryError::PermissionDenied("placements are theirs to change who registered them"));
                };
                let shared = mask.paths.iter().filter(|path| *path != ANY_TIME);
                if !case.is_local() && shared.clone().next().is_some() {
                    let crossed = |path: &String| Violation::new(format!("placement.{path}"), "it has crossed");
                    return Err(RegistryError::State(shared.map(crossed).collect()));
                }
                let merged: Placement = mask::merge(Some(&mask), &case.record, &patch)?;
                rules.record(&merged)?;
                put_row(work, &core, row, &merged);
                let case = Case::load(work, &core, id).await?;
                let positions = positions(&**core.store(), &case).await?;
                let answer = case.show(&positions);
                keep(&ticket, work, &answer, core.clock().now_ms());
                shown(work, &answer);
                Ok(answer)
            })
        });
        job.await
    }
}

/// What the row keeps of what was asked; the rest is told by the views.
fn kept(asked: &Placement) -> Placement {
    Placement {
        agreement: asked.agreement.clone(),
        worker: asked.worker.clone(),
        job_order: asked.job_order.clone(),
        recruiter_kind: asked.recruiter_kind,
        agency: asked.agency.clone(),
        agreement_data: asked.agreement_data.clone(),
        return_offer_shown: asked.return_offer_shown,
        crew: asked.crew.clone(),
        entry_route: asked.entry_route,
        accompanying_adults: asked.accompanying_adults,
        accompanying_minors: asked.accompanying_minors,
        ..Placement::default()
    }
}

/// The names of other records are names.
fn check_names(placement: &Placement) -> Result<(), RegistryError> {
    for (collection, name, field) in [
        ("jobOrders", &placement.job_order, "placement.job_order"),
        ("agencies", &placement.agency, "placement.agency"),
        ("crews", &placement.crew, "placement.crew"),
    ] {
        if !name.is_empty() {
            id_of(collection, name, field)?;
        }
    }
    Ok(())
}

/// The mask, or the fields that are set; only those that may change.
fn changed_fields(mask: Option<FieldMask>, patch: &Placement) -> Result<FieldMask, RegistryError> {
    let set = [
        !patch.job_order.is_empty(),
        patch.recruiter_kind != 0,
        !patch.agency.is_empty(),
        patch.return_offer_shown,
        !patch.agreement_data.is_empty(),
        !patch.crew.is_empty(),
        patch.entry_route != 0,
        patch.accompanying_adults != 0,
        patch.accompanying_minors != 0,
    ];
    let Some(mask) = mask.filter(|mask| !mask::is_whole(Some(mask))) else {
        let paths = CHANGEABLE.iter().zip(set).filter(|(_, set)| *set).map(|(path, _)| (*path).to_owned());
        return Ok(FieldMask { paths: paths.collect() });
    };
    let fixed = mask.paths.iter().enumerate().filter(|(_, path)| !CHANGEABLE.contains(&path.as_str()));
    let fixed: Vec<_> = fixed
        .map(|(index, _)| Violation::new(format!("update_mask.paths[{index}]"), "no field that can change"))
        .collect();
    if fixed.is_empty() { Ok(mask) } else { Err(RegistryError::Invalid(fixed)) }
}

/// The worker's reference under this agreement: random, and the same for each of its placements.
async fn pairwise(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    worker: Ref,
    fresh: Ref,
) -> Result<Ref, RegistryError> {
    let key = (Kind::Pairwise, exchange.pack().id().to_owned(), worker.to_string());
    if let Some(known) = work.external(&key).await? {
        return Ok(known);
    }
    let now_ms = core.clock().now_ms();
    let (created_ms, updated_ms) = (now_ms, now_ms);
    let parent = Some(worker);
    work.put_resource(ResourceRow {
        kind: Kind::Pairwise,
        id: fresh,
        parent,
        revision: 1,
        body: Vec::new(),
        created_ms,
        updated_ms,
    });
    work.put_external(key, fresh);
    Ok(fresh)
}

fn put_first(work: &mut Work, core: &Core, id: Ref, worker: Ref, record: Placement) {
    let now_ms = core.clock().now_ms();
    work.put_resource(ResourceRow {
        kind: Kind::Placement,
        id,
        parent: Some(worker),
        revision: 1,
        body: record.encode_to_vec(),
        created_ms: now_ms,
        updated_ms: now_ms,
    });
}

fn put_row(work: &mut Work, core: &Core, row: &ResourceRow, record: &Placement) {
    let body = record.encode_to_vec();
    if body != row.body {
        let updated_ms = core.clock().now_ms();
        work.put_resource(ResourceRow { revision: row.revision + 1, body, updated_ms, ..row.clone() });
    }
}

/// Whether this state may register placements: the origin; the destination where the agreement lets it speak first, with
/// an act from the state in which a placement crosses for the first time.
fn may_register(exchange: &Exchange) -> bool {
    let lifecycle = exchange.pack().lifecycle();
    let first = |act: &Transition| act.by == exchange.me && act.from.contains(&lifecycle.first_crossing);
    exchange.me == Role::Origin || lifecycle.transitions.iter().any(first)
}

/// The view of a placement that has not crossed. What precedes the first crossing is the origin's alone.
async fn register(work: &mut Work, exchange: &Exchange, id: Ref) -> Result<(), RegistryError> {
    let lifecycle = exchange.pack().lifecycle();
    let initial = if exchange.me == Role::Origin { lifecycle.initial } else { lifecycle.first_crossing };
    let initial = &lifecycle.state_at(initial).name;
    let mut world = load_world(work, exchange, &[id], &[], &[]).await?;
    *world.placement_mut(id, initial) = PlacementView::unknown(initial);
    save_world(work, exchange, &mut world);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_mask_the_set_fields_change() {
        let patch = Placement { job_order: "jobOrders/x".into(), return_offer_shown: true, ..Placement::default() };
        assert_eq!(changed_fields(None, &patch).unwrap().paths, ["job_order", "return_offer_shown"]);
        let mask = |paths: &[&str]| Some(FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() });
        assert_eq!(changed_fields(mask(&["agency"]), &patch).unwrap().paths, ["agency"]);
        let error = changed_fields(mask(&["agency", "state", "worker"]), &patch).unwrap_err();
        let fields: Vec<_> = error.violations().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["update_mask.paths[1]", "update_mask.paths[2]"]);
    }
}
