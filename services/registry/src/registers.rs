//! The five registers of plain records, by one pattern.

use convenio_wire::registry::v1::*;

use crate::Registry;
use crate::caller::Caller;
use crate::crud::Update;
use crate::error::RegistryError;
use crate::request::Ticket;
use crate::resource::{Resource, id_of};

/// The five standard methods of a register.
macro_rules! register {
    ($record:ident, $field:ident, $id:ident, $plural:ident,
     $create:ident($create_request:ident), $get:ident($get_request:ident),
     $list:ident($list_request:ident) -> $list_response:ident,
     $update:ident($update_request:ident), $lookup:ident($lookup_request:ident)) => {
        impl Registry {
            #[doc = concat!("Registers one: `", stringify!($create_request), "`.")]
            ///
            /// # Errors
            /// [`RegistryError`].
            pub async fn $create(
                &self,
                caller: &Caller,
                mut request: $create_request,
            ) -> Result<$record, RegistryError> {
                permit::<$record>(caller)?;
                let message = concat!("convenio.registry.v1.", stringify!($create_request));
                self.rules().request(message, &request)?;
                let id = std::mem::take(&mut request.request_id);
                let ticket = Ticket::new(caller, stringify!($create_request), &id, &request)?;
                let actor = caller.acting(stringify!($record), stringify!($create_request));
                self.create(actor, ticket, &request.$id, request.$field.unwrap_or_default()).await
            }

            #[doc = concat!("Reads one: `", stringify!($get_request), "`.")]
            ///
            /// # Errors
            /// [`RegistryError`].
            pub async fn $get(&self, caller: &Caller, request: $get_request) -> Result<$record, RegistryError> {
                permit::<$record>(caller)?;
                let record: $record = self.read(id_of($record::COLLECTION, &request.name, "name")?).await?;
                self.disclose(caller.acting(stringify!($record), stringify!($get_request)), &[&record]).await?;
                Ok(record)
            }

            #[doc = concat!("One page, ascending by id: `", stringify!($list_request), "`.")]
            ///
            /// # Errors
            /// [`RegistryError`].
            pub async fn $list(
                &self,
                caller: &Caller,
                request: $list_request,
            ) -> Result<$list_response, RegistryError> {
                permit::<$record>(caller)?;
                let ($plural, next_page_token) = self.list::<$record>(request.page_size, &request.page_token).await?;
                let actor = caller.acting(stringify!($record), stringify!($list_request));
                self.disclose(actor, &$plural.iter().collect::<Vec<_>>()).await?;
                Ok($list_response { $plural, next_page_token })
            }

            #[doc = concat!("Changes one, or creates it: `", stringify!($update_request), "`.")]
            ///
            /// # Errors
            /// [`RegistryError`].
            pub async fn $update(
                &self,
                caller: &Caller,
                mut request: $update_request,
            ) -> Result<$record, RegistryError> {
                permit::<$record>(caller)?;
                let id = std::mem::take(&mut request.request_id);
                let ticket = Ticket::new(caller, stringify!($update_request), &id, &request)?;
                let record = request.$field.ok_or_else(|| RegistryError::field(stringify!($field), "required"))?;
                let update = Update { record, mask: request.update_mask, allow_missing: request.allow_missing };
                let actor = caller.acting(stringify!($record), stringify!($update_request));
                self.update(actor, ticket, update).await
            }

            #[doc = concat!("Reads one by the key of another system: `", stringify!($lookup_request), "`.")]
            ///
            /// # Errors
            /// [`RegistryError`].
            pub async fn $lookup(&self, caller: &Caller, request: $lookup_request) -> Result<$record, RegistryError> {
                permit::<$record>(caller)?;
                let record: $record = self.lookup(request.external_id.as_ref()).await?;
                self.disclose(caller.acting(stringify!($record), stringify!($lookup_request)), &[&record]).await?;
                Ok(record)
            }
        }
    };
}

register!(Agency, agency, agency_id, agencies,
    create_agency(CreateAgencyRequest), get_agency(GetAgencyRequest),
    list_agencies(ListAgenciesRequest) -> ListAgenciesResponse,
    update_agency(UpdateAgencyRequest), lookup_agency(LookupAgencyRequest));
register!(Crew, crew, crew_id, crews,
    create_crew(CreateCrewRequest), get_crew(GetCrewRequest),
    list_crews(ListCrewsRequest) -> ListCrewsResponse,
    update_crew(UpdateCrewRequest), lookup_crew(LookupCrewRequest));
register!(Employer, employer, employer_id, employers,
    create_employer(CreateEmployerRequest), get_employer(GetEmployerRequest),
    list_employers(ListEmployersRequest) -> ListEmployersResponse,
    update_employer(UpdateEmployerRequest), lookup_employer(LookupEmployerRequest));
register!(JobOrder, job_order, job_order_id, job_orders,
    create_job_order(CreateJobOrderRequest), get_job_order(GetJobOrderRequest),
    list_job_orders(ListJobOrdersRequest) -> ListJobOrdersResponse,
    update_job_order(UpdateJobOrderRequest), lookup_job_order(LookupJobOrderRequest));
register!(Worker, worker, worker_id, workers,
    create_worker(CreateWorkerRequest), get_worker(GetWorkerRequest),
    list_workers(ListWorkersRequest) -> ListWorkersResponse,
    update_worker(UpdateWorkerRequest), lookup_worker(LookupWorkerRequest));

fn permit<R: Resource>(caller: &Caller) -> Result<(), RegistryError> {
    if R::PERSONAL { caller.with_purpose() } else { Ok(()) }
}
