//! Placements. A certificate that is limited to agreements sees and changes only those under them.

use convenio_wire::registry::v1::{
    CreatePlacementRequest, GetPlacementRequest, ListPlacementEventsRequest, ListPlacementEventsResponse,
    ListPlacementsRequest, ListPlacementsResponse, Placement, RecordPlacementFactRequest, TransitionPlacementRequest,
    UpdatePlacementRequest,
};
use tonic::{Request, Response, Status};

use super::{UseCases, answer};
use crate::admission::{Admitted, open};
use crate::server::placement_service_server::PlacementService;
use crate::status;

#[tonic::async_trait]
impl PlacementService for UseCases {
    async fn create_placement(&self, request: Request<CreatePlacementRequest>) -> Result<Response<Placement>, Status> {
        let (admitted, request) = open(request)?;
        admitted.check_agreement(request.placement.as_ref().map_or("", |placement| &placement.agreement))?;
        answer(self.registry.create_placement(&admitted.caller, request).await)
    }

    async fn get_placement(&self, request: Request<GetPlacementRequest>) -> Result<Response<Placement>, Status> {
        let (admitted, request) = open(request)?;
        self.check_reach(&admitted, &request.name).await?;
        answer(self.registry.get_placement(&admitted.caller, request).await)
    }

    async fn list_placements(
        &self,
        request: Request<ListPlacementsRequest>,
    ) -> Result<Response<ListPlacementsResponse>, Status> {
        let (admitted, request) = open(request)?;
        admitted.check_agreement(&request.agreement)?;
        answer(self.registry.list_placements(&admitted.caller, request).await)
    }

    async fn update_placement(&self, request: Request<UpdatePlacementRequest>) -> Result<Response<Placement>, Status> {
        let (admitted, request) = open(request)?;
        self.check_reach(&admitted, request.placement.as_ref().map_or("", |placement| &placement.name)).await?;
        answer(self.registry.update_placement(&admitted.caller, request).await)
    }

    async fn transition_placement(
        &self,
        request: Request<TransitionPlacementRequest>,
    ) -> Result<Response<Placement>, Status> {
        let (admitted, request) = open(request)?;
        self.check_reach(&admitted, &request.name).await?;
        answer(self.registry.transition_placement(&admitted.caller, request).await)
    }

    async fn record_placement_fact(
        &self,
        request: Request<RecordPlacementFactRequest>,
    ) -> Result<Response<Placement>, Status> {
        let (admitted, request) = open(request)?;
        self.check_reach(&admitted, &request.name).await?;
        answer(self.registry.record_placement_fact(&admitted.caller, request).await)
    }

    async fn list_placement_events(
        &self,
        request: Request<ListPlacementEventsRequest>,
    ) -> Result<Response<ListPlacementEventsResponse>, Status> {
        let (admitted, request) = open(request)?;
        self.check_reach(&admitted, &request.parent).await?;
        answer(self.registry.list_placement_events(&admitted.caller, request).await)
    }
}

impl UseCases {
    /// Refuses a limited caller what is under another agreement. The agreement of a placement never changes, so that
    /// looking before the use case runs is enough.
    async fn check_reach(&self, admitted: &Admitted, name: &str) -> Result<(), Status> {
        if admitted.standing.agreements().is_none() {
            return Ok(());
        }
        let agreement = self.registry.agreement_of(name).await;
        admitted.check_agreement(&agreement.map_err(|error| status::from_registry(&error))?)
    }
}
