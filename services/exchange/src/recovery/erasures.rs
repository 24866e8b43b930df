//! Erasures after a refill: what the own log ordered to be erased, and what it says is erased of the partner's, is erased
//! again before anything is served, whatever the partner or a backup brought back; and what was ordered, answered or put
//! off is known again.

use std::collections::BTreeMap;
use std::sync::Arc;

use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_store::{PartRow, StoreError, Work};
use convenio_wire::exchange::v1::{Erase, EraseAnswer};
use futures::FutureExt;
use prost::Message;

use crate::core::{Core, Exchange};
use crate::erase::order::subject_name;
use crate::erase::state::{self, DUE, Due, ORDERED, Ordered};
use crate::erase::{ERASED, Line, Place, erase, record_id, shred};
use crate::inbound::mirror::{MARKER, is_marker};
use crate::inbound::told;
use crate::lane::Lane;
use crate::world::save_world;

/// Parts of one job.
const CHUNK: usize = 128;
/// The answer after which there is nothing more to say.
const DONE: &str = "ERASED";
/// Reason of a refusal that is interim.
const RETAINED: &str = "RETAINED";

type PartId = (RecordId, u32);

/// What both logs say of erasures.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// Own orders, with the partner's answers.
    orders: BTreeMap<PartId, Ordered>,
    /// The partner's answers: word, reason, time.
    answers: BTreeMap<PartId, (String, String, u64)>,
    /// The partner's orders that were judged, and when they were made.
    asked: BTreeMap<PartId, u64>,
    /// Own answers: word and reason.
    said: BTreeMap<PartId, (String, String)>,
}

impl Erasures {
    pub(super) fn ordered(&mut self, order: &Erase, erase_id: RecordId, time_ms: u64) {
        let Some(id) = record_id(&order.record_id) else { return };
        let known = Ordered {
            record_id: id.0.to_vec(),
            part: order.part,
            ground: order.ground.clone(),
            erase_id: erase_id.0.to_vec(),
            ordered_ms: time_ms,
            ..Ordered::default()
        };
        self.orders.entry((id, order.part)).or_insert(known);
    }

    pub(super) fn said(&mut self, said: &EraseAnswer) {
        let Some(id) = record_id(&said.record_id) else { return };
        self.said.insert((id, said.part), (said.answer.clone(), said.reason.clone()));
    }

    pub(super) fn asked(&mut self, order: &Erase, time_ms: u64) {
        let Some(id) = record_id(&order.record_id) else { return };
        self.asked.entry((id, order.part)).or_insert(time_ms);
    }

    pub(super) fn answered(&mut self, said: &EraseAnswer, time_ms: u64) {
        let Some(id) = record_id(&said.record_id) else { return };
        let known = self.answers.entry((id, said.part)).or_default();
        if known.0 != DONE {
            let reason = if said.reason.is_empty() { String::new() } else { told::reason(&said.reason) };
            *known = (told::reason(&said.answer), reason, time_ms);
        }
    }

    /// Erases again, and keeps what is known of orders. The data keys are destroyed when this returns.
    pub(super) async fn replay(self, core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), StoreError> {
        let own = self.orders.keys().map(|part| (*part, true));
        let theirs = self.said.iter().filter(|(_, (word, _))| word == DONE).map(|(part, _)| (*part, false));
        let gone: Vec<_> = own.chain(theirs).collect();
        for chunk in gone.chunks(CHUNK) {
            let mut places = Vec::new();
            for ((id, part), own) in chunk {
                places.extend(places_of(core, exchange, *id, *part, *own).await?);
            }
            again(core, exchange, places).await?;
        }
        self.keep(core, exchange).await?;
        shred::run(core).await
    }

    async fn keep(self, core: &Core, exchange: &Arc<Exchange>) -> Result<(), StoreError> {
        let agreement = exchange.pack().id();
        let mut known: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for ((id, part), order) in self.orders {
            let path = state::path(ORDERED, agreement, id, part);
            let kept = core.store.state(&path).await?;
            let kept = kept.map(|row| Ordered::decode(row.body.as_slice())).transpose();
            let kept = kept.map_err(|_| StoreError::Corrupt("state"))?;
            let subject = subject_of(core, exchange, id).await?;
            let mut order = kept.unwrap_or(Ordered { agreement: agreement.to_owned(), subject, ..order });
            if let Some((answer, reason, answered_ms)) = self.answers.get(&(id, part))
                && order.answer != DONE
            {
                order = Ordered { answer: answer.clone(), reason: reason.clone(), answered_ms: *answered_ms, ..order };
            }
            known.push((path, Some(order.encode_to_vec())));
        }
        for ((id, part), received_ms) in self.asked {
            let path = state::path(DUE, agreement, id, part);
            match self.said.get(&(id, part)) {
                Some((word, _)) if word == DONE => known.push((path, None)),
                Some((_, reason)) if reason == RETAINED => {
                    let due = Due { record_id: id.0.to_vec(), part, received_ms };
                    known.push((path, Some(due.encode_to_vec())));
                }
                _ => {}
            }
        }
        for page in known.chunks(1024) {
            let page = page.to_vec();
            let kept = core.write::<_, StoreError, _>(move |work| {
                page.into_iter().for_each(|(path, body)| work.put_state(&path, body));
                std::future::ready(Ok(())).boxed()
            });
            kept.await?;
        }
        Ok(())
    }
}

