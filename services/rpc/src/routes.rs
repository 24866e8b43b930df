//! All services of a node behind one guard.

use std::sync::Arc;

use convenio_registry::Registry;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::guard::Guarded;
use crate::principals::Principals;
use crate::server::{
    agency_service_server, consular_service_server, contract_service_server, employer_service_server,
    exchange_service_server, job_order_service_server, node_service_server, placement_service_server,
    retention_service_server, worker_service_server,
};
use crate::services::UseCases;
use crate::services::consular::Consular;
use crate::services::exchange::{MAX_MESSAGE, Session};
use crate::services::node::Node;

/// Largest request of a registry or node method, bytes.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Largest message of a consulate, bytes.
const MAX_CONSULAR: usize = 1024 * 1024;

/// Names of the services whose health is served, beside the node's own, which is the empty name.
const SERVICES: [&str; 10] = [
    agency_service_server::SERVICE_NAME,
    employer_service_server::SERVICE_NAME,
    job_order_service_server::SERVICE_NAME,
    worker_service_server::SERVICE_NAME,
    contract_service_server::SERVICE_NAME,
    placement_service_server::SERVICE_NAME,
    retention_service_server::SERVICE_NAME,
    consular_service_server::SERVICE_NAME,
    exchange_service_server::SERVICE_NAME,
    node_service_server::SERVICE_NAME,
];

/// What a node serves.
pub struct Rpc {
    /// For the accept loop, which puts the caller's `Arc<Identity>` into each request's extensions.
    pub service: Guarded<Routes>,
    /// Health of each service.
    health: HealthReporter,
}

impl Rpc {
    /// Reports every service, and the node, as serving or not.
    pub async fn report(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES.into_iter().chain([""]) {
            self.health.set_service_status(service, status).await;
        }
    }
}

/// Puts the services of the contract, health (`grpc.health.v1`) and reflection (`grpc.reflection.v1`, for callers of
/// this state) together; health says that they serve.
pub async fn routes(registry: Arc<Registry>, principals: Principals) -> Rpc {
    let core = registry.core().clone();
    let cases = UseCases::new(registry.clone());
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(convenio_wire::DESCRIPTORS)
        .build_v1()
        .expect("the build encoded the descriptors");
    let routes = Routes::new(health_service)
        .add_service(reflection)
        .add_service(
            agency_service_server::AgencyServiceServer::new(cases.clone()).max_decoding_message_size(MAX_REQUEST),
        )
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
            node_service_server::NodeServiceServer::new(Node::new(core)).max_decoding_message_size(MAX_REQUEST),
        )
        .prepare();
    let rpc = Rpc { service: Guarded::new(routes, principals), health };
    rpc.report(true).await;
    rpc
}
