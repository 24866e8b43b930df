//! Transitions and facts: the records that an act's messages are built from, and what only this registry can tell.

use std::collections::BTreeSet;

use convenio_agreement::act::{Detail, Local, Refusal};
use convenio_agreement::lifecycle::{ActDef, Gate, Terms};
use convenio_agreement::plan::{ProjectError, Root, Sources};
use convenio_agreement::view::OrderView;
use convenio_exchange::journal::Actor;
use convenio_exchange::{ActRequest, Core, Exchange, IssueError, Issued, issue_act};
use convenio_model::Ref;
use convenio_store::{Kind, ViewKind, Work};
use convenio_wire::registry::v1::{
    Agency, Contract, ContractOrigin, Employer, Event, JobOrder, Placement, RecordPlacementFactRequest,
    TransitionPlacementRequest, Worker,
};

use super::{COLLECTION, Case, Shown, answered, keep, positions, shown};
use crate::Registry;
use crate::caller::Caller;
use crate::dates::has_years;
use crate::error::{RefusedAct, RegistryError, Violation};
use crate::job_order;
use crate::request::Ticket;
use crate::resource::{Resource, from_row, id_of};
use crate::row::decode;
use crate::rules::{Problems, agreement_data, event_time, terms_problems};
use crate::terms;

/// An act that was asked for, checked by itself.
pub(crate) struct Act {
    /// Transition or fact.
    pub name: String,
    /// What happened.
    pub event: Event,
    /// The contract that it is about, where it is given.
    pub contract: Option<Contract>,
}

impl Act {
    /// Checks what can be checked before the placement is known. Paths begin at the request.
    pub fn new(
        core: &Core,
        name: &str,
        event: Option<Event>,
        contract: Option<Contract>,
    ) -> Result<Self, RegistryError> {
        let mut event = event.unwrap_or_default();
        let time = event_time(event.time_ms, core.clock().now_ms(), "event.time_ms")?;
        event.time_ms = i64::try_from(time).unwrap_or(i64::MAX);
        agreement_data(core, Root::Event, &event.agreement_data)?;
        let mut found = Problems::default();
        found.require(is_hash(&event.text_sha256), "event.text_sha256", "32 bytes");
        found.require(is_hash(&event.audio_sha256), "event.audio_sha256", "32 bytes");
        let captured = event.captured_time_ms == 0 || event.captured_time_ms >= event.time_ms;
        found.require(captured, "event.captured_time_ms", "before it happened");
        event_time(event.captured_time_ms, core.clock().now_ms(), "event.captured_time_ms")?;
        if let Some(contract) = &contract {
            found.require(is_hash(&contract.text_sha256), "contract.text_sha256", "32 bytes");
            contract.terms.iter().for_each(|terms| terms_problems(terms, "contract.terms", &mut found));
            agreement_data(core, Root::Contract, &contract.agreement_data)?;
        }
        found.into_result()?;
        Ok(Self { name: name.to_owned(), event, contract })
    }
}

impl Registry {
    /// Makes or proposes a transition.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn transition_placement(
        &self,
        caller: &Caller,
        mut request: TransitionPlacementRequest,
    ) -> Result<Placement, RegistryError> {
        self.rules().request("convenio.registry.v1.TransitionPlacementRequest", &request)?;
        let request_id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "TransitionPlacement", &request_id, &request)?;
        let actor = caller.acting("Placement", "TransitionPlacement");
        let id = id_of(COLLECTION, &request.name, "name")?;
        let act = Act::new(self.core(), &request.transition, request.event, None)?;
        self.act(actor, ticket, id, request.etag, act, |def| matches!(def, ActDef::Transition(_))).await
    }

    /// States a fact that this state owns.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn record_placement_fact(
        &self,
        caller: &Caller,
        mut request: RecordPlacementFactRequest,
    ) -> Result<Placement, RegistryError> {
        belongs(request.contract.as_mut(), &request.name, "contract.placement")?;
        self.rules().request("convenio.registry.v1.RecordPlacementFactRequest", &request)?;
        let request_id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "RecordPlacementFact", &request_id, &request)?;
        let actor = caller.acting("Placement", "RecordPlacementFact");
        let id = id_of(COLLECTION, &request.name, "name")?;
        let act = Act::new(self.core(), &request.fact, request.event, request.contract)?;
        // A contract is authored by CreateContract, which keeps it.
        let kept = |def: ActDef<'_>| matches!(def, ActDef::Fact(fact) if fact.terms != Some(Terms::Authored));
        self.act(actor, ticket, id, String::new(), act, kept).await
    }

    async fn act(
        &self,
        actor: Actor,
        ticket: Ticket,
        id: Ref,
        etag: String,
        act: Act,
        allowed: fn(ActDef<'_>) -> bool,
    ) -> Result<Placement, RegistryError> {
        let core = self.core().clone();
        let foreseen = Case::foreseen(&core, &ticket, id);
        let job = self.core().write_foreseen(actor.clone(), foreseen, move |work| {
            Box::pin(async move {
                if let Some(answer) = answered(&ticket, work, &core).await? {
                    return Ok(answer);
                }
                let case = Case::load(work, &core, id).await?;
                case.expect(&etag)?;
                if !case.exchange.pack().lifecycle().act(&act.name).is_some_and(allowed) {
                    return Err(refused(&case, &act.name, Refusal::UnknownAct(act.name.clone())));
                }
                perform(work, &core, &case, act).await?;
                let case = Case::load(work, &core, id).await?;
                let answer = case.show(&positions(&**core.store(), &case).await?);
                keep(&ticket, work, &answer, core.clock().now_ms());
                shown(work, &answer);
                Ok(answer)
            })
        });
        self.counting_refusals(actor, job.await).await
    }
}

