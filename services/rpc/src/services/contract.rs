//! Contracts.

use convenio_wire::registry::v1::{
    Contract, CreateContractRequest, GetContractRequest, ListContractsRequest, ListContractsResponse,
};

use super::use_cases;
use crate::server::contract_service_server::ContractService;

use_cases!(
    ContractService {
        create_contract(CreateContractRequest) -> Contract;
        get_contract(GetContractRequest) -> Contract;
        list_contracts(ListContractsRequest) -> ListContractsResponse;
    }
);
