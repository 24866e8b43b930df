//! Job orders.

use convenio_wire::registry::v1::{
    CreateJobOrderRequest, GetJobOrderRequest, JobOrder, ListJobOrdersRequest, ListJobOrdersResponse,
    LookupJobOrderRequest, UpdateJobOrderRequest,
};

use super::use_cases;
use crate::server::job_order_service_server::JobOrderService;

use_cases!(
    JobOrderService {
        create_job_order(CreateJobOrderRequest) -> JobOrder;
        get_job_order(GetJobOrderRequest) -> JobOrder;
        list_job_orders(ListJobOrdersRequest) -> ListJobOrdersResponse;
        update_job_order(UpdateJobOrderRequest) -> JobOrder;
        lookup_job_order(LookupJobOrderRequest) -> JobOrder;
    }
);
