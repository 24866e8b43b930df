use proptest::prelude::*;

use super::*;
use crate::{Frontier, MemoryTree, leaf_hash, naive};

/// Inputs and roots of the Certificate Transparency project's reference tree (sizes 1 to 8).
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn reference_roots() {
    let leaves = LEAVES.map(|leaf| leaf_hash(&hex::decode(leaf).unwrap()));
    let tree: MemoryTree = leaves.into_iter().collect();
    for (size, root) in (1..).zip(ROOTS) {
        assert_eq!(root_from(&tree, size).unwrap().to_string(), root, "{size}");
    }
}

fn roots(leaves: &[Hash]) -> Vec<Hash> {
    let mut frontier = Frontier::new();
    let mut roots = vec![frontier.root()];
    for leaf in leaves {
        frontier.append(*leaf);
        roots.push(frontier.root());
    }
    roots
}

#[test]
fn proofs_equal_the_recursive_definition() {
    let leaves = naive::leaves(70);
    let tree: MemoryTree = leaves.iter().copied().collect();
    for size in 1..=leaves.len() {
        for at in 0..size {
            let proof = inclusion(&tree, at as u64, size as u64).unwrap();
            assert_eq!(proof, naive::path(at, &leaves[..size]), "{at} in {size}");
            let old = at + 1;
            let proof = consistency(&tree, old as u64, size as u64).unwrap();
            assert_eq!(proof, naive::subproof(old, &leaves[..size], true), "{old} to {size}");
        }
    }
}

#[test]
fn every_proof_up_to_600_leaves_verifies() {
    let leaves = naive::leaves(600);
    let tree: MemoryTree = leaves.iter().copied().collect();
    let roots = roots(&leaves);
    for size in 0..=leaves.len() {
        let (n, root) = (size as u64, &roots[size]);
        assert_eq!(root_from(&tree, n).unwrap(), *root);
        // All pairs to 140, beyond that a stride that meets every residue.
        for at in (0..=size).step_by(if size <= 140 { 1 } else { 7 }) {
            let proof = consistency(&tree, at as u64, n).unwrap();
            verify_consistency(&proof, at as u64, &roots[at], n, root).unwrap();
            if at < size {
                let proof = inclusion(&tree, at as u64, n).unwrap();
                verify_inclusion(&proof, &leaves[at], at as u64, n, root).unwrap();
            }
        }
    }
}

#[test]
fn a_changed_proof_does_not_verify() {
    let leaves = naive::leaves(40);
    let tree: MemoryTree = leaves.iter().copied().collect();
    let roots = roots(&leaves);
    for size in 1..=40usize {
        let n = size as u64;
        for at in 0..size {
            let proof = inclusion(&tree, at as u64, n).unwrap();
            let verify = |proof: &[Hash]| verify_inclusion(proof, &leaves[at], at as u64, n, &roots[size]);
            for wrong in mutations(&proof) {
                assert!(verify(&wrong).is_err(), "{at} in {size}");
            }
            for other in (0..size).filter(|other| *other != at) {
                assert!(verify_inclusion(&proof, &leaves[at], other as u64, n, &roots[size]).is_err());
            }
            let proof = consistency(&tree, at as u64, n).unwrap();
            for wrong in mutations(&proof) {
                let verdict = verify_consistency(&wrong, at as u64, &roots[at], n, &roots[size]);
                assert!(verdict.is_err(), "{at} to {size}");
            }
            let forged = Hash::from([7; 32]);
            assert!(verify_consistency(&proof, at as u64, &forged, n, &roots[size]).is_err());
            if at > 0 {
                assert!(verify_consistency(&proof, at as u64, &roots[at], n, &forged).is_err());
            }
        }
    }
}

fn mutations(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut wrong = vec![[proof, &[Hash::from([0; 32])]].concat()];
    for at in 0..proof.len() {
        let mut flipped = proof.to_vec();
        let mut bytes = *flipped[at].as_bytes();
        bytes[at % 32] ^= 1;
        flipped[at] = Hash::from(bytes);
        wrong.push(flipped);
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        wrong.push(shorter);
        let mut longer = proof.to_vec();
        longer.insert(at, proof[at]);
        wrong.push(longer);
    }
    wrong
}

#[test]
fn sizes_out_of_range_are_refused() {
    let tree: MemoryTree = naive::leaves(8).into_iter().collect();
    let (leaf, root) = (tree.leaves()[0], tree.root());
    let out = ProofError::IndexOutOfRange { index: 8, size: 8 };
    assert_eq!(inclusion(&tree, 8, 8), Err(out));
    assert_eq!(verify_inclusion(&[], &leaf, 8, 8, &root), Err(ProofError::IndexOutOfRange { index: 8, size: 8 }));
    assert_eq!(consistency(&tree, 9, 8), Err(ProofError::OldAboveNew { old: 9, new: 8 }));
    assert_eq!(verify_consistency(&[], 9, &root, 8, &root), Err(ProofError::OldAboveNew { old: 9, new: 8 }));
    assert_eq!(inclusion(&tree, 0, 1 << 63), Err(ProofError::SizeTooLarge));
    assert_eq!(root_from(&tree, u64::MAX), Err(ProofError::SizeTooLarge));
    assert_eq!(verify_inclusion(&[], &leaf, 0, 1 << 63, &root), Err(ProofError::SizeTooLarge));
    assert!(matches!(inclusion(&tree, 0, 9), Err(ProofError::Source(_))));
}

#[test]
fn from_nothing_only_the_empty_root_extends() {
    let tree: MemoryTree = naive::leaves(3).into_iter().collect();
    assert_eq!(verify_consistency(&[], 0, &empty_root(), 3, &tree.root()), Ok(()));
    let other = verify_consistency(&[], 0, &tree.root(), 3, &tree.root());
    assert_eq!(other, Err(ProofError::RootMismatch));
    let long = verify_consistency(&[tree.root()], 0, &empty_root(), 3, &tree.root());
    assert_eq!(long, Err(ProofError::WrongLength));
}

proptest! {
    #[test]
    fn hostile_proofs_never_panic(
        hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        index in any::<u64>(),
        size in any::<u64>(),
    ) {
        let proof: Vec<Hash> = hashes.into_iter().map(Hash::from).collect();
        let leaf = Hash::from([1; 32]);
        prop_assert!(verify_inclusion(&proof, &leaf, index, size, &empty_root()).is_err());
        let _ = verify_consistency(&proof, index, &leaf, size, &empty_root());
    }
}
