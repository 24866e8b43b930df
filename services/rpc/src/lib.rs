//! gRPC, and beside it the logs and the witness over HTTP: who may call what, thin handlers over the use cases, one translation of errors.
//!
//! Reading order is a call's: [`Guarded`] admits it by the table in `access` and the node's [`Principals`], a file of
//! `services` hands it to the use case, [`status`] says what went wrong. To add an RPC: its `.proto`, a line in the table
//! of `access`, its handler in `services`. What the table does not list is denied. What is no gRPC goes to `web`, which asks
//! the same principals.

mod access;
mod admission;
mod guard;
mod limit;
mod principals;
mod routes;
mod services;
pub mod status;
mod web;

pub use guard::Guarded;
pub use principals::{Principals, PrincipalsError};
pub use routes::{Rpc, Witnessing, routes};
pub use services::audit::{BundleRefused, Bundles};
pub use services::exchange::{Dialled, dial, get_recovery, refill};
pub use services::negotiation::Negotiating;
pub use web::Served;

/// Stubs, made at build time.
#[allow(missing_docs, clippy::all)] // generated; every method is documented in its .proto
mod generated {
    include!(concat!(env!("OUT_DIR"), "/convenio.rs"));
}

/// Clients of a node's services.
pub mod client {
    pub use crate::generated::convenio::agreement::v1::negotiation_service_client::NegotiationServiceClient;
    pub use crate::generated::convenio::audit::v1::audit_service_client::AuditServiceClient;
    pub use crate::generated::convenio::consular::v1::consular_service_client::ConsularServiceClient;
    pub use crate::generated::convenio::exchange::v1::exchange_service_client::ExchangeServiceClient;
    pub use crate::generated::convenio::node::v1::node_service_client::NodeServiceClient;
    pub use crate::generated::convenio::registry::v1::agency_service_client::AgencyServiceClient;
    pub use crate::generated::convenio::registry::v1::contract_service_client::ContractServiceClient;
    pub use crate::generated::convenio::registry::v1::crew_service_client::CrewServiceClient;
    pub use crate::generated::convenio::registry::v1::employer_service_client::EmployerServiceClient;
    pub use crate::generated::convenio::registry::v1::job_order_service_client::JobOrderServiceClient;
    pub use crate::generated::convenio::registry::v1::placement_service_client::PlacementServiceClient;
    pub use crate::generated::convenio::registry::v1::retention_service_client::RetentionServiceClient;
    pub use crate::generated::convenio::registry::v1::worker_service_client::WorkerServiceClient;
}

/// Server sides: a module for each service, with its trait, its server and its name.
pub mod server {
    pub use crate::generated::convenio::agreement::v1::negotiation_service_server;
    pub use crate::generated::convenio::audit::v1::audit_service_server;
    pub use crate::generated::convenio::consular::v1::consular_service_server;
    pub use crate::generated::convenio::exchange::v1::exchange_service_server;
    pub use crate::generated::convenio::node::v1::node_service_server;
    pub use crate::generated::convenio::registry::v1::{
        agency_service_server, contract_service_server, crew_service_server, employer_service_server,
        job_order_service_server, placement_service_server, retention_service_server, worker_service_server,
    };
}
