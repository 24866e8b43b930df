//! Who may call what. A method that is not in [`TABLE`] is denied to everybody.

#[cfg(test)]
mod tests;

/// The state's integration system: reads and writes the registry.
const INTEGRATION: &str = "integration";
/// An operator of the node: reads.
const OPERATOR: &str = "operator";
/// An auditor: sees how far the exchange has come, and receipts.
const AUDITOR: &str = "auditor";
/// A consular post.
pub(crate) const CONSULATE: &str = "consulate";
/// A third witness or a verifier: reads the logs as anyone might who is to check them.
pub(crate) const WITNESS: &str = "witness";
/// An officer of the ministry who negotiates: hands over acts that offices have signed.
const MINISTRY: &str = "ministry";
/// A state's node.
const NODE: &str = convenio_model::Identity::NODE;

/// Every role, for what any caller of a state may call.
const ANY: &[&str] = &[NODE, INTEGRATION, OPERATOR, AUDITOR, CONSULATE, WITNESS, MINISTRY, "agency"];

/// Whose certificates a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// This state's.
    Own,
    /// A partner's.
    Partner,
    /// Either.
    Either,
}

/// Who may call one method, and what it takes.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Full path, `/package.Service/Method`.
    pub path: &'static str,
    /// Whose certificates.
    pub side: Side,
    /// Roles.
    pub roles: &'static [&'static str],
    /// Roles of a partner, where they are others than those of this state; then `side` is this state's.
    pub partner: &'static [&'static str],
    /// Whether either side streams: no time limit for the call.
    pub streams: bool,
    /// Whether its handler keeps to the agreements that a certificate is limited to. A limited certificate may call
    /// nothing else.
    pub by_agreement: bool,
    /// Whether it needs a purpose although no use case below it asks for one.
    pub purpose: bool,
}

/// The rule of a method; none means that nobody may call it.
pub(crate) fn rule(path: &str) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.path == path)
}

/// A known role as it may stand in a log; a certificate can carry any word.
pub(crate) fn role_label(role: &str) -> &'static str {
    ANY.iter().find(|known| **known == role).copied().unwrap_or("other")
}

const fn own(path: &'static str, roles: &'static [&'static str]) -> Rule {
    Rule { path, side: Side::Own, roles, partner: &[], streams: false, by_agreement: false, purpose: false }
}

const fn write(path: &'static str) -> Rule {
    own(path, &[INTEGRATION])
}

const fn read(path: &'static str) -> Rule {
    own(path, &[INTEGRATION, OPERATOR])
}

const fn state(path: &'static str) -> Rule {
    own(path, &[INTEGRATION, OPERATOR, AUDITOR])
}

const fn audit(path: &'static str) -> Rule {
    own(path, &[AUDITOR]).purpose()
}

const fn negotiate(path: &'static str, roles: &'static [&'static str]) -> Rule {
    own(path, roles).partner(&[NODE])
}

impl Rule {
    const fn partner(self, partner: &'static [&'static str]) -> Self {
        Self { partner, ..self }
    }

    const fn by_agreement(self) -> Self {
        Self { by_agreement: true, ..self }
    }

    const fn streams(self) -> Self {
        Self { streams: true, ..self }
    }

    const fn purpose(self) -> Self {
        Self { purpose: true, ..self }
    }

    const fn side(self, side: Side) -> Self {
        Self { side, ..self }
    }
}

/// Who may ask for one resource over HTTP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WebRule {
    /// Name, for the log.
    pub name: &'static str,
    /// Roles of this state.
    pub own: &'static [&'static str],
    /// Roles of a partner, which reaches no more than what concerns it.
    pub partner: &'static [&'static str],
}

/// The list of logs.
pub(crate) static LOGS: WebRule = WebRule { name: "logs", own: &[OPERATOR, AUDITOR, WITNESS], partner: &[] };
/// One log's checkpoint, tiles and entries.
pub(crate) static LOG: WebRule = WebRule { name: "log", own: &[OPERATOR, AUDITOR, WITNESS], partner: &[NODE] };
/// What the node's witness cosigned last.
pub(crate) static WITNESSED: WebRule =
    WebRule { name: "witnessed", own: &[OPERATOR, AUDITOR, WITNESS], partner: &[NODE] };
/// A submission to the node's witness; also for callers that the configuration names.
pub(crate) static ADD_CHECKPOINT: WebRule = WebRule { name: "add-checkpoint", own: &[], partner: &[NODE] };

