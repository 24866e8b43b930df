//! Contracts: authored by the destination, kept whole where they were written, read from the views elsewhere.

use std::collections::BTreeMap;

use convenio_agreement::lifecycle::{Role, Terms};
use convenio_agreement::view::{PlacementView, TermsView};
use convenio_exchange::{Core, Exchange};
use convenio_model::Ref;
use convenio_store::{Deed, Kind, ResourceKey, ResourceRow, ViewKind, Work};
use convenio_wire::registry::v1::{
    Contract, ContractOrigin, CreateContractRequest, Event, GetContractRequest, ListContractsRequest,
    ListContractsResponse, Worker,
};
use prost::Message;

use crate::Registry;
use crate::caller::Caller;
use crate::error::{RegistryError, Violation};
use crate::page::{List, Page};
use crate::placement::{Act, COLLECTION as PLACEMENTS, Case, complete, perform};
use crate::request::Ticket;
use crate::resource::{Resource, id_of};
use crate::row::{decode, timestamp};
use crate::rules::event_time;
use crate::terms;

/// Collection of contracts.
const COLLECTION: &str = "contracts";
/// Placements read at a time while a contract of the partner is searched.
const BATCH: u32 = 500;
/// Most contracts of one placement; its facts are fewer.
const MAX_OF_ONE: u32 = 1000;

impl Registry {
    /// Authors a contract and offers it to the partner; destination only.
    ///
    /// # Errors
    /// [`RegistryError`]; where its terms are worse than the order's, the gate `terms_not_worse` with their paths.
    pub async fn create_contract(
        &self,
        caller: &Caller,
        mut request: CreateContractRequest,
    ) -> Result<Contract, RegistryError> {
        self.rules().request("convenio.registry.v1.CreateContractRequest", &request)?;
        let request_id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "CreateContract", &request_id, &request)?;
        let actor = caller.acting("Contract", "CreateContract");
        let mut contract = request.contract.unwrap_or_default();
        if matches!(contract.origin(), ContractOrigin::Observed | ContractOrigin::Paid) {
            return Err(RegistryError::field(
                "contract.origin",
                "what was observed or paid is a fact of the placement",
            ));
        }
        let placement = id_of(PLACEMENTS, &contract.placement, "contract.placement")?;
        event_time(contract.event_time_ms, self.core().clock().now_ms(), "contract.event_time_ms")?;
        let id = self.chosen_id(&request.contract_id, "contract_id")?;
        contract.name = format!("{COLLECTION}/{id}");
        contract.set_origin(ContractOrigin::Authored);
        let event = Event { time_ms: contract.event_time_ms, historical: contract.historical, ..Event::default() };
        let act = Act::new(self.core(), "", Some(event), Some(contract.clone()))?;
        contract.event_time_ms = act.event.time_ms;
        let core = self.core().clone();
        let mut foreseen = Case::foreseen(&core, &ticket, placement);
        foreseen.first.resources.push((Kind::Contract, id));
        let job = self.core().write_foreseen(actor.clone(), foreseen, move |work| {
            Box::pin(async move {
                if let Some(answer) = ticket.answered(work).await? {
                    work.note(Deed::Read, rows_of(&answer));
                    return Ok(answer);
                }
                if work.resource((Kind::Contract, id)).await?.is_some() {
                    return Err(RegistryError::AlreadyExists(vec![Violation::new(
                        "contract_id",
                        "belongs to a record",
                    )]));
                }
                let case = Case::load(work, &core, placement).await?;
                let name = authoring_fact(&case.exchange)?.to_owned();
                let mut act = Act { name, ..act };
                complete(work, &case, &mut act).await?;
                let contract = act.contract.clone().unwrap_or(contract);
                perform(work, &core, &case, act).await?;
                let answer = put(work, &core, id, placement, contract, ContractOrigin::Authored);
                ticket.keep(work, &answer, core.clock().now_ms());
                Ok(answer)
            })
        });
        self.counting_refusals(actor, job.await).await
    }

    /// Reads one; where it was not written, the copy that crossed.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn get_contract(&self, caller: &Caller, request: GetContractRequest) -> Result<Contract, RegistryError> {
        let id = id_of(COLLECTION, &request.name, "name")?;
        let contract = match self.core().store().resource((Kind::Contract, id)).await? {
            Some(row) => from_row(&row)?,
            None => self.search(id, &request.name).await?.ok_or(RegistryError::NotFound)?,
        };
        self.reading(caller.acting("Contract", "GetContract"), rows_of(&contract).collect()).await?;
        Ok(contract)
    }

    /// One page of a placement's contracts, oldest first.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn list_contracts(
        &self,
        caller: &Caller,
        request: ListContractsRequest,
    ) -> Result<ListContractsResponse, RegistryError> {
        let placement = id_of(PLACEMENTS, &request.placement, "placement")?;
        let page = Page::parse(List::Contracts, request.page_size, &request.page_token)?;
        let case = self.case(placement).await?;
        let all = self.contracts_of(&case).await?;
        let start = match page.after {
            None => 0,
            Some(after) => {
                let last = all.iter().position(|(id, _)| *id == after);
                last.ok_or_else(|| RegistryError::field("page_token", "not a token of this list"))? + 1
            }
        };
        let mut contracts: Vec<_> = all.into_iter().skip(start).take(page.size + 1).collect();
        let next_page_token = page.cut(&mut contracts, |(id, _)| *id);
        let contracts: Vec<_> = contracts.into_iter().map(|(_, contract)| contract).collect();
        let worker = id_of(Worker::COLLECTION, &case.record.worker, "worker").ok().map(|id| (Kind::Worker, id));
        let rows = worker.into_iter().chain(contracts.iter().flat_map(rows_of)).collect();
        self.reading(caller.acting("Contract", "ListContracts"), rows).await?;
        Ok(ListContractsResponse { contracts, next_page_token })
    }

    /// All contracts of one placement, oldest first: record ids and times of creation both grow.
    async fn contracts_of(&self, case: &Case) -> Result<Vec<(Ref, Contract)>, RegistryError> {
        let rows = self.core().store().children(Kind::Contract, case.id, MAX_OF_ONE).await?;
        let mut own: BTreeMap<Ref, Contract> = BTreeMap::new();
        for row in &rows {
            own.insert(row.id, from_row(row)?);
        }
        let mut found: Vec<(Vec<u8>, Ref, Contract)> = Vec::new();
        for (origin, view) in crossed(&case.view) {
            let Some(contract) = terms::contract(&case.exchange, view, &case.name(), origin) else { continue };
            let Ok(id) = id_of(COLLECTION, &contract.name, "name") else { continue };
            found.push((view.record_id.clone(), id, own.remove(&id).unwrap_or(contract)));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        // What is left was written here and does not stand in the exchange any more.
        let rest = own.into_iter();
        Ok(rest.chain(found.into_iter().map(|(_, id, contract)| (id, contract))).collect())
    }

    /// The partner's contract of this name. No key leads from it to its placement, so that all are looked at; a view
    /// that does not hold the name's bytes is not decoded.
    async fn search(&self, id: Ref, name: &str) -> Result<Option<Contract>, RegistryError> {
        let mut after = None;
        loop {
            let rows = self.core().store().views(ViewKind::Placement, "", "", after, BATCH).await?;
            for row in rows.iter().filter(|row| holds(&row.body, name.as_bytes()) || holds(&row.body, &id.0)) {
                let Some(exchange) = self.core().exchange(&row.key.0) else { continue };
                let view: PlacementView = decode(&row.body, "view")?;
                let placement = format!("{PLACEMENTS}/{}", row.key.2);
                for (origin, terms) in crossed(&view) {
                    let contract = terms::contract(exchange, terms, &placement, origin);
                    if let Some(contract) = contract.filter(|contract| contract.name == name) {
                        return Ok(Some(contract));
                    }
                }
            }
            match rows.last() {
                Some(last) if rows.len() >= BATCH as usize => after = Some(last.key.2),
                _ => return Ok(None),
            }
        }
    }
}

