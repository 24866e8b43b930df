//! Erasures and holds.

use convenio_wire::registry::v1::{
    CreateHoldRequest, ErasePlacementPartsRequest, ErasePlacementPartsResponse, EraseRecordRequest,
    EraseRecordResponse, Erasure, GetErasureRequest, GetHoldRequest, Hold, ListErasuresRequest, ListErasuresResponse,
    ListHoldsRequest, ListHoldsResponse, ReleaseHoldRequest,
};

use super::use_cases;
use crate::server::retention_service_server::RetentionService;

use_cases!(
    RetentionService {
        erase_record(EraseRecordRequest) -> EraseRecordResponse;
        erase_placement_parts(ErasePlacementPartsRequest) -> ErasePlacementPartsResponse;
        get_erasure(GetErasureRequest) -> Erasure;
        list_erasures(ListErasuresRequest) -> ListErasuresResponse;
        create_hold(CreateHoldRequest) -> Hold;
        get_hold(GetHoldRequest) -> Hold;
        list_holds(ListHoldsRequest) -> ListHoldsResponse;
        release_hold(ReleaseHoldRequest) -> Hold;
    }
);
