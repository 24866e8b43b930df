//! The last step: the epoch that was granted, with everything issued again that the partner had not mirrored.

use std::collections::HashMap;
use std::sync::Arc;

use convenio_log::{SignedCheckpoint, cosignature};
use convenio_seal::dsse::Envelope;
use convenio_seal::epoch::{epoch_open_from, verify_epoch_open};
use convenio_seal::statement::{claimed_statement, seal_entry};
use convenio_seal::vault::{DataKeyId, VaultError};
use convenio_store::{LogId, LogRow, Staged, StagedPart, StoreError, Work};
use convenio_wire::exchange::v1::{Activate, EpochOpen, Position, Statement, statement::Body};
use futures::FutureExt;

use super::{RecoverError, Recovering};
use crate::amend::ratify_bodies;
use crate::core::{Core, Exchange};
use crate::erase::ERASED;
use crate::error::IssueError;
use crate::inbound::mirror::{MARKER, is_marker};
use crate::lane::Lane;
use crate::open::new_log;
use crate::outbound::seal::{fresh_record_id, stage_at};
use crate::recovery::erasures;
use crate::recovery::states::{Refill, read, refilled};
use crate::signer::{Named, mirror_name};
use crate::version::Digest;

/// The epoch is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Origin of the new log.
    pub origin: String,
    /// Entries that were issued again.
    pub reissued: u64,
}

impl Recovering {
    /// Opens the granted epoch with a file that the own roots signed; after it the node can serve.
    ///
    /// # Errors
    /// [`RecoverError`]; nothing was opened.
    pub async fn open_epoch(&self, file: &[u8]) -> Result<Opened, RecoverError> {
        let agreement = self.exchange.pack().id().to_owned();
        let state = self.core.store.state(&refilled(&agreement)).await?.ok_or(RecoverError::NotRefilled)?;
        let refill: Refill = read(&state.body)?;
        if !refill.done {
            return Err(RecoverError::NotRefilled);
        }
        let rows = self.core.store.logs().await?;
        let id = rows.iter().map(|row| row.id).max().unwrap_or(0) + 1;
        let (own, partner) = (&self.exchange.own_node, &self.exchange.partner_node);
        let row = new_log(id, own, &agreement, partner, true, refill.granted);
        let opening = self.authorised(file, &row.origin, &refill)?;
        let closed = self.exchange.own_lanes();
        let ends: HashMap<LogId, u64> = closed
            .iter()
            .filter_map(|lane| rows.iter().find(|row| row.id == lane.log).map(|row| (row.id, row.settled)))
            .collect();
        let tail = self.tail(&ends).await?.again;
        let version = self.version_at(&ends);
        let lane = Lane::from(&row);
        self.exchange.own_lanes.push(lane.clone());
        let orders = erasures::lost(&self.core, &self.exchange).await?;
        let reissued = (tail.len() + orders.len()) as u64;
        let (core, exchange) = (self.core.clone(), self.exchange.clone());
        let opened = self.core.write::<_, IssueError, _>(move |work| {
            async move {
                work.put_log(row);
                cosign_heads(work, &core, &exchange)?;
                let peer = Position { epoch: refill.peer_epoch, size: refill.peer_size };
                // The epoch begins under the version that the mirrored logs end with; what is issued again may amend it.
                match version {
                    Some(digest) => drop(exchange.issue_under(&digest)),
                    None => exchange.issue_under_first(),
                }
                begin(work, &core, &exchange, opening, peer)?;
                for (log, index) in tail {
                    again(work, &core, &exchange, log, index).await?;
                }
                for lane in closed.iter() {
                    let row = work.log(lane.log)?.clone();
                    work.put_log(LogRow { size: row.settled, ..row });
                    work.cut(lane.log);
                }
                for order in orders {
                    let id = fresh_record_id(&core.sealer);
                    let body = Body::Erase(order.erase());
                    stage_at(work, &core.sealer, &exchange, id, body, None, Vec::new(), peer)?;
                    order.keep(work, id);
                }
                work.put_state(&refilled(exchange.pack().id()), None);
                // What was erased here may have come back: it is erased again before anything is served.
                work.put_state(crate::erase::restore::APPLIED, None);
                // The journal was lost with the disk, or is older than what its witness has seen.
                crate::journal::recover(work, &core.node, refill.granted);
                Ok(())
            }
            .boxed()
        });
        opened.await.map_err(|error| match error {
            IssueError::Store(error) => RecoverError::Store(error),
            other => RecoverError::Authorisation(other.to_string()),
        })?;
        Ok(Opened { origin: lane.origin, reissued })
    }

