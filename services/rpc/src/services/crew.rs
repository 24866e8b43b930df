//! Crew lists.

use convenio_wire::registry::v1::{
    CreateCrewRequest, Crew, GetCrewRequest, ListCrewsRequest, ListCrewsResponse, LookupCrewRequest, UpdateCrewRequest,
};

use super::use_cases;
use crate::server::crew_service_server::CrewService;

use_cases!(
    CrewService {
        create_crew(CreateCrewRequest) -> Crew;
        get_crew(GetCrewRequest) -> Crew;
        list_crews(ListCrewsRequest) -> ListCrewsResponse;
        update_crew(UpdateCrewRequest) -> Crew;
        lookup_crew(LookupCrewRequest) -> Crew;
    }
);
