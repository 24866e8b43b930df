//! Requests to a registry, as the operations make them: each has its request id and can come again.

use convenio_agreement::Pack;
use convenio_model::Ref;
use convenio_registry::{Caller, Registry, RegistryError};
use convenio_wire::consular::v1::{Capture, Confirmation, ObservedContract, capture};
use convenio_wire::registry::v1::{self as registry, *};
use convenio_wire::r#type::v1::{LicenceState, RecruiterKind};
use prost::Message;

use crate::acts::reference;
use crate::records;

/// Where everybody works.
pub const AREA: &str = "CA-ON";
const TEXT: [u8; 32] = [7; 32];
/// The answer where it tells how far something has come, which changes.
const DONE: [u8; 1] = [1];

/// A request.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // each is the registry's method of that name
pub enum Call {
    Employer(Box<UpdateEmployerRequest>),
    Order(Box<UpdateJobOrderRequest>),
    Agency(Box<UpdateAgencyRequest>),
    Suspend(Box<SuspendAgencyRequest>),
    Worker(Box<CreateWorkerRequest>),
    Placement(Box<CreatePlacementRequest>),
    Choose(Box<UpdatePlacementRequest>),
    Transition(Box<TransitionPlacementRequest>),
    Fact(Box<RecordPlacementFactRequest>),
    Contract(Box<CreateContractRequest>),
    Capture(Box<Capture>, String),
    Erase(Box<ErasePlacementPartsRequest>),
    Hold(Box<CreateHoldRequest>),
    Release(Box<ReleaseHoldRequest>),
}

/// The system of a state's ministry.
pub fn caller(party: &str) -> Caller {
    Caller {
        trust_domain: format!("{party}.example"),
        role: "integration".into(),
        organisation: "ministry".into(),
        post: None,
        purpose: Some("placement".into()),
    }
}

impl Call {
    /// Makes the request; the answer as it travels, empty for a capture that is wrong.
    ///
    /// # Errors
    /// The registry's.
    pub async fn make(&self, registry: &Registry, party: &str) -> Result<Vec<u8>, RegistryError> {
        let me = &caller(party);
        Ok(match self.clone() {
            Self::Employer(request) => registry.update_employer(me, *request).await?.encode_to_vec(),
            Self::Order(request) => registry.update_job_order(me, *request).await?.encode_to_vec(),
            Self::Agency(request) => registry.update_agency(me, *request).await?.encode_to_vec(),
            Self::Suspend(request) => registry.suspend_agency(me, *request).await?.encode_to_vec(),
            Self::Worker(request) => registry.create_worker(me, *request).await?.encode_to_vec(),
            Self::Placement(request) => lasting(registry.create_placement(me, *request).await?),
            Self::Choose(request) => lasting(registry.update_placement(me, *request).await?),
            Self::Transition(request) => lasting(registry.transition_placement(me, *request).await?),
            Self::Fact(request) => lasting(registry.record_placement_fact(me, *request).await?),
            Self::Contract(request) => registry.create_contract(me, *request).await?.encode_to_vec(),
            Self::Erase(request) => registry.erase_placement_parts(me, *request).await.map(|_| DONE.to_vec())?,
            Self::Hold(request) => registry.create_hold(me, *request).await.map(|_| DONE.to_vec())?,
            Self::Release(request) => registry.release_hold(me, *request).await.map(|_| DONE.to_vec())?,
            Self::Capture(capture, agreement) => {
                let (areas, agreements) = ([AREA.to_owned()], [agreement]);
                let result = registry.take_capture(me, &areas, &agreements, &capture).await?;
                // A wrong capture may come again corrected: its answer is none that is kept.
                if result.error_reason.is_empty() { result.encode_to_vec() } else { Vec::new() }
            }
        })
    }
}

/// An answer without what is looked up again for each repetition, so that no erased person stays in a kept one.
fn lasting(answer: Placement) -> Vec<u8> {
    Placement { worker_ref: String::new(), discrepancies: Vec::new(), ..answer }.encode_to_vec()
}