/// Keeps a contract as it was written, and gives it back as a reader sees it.
pub(crate) fn put(
    work: &mut Work,
    core: &Core,
    id: Ref,
    placement: Ref,
    contract: Contract,
    origin: ContractOrigin,
) -> Contract {
    let now_ms = core.clock().now_ms();
    let contract = Contract {
        name: format!("{COLLECTION}/{id}"),
        placement: format!("{PLACEMENTS}/{placement}"),
        origin: origin.into(),
        etag: "1".to_owned(),
        create_time: Some(timestamp(now_ms)),
        ..contract
    };
    work.put_resource(ResourceRow {
        kind: Kind::Contract,
        id,
        parent: Some(placement),
        revision: 1,
        body: contract.encode_to_vec(),
        created_ms: now_ms,
        updated_ms: now_ms,
    });
    contract
}

/// Rows that showing a contract discloses: its own, and its placement's.
fn rows_of(contract: &Contract) -> impl Iterator<Item = ResourceKey> {
    let row = |kind, collection, name: &str| id_of(collection, name, "name").ok().map(|id| (kind, id));
    let placement = row(Kind::Placement, PLACEMENTS, &contract.placement);
    row(Kind::Contract, COLLECTION, &contract.name).into_iter().chain(placement)
}

fn from_row(row: &ResourceRow) -> Result<Contract, RegistryError> {
    decode(&row.body, "resource")
}

/// The fact by which this state authors a contract.
fn authoring_fact(exchange: &Exchange) -> Result<&str, RegistryError> {
    let mut facts = exchange.pack().lifecycle().facts.iter();
    let fact = facts.find(|fact| fact.terms == Some(Terms::Authored) && fact.by == exchange.me);
    let denied = RegistryError::PermissionDenied(match exchange.me {
        Role::Origin => "contracts are the destination's to author",
        Role::Destination => "the agreement knows no contracts",
    });
    fact.map(|fact| fact.name.as_str()).ok_or(denied)
}

/// Contracts that crossed: authored, observed and as paid.
fn crossed(view: &PlacementView) -> impl Iterator<Item = (ContractOrigin, &TermsView)> {
    let authored = view.authored.iter().map(|terms| (ContractOrigin::Authored, terms));
    let observed = view.observed.iter().map(|terms| (ContractOrigin::Observed, terms));
    authored.chain(observed).chain(view.paid.iter().map(|terms| (ContractOrigin::Paid, terms)))
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}
