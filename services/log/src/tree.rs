//! Append-only Merkle trees, RFC 6962 §2.1: the compact right edge and a whole tree in memory.

use crate::{Hash, HashSource, MAX_SIZE, empty_root, node_hash};

/// Why stored tree state was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The number of peaks is not the number of one bits of the size.
    #[error("a tree of {size} leaves has {} peaks, not {peaks}", size.count_ones())]
    PeakCount {
        /// Leaves claimed.
        size: u64,
        /// Peaks given.
        peaks: usize,
    },
    /// The size is above 2^63 − 1.
    #[error("tree size is above 2^63 - 1")]
    SizeTooLarge,
}

/// The right edge of a tree: enough to append leaves and to name the root at every size, in
/// at most 63 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores a frontier from its size in leaves and its [`peaks`](Self::peaks).
    ///
    /// # Errors
    /// [`TreeError`] if the number of peaks cannot be that size's.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Result<Self, TreeError> {
        if size > MAX_SIZE {
            return Err(TreeError::SizeTooLarge);
        }
        if peaks.len() != size.count_ones() as usize {
            return Err(TreeError::PeakCount { size, peaks: peaks.len() });
        }
        Ok(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the maximal complete subtrees, from left (largest) to right.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Appends one leaf hash (see [`leaf_hash`](crate::leaf_hash)).
    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut carry = self.size;
        while carry & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(&left, &hash);
            carry >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root at the present size.
    #[must_use]
    pub fn root(&self) -> Hash {
        root_of_peaks(self.peaks.iter().rev().copied())
    }
}

/// A tree held whole: every complete subtree's hash, about 64 bytes a leaf. Serves proofs for
/// any size up to its own.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    /// `levels[k][i]` is the hash of leaves `i * 2^k .. (i + 1) * 2^k`.
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Leaf hashes in order.
    #[must_use]
    pub fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The leaf hashes alone.
    #[must_use]
    pub fn into_leaves(self) -> Vec<Hash> {
        self.levels.into_iter().next().unwrap_or_default()
    }

    /// Appends one leaf hash.
    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push(hash);
            let [.., left, right] = nodes.as_slice() else { return };
            if nodes.len() % 2 == 1 {
                return;
            }
            hash = node_hash(left, right);
        }
    }

    /// The hash of the complete subtree `index` at binary `level`; none if it is not complete.
    #[must_use]
    pub fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let nodes = self.levels.get(usize::from(level))?;
        nodes.get(usize::try_from(index).ok()?).copied()
    }

    /// The root at the present size.
    #[must_use]
    pub fn root(&self) -> Hash {
        root_of_peaks(self.peaks_from_right())
    }

    /// Roots of the maximal complete subtrees, from right (smallest) to left: an odd level's
    /// last node is one.
    pub(crate) fn peaks_from_right(&self) -> impl Iterator<Item = Hash> {
        let odd = self.levels.iter().filter(|nodes| nodes.len() % 2 == 1);
        odd.filter_map(|nodes| nodes.last().copied())
    }
}

impl FromIterator<Hash> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.append(leaf));
        tree
    }
}

/// The root over the maximal complete subtrees, given from right to left.
pub(crate) fn root_of_peaks(peaks: impl Iterator<Item = Hash>) -> Hash {
    peaks.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}

/// A subtree was asked for that the tree does not hold complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tree holds no complete subtree {index} at binary level {level}")]
pub struct NoSuchSubtree {
    /// Binary level, leaves being 0.
    pub level: u8,
    /// Index within the level.
    pub index: u64,
}

impl HashSource for MemoryTree {
    type Error = NoSuchSubtree;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, NoSuchSubtree> {
        self.node(level, index).ok_or(NoSuchSubtree { level, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;

    #[test]
    fn roots_equal_the_recursive_definition() {
        let leaves = naive::leaves(600);
        let (mut frontier, mut tree) = (Frontier::new(), MemoryTree::new());
        for size in 0..=leaves.len() {
            let root = naive::root(&leaves[..size]);
            assert_eq!(frontier.root(), root, "{size}");
            assert_eq!(tree.root(), root, "{size}");
            let restored = Frontier::from_parts(frontier.size(), frontier.peaks().to_vec());
            assert_eq!(restored.unwrap(), frontier);
            if let Some(leaf) = leaves.get(size) {
                frontier.append(*leaf);
                tree.append(*leaf);
            }
        }
        assert_eq!(tree.leaves(), leaves);
    }

    #[test]
    fn impossible_state_is_refused() {
        let peak = Hash::from([1; 32]);
        assert_eq!(Frontier::from_parts(3, vec![peak]), Err(TreeError::PeakCount { size: 3, peaks: 1 }));
        assert_eq!(Frontier::from_parts(1 << 63, vec![peak]), Err(TreeError::SizeTooLarge));
        assert!(Frontier::from_parts(0, vec![peak]).is_err());
    }
}