impl Call {
    /// What makes a repetition the same request; empty where its name does.
    #[must_use]
    pub fn request_id(&self) -> &str {
        match self {
            Self::Employer(request) => &request.request_id,
            Self::Order(request) => &request.request_id,
            Self::Agency(request) => &request.request_id,
            Self::Suspend(request) => &request.request_id,
            Self::Worker(request) => &request.request_id,
            Self::Placement(request) => &request.request_id,
            Self::Choose(request) => &request.request_id,
            Self::Transition(request) => &request.request_id,
            Self::Fact(request) => &request.request_id,
            Self::Contract(request) => &request.request_id,
            Self::Capture(capture, _) => &capture.capture_id,
            Self::Erase(request) => &request.request_id,
            Self::Hold(_) | Self::Release(_) => "",
        }
    }
}

/// Name of a job order.
#[must_use]
pub fn order_name(link: usize, order: u8) -> String {
    format!("jobOrders/{}", reference(&format!("sim order {link} {order}")))
}

/// Reference of an agency.
#[must_use]
pub fn agency_ref(link: usize, agency: u8) -> Ref {
    reference(&format!("sim agency {link} {agency}"))
}

fn terms(wage: u16) -> EmploymentTerms {
    EmploymentTerms { wage_rate: records::cad(i64::from(wage)), ..records::terms() }
}

/// The employer of all orders.
#[must_use]
pub fn employer(request_id: String) -> Call {
    let name = format!("employers/{}", reference("sim employer"));
    let employer = Employer { name, eligible: true, ..records::employer() };
    let employer = Some(employer);
    Call::Employer(Box::new(UpdateEmployerRequest { employer, allow_missing: true, request_id, ..Default::default() }))
}

/// The order as it shall be.
#[must_use]
pub fn order(pack: &Pack, name: String, seats: u8, open: bool, wage: u16, request_id: String) -> Call {
    let order = registry::JobOrder {
        name,
        employer: format!("employers/{}", reference("sim employer")),
        terms: Some(terms(wage)),
        ..records::job_order(pack, Ref::default(), i32::from(seats), open)
    };
    let job_order = Some(order);
    Call::Order(Box::new(UpdateJobOrderRequest { job_order, allow_missing: true, request_id, ..Default::default() }))
}

/// A state's licence of an agency.
#[must_use]
pub fn licence(agreement: &str, jurisdiction: &str, agency: Ref, active: bool, request_id: String) -> Call {
    let name = format!("agencies/{agency}");
    if !active {
        let reason_code = "INSPECTION".to_owned();
        return Call::Suspend(Box::new(SuspendAgencyRequest { name, reason_code, request_id, ..Default::default() }));
    }
    let licence = Licence {
        jurisdiction: jurisdiction.to_owned(),
        number: "L-1".into(),
        state: LicenceState::Active.into(),
        ..Default::default()
    };
    let agency = Agency {
        name,
        legal_name: "Agencia Ficticia".into(),
        agreements: vec![agreement.to_owned()],
        licences: vec![licence],
        ..Default::default()
    };
    let agency = Some(agency);
    Call::Agency(Box::new(UpdateAgencyRequest { agency, allow_missing: true, request_id, ..Default::default() }))
}

/// A worker.
#[must_use]
pub fn worker(agreement: &str, id: Ref, request_id: String) -> Call {
    let consent = Consent { agreement: agreement.to_owned(), given_time_ms: 1, withdrawn_time_ms: 0 };
    let worker = Worker { name: String::new(), consents: vec![consent], ..records::worker(id) };
    let (worker, worker_id) = (Some(worker), id.to_string());
    Call::Worker(Box::new(CreateWorkerRequest { worker, worker_id, request_id }))
}

/// A placement of that worker.
#[must_use]
pub fn placement(
    agreement: &str,
    id: Ref,
    worker: Ref,
    order: String,
    agency: Option<Ref>,
    request_id: String,
) -> Call {
    let placement = Placement {
        agreement: agreement.to_owned(),
        worker: format!("workers/{worker}"),
        return_offer_shown: true,
        ..chosen(order, agency)
    };
    let (placement, placement_id) = (Some(placement), id.to_string());
    Call::Placement(Box::new(CreatePlacementRequest { placement, placement_id, request_id }))
}

