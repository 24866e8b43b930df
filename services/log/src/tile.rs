//! Tiles and entry bundles, C2SP tlog-tiles v0.1.0 §Merkle Tree, §Partial Tiles, §Log entries.

mod builder;
mod bundle;
mod plan;
mod reader;

pub use builder::{BuilderError, FullTile, TileBuilder};
pub use bundle::{BundleError, MAX_ENTRY_LEN, append_entry, bundle_leaves, encode_bundle, parse_bundle};
pub use plan::{consistency_tiles, inclusion_tiles, root_tiles};
pub use reader::{ReadError, TileReader, TileSource, parse_tile};

use std::fmt;

use crate::{MAX_SIZE, encoding};

/// Hashes, or entries, of a full tile.
pub const TILE_WIDTH: u16 = 256;

/// Bytes of a full tile.
pub const TILE_BYTES: usize = TILE_WIDTH as usize * crate::hash::HASH_LEN;

/// Binary tree levels that a tile spans.
const TILE_HEIGHT: u8 = 8;

/// The highest tile level that a path may name.
const MAX_LEVEL: u8 = 63;

/// Why a tile path was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TilePathError {
    /// Not of the form `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
    #[error("not a tile path")]
    Syntax,
    /// The level is above 63.
    #[error("tile level is above 63")]
    Level,
    /// The width is not between 1 and 256, or a path names 256 as partial.
    #[error("tile width is out of range")]
    Width,
    /// No tree of at most 2^63 − 1 leaves has a tile of this index.
    #[error("tile index is out of range")]
    Index,
}

/// Coordinates of a tile of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// The tile of `width` hashes (1–256, 256 being full) at `index` of tile level `level`
    /// (0–63, each worth eight binary levels).
    ///
    /// # Errors
    /// [`TilePathError`] if a coordinate is out of range.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TilePathError> {
        if level > MAX_LEVEL {
            return Err(TilePathError::Level);
        }
        check_index_and_width(index, width)?;
        Ok(Self { level, index, width })
    }

    /// The tile of that level and index as the tree of `size` leaves has it, partial or full;
    /// none if that tree has no such tile.
    #[must_use]
    pub fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        let width = width_at(hashes_at(level, size), index)?;
        Some(Self { level, index, width })
    }

    /// Tile level; leaf hashes are level 0.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Index within the level.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Number of hashes, 1–256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Whether the tile holds all 256 hashes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile at the same place.
    #[must_use]
    pub fn full(&self) -> Self {
        Self { width: TILE_WIDTH, ..*self }
    }

    /// Index of this tile's first hash within the hashes of its level.
    fn first(&self) -> u64 {
        self.index * u64::from(TILE_WIDTH)
    }

    /// Reads `tile/<L>/<N>[.p/<W>]`, without a leading slash.
    ///
    /// # Errors
    /// [`TilePathError`] on anything but the one spelling of a possible tile.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix("tile/").ok_or(TilePathError::Syntax)?;
        let (level, rest) = rest.split_once('/').ok_or(TilePathError::Syntax)?;
        let level = encoding::decimal(level).ok_or(TilePathError::Syntax)?;
        let level = u8::try_from(level).map_err(|_| TilePathError::Level)?;
        let (index, width) = parse_index_and_width(rest)?;
        Self::new(level, index, width)
    }
}

impl fmt::Display for Tile {
    /// The path `tile/<L>/<N>[.p/<W>]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_index_and_width(f, self.index, self.width)
    }
}

/// Coordinates of an entry bundle: the entries under one level 0 tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryTile {
    index: u64,
    width: u16,
}

impl EntryTile {
    /// The bundle of `width` entries (1–256) from entry `index * 256` on.
    ///
    /// # Errors
    /// [`TilePathError`] if a coordinate is out of range.
    pub fn new(index: u64, width: u16) -> Result<Self, TilePathError> {
        check_index_and_width(index, width)?;
        Ok(Self { index, width })
    }

