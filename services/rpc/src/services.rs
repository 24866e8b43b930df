//! The services, one file each, in the order of the contract.

mod agency;
pub(crate) mod audit;
pub(crate) mod consular;
mod contract;
mod crew;
mod employer;
pub(crate) mod exchange;
mod job_order;
pub(crate) mod negotiation;
pub(crate) mod node;
mod placement;
mod retention;
mod worker;

use std::sync::Arc;

use convenio_registry::{Registry, RegistryError};
use tonic::{Response, Status};

use crate::status;

/// The services of the registry: a method is the use case of the same name.
#[derive(Clone)]
pub(crate) struct UseCases {
    registry: Arc<Registry>,
}

impl UseCases {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }
}

fn answer<T>(result: Result<T, RegistryError>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| status::from_registry(&error))
}

/// Writes the handlers of a service each of whose methods is the use case of the same name.
macro_rules! use_cases {
    ($service:path { $($method:ident($request:ty) -> $response:ty;)* }) => {
        #[tonic::async_trait]
        impl $service for $crate::services::UseCases {
            $(
                async fn $method(
                    &self,
                    request: tonic::Request<$request>,
                ) -> Result<tonic::Response<$response>, tonic::Status> {
                    let (admitted, request) = $crate::admission::open(request)?;
                    $crate::services::answer(self.registry.$method(&admitted.caller, request).await)
                }
            )*
        }
    };
}
use use_cases;
