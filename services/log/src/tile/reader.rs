//! Subtree hashes from stored tiles.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::{TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, Tile, TileBuilder, hashes_at};
use crate::hash::HASH_LEN;
use crate::{Hash, HashSource, MemoryTree};

/// Tiles kept expanded at a time, about 20 KiB each.
const CACHED_TILES: usize = 512;

/// Where tile bytes come from.
pub trait TileSource {
    /// What can go wrong in fetching.
    type Error;

    /// The tile's bytes: `width` hashes, or those of the full tile at the same place. None if
    /// it is not held; a partial tile above level 0 is then derived from the full ones below.
    ///
    /// # Errors
    /// If the source itself fails.
    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl<F, E> TileSource for F
where
    F: Fn(Tile) -> Result<Option<Vec<u8>>, E>,
{
    type Error = E;

    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, E> {
        self(tile)
    }
}

impl TileSource for BTreeMap<Tile, Vec<u8>> {
    type Error = std::convert::Infallible;

    fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.get(&tile).or_else(|| self.get(&tile.full())).cloned())
    }
}

/// Why a hash could not be read from tiles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The source does not hold a tile that the tree must have.
    #[error("{0} is missing")]
    Missing(Tile),
    /// The tile's bytes are neither its width's nor a full tile's.
    #[error("{0} has a wrong length")]
    Length(Tile),
    /// The subtree is not complete at this reader's size.
    #[error("no complete subtree {index} at binary level {level}")]
    OutOfRange {
        /// Binary level, leaves being 0.
        level: u8,
        /// Index within the level.
        index: u64,
    },
    /// The source failed.
    #[error(transparent)]
    Source(E),
}

/// A [`HashSource`] over stored tiles of a tree of known size. Tiles that were read stay
/// expanded, so that a run of proofs hashes each tile once. Nothing is authenticated here:
/// compare [`root_from`](crate::proof::root_from) with a checkpoint, or verify the proofs.
#[derive(Debug)]
pub struct TileReader<S> {
    source: S,
    size: u64,
    expanded: RefCell<HashMap<(u8, u64), MemoryTree>>,
}

impl<S: TileSource> TileReader<S> {
    /// Reads the tree of `size` leaves.
    pub fn new(source: S, size: u64) -> Self {
        Self { source, size, expanded: RefCell::default() }
    }

    /// Size of the tree in leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of a tile as this tree has it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn tile(&self, tile: Tile) -> Result<Vec<Hash>, ReadError<S::Error>> {
        match self.source.tile(tile).map_err(ReadError::Source)? {
            Some(bytes) => parse_tile(tile, &bytes).ok_or(ReadError::Length(tile)),
            None => self.derive(tile),
        }
    }

    /// The builder that appends to this tree.
    ///
    /// # Errors
    /// [`ReadError`]; a size above 2^63 − 1 is out of range.
    pub fn builder(&self) -> Result<TileBuilder, ReadError<S::Error>> {
        let mut partials = Vec::new();
        for level in 0..TILE_HEIGHT {
            let index = hashes_at(level, self.size) / u64::from(TILE_WIDTH);
            let tile = Tile::at(level, index, self.size);
            partials.push(tile.map_or(Ok(Vec::new()), |tile| self.tile(tile))?);
        }
        TileBuilder::from_parts(self.size, partials).map_err(|_| ReadError::OutOfRange { level: 0, index: self.size })
    }

    fn derive(&self, tile: Tile) -> Result<Vec<Hash>, ReadError<S::Error>> {
        if tile.level() == 0 || tile.is_full() {
            return Err(ReadError::Missing(tile));
        }
        let below = tile.first()..tile.first() + u64::from(tile.width());
        below.map(|index| self.node(tile.level() - 1, index, TILE_HEIGHT, 0)).collect()
    }

    /// The hash `height` binary levels above the bottom of a tile, `position` within that height.
    fn node(&self, level: u8, index: u64, height: u8, position: u64) -> Result<Hash, ReadError<S::Error>> {
        let missing = ReadError::OutOfRange { level: level * TILE_HEIGHT + height, index };
        if let Some(tree) = self.expanded.borrow().get(&(level, index)) {
            return tree.node(height, position).ok_or(missing);
        }
        let Some(tile) = Tile::at(level, index, self.size) else { return Err(missing) };
        let tree: MemoryTree = self.tile(tile)?.into_iter().collect();
        let node = tree.node(height, position).ok_or(missing);
        let mut expanded = self.expanded.borrow_mut();
        if expanded.len() >= CACHED_TILES {
            expanded.clear();
        }
        expanded.insert((level, index), tree);
        node
    }
}

impl<S: TileSource> HashSource for TileReader<S> {
    type Error = ReadError<S::Error>;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        let (tile_level, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let in_tile = u64::from(TILE_WIDTH) >> height;
        self.node(tile_level, index / in_tile, height, index % in_tile)
    }
}

/// Reads the hashes of `tile` from its bytes, or from those of the full tile at its place;
/// none if the length is neither's.
#[must_use]
pub fn parse_tile(tile: Tile, bytes: &[u8]) -> Option<Vec<Hash>> {
    let length = usize::from(tile.width()) * HASH_LEN;
    if bytes.len() != length && bytes.len() != TILE_BYTES {
        return None;
    }
    let (hashes, _) = bytes[..length].as_chunks::<HASH_LEN>();
    Some(hashes.iter().map(|hash| Hash::from(*hash)).collect())
}
