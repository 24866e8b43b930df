//! All services of a node behind one guard.

use std::sync::Arc;

use arc_swap::ArcSwap;
use convenio_exchange::witness::Witness;
use convenio_model::Identity;
use convenio_registry::Registry;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::guard::Guarded;
use crate::principals::Principals;
use crate::server::{
    agency_service_server, audit_service_server, consular_service_server, contract_service_server, crew_service_server,
    employer_service_server, exchange_service_server, job_order_service_server, negotiation_service_server,
    node_service_server, placement_service_server, retention_service_server, worker_service_server,
};
use crate::services::UseCases;
use crate::services::audit::{Audit, Bundles};
use crate::services::consular::Consular;
use crate::services::exchange::{MAX_MESSAGE, Session};
use crate::services::negotiation::{MAX_DRAFT_REQUEST, Negotiating, Negotiations};
use crate::services::node::Node;
use crate::web::{Served, Web};

/// Largest request of a registry or node method, bytes.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Largest message of a consulate, bytes.
const MAX_CONSULAR: usize = 1024 * 1024;

/// Names of the services whose health is served, beside the node's own, which is the empty name.
const SERVICES: [&str; 13] = [
    negotiation_service_server::SERVICE_NAME,
    agency_service_server::SERVICE_NAME,
    crew_service_server::SERVICE_NAME,
    employer_service_server::SERVICE_NAME,
    job_order_service_server::SERVICE_NAME,
    worker_service_server::SERVICE_NAME,
    contract_service_server::SERVICE_NAME,
    placement_service_server::SERVICE_NAME,
    retention_service_server::SERVICE_NAME,
    consular_service_server::SERVICE_NAME,
    exchange_service_server::SERVICE_NAME,
    node_service_server::SERVICE_NAME,
    audit_service_server::SERVICE_NAME,
];

/// What a node serves.
pub struct Rpc {
    /// For the accept loop, which puts the caller's `Arc<Identity>` into each request's extensions.
    pub service: Served,
    principals: Arc<ArcSwap<Principals>>,
    /// Health of each service.
    health: HealthReporter,
}

/// The node's witness, and who may submit to it beside the partners.
pub struct Witnessing {
    /// The witness.
    pub witness: Arc<Witness>,
    /// Callers that may have the configured logs cosigned.
    pub callers: Vec<Identity>,
}

impl Rpc {
    /// Replaces the table of principals; it counts from the next request on.
    #[must_use]
    pub fn replacer(&self) -> Box<dyn Fn(Principals) + Send + Sync> {
        let principals = self.principals.clone();
        Box::new(move |table| principals.store(Arc::new(table)))
    }

    /// Says whether a certificate that names an identity is still of this state or of a partner, and in the table where it
    /// must be.
    #[must_use]
    pub fn known(&self) -> Arc<dyn Fn(&Identity) -> bool + Send + Sync> {
        let principals = self.principals.clone();
        Arc::new(move |identity| principals.load().standing(identity).is_ok())
    }

    /// Reports every service, and the node, as serving or not.
    pub async fn report(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES.into_iter().chain([""]) {
            self.health.set_service_status(service, status).await;
        }
    }
}

/// Puts the services of the contract, health (`grpc.health.v1`) and reflection (`grpc.reflection.v1`, for callers of
/// this state) together, with the logs and the witness over HTTP; health says that they serve.
pub async fn routes(
    registry: Arc<Registry>,
    principals: Principals,
    witnessing: Option<Witnessing>,
    bundles: Option<Arc<dyn Bundles>>,
    negotiating: Negotiating,
) -> Rpc {
    let core = registry.core().clone();
    let principals = Arc::new(ArcSwap::from_pointee(principals));
    let web = Web::new(core.clone(), principals.clone(), witnessing);
    let cases = UseCases::new(registry.clone());
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(convenio_wire::DESCRIPTORS)
        .build_v1()
        .expect("the build encoded the descriptors");
    let routes = tonic::service::Routes::new(health_service)
        .add_service(reflection)
        .add_service(
            agency_service_server::AgencyServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(crew_service_server::CrewServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(
            employer_service_server::EmployerServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            job_order_service_server::JobOrderServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            worker_service_server::WorkerServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            contract_service_server::ContractServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            placement_service_server::PlacementServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            retention_service_server::RetentionServiceServer::new(cases).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            consular_service_server::ConsularServiceServer::new(Consular::new(registry))
                .max_decoding_message_size(MAX_CONSULAR),
        )
        .add_service(
            exchange_service_server::ExchangeServiceServer::new(Session::new(core.clone()))
                .max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(
            audit_service_server::AuditServiceServer::new(Audit::new(core.clone(), bundles))
                .max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            negotiation_service_server::NegotiationServiceServer::new(Negotiations::new(core.clone(), negotiating))
                .max_decoding_message_size(MAX_DRAFT_REQUEST),
        )
        .add_service(
            node_service_server::NodeServiceServer::new(Node::new(core)).max_decoding_message_size(MAX_REQUEST),
        )
        .prepare();
    let service = Served::new(Guarded::new(routes, principals.clone()), web);
    let rpc = Rpc { service, principals, health };
    rpc.report(true).await;
    rpc
}