    /// The version in force where the mirrored part of the own logs ends.
    fn version_at(&self, ends: &HashMap<LogId, u64>) -> Option<Digest> {
        let lanes = self.exchange.own_lanes();
        let mut last = lanes.iter().rev().filter_map(|lane| Some((lane.epoch, *ends.get(&lane.log)?)));
        last.find_map(|(epoch, end)| self.exchange.own_activations(epoch).at(end))
    }

    fn authorised(&self, file: &[u8], origin: &str, refill: &Refill) -> Result<EpochOpen, RecoverError> {
        let refused = |why: &str| RecoverError::Authorisation(why.to_owned());
        let envelope = Envelope::parse(file).map_err(|error| refused(&error.to_string()))?;
        let (named, open) = epoch_open_from(&envelope).map_err(|error| refused(&error.to_string()))?;
        if named.to_string() != origin {
            return Err(refused(&format!("it opens {named}, granted is {origin}")));
        }
        let keys = verify_epoch_open(&open, origin, &self.exchange.own_roots);
        let keys = keys.map_err(|error| refused(&error.to_string()))?;
        if open.prev_size != refill.size || open.prev_root != refill.root {
            return Err(refused("it names another head than the one that is mirrored"));
        }
        if !self.core.sealer.keys.use_manifest(&keys) {
            return Err(refused("it names other keys than this node holds"));
        }
        Ok(open)
    }
}

/// The mirrors that were refilled bear this node's cosignature again.
fn cosign_heads(work: &mut Work, core: &Core, exchange: &Exchange) -> Result<(), StoreError> {
    let keys = core.own_keys();
    let name = mirror_name(&exchange.own_node, keys.version);
    let signer = Named { name: &name, key: &keys.keys.mirror };
    for lane in exchange.peer_lanes().iter() {
        let row = work.log(lane.log)?.clone();
        if row.size == 0 || row.cosigned.is_empty() {
            continue;
        }
        let failed = || StoreError::Corrupt("checkpoint");
        let mut note = SignedCheckpoint::parse(&row.cosigned).map_err(|_| failed())?;
        cosignature::append(&mut note, &signer, core.sealer.clock.now_ms() / 1000).map_err(|_| failed())?;
        work.put_log(LogRow { cosigned: note.to_string().into_bytes(), ..row });
    }
    Ok(())
}

/// EPOCH_OPEN, RATIFY of each party, ACTIVATE.
fn begin(
    work: &mut Work,
    core: &Core,
    exchange: &Arc<Exchange>,
    opening: EpochOpen,
    peer: Position,
) -> Result<(), IssueError> {
    let mut bodies = vec![Body::EpochOpen(opening)];
    bodies.extend(ratify_bodies(exchange.ratifications()));
    bodies.push(Body::Activate(Activate { digest: exchange.pack().digest().to_vec() }));
    for body in bodies {
        stage_at(work, &core.sealer, exchange, fresh_record_id(&core.sealer), body, None, Vec::new(), peer)?;
    }
    Ok(())
}

/// Issues an entry again, signed for the new log, under its record id and `peer` (model: `reissue_tail`).
async fn again(work: &mut Work, core: &Core, exchange: &Exchange, log: LogId, index: u64) -> Result<(), IssueError> {
    let entry = work.entries(log, index, index + 1).await?.pop().ok_or(StoreError::Corrupt("entry"))?;
    let said = claimed_statement(&entry.bytes).ok_or(StoreError::Corrupt("entry"))?;
    if let Some(Body::Activate(Activate { digest })) = &said.body
        && let Ok(digest) = Digest::try_from(digest.as_slice())
    {
        exchange.issue_under(&digest);
    }
    let own = exchange.own();
    let statement = Statement { log_origin: own.origin.clone(), ..said };
    let bytes = seal_entry(&statement, &core.own_keys().keys.record).map_err(|_| IssueError::TooLarge)?;
    // What the database holds and nothing can open any more is issued again as erased.
    let gone = |key| matches!(core.sealer.vault.available(DataKeyId(key)), Err(VaultError::UnknownKey));
    let parts =
        work.parts(log, index, index + 1).await?.into_iter().map(|part| match !is_marker(&part) && gone(part.key_id) {
            true => StagedPart { key_id: MARKER, sealed: ERASED.to_vec() },
            false => StagedPart { key_id: part.key_id, sealed: part.sealed },
        });
    let (record_id, is_record, subject) = (entry.record_id, entry.is_record, entry.subject);
    work.stage(Staged { log: own.log, record_id, is_record, subject, bytes, parts: parts.collect() });
    Ok(())
}
