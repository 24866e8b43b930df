//! Walking through stored logs of several epochs, in order, with their parts opened.

use std::collections::VecDeque;
use std::sync::Arc;

use convenio_seal::statement::claimed_statement;
use convenio_store::{EntryRow, StoreError};
use convenio_wire::exchange::v1::{Part, Statement};
use prost::Message;

use crate::core::{Core, Exchange};
use crate::erase::commitments;
use crate::inbound::check::opened;
use crate::inbound::mirror::is_marker;
use crate::lane::Lane;
use crate::outbound::seal::from_rest;

/// Entries read at a time.
const PAGE: u64 = 512;

/// A position in the logs of one direction: epoch and index.
pub(super) type At = (u64, u64);

/// An entry on the way.
pub(super) struct Step {
    pub at: At,
    pub record_id: convenio_model::RecordId,
    pub is_record: bool,
    pub statement: Statement,
    /// Its parts without those that were erased; none if the leading one is gone, or there never was one.
    pub parts: Option<Vec<Part>>,
    /// All of its parts are there.
    pub whole: bool,
}

/// Entries of lanes, of each a range of indices.
pub(super) struct Walk {
    core: Arc<Core>,
    ranges: VecDeque<(Arc<Lane>, u64, u64)>,
    page: VecDeque<Step>,
    with_parts: bool,
    /// Whose partner's entries these are.
    of_partner: Option<Arc<Exchange>>,
}

impl Walk {
    pub(super) fn new(core: &Arc<Core>, ranges: &[(Arc<Lane>, u64, u64)], with_parts: bool) -> Self {
        let (core, ranges) = (core.clone(), ranges.iter().cloned().collect());
        Self { core, ranges, page: VecDeque::new(), with_parts, of_partner: None }
    }

    /// The walk through the partner's entries: one that needs no answer and is void says nothing and is left out.
    pub(super) fn of_partner(self, exchange: &Arc<Exchange>) -> Self {
        Self { of_partner: Some(exchange.clone()), ..self }
    }

    fn is_void(&self, lane: &Lane, row: &EntryRow) -> bool {
        let Some(exchange) = self.of_partner.as_ref().filter(|_| !row.is_record) else { return false };
        let (keys, revoked) = (exchange.known(lane.epoch).keys, exchange.partner_revoked());
        opened(exchange, lane, (&keys, &revoked), row.index, &row.bytes).is_err()
    }

    pub(super) async fn peek(&mut self) -> Result<Option<At>, StoreError> {
        self.fill().await?;
        Ok(self.page.front().map(|step| step.at))
    }

    pub(super) async fn next(&mut self) -> Result<Option<Step>, StoreError> {
        self.fill().await?;
        Ok(self.page.pop_front())
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        while self.page.is_empty() {
            let Some((lane, begin, size)) = self.ranges.front().cloned() else { return Ok(()) };
            if begin >= size {
                self.ranges.pop_front();
                continue;
            }
            let end = size.min(begin + PAGE);
            let rows = self.core.store.entries(lane.log, begin, end).await?;
            let parts = if self.with_parts { self.core.store.parts(lane.log, begin, end).await? } else { Vec::new() };
            for row in rows {
                if self.is_void(&lane, &row) {
                    continue;
                }
                let from = parts.partition_point(|part| part.index < row.index);
                let to = parts.partition_point(|part| part.index <= row.index);
                let statement = claimed_statement(&row.bytes).unwrap_or_default();
                let found = parts[from..to].iter().map(|part| {
                    if is_marker(part) {
                        return Ok(None);
                    }
                    let vault = &self.core.sealer.vault;
                    // A part whose key is lost is as good as erased.
                    let salted = from_rest(vault, part.key_id, row.record_id, part.part as usize, &part.sealed);
                    Ok(salted.ok().flatten().and_then(|salted| Part::decode(salted.part.as_slice()).ok()))
                });
                let found = found.collect::<Result<Vec<Option<Part>>, StoreError>>()?;
                let whole = found.len() == commitments(&statement) && found.iter().all(Option::is_some);
                let leads = found.first().is_some_and(Option::is_some);
                let parts = leads.then(|| found.into_iter().flatten().collect());
                let (at, record_id, is_record) = ((lane.epoch, row.index), row.record_id, row.is_record);
                self.page.push_back(Step { at, record_id, is_record, statement, parts, whole });
            }
            if let Some(range) = self.ranges.front_mut() {
                range.1 = end;
            }
        }
        Ok(())
    }
}
