//! Sequencing: the one place where an entry gets its index. Staged entries in commit order, then hashes, full tiles, the
//! checkpoint row and the head, all in the group's own commit (model: `fifo`). A head is signed only after that commit.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use convenio_agreement::standing::Given;
use convenio_log::{Hash, Tile, TileBuilder, TileReader, leaf_hash};
use convenio_seal::manifest::ManifestKeys;
use convenio_seal::order::claimed_order;
use convenio_seal::statement::claimed_statement;
use convenio_store::{CheckpointRow, EntryRow, LogId, LogRow, PartRow, Staged, Store, StoreError, TileRow, Work};

use convenio_wire::exchange::v1::statement::Body;

use super::entangle::entangle;
use super::seal::Sealer;
use crate::core::Exchange;
use crate::error::OpenError;
use crate::keys::{Timeline, rotation_state};
use crate::order::order_state;
use crate::version::{Digest, activation_state};

/// A group longer than this gets a head of its own every so many entries, so that a batch can always end at one.
const HEAD_EVERY: u64 = 256;
/// Width of a tile.
const WIDTH: u64 = 256;

/// Right edges of all logs; lives in the writer's task.
pub(crate) struct Sequencer {
    sealer: Arc<Sealer>,
    exchanges: Vec<Arc<Exchange>>,
    edges: Edges,
}

type Edges = HashMap<LogId, TileBuilder>;

/// What a sequenced group changed; taken over once its commit is done.
pub(crate) struct Sequenced {
    edges: Edges,
    said: Vec<(LogId, u64, Said)>,
}

/// What an entry of an own log puts in force.
enum Said {
    /// Keys.
    Keys(Box<ManifestKeys>),
    /// A version of the agreement.
    Version(Digest),
    /// An order, by whichever party.
    Order(Box<Given>),
}

impl Sequencer {
    pub(crate) async fn open(
        store: &dyn Store,
        sealer: Arc<Sealer>,
        exchanges: Vec<Arc<Exchange>>,
        logs: &[LogRow],
    ) -> Result<Self, OpenError> {
        let mut sequencer = Self { sealer, exchanges, edges: HashMap::new() };
        sequencer.reopen(store, logs).await?;
        Ok(sequencer)
    }

    /// Reads the right edges again from what is stored, and what the logs say. On an error nothing may be sequenced until it is
    /// read again.
    pub(crate) async fn reopen(&mut self, store: &dyn Store, logs: &[LogRow]) -> Result<(), StoreError> {
        let mut edges = Edges::new();
        for log in logs {
            edges.insert(log.id, stored_edge(store, log).await?);
        }
        for exchange in &self.exchanges {
            // What a group did that nobody could tell of is in force.
            crate::learn::own(store, exchange).await?;
            crate::learn::partner(store, exchange).await?;
        }
        // Keys that a failed group began to use are not.
        crate::learn::in_use(&self.sealer.keys, &self.exchanges);
        self.edges = edges;
        Ok(())
    }

    /// Gives every staged entry its index and extends the trees of all logs that grew in this group.
    pub(crate) async fn sequence(&self, work: &mut Work) -> Result<Sequenced, StoreError> {
        let mut staged = work.take_staged();
        let (mut edges, mut said) = (HashMap::new(), Vec::new());
        for exchange in &self.exchanges {
            let own = exchange.own().log;
            if staged.iter().any(|s| s.log == own) {
                staged.extend(entangle(work, &self.sealer, exchange).await?);
            }
        }
        // The own logs of every exchange, and the journal's.
        while let Some(id) = staged.first().map(|s| s.log) {
            let (entries, rest): (Vec<_>, _) = staged.into_iter().partition(|s| s.log == id);
            staged = rest;
            self.extend_own(work, &mut edges, id, entries, &mut said)?;
        }
        // Mirrors, and what a recovery puts back.
        let pushed: Vec<_> = work.logs().map(|log| log.id).collect();
        for id in pushed {
            self.extend_mirror(work, &mut edges, id).await?;
        }
        Ok(Sequenced { edges, said })
    }

    pub(crate) fn committed(&mut self, sequenced: Sequenced) {
        self.edges.extend(sequenced.edges);
        for (log, index, said) in sequenced.said {
            let lane = self.exchanges.iter().find_map(|exchange| Some((exchange, exchange.lane_of(log)?)));
            let Some((exchange, lane)) = lane else { continue };
            match said {
                Said::Keys(keys) => exchange.own_keys_change(lane.epoch, |known| match index {
                    0 => *known = Timeline::opened(*keys),
                    _ => drop(known.rotate(index, *keys)),
                }),
                Said::Order(given) => exchange.own_order((lane.epoch, index), *given),
                Said::Version(digest) => exchange.own_activations_change(lane.epoch, |known| known.add(index, digest)),
            }
        }
    }

