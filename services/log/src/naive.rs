//! The recursive definitions of RFC 6962 §2.1, written as they stand there: what the tests of
//! the iterative code compare with.

use crate::{Hash, empty_root, leaf_hash, node_hash};

/// `count` different leaf hashes.
pub(crate) fn leaves(count: u32) -> Vec<Hash> {
    (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

/// `MTH(D[n])`.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// `PATH(m, D[n])`, §2.1.1.
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if index < left.len() {
        let mut hashes = path(index, left);
        hashes.push(root(right));
        hashes
    } else {
        let mut hashes = path(index - left.len(), right);
        hashes.push(root(left));
        hashes
    }
}

/// `SUBPROOF(m, D[n], b)`, §2.1.2.
pub(crate) fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if old <= left.len() {
        let mut hashes = subproof(old, left, whole);
        hashes.push(root(right));
        hashes
    } else {
        let mut hashes = subproof(old - left.len(), right, false);
        hashes.push(root(left));
        hashes
    }
}

/// The largest power of two below `count`.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}
