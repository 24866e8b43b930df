//! Hashes of stored logs: heads at any size, inclusion proofs, tiles for export.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use convenio_log::tile::root_tiles;
use convenio_log::{Tile, TileReader, proof};
use convenio_store::{CheckpointRow, LogId, Store, StoreError};

/// Width of a tile.
const WIDTH: u64 = 256;

/// Tiles with their bytes, as a proof needs them.
pub(crate) type Loaded = BTreeMap<Tile, Vec<u8>>;

/// Loads these tiles; what is partial above level 0 is derived from the full ones below.
pub(crate) async fn load(store: &dyn Store, log: LogId, tiles: BTreeSet<Tile>) -> Result<Loaded, StoreError> {
    let mut loaded = BTreeMap::new();
    for tile in tiles {
        load_one(store, log, tile, &mut loaded).await?;
    }
    Ok(loaded)
}

async fn load_one(store: &dyn Store, log: LogId, tile: Tile, loaded: &mut Loaded) -> Result<(), StoreError> {
    if let Some(row) = store.tile(log, tile.level(), tile.index()).await? {
        loaded.insert(tile.full(), row.hashes);
        return Ok(());
    }
    let first = tile.index() * WIDTH;
    let end = first + u64::from(tile.width());
    if tile.level() == 0 {
        loaded.insert(tile, store.leaves(log, first, end).await?.concat());
        return Ok(());
    }
    for below in first..end {
        let row = store.tile(log, tile.level() - 1, below).await?.ok_or(StoreError::Corrupt("tile"))?;
        let below = Tile::new(tile.level() - 1, below, 256).map_err(|_| StoreError::Corrupt("tile"))?;
        loaded.insert(below, row.hashes);
    }
    Ok(())
}

/// A reader over loaded tiles.
pub(crate) fn reader(
    loaded: &Loaded,
    size: u64,
) -> TileReader<impl Fn(Tile) -> Result<Option<Vec<u8>>, Infallible> + '_> {
    TileReader::new(|tile: Tile| Ok(loaded.get(&tile).or_else(|| loaded.get(&tile.full())).cloned()), size)
}

/// The bytes of one tile that a log of at least its size has, as wide as it is asked for.
pub(crate) async fn bytes(store: &dyn Store, log: LogId, tile: Tile) -> Result<Vec<u8>, StoreError> {
    let corrupt = || StoreError::Corrupt("tile");
    let loaded = load(store, log, BTreeSet::from([tile])).await?;
    let hashes = match loaded.get(&tile).or_else(|| loaded.get(&tile.full())) {
        Some(bytes) => bytes.clone(),
        None => {
            // The smallest tree in which this tile is exactly so wide.
            let hashes = tile.index() * WIDTH + u64::from(tile.width());
            let size = hashes.checked_shl(u32::from(tile.level()) * 8).ok_or_else(corrupt)?;
            let derived = reader(&loaded, size).tile(tile).map_err(|_| corrupt())?;
            derived.iter().flat_map(|hash| *hash.as_bytes()).collect()
        }
    };
    let width = usize::from(tile.width()) * 32;
    hashes.get(..width).map(<[u8]>::to_vec).ok_or_else(corrupt)
}

/// The head at `size`: the committed row, or one derived from committed entries below a committed head.
pub(crate) async fn head_at(store: &dyn Store, log: LogId, size: u64) -> Result<CheckpointRow, StoreError> {
    if let Some(row) = store.checkpoint_at_most(log, size).await?.filter(|row| row.size == size) {
        return Ok(row);
    }
    let tiles = root_tiles(size).map_err(|_| StoreError::Corrupt("tile"))?;
    let loaded = load(store, log, tiles).await?;
    let root = proof::root_from(&reader(&loaded, size), size).map_err(|_| StoreError::Corrupt("tile"))?;
    Ok(CheckpointRow { log, size, root: *root.as_bytes(), note: Vec::new() })
}
