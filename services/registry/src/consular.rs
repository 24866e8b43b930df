//! What a consulate's device gets and gives: its post's caseload since a cursor, and captures that may come again.

use convenio_agreement::lifecycle::{Role, StageId, Terms};
use convenio_agreement::view::OrderView;
use convenio_exchange::Exchange;
use convenio_model::{Ref, uuid_v7};
use convenio_store::{Deed, Kind, ResourceRow, ViewKind, Work};
use convenio_wire::consular::v1::{Capture, CaptureResult, CaseloadItem, capture};
use convenio_wire::registry::v1::{Contract, ContractOrigin, Worker};
use prost::Message;

use crate::Registry;
use crate::caller::Caller;
use crate::error::RegistryError;
use crate::placement::{Act, COLLECTION, Case, Shown, belongs, perform, rows_of};
use crate::request::Ticket;
use crate::resource::{Resource, from_row, id_of};
use crate::row::decode;
use crate::terms;

/// The fact that a confirmation states.
const CONFIRMED: &str = "employment_confirmed";

impl Registry {
    /// Placements of `areas` (ISO 3166-2 workplaces; none gives nothing) and `agreements` (none gives all) that changed
    /// after `cursor`, as they are now, at most `limit` looked at; and the cursor to go on with, `cursor` itself at the
    /// end. A placement belongs to the caseload from the first stage that holds a seat on; later states stay in it, so
    /// that the post learns how they ended.
    ///
    /// # Errors
    /// [`RegistryError`] of the database.
    pub async fn caseload_since(
        &self,
        caller: &Caller,
        cursor: u64,
        areas: &[String],
        agreements: &[String],
        limit: u32,
    ) -> Result<(Vec<CaseloadItem>, u64), RegistryError> {
        if areas.is_empty() {
            return Ok((Vec::new(), cursor));
        }
        let store = self.core().store();
        let views = store.views_changed(ViewKind::Placement, areas, cursor, limit).await?;
        let (mut items, mut next) = (Vec::new(), cursor);
        for view in &views {
            next = next.max(view.change);
            let Some(exchange) = self.core().exchange(&view.key.0) else { continue };
            if !agreements.is_empty() && !agreements.contains(&view.key.0) {
                continue;
            }
            let row = store.resource((Kind::Placement, view.key.2)).await?;
            let case = Case::new(exchange.clone(), row, view)?;
            if in_caseload(&case) {
                items.push(self.item(&case, view.change).await?);
            }
        }
        if !items.is_empty() {
            let rows = items.iter().filter_map(|item| item.placement.as_ref()).flat_map(rows_of).collect();
            self.reading(caller.acting("Consular", "Sync"), rows).await?;
        }
        Ok((items, next))
    }

    async fn item(&self, case: &Case, cursor: u64) -> Result<CaseloadItem, RegistryError> {
        let store = self.core().store();
        let mut worker = Worker::default();
        if let Ok(id) = id_of(Worker::COLLECTION, &case.record.worker, "worker")
            && let Some(row) = store.resource((Kind::Worker, id)).await?
        {
            worker = from_row(&row)?;
        }
        let mut employer_name = String::new();
        if let Some(order) = case.order()
            && let Some(view) = store.view(&(case.exchange.pack().id().to_owned(), ViewKind::Order, order)).await?
        {
            let view: OrderView = decode(&view.body, "view")?;
            let doc =
                case.exchange.reader(&view.message_name).read(&view.message_name, &view.message).unwrap_or_default();
            employer_name = doc.text("employer.legal_name").unwrap_or_default().to_owned();
        }
        Ok(CaseloadItem {
            cursor,
            placement: Some(self.shown(case).await?),
            worker_name: format!("{} {}", worker.given_names, worker.family_names).trim().to_owned(),
            employer_name,
            languages: worker.languages,
            contract: agreed(case),
        })
    }

    /// Takes what a post captured; the same capture again gives the same result. A capture that is wrong gets a result
    /// that says so, and may come again corrected.
    ///
    /// # Errors
    /// [`RegistryError`] only where trying again may help.
    pub async fn take_capture(
        &self,
        caller: &Caller,
        areas: &[String],
        agreements: &[String],
        capture: &Capture,
    ) -> Result<CaptureResult, RegistryError> {
        match self.capture(caller, areas, agreements, capture.clone()).await {
            Err(error) if error.retryable() => Err(error),
            Err(error) => Ok(CaptureResult {
                capture_id: capture.capture_id.clone(),
                error_reason: error.reason().to_owned(),
                field_paths: error.violations().iter().map(|violation| violation.field.clone()).collect(),
            }),
            taken => taken,
        }
    }

