//! The state of the exchange, for operators, integration systems and auditors.

use std::sync::Arc;

use convenio_exchange::{Core, Exchange, witness};
use convenio_model::RecordId;
use convenio_store::{LogRow, StoreError};
use convenio_wire::node::v1 as wire;
use tonic::{Code, Request, Response, Status};

use crate::admission::open;
use crate::server::node_service_server::NodeService;
use crate::status;

pub(crate) struct Node {
    core: Arc<Core>,
}

impl Node {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn logs(&self) -> Result<Vec<LogRow>, Status> {
        self.core.store().logs().await.map_err(|error| status::from_store(&error))
    }
}

#[tonic::async_trait]
impl NodeService for Node {
    async fn list_exchanges(
        &self,
        request: Request<wire::ListExchangesRequest>,
    ) -> Result<Response<wire::ListExchangesResponse>, Status> {
        let (admitted, wire::ListExchangesRequest {}) = open(request)?;
        let logs = self.logs().await?;
        let exchanges = self.core.exchanges().iter();
        let reached = exchanges.filter(|exchange| admitted.check_agreement(exchange.pack().id()).is_ok());
        let mut exchanges = Vec::new();
        for exchange in reached {
            let mut described = described(exchange, &logs, self.core.connected(&exchange.partner_node));
            self.witnessed(exchange, &logs, &mut described).await.map_err(|error| status::from_store(&error))?;
            exchanges.push(described);
        }
        Ok(Response::new(wire::ListExchangesResponse { exchanges }))
    }

    async fn get_record(&self, request: Request<wire::GetRecordRequest>) -> Result<Response<wire::Record>, Status> {
        let (admitted, request) = open(request)?;
        let id = record_id(&request.name)
            .ok_or_else(|| status::bad_field("name", "must be records/ and 32 lower-case hexadecimal digits"))?;
        let unknown = || status::refusal(Code::NotFound, "NOT_FOUND", "no such record");
        let places = self.core.store().record(id).await.map_err(|error| status::from_store(&error))?;
        let logs = self.logs().await?;
        let found = places.iter().find_map(|(log, index)| Some((logs.iter().find(|row| row.id == *log)?, *index)));
        let (log, index) = found.ok_or_else(unknown)?;
        admitted.check_agreement(&log.agreement)?;
        // Of a mirror this node is the recipient, and holds what it cosigned.
        let held = if log.own { log.settled } else { log.cosigned_size };
        let delivered = index < held;
        let receipt = if delivered { self.receipt(id).await? } else { String::new() };
        let times = witness::held_between(&self.core, log, index).await.map_err(|error| status::from_store(&error))?;
        Ok(Response::new(wire::Record {
            name: request.name,
            log_origin: log.origin.clone(),
            index,
            delivered,
            receipt,
            earliest_time_ms: times.earliest_ms,
            latest_time_ms: times.latest_ms.unwrap_or(0),
        }))
    }
}

impl Node {
    async fn receipt(&self, id: RecordId) -> Result<String, Status> {
        let receipt = convenio_exchange::receipt(&self.core, id).await;
        receipt.map(Option::unwrap_or_default).map_err(|error| status::from_store(&error))
    }
}

impl Node {
    /// What cosignatures of the own log are there.
    async fn witnessed(
        &self,
        exchange: &Exchange,
        logs: &[LogRow],
        described: &mut wire::Exchange,
    ) -> Result<(), StoreError> {
        let own = exchange.own();
        let Some(own) = logs.iter().find(|row| row.id == own.log) else { return Ok(()) };
        let coverage = witness::coverage(&self.core, exchange, own).await?;
        described.cosigned_time_ms = coverage.cosigned_ms;
        described.cosignature_overdue = coverage.overdue;
        described.witness_quorum_met = witness::quorum_met(&self.core, exchange, own).await?;
        let standings = self.core.witnesses.standings().into_iter();
        described.witnesses = standings
            .map(|(name, standing)| wire::Witness {
                name,
                cosigned: standing.cosigned,
                failed: standing.failed,
                problem: standing.problem,
            })
            .collect();
        Ok(())
    }
}

fn described(exchange: &Exchange, logs: &[LogRow], connected: bool) -> wire::Exchange {
    let own = logs.iter().find(|row| row.id == exchange.own().log);
    let mirror = logs.iter().find(|row| row.id == exchange.peer().log);
    let of = |row: Option<&LogRow>, count: fn(&LogRow) -> u64| row.map_or(0, count);
    wire::Exchange {
        agreement: exchange.pack().id().to_owned(),
        digest: hex::encode(exchange.pack().digest()),
        partner: exchange.partner_node.clone(),
        connected,
        own_size: of(own, |row| row.size),
        delivered_size: of(own, |row| row.settled),
        undecided_records: of(own, |row| row.records.saturating_sub(row.decided)),
        mirror_size: of(mirror, |row| row.size),
        judged_size: of(mirror, |row| row.settled),
        own_records: of(own, |row| row.records),
        own_rejected: of(own, |row| row.rejected),
        partner_rejected: of(mirror, |row| row.rejected),
        partner_records: of(mirror, |row| row.records),
        delivered_records: of(own, |row| row.settled_records),
        alarm: [own, mirror]
            .into_iter()
            .flatten()
            .map(|row| &row.alarm)
            .find(|a| !a.is_empty())
            .cloned()
            .unwrap_or_default(),
        ..Default::default()
    }
}

fn record_id(name: &str) -> Option<RecordId> {
    let digits = name.strip_prefix("records/").filter(|digits| !digits.bytes().any(|b| b.is_ascii_uppercase()))?;
    let mut id = [0; 16];
    hex::decode_to_slice(digits, &mut id).ok()?;
    Some(convenio_model::Ref(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_one_name() {
        let digits = "0190163d8694739baea5966c26f8ad91";
        let id = record_id(&format!("records/{digits}")).expect("a record's name");
        assert_eq!(hex::encode(id.0), digits);
        let upper = digits.to_uppercase();
        for bad in [digits, "records/", "records/01", &format!("records/{upper}"), &format!("records/{digits}0")] {
            assert!(record_id(bad).is_none(), "{bad}");
        }
    }
}