/// Another order or agency.
#[must_use]
pub fn choose(name: String, order: String, agency: Option<Ref>, request_id: String) -> Call {
    let paths = ["job_order", "recruiter_kind", "agency"].map(str::to_owned).to_vec();
    let update_mask = Some(prost_types::FieldMask { paths });
    let placement = Some(Placement { name, ..chosen(order, agency) });
    Call::Choose(Box::new(UpdatePlacementRequest { placement, update_mask, request_id }))
}

fn chosen(job_order: String, agency: Option<Ref>) -> Placement {
    let recruiter = match agency {
        Some(_) => RecruiterKind::LicensedAgency,
        None => RecruiterKind::PublicEmploymentService,
    };
    let agency = agency.map(|id| format!("agencies/{id}")).unwrap_or_default();
    Placement { job_order, recruiter_kind: recruiter.into(), agency, ..Default::default() }
}

fn event(pack: &Pack) -> Option<Event> {
    let modules = pack.config().mandatory_modules.clone();
    Some(Event { modules, all_modules: false, ..records::event(0) })
}

/// A transition, or a fact.
#[must_use]
pub fn act(pack: &Pack, name: String, act: &str, request_id: String) -> Call {
    if pack.lifecycle().fact(act).is_some() {
        let (fact, event) = (act.to_owned(), event(pack));
        return Call::Fact(Box::new(RecordPlacementFactRequest {
            name,
            fact,
            event,
            request_id,
            ..Default::default()
        }));
    }
    let (transition, event) = (act.to_owned(), event(pack));
    let etag = String::new();
    Call::Transition(Box::new(TransitionPlacementRequest { name, transition, event, request_id, etag }))
}

/// A contract of this wage.
#[must_use]
pub fn contract(placement: String, id: Ref, wage: u16, request_id: String) -> Call {
    let contract = Contract { placement, terms: Some(terms(wage)), text_sha256: TEXT.to_vec(), ..Default::default() };
    let (contract, contract_id) = (Some(contract), id.to_string());
    Call::Contract(Box::new(CreateContractRequest { contract, contract_id, request_id }))
}

/// What a consulate captured: a confirmation, or a contract of this wage.
#[must_use]
pub fn capture(pack: &Pack, placement: String, wage: u16, capture_id: String) -> Call {
    let kind = match wage {
        0 => capture::Kind::Confirmation(Confirmation {}),
        wage => {
            let contract = Contract {
                placement: placement.clone(),
                origin: ContractOrigin::Observed.into(),
                terms: Some(terms(wage)),
                ..Default::default()
            };
            capture::Kind::ObservedContract(ObservedContract { contract: Some(contract) })
        }
    };
    let capture = Capture { capture_id, placement, event: event(pack), kind: Some(kind) };
    Call::Capture(Box::new(capture), pack.id().to_owned())
}

/// The order to erase one class of a placement's parts.
#[must_use]
pub fn erase(placement: String, class: &str, request_id: String) -> Call {
    let (retention_class, ground) = (class.to_owned(), "subject-request".to_owned());
    Call::Erase(Box::new(ErasePlacementPartsRequest { placement, retention_class, ground, request_id }))
}

/// A hold on a placement for some days.
#[must_use]
pub fn hold(placement: String, hold: Ref, now_ms: u64, days: u64) -> Call {
    let seconds = i64::try_from(now_ms / 1000 + days * 86_400).unwrap_or(i64::MAX);
    let expire_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    let held = Hold { ground: "litigation".to_owned(), expire_time, ..Default::default() };
    let (parent, hold_id) = (placement, hold.to_string());
    Call::Hold(Box::new(CreateHoldRequest { parent, hold: Some(held), hold_id }))
}

/// The end of a hold.
#[must_use]
pub fn release(placement: &str, hold: Ref) -> Call {
    Call::Release(Box::new(ReleaseHoldRequest { name: format!("{placement}/holds/{hold}") }))
}