    async fn capture(
        &self,
        caller: &Caller,
        areas: &[String],
        agreements: &[String],
        mut capture: Capture,
    ) -> Result<CaptureResult, RegistryError> {
        if let Some(capture::Kind::ObservedContract(observed)) = &mut capture.kind {
            belongs(observed.contract.as_mut(), &capture.placement, "observed_contract.contract.placement")?;
        }
        self.rules().request("convenio.consular.v1.Capture", &capture)?;
        let ticket = Ticket::new(caller, "Capture", &capture.capture_id, &capture)?;
        let actor = caller.acting("Consular", "Sync");
        let id = id_of(COLLECTION, &capture.placement, "placement")?;
        let kind = capture.kind.clone().ok_or_else(|| RegistryError::field("kind", "required"))?;
        let contract = match &kind {
            capture::Kind::ObservedContract(observed) => observed.contract.clone(),
            _ => None,
        };
        let act = Act::new(self.core(), "", capture.event.clone(), contract)?;
        let (areas, agreements) = (areas.to_vec(), agreements.to_vec());
        let core = self.core().clone();
        let foreseen = Case::foreseen(&core, &ticket, id);
        let job = self.core().write_foreseen(actor.clone(), foreseen, move |work| {
            Box::pin(async move {
                if let Some(answer) = ticket.answered(work).await? {
                    return Ok(answer);
                }
                let case = Case::load(work, &core, id).await?;
                in_district(work, &case, &areas, &agreements).await?;
                work.note(Deed::Read, rows_of(&case.show(&Default::default())));
                let now_ms = core.clock().now_ms();
                match fact_of(&kind, &case.exchange) {
                    Some(name) => drop(perform(work, &core, &case, Act { name: name.to_owned(), ..act }).await?),
                    None => {
                        let contact = Ref::from(uuid_v7(now_ms, &**core.entropy()));
                        put_contact(work, contact, &case, &capture, now_ms);
                    }
                }
                let answer = CaptureResult { capture_id: capture.capture_id, ..CaptureResult::default() };
                ticket.keep(work, &answer, now_ms);
                Ok(answer)
            })
        });
        self.counting_refusals(actor, job.await).await
    }
}

/// The fact that a capture states; none for a welfare contact, which stays in this registry.
fn fact_of<'a>(kind: &capture::Kind, exchange: &'a Exchange) -> Option<&'a str> {
    match kind {
        capture::Kind::Confirmation(_) => Some(CONFIRMED),
        capture::Kind::ObservedContract(_) => {
            let mut facts = exchange.pack().lifecycle().facts.iter();
            let observed = facts.find(|fact| fact.terms == Some(Terms::Observed) && fact.by == exchange.me);
            // An agreement without one refuses the act by this name.
            Some(observed.map_or("contract_observed", |fact| &fact.name))
        }
        capture::Kind::WelfareContact(_) => None,
    }
}

/// A post acts for the placements of its own district, under the agreements it serves.
async fn in_district(
    work: &mut Work,
    case: &Case,
    areas: &[String],
    agreements: &[String],
) -> Result<(), RegistryError> {
    let agreement = case.exchange.pack().id();
    let key = (agreement.to_owned(), ViewKind::Placement, case.id);
    let area = work.view(&key).await?.map(|view| view.area).unwrap_or_default();
    let serves = agreements.is_empty() || agreements.iter().any(|id| id == agreement);
    // Also for a placement that the destination registered: the worker is the origin's all the same.
    if serves && areas.contains(&area) && case.exchange.me == Role::Origin {
        return Ok(());
    }
    Err(RegistryError::PermissionDenied("not a placement of the post's district"))
}

/// Keeps a welfare contact as it was captured; it never crosses.
fn put_contact(work: &mut Work, id: Ref, case: &Case, capture: &Capture, now_ms: u64) {
    work.put_resource(ResourceRow {
        kind: Kind::WelfareContact,
        id,
        parent: Some(case.id),
        revision: 1,
        body: capture.encode_to_vec(),
        created_ms: now_ms,
        updated_ms: now_ms,
    });
}

/// Whether the placement has come as far as a seat.
fn in_caseload(case: &Case) -> bool {
    let lifecycle = case.exchange.pack().lifecycle();
    let stages = lifecycle.holds_seat.iter().map(|state| lifecycle.state_at(*state).stage);
    let first: Option<StageId> = stages.min();
    first.is_some_and(|first| case.exchange.engine().stage(&case.view) >= first)
}

/// The terms that both sides accepted.
fn agreed(case: &Case) -> Option<Contract> {
    let agreed = case.view.agreed.as_ref()?;
    terms::contract(&case.exchange, agreed, &case.name(), ContractOrigin::Authored)
}