async fn subject_of(core: &Core, exchange: &Exchange, id: RecordId) -> Result<String, StoreError> {
    for place in places_of(core, exchange, id, 0, true).await? {
        let entry = core.store.entries(place.log, place.index, place.index + 1).await?.pop();
        if let Some(subject) = entry.and_then(|entry| entry.subject) {
            return Ok(subject_name(subject));
        }
    }
    Ok(String::new())
}

/// Where a part stands in the own logs, or in the partner's.
async fn places_of(
    core: &Core,
    exchange: &Exchange,
    id: RecordId,
    part: u32,
    own: bool,
) -> Result<Vec<Place>, StoreError> {
    let lanes: Vec<Arc<Lane>> = if own { exchange.own_lanes().to_vec() } else { exchange.peer_lanes().to_vec() };
    let at = core.store.record(id).await?.into_iter();
    let at = at.filter(|(log, _)| lanes.iter().any(|lane| lane.log == *log));
    Ok(at.map(|(log, index)| Place { log, index, part }).collect())
}

async fn again(core: &Arc<Core>, exchange: &Arc<Exchange>, places: Vec<Place>) -> Result<(), StoreError> {
    let (sealer, exchange) = (core.sealer.clone(), exchange.clone());
    let erased = core.write::<_, StoreError, _>(move |work| {
        async move {
            let mut world = World::default();
            erase(work, &sealer, &exchange, &mut world, &places, Line::Erased).await?;
            for place in places {
                mark(work, place).await?;
            }
            save_world(work, &exchange, &mut world);
            Ok(())
        }
        .boxed()
    });
    erased.await
}

/// What did not come back because it was erased is marked as that.
async fn mark(work: &mut Work, place: Place) -> Result<(), StoreError> {
    let rows = work.parts(place.log, place.index, place.index + 1).await?;
    let absent = |row: &PartRow| row.part == place.part && is_marker(row) && row.sealed != ERASED;
    if rows.iter().any(absent) {
        work.drop_part(place.log, place.index, place.part);
        let (log, index, part) = (place.log, place.index, place.part);
        work.push_part(PartRow { log, index, part, key_id: MARKER, sealed: ERASED.to_vec() });
    }
    Ok(())
}

/// An order that the ledger tells and no log holds: it was lost with the disk before it was mirrored.
pub(super) struct Lost {
    /// What is known of it.
    pub ordered: Ordered,
    /// Where that is kept.
    pub path: String,
}

/// Own orders that must be given again.
pub(super) async fn lost(core: &Core, exchange: &Exchange) -> Result<Vec<Lost>, StoreError> {
    let agreement = exchange.pack().id();
    let mut found = BTreeMap::new();
    for order in crate::erase::restore::orders(core, agreement)? {
        let path = state::path(ORDERED, agreement, order.record, order.part);
        let issued = !places_of(core, exchange, order.record, order.part, true).await?.is_empty();
        if !issued || core.store.state(&path).await?.is_some() {
            continue;
        }
        let ordered = Ordered {
            agreement: agreement.to_owned(),
            record_id: order.record.0.to_vec(),
            part: order.part,
            subject: subject_of(core, exchange, order.record).await?,
            ground: order.ground,
            ordered_ms: order.ordered_ms,
            ..Ordered::default()
        };
        found.entry(path).or_insert(ordered);
    }
    Ok(found.into_iter().map(|(path, ordered)| Lost { ordered, path }).collect())
}

impl Lost {
    /// The entry that orders it.
    pub(super) fn erase(&self) -> Erase {
        let Ordered { record_id, part, ground, .. } = self.ordered.clone();
        Erase { record_id, part, ground }
    }

    /// Keeps it as ordered by the entry `erase_id`.
    pub(super) fn keep(self, work: &mut Work, erase_id: Ref) {
        let ordered = Ordered { erase_id: erase_id.0.to_vec(), ..self.ordered };
        work.put_state(&self.path, Some(ordered.encode_to_vec()));
    }
}
