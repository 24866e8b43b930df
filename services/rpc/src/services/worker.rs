//! Workers.

use convenio_wire::registry::v1::{
    CreateWorkerRequest, GetWorkerRequest, ListWorkersRequest, ListWorkersResponse, LookupWorkerRequest,
    UpdateWorkerRequest, Worker,
};

use super::use_cases;
use crate::server::worker_service_server::WorkerService;

use_cases!(
    WorkerService {
        create_worker(CreateWorkerRequest) -> Worker;
        get_worker(GetWorkerRequest) -> Worker;
        list_workers(ListWorkersRequest) -> ListWorkersResponse;
        update_worker(UpdateWorkerRequest) -> Worker;
        lookup_worker(LookupWorkerRequest) -> Worker;
    }
);