/// The table, in the order of the contract.
pub(crate) static TABLE: &[Rule] = &[
    negotiate("/convenio.agreement.v1.NegotiationService/SubmitAct", &[MINISTRY]),
    negotiate("/convenio.agreement.v1.NegotiationService/GetNegotiation", &[MINISTRY, OPERATOR]),
    own("/convenio.agreement.v1.NegotiationService/ListNegotiations", &[MINISTRY, OPERATOR]),
    negotiate("/convenio.agreement.v1.NegotiationService/GetDraftFiles", &[MINISTRY, OPERATOR]),
    write("/convenio.registry.v1.AgencyService/CreateAgency"),
    read("/convenio.registry.v1.AgencyService/GetAgency"),
    read("/convenio.registry.v1.AgencyService/ListAgencies"),
    write("/convenio.registry.v1.AgencyService/UpdateAgency"),
    read("/convenio.registry.v1.AgencyService/LookupAgency"),
    write("/convenio.registry.v1.AgencyService/SuspendAgency"),
    write("/convenio.registry.v1.AgencyService/ReinstateAgency"),
    write("/convenio.registry.v1.CrewService/CreateCrew"),
    read("/convenio.registry.v1.CrewService/GetCrew"),
    read("/convenio.registry.v1.CrewService/ListCrews"),
    write("/convenio.registry.v1.CrewService/UpdateCrew"),
    read("/convenio.registry.v1.CrewService/LookupCrew"),
    write("/convenio.registry.v1.EmployerService/CreateEmployer"),
    read("/convenio.registry.v1.EmployerService/GetEmployer"),
    read("/convenio.registry.v1.EmployerService/ListEmployers"),
    write("/convenio.registry.v1.EmployerService/UpdateEmployer"),
    read("/convenio.registry.v1.EmployerService/LookupEmployer"),
    write("/convenio.registry.v1.JobOrderService/CreateJobOrder"),
    read("/convenio.registry.v1.JobOrderService/GetJobOrder"),
    read("/convenio.registry.v1.JobOrderService/ListJobOrders"),
    write("/convenio.registry.v1.JobOrderService/UpdateJobOrder"),
    read("/convenio.registry.v1.JobOrderService/LookupJobOrder"),
    write("/convenio.registry.v1.WorkerService/CreateWorker"),
    read("/convenio.registry.v1.WorkerService/GetWorker"),
    read("/convenio.registry.v1.WorkerService/ListWorkers"),
    write("/convenio.registry.v1.WorkerService/UpdateWorker"),
    read("/convenio.registry.v1.WorkerService/LookupWorker"),
    write("/convenio.registry.v1.ContractService/CreateContract"),
    read("/convenio.registry.v1.ContractService/GetContract"),
    read("/convenio.registry.v1.ContractService/ListContracts"),
    write("/convenio.registry.v1.PlacementService/CreatePlacement").by_agreement(),
    read("/convenio.registry.v1.PlacementService/GetPlacement").by_agreement(),
    read("/convenio.registry.v1.PlacementService/ListPlacements").by_agreement(),
    write("/convenio.registry.v1.PlacementService/UpdatePlacement").by_agreement(),
    write("/convenio.registry.v1.PlacementService/TransitionPlacement").by_agreement(),
    write("/convenio.registry.v1.PlacementService/RecordPlacementFact").by_agreement(),
    read("/convenio.registry.v1.PlacementService/ListPlacementEvents").by_agreement(),
    write("/convenio.registry.v1.RetentionService/EraseRecord").purpose(),
    write("/convenio.registry.v1.RetentionService/ErasePlacementParts").purpose(),
    read("/convenio.registry.v1.RetentionService/GetErasure"),
    read("/convenio.registry.v1.RetentionService/ListErasures"),
    write("/convenio.registry.v1.RetentionService/CreateHold").purpose(),
    read("/convenio.registry.v1.RetentionService/GetHold"),
    read("/convenio.registry.v1.RetentionService/ListHolds"),
    write("/convenio.registry.v1.RetentionService/ReleaseHold").purpose(),
    own("/convenio.consular.v1.ConsularService/Sync", &[CONSULATE]).by_agreement().streams().purpose(),
    own("/convenio.exchange.v1.ExchangeService/Exchange", &[NODE]).side(Side::Partner).streams(),
    own("/convenio.exchange.v1.ExchangeService/GetRecovery", &[NODE]).side(Side::Partner),
    own("/convenio.exchange.v1.ExchangeService/Refill", &[NODE]).side(Side::Partner).streams(),
    state("/convenio.node.v1.NodeService/ListExchanges").by_agreement(),
    state("/convenio.node.v1.NodeService/GetRecord").by_agreement(),
    audit("/convenio.audit.v1.AuditService/ListLogs").by_agreement(),
    audit("/convenio.audit.v1.AuditService/ListEntries").by_agreement().streams(),
    audit("/convenio.audit.v1.AuditService/GetProof").by_agreement(),
    audit("/convenio.audit.v1.AuditService/GetBundle").streams(),
    own("/grpc.health.v1.Health/Check", ANY).side(Side::Either).by_agreement(),
    own("/grpc.health.v1.Health/Watch", ANY).side(Side::Either).by_agreement().streams(),
    own("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ANY).by_agreement().streams(),
];
