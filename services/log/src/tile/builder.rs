//! Which tiles a growing log fills: the right edge of every level, in memory.

use super::{EntryTile, TILE_BYTES, TILE_WIDTH, Tile, hashes_at};
use crate::tree::root_of_peaks;
use crate::{Hash, MAX_SIZE, MemoryTree};

/// Why a stored right edge was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuilderError {
    /// A level has another number of hashes than the size demands.
    #[error("tile level {level} has {found} hashes at its right edge, not {expected}")]
    PartialWidth {
        /// Tile level.
        level: u8,
        /// `floor(size / 256^level) mod 256`.
        expected: u64,
        /// Hashes given.
        found: usize,
    },
    /// The size is above 2^63 − 1.
    #[error("tree size is above 2^63 - 1")]
    SizeTooLarge,
}

/// A tile that has just become full, to be stored for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    tile: Tile,
    hashes: Vec<Hash>,
    root: Hash,
}

impl FullTile {
    /// Its coordinates.
    #[must_use]
    pub fn tile(&self) -> Tile {
        self.tile
    }

    /// Its 256 hashes.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The hash of the subtree that it spans: one hash of the level above.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The 8,192 bytes as stored and served.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        tile_bytes(&self.hashes)
    }
}

/// Appends leaves and tells which tiles fill up. Holds, for each level, the fewer than 256
/// hashes right of the last full tile, which are that level's partial tile.
#[derive(Debug, Clone, Default)]
pub struct TileBuilder {
    size: u64,
    /// Level by level; each tree's leaves are the partial tile's hashes.
    partials: Vec<MemoryTree>,
}

impl TileBuilder {
    /// The builder of a log without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores a builder from its size in leaves and the hashes of the partial tile of every
    /// level from 0 up; levels without one may be left out at the end, else are empty.
    ///
    /// # Errors
    /// [`BuilderError`] if a level's width is not that size's.
    pub fn from_parts(size: u64, partials: Vec<Vec<Hash>>) -> Result<Self, BuilderError> {
        if size > MAX_SIZE {
            return Err(BuilderError::SizeTooLarge);
        }
        let levels = partials.len().max(8);
        for level in 0..levels {
            let level_number = u8::try_from(level).unwrap_or(u8::MAX);
            let expected = hashes_at(level_number, size) % u64::from(TILE_WIDTH);
            let found = partials.get(level).map_or(0, Vec::len);
            if found as u64 != expected {
                return Err(BuilderError::PartialWidth { level: level_number, expected, found });
            }
        }
        let partials = partials.into_iter().map(|hashes| hashes.into_iter().collect()).collect();
        Ok(Self { size, partials })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root at the present size.
    #[must_use]
    pub fn root(&self) -> Hash {
        root_of_peaks(self.partials.iter().flat_map(MemoryTree::peaks_from_right))
    }

    /// The hashes of a level's partial tile; empty if the level has none.
    #[must_use]
    pub fn partial(&self, level: u8) -> &[Hash] {
        self.partials.get(usize::from(level)).map_or(&[], MemoryTree::leaves)
    }

    /// The partial tiles at the present size, lowest level first, with their bytes.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (Tile, Vec<u8>)> {
        self.partials.iter().zip(0u8..).filter_map(|(edge, level)| {
            let index = hashes_at(level, self.size) / u64::from(TILE_WIDTH);
            let tile = Tile::at(level, index, self.size)?;
            Some((tile, tile_bytes(edge.leaves())))
        })
    }

    /// The entry bundle that the next leaf falls into, once that leaf is appended.
    #[must_use]
    pub fn next_entry_tile(&self) -> Option<EntryTile> {
        EntryTile::at(self.size / u64::from(TILE_WIDTH), self.size.checked_add(1)?)
    }

    /// Appends one leaf hash; returns the tiles that it filled, lowest level first, mostly none.
    pub fn append(&mut self, leaf: Hash) -> Vec<FullTile> {
        let mut filled = Vec::new();
        let mut hash = leaf;
        self.size += 1;
        for level in 0u8.. {
            let slot = usize::from(level);
            if slot == self.partials.len() {
                self.partials.push(MemoryTree::new());
            }
            let edge = &mut self.partials[slot];
            edge.append(hash);
            if edge.size() < u64::from(TILE_WIDTH) {
                break;
            }
            let edge = std::mem::take(edge);
            hash = edge.root();
            let index = hashes_at(level, self.size) / u64::from(TILE_WIDTH) - 1;
            let tile = Tile { level, index, width: TILE_WIDTH };
            filled.push(FullTile { tile, hashes: edge.into_leaves(), root: hash });
        }
        filled
    }
}

/// A tile's bytes: its hashes one after another.
fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(TILE_BYTES.min(hashes.len() * crate::hash::HASH_LEN));
    hashes.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
    bytes
}
