//! RFC 9162 §2.1.3.2 and §2.1.4.2.

use super::{MAX_PROOF, ProofError};
use crate::{Hash, MAX_SIZE, empty_root, node_hash};

/// Checks that `leaf` stands at `index` in the tree of `size` leaves with this `root`
/// (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`ProofError`] if the proof does not hold exactly.
pub fn verify_inclusion(proof: &[Hash], leaf: &Hash, index: u64, size: u64, root: &Hash) -> Result<(), ProofError> {
    check(proof, size)?;
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A node that is the last of its level, and no right child, has no sibling there.
            skip_to_right_child(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    same_root(&hash, root)
}

/// Checks that the tree of `new` leaves with `new_root` extends the one of `old` leaves with
/// `old_root` (RFC 9162 §2.1.4.2). From `old` 0 the proof is empty and `old_root` must be the
/// empty root; between equal sizes it is empty and the roots must be equal.
///
/// # Errors
/// [`ProofError`] if the proof does not hold exactly.
pub fn verify_consistency(
    proof: &[Hash],
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
) -> Result<(), ProofError> {
    check(proof, new)?;
    if old > new {
        return Err(ProofError::OldAboveNew { old, new });
    }
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(ProofError::WrongLength);
        }
        let (expected, given) = if old == new { (old_root, new_root) } else { (&empty_root(), old_root) };
        return same_root(expected, given);
    }
    extend(proof, old, old_root, new, new_root)
}

/// The general case, `0 < old < new`.
fn extend(proof: &[Hash], old: u64, old_root: &Hash, new: u64, new_root: &Hash) -> Result<(), ProofError> {
    // A complete old tree is a node of the new one: the proof need not repeat it.
    let (first, rest) = match proof {
        [] => return Err(ProofError::WrongLength),
        _ if old.is_power_of_two() => (old_root, proof),
        [first, rest @ ..] => (first, rest),
    };
    let (mut node, mut last) = (old - 1, new - 1);
    let skip = node.trailing_ones();
    node >>= skip;
    last >>= skip;
    let (mut from_old, mut from_new) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            from_old = node_hash(hash, &from_old);
            from_new = node_hash(hash, &from_new);
            skip_to_right_child(&mut node, &mut last);
        } else {
            from_new = node_hash(&from_new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    same_root(&from_old, old_root)?;
    same_root(&from_new, new_root)
}

fn skip_to_right_child(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

fn check(proof: &[Hash], size: u64) -> Result<(), ProofError> {
    if size > MAX_SIZE {
        return Err(ProofError::SizeTooLarge);
    }
    if proof.len() > MAX_PROOF { Err(ProofError::WrongLength) } else { Ok(()) }
}

fn same_root(computed: &Hash, given: &Hash) -> Result<(), ProofError> {
    if computed == given { Ok(()) } else { Err(ProofError::RootMismatch) }
}
