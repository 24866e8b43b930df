//! Employers.

use convenio_wire::registry::v1::{
    CreateEmployerRequest, Employer, GetEmployerRequest, ListEmployersRequest, ListEmployersResponse,
    LookupEmployerRequest, UpdateEmployerRequest,
};

use super::use_cases;
use crate::server::employer_service_server::EmployerService;

use_cases!(
    EmployerService {
        create_employer(CreateEmployerRequest) -> Employer;
        get_employer(GetEmployerRequest) -> Employer;
        list_employers(ListEmployersRequest) -> ListEmployersResponse;
        update_employer(UpdateEmployerRequest) -> Employer;
        lookup_employer(LookupEmployerRequest) -> Employer;
    }
);
