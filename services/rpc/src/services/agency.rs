//! Agencies and their licences.

use convenio_wire::registry::v1::{
    Agency, CreateAgencyRequest, GetAgencyRequest, ListAgenciesRequest, ListAgenciesResponse, LookupAgencyRequest,
    ReinstateAgencyRequest, SuspendAgencyRequest, UpdateAgencyRequest,
};

use super::use_cases;
use crate::server::agency_service_server::AgencyService;

use_cases!(
    AgencyService {
        create_agency(CreateAgencyRequest) -> Agency;
        get_agency(GetAgencyRequest) -> Agency;
        list_agencies(ListAgenciesRequest) -> ListAgenciesResponse;
        update_agency(UpdateAgencyRequest) -> Agency;
        lookup_agency(LookupAgencyRequest) -> Agency;
        suspend_agency(SuspendAgencyRequest) -> Agency;
        reinstate_agency(ReinstateAgencyRequest) -> Agency;
    }
);