/// Issues an act on a placement, with the records that its messages are built from.
pub(crate) async fn perform(work: &mut Work, core: &Core, case: &Case, mut act: Act) -> Result<Issued, RegistryError> {
    let exchange = &*case.exchange;
    let needs = Needs::of(exchange, &act.name);
    act.event.all_modules = all_modules(exchange, &act.event);
    if !act.event.job_order.is_empty() && !needs.names_order {
        return Err(RegistryError::field("event.job_order", "this act names no job order"));
    }
    let worker = match needs.worker {
        true => worker(work, case).await?,
        false => None,
    };
    let event_time_ms = u64::try_from(act.event.time_ms).unwrap_or_default();
    let minimum = if worker.is_some() { minimum_age(work, case).await? } else { 0 };
    let local = local(case, worker.as_ref(), minimum, &act.event, event_time_ms);
    let sources = sources(work, case, &needs, worker.as_ref(), &act).await?;
    let request = ActRequest {
        placement: case.id,
        act: &act.name,
        sources: &sources,
        local,
        event_time_ms,
        historical: act.event.historical,
    };
    let issued = issue_act(work, core, exchange, request).await;
    let issued = issued.map_err(|error| {
        let error = unauthored(error, exchange, &act.name);
        RegistryError::issue(error, exchange.pack().id(), &act.name, |refusal| subject_of(case, refusal))
    })?;
    keep_observed(work, core, case, act, &issued);
    Ok(issued)
}

/// Without a contract no message can be built from it: its gate says why.
fn unauthored(error: IssueError, exchange: &Exchange, act: &str) -> IssueError {
    let lifecycle = exchange.pack().lifecycle();
    let asks = lifecycle.act(act).is_some_and(|def| def.asks(Gate::ContractAuthored));
    match error {
        IssueError::Projection(ProjectError::MissingSource(Root::Contract)) if asks => {
            let gates = lifecycle.act(act).map(ActDef::gates).unwrap_or_default();
            let gate = gates.iter().find(|gate| gate.is(Gate::ContractAuthored));
            let authors = lifecycle.facts.iter().find(|fact| fact.terms == Some(Terms::Authored));
            IssueError::Refused(Refusal::Gate(Detail {
                gate: Gate::ContractAuthored.to_string(),
                clause: gate.map(|gate| gate.clause.clone()).unwrap_or_default(),
                fact: authors.map(|fact| fact.name.clone()).unwrap_or_default(),
                field_paths: vec!["contract.name".to_owned()],
            }))
        }
        error => error,
    }
}

/// Whose limit a refusal is: an agency's, an order's, else the placement's.
fn subject_of(case: &Case, refusal: &Refusal) -> String {
    let named = |collection: &str, id: Option<Ref>| id.map(|id| format!("{collection}/{id}"));
    let subject = match refusal.built_in() {
        Some(Gate::AgencyTwoLicences) => named("agencies", case.agency()),
        Some(Gate::OrderOpen | Gate::SeatFree | Gate::TermsNotWorse | Gate::QuotaFree | Gate::SectorAllowed) => {
            named("jobOrders", case.order())
        }
        _ => None,
    };
    subject.unwrap_or_else(|| case.name())
}