    /// The bundle at `index` as the tree of `size` leaves has it, partial or full.
    #[must_use]
    pub fn at(index: u64, size: u64) -> Option<Self> {
        let width = width_at(size, index)?;
        Some(Self { index, width })
    }

    /// Index of the bundle.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Number of entries, 1–256.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Log index of the first entry.
    #[must_use]
    pub fn first_entry(&self) -> u64 {
        self.index * u64::from(TILE_WIDTH)
    }

    /// Reads `tile/entries/<N>[.p/<W>]`, without a leading slash.
    ///
    /// # Errors
    /// [`TilePathError`] on anything but the one spelling of a possible bundle.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix("tile/entries/").ok_or(TilePathError::Syntax)?;
        let (index, width) = parse_index_and_width(rest)?;
        Self::new(index, width)
    }
}

impl fmt::Display for EntryTile {
    /// The path `tile/entries/<N>[.p/<W>]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_index_and_width(f, self.index, self.width)
    }
}

/// Every tile of the tree of `size` leaves, level by level, the last of each level as partial
/// as it is.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    let levels = (0..=TILE_HEIGHT).take_while(move |level| hashes_at(*level, size) > 0);
    levels.flat_map(move |level| {
        let count = hashes_at(level, size).div_ceil(u64::from(TILE_WIDTH));
        (0..count).filter_map(move |index| Tile::at(level, index, size))
    })
}

/// Every entry bundle of the tree of `size` leaves, in order.
pub fn entry_tiles(size: u64) -> impl Iterator<Item = EntryTile> {
    let count = size.div_ceil(u64::from(TILE_WIDTH));
    (0..count).filter_map(move |index| EntryTile::at(index, size))
}

/// Number of hashes at a tile level, `floor(size / 256^level)`.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

fn width_at(hashes: u64, index: u64) -> Option<u16> {
    let before = index.checked_mul(u64::from(TILE_WIDTH))?;
    let width = hashes.checked_sub(before)?.min(u64::from(TILE_WIDTH));
    u16::try_from(width).ok().filter(|width| *width > 0)
}

fn check_index_and_width(index: u64, width: u16) -> Result<(), TilePathError> {
    if width == 0 || width > TILE_WIDTH {
        return Err(TilePathError::Width);
    }
    if index > MAX_SIZE / u64::from(TILE_WIDTH) { Err(TilePathError::Index) } else { Ok(()) }
}

/// `<N>` in groups of three digits, all but the last prefixed `x`; then `.p/<W>` if partial.
fn write_index_and_width(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let mut group = 1;
    while index / group >= 1000 {
        group *= 1000;
    }
    while group > 1 {
        write!(f, "x{:03}/", index / group % 1000)?;
        group /= 1000;
    }
    write!(f, "{:03}", index % 1000)?;
    if width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{width}") }
}

fn parse_index_and_width(text: &str) -> Result<(u64, u16), TilePathError> {
    let (index, width) = match text.split_once(".p/") {
        None => (text, TILE_WIDTH),
        Some((index, width)) => {
            let width = encoding::decimal(width).ok_or(TilePathError::Syntax)?;
            let width = u16::try_from(width).map_err(|_| TilePathError::Width)?;
            (index, Some(width).filter(|width| *width < TILE_WIDTH).ok_or(TilePathError::Width)?)
        }
    };
    Ok((parse_index(index)?, width))
}

fn parse_index(text: &str) -> Result<u64, TilePathError> {
    let mut index = 0u64;
    let mut groups = text.split('/').peekable();
    let leading_zero_group = text.starts_with("x000");
    while let Some(group) = groups.next() {
        let digits = match groups.peek() {
            Some(_) => group.strip_prefix('x').ok_or(TilePathError::Syntax)?,
            None => group,
        };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TilePathError::Syntax);
        }
        let digits: u64 = digits.parse().map_err(|_| TilePathError::Syntax)?;
        let shifted = index.checked_mul(1000).and_then(|index| index.checked_add(digits));
        index = shifted.ok_or(TilePathError::Index)?;
    }
    if leading_zero_group { Err(TilePathError::Syntax) } else { Ok(index) }
}

#[cfg(test)]
mod tests;
