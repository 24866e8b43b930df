//! Calls of a state's own systems to its node, over mTLS.

use convenio_node::tls::{LoadedTls, connect_lazy};
use convenio_rpc::client::{
    AgencyServiceClient, AuditServiceClient, ContractServiceClient, CrewServiceClient, EmployerServiceClient,
    JobOrderServiceClient, NodeServiceClient, PlacementServiceClient, RetentionServiceClient, WorkerServiceClient,
};
use convenio_wire::audit::v1 as audit;
use convenio_wire::node::v1 as node;
use convenio_wire::registry::v1 as registry;
use std::net::SocketAddr;
use std::sync::Arc;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_types::StatusExt;

pub use convenio_script::passes;

use crate::site::domain;

/// One caller of one node.
#[derive(Clone)]
pub struct Caller {
    /// The connection.
    pub channel: Channel,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($client:ident, $request:ty) -> $answer:ty;)*) => {
        impl Caller {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// The node's.
            pub async fn $name(&self, request: $request) -> Result<$answer, Status> {
                let answer = $client::new(self.channel.clone()).$name(with_purpose(request)).await?;
                Ok(answer.into_inner())
            }
        )*}
    };
}

calls! {
    /// Registers an agency.
    create_agency(AgencyServiceClient, registry::CreateAgencyRequest) -> registry::Agency;
    /// Registers a crew list.
    create_crew(CrewServiceClient, registry::CreateCrewRequest) -> registry::Crew;
    /// Reads a crew list.
    get_crew(CrewServiceClient, registry::GetCrewRequest) -> registry::Crew;
    /// Registers an employer.
    create_employer(EmployerServiceClient, registry::CreateEmployerRequest) -> registry::Employer;
    /// Registers a job order.
    create_job_order(JobOrderServiceClient, registry::CreateJobOrderRequest) -> registry::JobOrder;
    /// Reads a job order.
    get_job_order(JobOrderServiceClient, registry::GetJobOrderRequest) -> registry::JobOrder;
    /// Registers a worker.
    create_worker(WorkerServiceClient, registry::CreateWorkerRequest) -> registry::Worker;
    /// Reads a worker.
    get_worker(WorkerServiceClient, registry::GetWorkerRequest) -> registry::Worker;
    /// Authors a contract.
    create_contract(ContractServiceClient, registry::CreateContractRequest) -> registry::Contract;
    /// Registers a placement.
    create_placement(PlacementServiceClient, registry::CreatePlacementRequest) -> registry::Placement;
    /// Reads a placement.
    get_placement(PlacementServiceClient, registry::GetPlacementRequest) -> registry::Placement;
    /// Makes or proposes a transition.
    transition_placement(PlacementServiceClient, registry::TransitionPlacementRequest) -> registry::Placement;
    /// States a fact.
    record_placement_fact(PlacementServiceClient, registry::RecordPlacementFactRequest) -> registry::Placement;
    /// Lists the acts of a placement.
    list_placement_events(PlacementServiceClient, registry::ListPlacementEventsRequest) -> registry::ListPlacementEventsResponse;
    /// Erases the parts of one class of a placement.
    erase_placement_parts(RetentionServiceClient, registry::ErasePlacementPartsRequest) -> registry::ErasePlacementPartsResponse;
    /// Reads an erasure.
    get_erasure(RetentionServiceClient, registry::GetErasureRequest) -> registry::Erasure;
    /// Lists erasures.
    list_erasures(RetentionServiceClient, registry::ListErasuresRequest) -> registry::ListErasuresResponse;
    /// Places a hold.
    create_hold(RetentionServiceClient, registry::CreateHoldRequest) -> registry::Hold;
    /// Lists holds.
    list_holds(RetentionServiceClient, registry::ListHoldsRequest) -> registry::ListHoldsResponse;
    /// Releases a hold.
    release_hold(RetentionServiceClient, registry::ReleaseHoldRequest) -> registry::Hold;
    /// Lists the logs, as an auditor.
    list_logs(AuditServiceClient, audit::ListLogsRequest) -> audit::ListLogsResponse;
    /// Streams entries, as an auditor.
    list_entries(AuditServiceClient, audit::ListEntriesRequest) -> Streaming<audit::ListEntriesResponse>;
    /// Proves an entry, as an auditor.
    get_proof(AuditServiceClient, audit::GetProofRequest) -> audit::GetProofResponse;
    /// Exports the bundle, as an auditor.
    get_bundle(AuditServiceClient, audit::GetBundleRequest) -> Streaming<audit::GetBundleResponse>;
    /// Lists the exchanges.
    list_exchanges(NodeServiceClient, node::ListExchangesRequest) -> node::ListExchangesResponse;
    /// Reads where a record stands.
    get_record(NodeServiceClient, node::GetRecordRequest) -> node::Record;
}

impl Caller {
    /// A caller that reaches `party`'s node at `address`.
    #[must_use]
    pub fn new(party: &str, address: SocketAddr, tls: &LoadedTls) -> Self {
        let config = Arc::new(tls.client_config(&domain(party)).unwrap());
        let channel = connect_lazy(&address.to_string(), &format!("node.{party}.example"), config).unwrap();
        Self { channel }
    }

    /// Makes or proposes a transition, under a request id.
    ///
    /// # Errors
    /// The node's.
    pub async fn transition(
        &self,
        placement: &str,
        transition: &str,
        event: registry::Event,
        request_id: &str,
    ) -> Result<registry::Placement, Status> {
        let request = registry::TransitionPlacementRequest {
            name: placement.to_owned(),
            transition: transition.to_owned(),
            event: Some(event),
            request_id: request_id.to_owned(),
            etag: String::new(),
        };
        self.transition_placement(request).await
    }

    /// States a fact, under a request id.
    ///
    /// # Errors
    /// The node's.
    pub async fn fact(
        &self,
        placement: &str,
        fact: &str,
        event: registry::Event,
        request_id: &str,
    ) -> Result<registry::Placement, Status> {
        let request = registry::RecordPlacementFactRequest {
            name: placement.to_owned(),
            fact: fact.to_owned(),
            event: Some(event),
            contract: None,
            request_id: request_id.to_owned(),
        };
        self.record_placement_fact(request).await
    }

    /// The exchange under the one agreement.
    ///
    /// # Errors
    /// The node's.
    pub async fn exchange(&self) -> Result<node::Exchange, Status> {
        let mut listed = self.list_exchanges(node::ListExchangesRequest {}).await?.exchanges;
        listed.pop().ok_or_else(|| Status::not_found("the node lists no exchange"))
    }
}

/// The request with a purpose.
pub fn with_purpose<Q>(message: Q) -> Request<Q> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("convenio-purpose", MetadataValue::from_static("placement"));
    request
}

/// Stable reason of a refusal; empty if it has none.
#[must_use]
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