/// Which records an act reads.
struct Needs {
    roots: BTreeSet<Root>,
    worker: bool,
    /// Whether one of its messages names the placement's job order.
    names_order: bool,
    /// Where its terms come from, if it carries any.
    terms: Option<Terms>,
}

impl Needs {
    fn of(exchange: &Exchange, act: &str) -> Self {
        let (pack, def) = (exchange.pack(), exchange.pack().lifecycle().act(act));
        let messages = def.map(ActDef::messages).unwrap_or_default().iter();
        let fields = messages.filter_map(|name| pack.message(name)).flat_map(|plan| &plan.fields);
        let names_order = fields.clone().any(|field| field.source.as_str() == "placement.job_order");
        let roots: BTreeSet<Root> = fields.map(|field| field.source.root()).collect();
        let terms = match def {
            Some(ActDef::Fact(fact)) => fact.terms,
            _ => None,
        };
        let asks = |gate: Gate| def.is_some_and(|def| def.asks(gate));
        let worker = roots.contains(&Root::Worker) || asks(Gate::Consent) || asks(Gate::MinimumAge);
        Self { roots, worker, names_order, terms }
    }
}

async fn sources(
    work: &mut Work,
    case: &Case,
    needs: &Needs,
    worker: Option<&Worker>,
    act: &Act,
) -> Result<Sources, RegistryError> {
    let mut sources = Sources::new().with(&act.event);
    let named: Option<Ref> = act.event.job_order.strip_prefix("jobOrders/").and_then(|id| id.parse().ok());
    if needs.roots.contains(&Root::Placement) {
        let mut placement = case.show(&Default::default());
        if named.is_some() {
            placement.job_order.clone_from(&act.event.job_order);
        }
        sources = sources.with(&placement);
    }
    if let Some(worker) = worker {
        sources = sources.with(worker);
    }
    if needs.roots.contains(&Root::JobOrder) || needs.roots.contains(&Root::Employer) {
        let (order, employer) = order(work, case, named.or_else(|| case.order())).await?;
        sources = order.iter().fold(sources, |sources, order| sources.with(order));
        sources = employer.iter().fold(sources, |sources, employer| sources.with(employer));
    }
    if needs.roots.contains(&Root::Agency)
        && let Some(id) = case.agency()
        && let Some(row) = work.resource((Kind::Agency, id)).await?
    {
        sources = sources.with(&from_row::<Agency>(&row)?);
    }
    if needs.roots.contains(&Root::Contract)
        && let Some(contract) = contract(case, needs, act)
    {
        sources = sources.with(&contract);
    }
    Ok(sources)
}

/// The contract that an act is about: the one it gives, or the latest that the destination authored.
fn contract(case: &Case, needs: &Needs, act: &Act) -> Option<Contract> {
    if needs.terms.is_some() {
        return act.contract.clone();
    }
    let latest = case.view.authored.last()?;
    terms::contract(&case.exchange, latest, &case.name(), ContractOrigin::Authored)
}

async fn worker(work: &mut Work, case: &Case) -> Result<Option<Worker>, RegistryError> {
    if case.record.worker.is_empty() {
        return Ok(None);
    }
    let id = id_of(Worker::COLLECTION, &case.record.worker, "placement.worker")?;
    work.resource((Kind::Worker, id)).await?.as_ref().map(from_row).transpose()
}

/// The job order and its employer: this state's own rows, or the order as it crossed.
async fn order(
    work: &mut Work,
    case: &Case,
    id: Option<Ref>,
) -> Result<(Option<JobOrder>, Option<Employer>), RegistryError> {
    let Some(id) = id else { return Ok((None, None)) };
    if let Some(row) = work.resource((Kind::JobOrder, id)).await? {
        let order: JobOrder = from_row(&row)?;
        let employer = id_of(Employer::COLLECTION, &order.employer, "job_order.employer")?;
        let employer = work.resource((Kind::Employer, employer)).await?;
        return Ok((Some(order), employer.as_ref().map(from_row).transpose()?));
    }
    let key = (case.exchange.pack().id().to_owned(), ViewKind::Order, id);
    let Some(view) = work.view(&key).await? else { return Ok((None, None)) };
    let order = job_order::from_view(&case.exchange, &decode::<OrderView>(&view.body, "view")?);
    let legal_name = order.as_ref().map(|order| order.employer_name.clone()).unwrap_or_default();
    Ok((order, Some(Employer { legal_name, ..Employer::default() })))
}