    fn extend_own(
        &self,
        work: &mut Work,
        edges: &mut Edges,
        id: LogId,
        entries: Vec<Staged>,
        said: &mut Vec<(LogId, u64, Said)>,
    ) -> Result<(), StoreError> {
        let mut log = work.log(id)?.clone();
        if log.closed || !log.own {
            return Err(StoreError::Failed(format!("{}: nothing is sequenced in it any more", log.origin)));
        }
        let edge = self.edge_of(edges, id);
        for entry in entries {
            let leaf = leaf_hash(&entry.bytes);
            push_tiles(work, id, edge, leaf);
            if let Some(puts) = said_by(&entry) {
                let (path, body) = match &puts {
                    Said::Keys(keys) => (rotation_state(&log.origin, keys.version), log.size.to_be_bytes().to_vec()),
                    Said::Version(digest) => (activation_state(&log.origin, log.size), digest.to_vec()),
                    Said::Order(_) => (order_state(&log.origin, log.size), Vec::new()),
                };
                let party = self.exchanges.first().map_or("", |exchange| exchange.own_party.as_str());
                // The partner's order is only repeated here.
                if !matches!(&puts, Said::Order(given) if given.order.party != party) {
                    work.put_state(&path, Some(body));
                    said.push((id, log.size, puts));
                }
            }
            for (part, row) in (0u32..).zip(entry.parts) {
                work.push_part(PartRow { log: id, index: log.size, part, key_id: row.key_id, sealed: row.sealed });
            }
            work.push_entry(EntryRow {
                log: id,
                index: log.size,
                record_id: entry.record_id,
                is_record: entry.is_record,
                subject: entry.subject,
                leaf: *leaf.as_bytes(),
                bytes: entry.bytes,
            });
            log.size += 1;
            log.records += u64::from(entry.is_record);
            if log.size % HEAD_EVERY == 0 {
                push_head(work, id, edge);
            }
        }
        if log.size % HEAD_EVERY != 0 {
            push_head(work, id, edge);
        }
        log.time_ms = self.sealer.clock.now_ms();
        work.put_log(log);
        Ok(())
    }

    /// Mirrored entries were pushed with their index when they arrived; their tiles and head follow here.
    async fn extend_mirror(&self, work: &mut Work, edges: &mut Edges, id: LogId) -> Result<(), StoreError> {
        let end = work.log(id)?.size;
        // Copied only if it grows: most groups touch one log or two.
        let begin = edges.get(&id).or_else(|| self.edges.get(&id)).map_or(0, TileBuilder::size);
        if begin >= end {
            return Ok(());
        }
        for leaf in work.leaves(id, begin, end).await? {
            push_tiles(work, id, self.edge_of(edges, id), Hash::from(leaf));
        }
        push_head(work, id, self.edge_of(edges, id));
        Ok(())
    }

    fn edge_of<'e>(&self, edges: &'e mut Edges, log: LogId) -> &'e mut TileBuilder {
        edges.entry(log).or_insert_with(|| self.edges.get(&log).cloned().unwrap_or_default())
    }
}

/// What an own entry puts in force.
fn said_by(entry: &Staged) -> Option<Said> {
    if entry.is_record {
        return None;
    }
    let keys = |manifest: &[u8]| Some(Said::Keys(Box::new(ManifestKeys::parse(manifest).ok()?)));
    let said = claimed_statement(&entry.bytes)?;
    let time_ms = said.time_ms;
    match said.body? {
        Body::EpochOpen(open) => keys(&open.key_manifest),
        Body::KeyRotate(rotate) => keys(&rotate.key_manifest),
        Body::Activate(activate) => activate.digest.try_into().ok().map(Said::Version),
        body => claimed_order(&body).map(|order| Said::Order(Box::new(Given { order, time_ms }))),
    }
}

fn push_head(work: &mut Work, log: LogId, edge: &TileBuilder) {
    let root = *edge.root().as_bytes();
    work.push_checkpoint(CheckpointRow { log, size: edge.size(), root, note: Vec::new() });
}

fn push_tiles(work: &mut Work, log: LogId, edge: &mut TileBuilder, leaf: Hash) {
    for full in edge.append(leaf) {
        let tile = full.tile();
        work.push_tile(TileRow { log, level: tile.level(), index: tile.index(), hashes: full.bytes() });
    }
}

/// The right edge of a log, from its full tiles and the leaves past the last one.
async fn stored_edge(store: &dyn Store, log: &LogRow) -> Result<TileBuilder, StoreError> {
    let mut tiles = BTreeMap::new();
    // A full tile of level 7 would need 2^64 leaves.
    for level in 0u8..7 {
        // Full tiles whose parents form the partial tile of the level above.
        let full = log.size >> (8 * (u32::from(level) + 1));
        for index in (full / WIDTH * WIDTH)..full {
            let row = store.tile(log.id, level, index).await?.ok_or(StoreError::Corrupt("tile"))?;
            let tile = Tile::new(level, index, 256).map_err(|_| StoreError::Corrupt("tile"))?;
            tiles.insert(tile, row.hashes);
        }
    }
    if let Some(tile) = Tile::at(0, log.size / WIDTH, log.size).filter(|t| !t.is_full()) {
        let leaves = store.leaves(log.id, log.size / WIDTH * WIDTH, log.size).await?;
        tiles.insert(tile, leaves.concat());
    }
    let source = |tile: Tile| Ok::<_, Infallible>(tiles.get(&tile).or_else(|| tiles.get(&tile.full())).cloned());
    TileReader::new(source, log.size).builder().map_err(|_| StoreError::Corrupt("tile"))
}
