//! Inclusion and consistency proofs, RFC 6962 §2.1.1 and §2.1.2; verification by the iterative
//! algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2.

mod verify;

pub use verify::{verify_consistency, verify_inclusion};

use crate::{Hash, MAX_SIZE, empty_root, node_hash};

/// Hashes in the longest possible proof of either kind.
pub const MAX_PROOF: usize = 64;

/// Where the hashes of complete subtrees come from: a tree in memory, tiles, a database.
pub trait HashSource {
    /// What can go wrong in fetching.
    type Error;

    /// The hash of leaves `index * 2^level .. (index + 1) * 2^level`; `level` is binary, leaves
    /// being 0. Asked only for subtrees complete within the size that the caller named.
    ///
    /// # Errors
    /// If the source cannot deliver that hash.
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

impl<S: HashSource + ?Sized> HashSource for &S {
    type Error = S::Error;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error> {
        (**self).hash(level, index)
    }
}

/// Why a proof could not be made, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError<E = std::convert::Infallible> {
    /// The leaf index is not below the tree size.
    #[error("leaf index {index} is not below the tree size {size}")]
    IndexOutOfRange {
        /// Zero-based leaf index.
        index: u64,
        /// Tree size in leaves.
        size: u64,
    },
    /// The older tree is the larger one.
    #[error("old tree size {old} is above the new size {new}")]
    OldAboveNew {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// The size is above 2^63 − 1.
    #[error("tree size is above 2^63 - 1")]
    SizeTooLarge,
    /// The proof has too many or too few hashes for its sizes.
    #[error("the proof has a wrong number of hashes")]
    WrongLength,
    /// The computed root is not the given one.
    #[error("the proof does not lead to the root")]
    RootMismatch,
    /// The source could not deliver a hash.
    #[error(transparent)]
    Source(E),
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// [`ProofError::SizeTooLarge`], or the source's own error.
pub fn root_from<S: HashSource + ?Sized>(source: &S, size: u64) -> Result<Hash, ProofError<S::Error>> {
    check_size(size)?;
    if size == 0 {
        return Ok(empty_root());
    }
    range(source, 0, size)
}

/// The inclusion proof of leaf `index` in the tree of `size` leaves, sibling first
/// (RFC 6962 §2.1.1).
///
/// # Errors
/// [`ProofError::IndexOutOfRange`], [`ProofError::SizeTooLarge`], or the source's own error.
pub fn inclusion<S: HashSource + ?Sized>(source: &S, index: u64, size: u64) -> Result<Vec<Hash>, ProofError<S::Error>> {
    check_size(size)?;
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    let mut hashes = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            hashes.push(range(source, middle, high)?);
            high = middle;
        } else {
            hashes.push(range(source, low, middle)?);
            low = middle;
        }
    }
    hashes.reverse();
    Ok(hashes)
}

/// The proof that the tree of `new` leaves extends the one of `old` leaves (RFC 6962 §2.1.2);
/// empty when the sizes are equal or `old` is 0.
///
/// # Errors
/// [`ProofError::OldAboveNew`], [`ProofError::SizeTooLarge`], or the source's own error.
pub fn consistency<S: HashSource + ?Sized>(source: &S, old: u64, new: u64) -> Result<Vec<Hash>, ProofError<S::Error>> {
    check_size(new)?;
    if old > new {
        return Err(ProofError::OldAboveNew { old, new });
    }
    let mut hashes = Vec::new();
    if old == 0 {
        return Ok(hashes);
    }
    let (mut low, mut high) = (0, new);
    while old < high {
        let middle = low + split(high - low);
        if old <= middle {
            hashes.push(range(source, middle, high)?);
            high = middle;
        } else {
            hashes.push(range(source, low, middle)?);
            low = middle;
        }
    }
    if low > 0 {
        hashes.push(range(source, low, high)?);
    }
    hashes.reverse();
    Ok(hashes)
}

fn check_size<E>(size: u64) -> Result<(), ProofError<E>> {
    if size > MAX_SIZE { Err(ProofError::SizeTooLarge) } else { Ok(()) }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// `MTH(D[low..high])` of a node of the tree: `low` is a multiple of every complete subtree
/// that the range decomposes into. The range is not empty.
fn range<S: HashSource + ?Sized>(source: &S, low: u64, high: u64) -> Result<Hash, ProofError<S::Error>> {
    let mut rest = high - low;
    let mut end = high;
    let mut right: Option<Hash> = None;
    while rest > 0 {
        let level = rest.trailing_zeros() as u8;
        rest &= rest - 1;
        end -= 1 << level;
        let peak = source.hash(level, end >> level).map_err(ProofError::Source)?;
        right = Some(right.map_or(peak, |right| node_hash(&peak, &right)));
    }
    Ok(right.unwrap_or_else(empty_root))
}

#[cfg(test)]
mod tests;