/// What only this registry can tell the gates.
fn local(case: &Case, worker: Option<&Worker>, minimum: u32, event: &Event, event_time_ms: u64) -> Local {
    let agreement = case.exchange.pack().id();
    let consents = |worker: &Worker| {
        let latest = worker.consents.iter().rev().find(|consent| consent.agreement == agreement);
        latest.is_some_and(|consent| consent.withdrawn_time_ms == 0)
    };
    let of_age =
        |worker: &Worker| worker.birth_date.as_ref().is_some_and(|birth| has_years(birth, minimum, event_time_ms));
    Local {
        consent: worker.is_some_and(consents),
        of_age: worker.is_some_and(of_age),
        return_offer_shown: case.record.return_offer_shown,
        all_modules: event.all_modules,
    }
}

/// Lowest age for the work: the agreement's, or that of the order's branch of activity.
async fn minimum_age(work: &mut Work, case: &Case) -> Result<u32, RegistryError> {
    let view = match case.order() {
        Some(id) => work.view(&(case.exchange.pack().id().to_owned(), ViewKind::Order, id)).await?,
        None => None,
    };
    let order: Option<OrderView> = view.map(|view| decode(&view.body, "view")).transpose()?;
    Ok(case.exchange.engine().minimum_age(order.as_ref()))
}

fn all_modules(exchange: &Exchange, event: &Event) -> bool {
    exchange.pack().config().mandatory_modules.iter().all(|module| event.modules.contains(module))
}

/// Keeps what was observed or paid whole; its record names it, here as at the partner's.
fn keep_observed(work: &mut Work, core: &Core, case: &Case, act: Act, issued: &Issued) {
    let fact = case.exchange.pack().lifecycle().fact(&act.name);
    let origin = match fact.and_then(|fact| fact.terms) {
        Some(Terms::Observed) => ContractOrigin::Observed,
        Some(Terms::Paid) => ContractOrigin::Paid,
        Some(Terms::Authored) | None => return,
    };
    if let (Some(id), Some(contract)) = (issued.record_id, act.contract) {
        let contract = Contract { event_time_ms: act.event.time_ms, historical: act.event.historical, ..contract };
        crate::contract::put(work, core, id, case.id, contract, origin);
    }
}

/// Writes into the terms of an authored contract what it leaves to its order and the agreement lets cross: who employs,
/// and where.
pub(crate) async fn complete(work: &mut Work, case: &Case, act: &mut Act) -> Result<(), RegistryError> {
    let Some(terms) = act.contract.as_mut().and_then(|contract| contract.terms.as_mut()) else { return Ok(()) };
    let pack = case.exchange.pack();
    let messages = pack.lifecycle().act(&act.name).map(ActDef::messages).unwrap_or_default();
    let crosses = |path: &str| {
        let mut fields = messages.iter().filter_map(|name| pack.message(name)).flat_map(|plan| &plan.fields);
        fields.any(|field| field.source.as_str() == path)
    };
    let employer_left = terms.employer_name.is_empty() && crosses("contract.terms.employer_name");
    let place_left = terms.place.is_none() && crosses("contract.terms.place");
    if !(employer_left || place_left) {
        return Ok(());
    }
    let (order, employer) = order(work, case, case.order()).await?;
    if let Some(employer) = employer.filter(|_| employer_left) {
        terms.employer_name = employer.legal_name;
    }
    if place_left {
        terms.place = order.and_then(|order| order.place);
    }
    Ok(())
}

fn refused(case: &Case, act: &str, refusal: Refusal) -> RegistryError {
    RegistryError::Refused(Box::new(RefusedAct {
        agreement: case.exchange.pack().id().to_owned(),
        act: act.to_owned(),
        subject: case.name(),
        violations: vec![Violation::new("", "no act of this agreement, or not by this method")],
        refusal,
    }))
}

/// A contract that comes with a placement need not name it again, and names no other.
pub(crate) fn belongs(contract: Option<&mut Contract>, placement: &str, field: &str) -> Result<(), RegistryError> {
    let Some(contract) = contract else { return Ok(()) };
    if contract.placement.is_empty() {
        placement.clone_into(&mut contract.placement);
    }
    if contract.placement == placement { Ok(()) } else { Err(RegistryError::field(field, "another placement")) }
}

/// A SHA-256, or none.
fn is_hash(bytes: &[u8]) -> bool {
    matches!(bytes.len(), 0 | 32)
}
