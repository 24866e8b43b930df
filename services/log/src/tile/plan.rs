//! Which tiles a proof will read, for stores that fetch asynchronously: fetch these into a
//! `BTreeMap<Tile, Vec<u8>>`, then make the proof from a [`TileReader`](super::TileReader) over it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;

use super::{TILE_HEIGHT, TILE_WIDTH, Tile};
use crate::proof::{self, ProofError};
use crate::{Hash, HashSource};

/// The tiles that [`proof::inclusion`] reads.
///
/// # Errors
/// As [`proof::inclusion`].
pub fn inclusion_tiles(index: u64, size: u64) -> Result<BTreeSet<Tile>, ProofError> {
    planned(size, |plan| proof::inclusion(plan, index, size).map(drop))
}

/// The tiles that [`proof::consistency`] reads.
///
/// # Errors
/// As [`proof::consistency`].
pub fn consistency_tiles(old: u64, new: u64) -> Result<BTreeSet<Tile>, ProofError> {
    planned(new, |plan| proof::consistency(plan, old, new).map(drop))
}

/// The tiles that [`proof::root_from`] reads.
///
/// # Errors
/// As [`proof::root_from`].
pub fn root_tiles(size: u64) -> Result<BTreeSet<Tile>, ProofError> {
    planned(size, |plan| proof::root_from(plan, size).map(drop))
}

fn planned(size: u64, run: impl FnOnce(&Plan) -> Result<(), ProofError>) -> Result<BTreeSet<Tile>, ProofError> {
    let plan = Plan { size, tiles: RefCell::default() };
    run(&plan)?;
    Ok(plan.tiles.into_inner())
}

/// Notes what is asked and answers with a hash that nobody looks at.
struct Plan {
    size: u64,
    tiles: RefCell<BTreeSet<Tile>>,
}

impl HashSource for Plan {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let in_tile = u64::from(TILE_WIDTH) >> (level % TILE_HEIGHT);
        let tile = Tile::at(level / TILE_HEIGHT, index / in_tile, self.size);
        self.tiles.borrow_mut().extend(tile);
        Ok(Hash::from([0; 32]))
    }
}
