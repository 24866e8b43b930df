//! What is written is read back as it was, whatever it is; and one changed byte is another thing or nothing.

use aws_lc_rs::signature::Ed25519KeyPair;
use convenio_log::tile::{encode_bundle, parse_bundle};
use convenio_log::witness::{AddCheckpoint, Decision, Head, decide};
use convenio_log::{
    Checkpoint, Ed25519Signer, EntryTile, MemoryTree, Policy, SignatureType, SignedCheckpoint, Tile, TlogProof,
    VerifierKey, cosignature, leaf_hash, proof,
};
use proptest::prelude::*;

fn signer(name: &str, seed: u8) -> Ed25519Signer {
    Ed25519Signer::new(name, Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()).unwrap()
}

fn tree(size: u64) -> MemoryTree {
    (0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

fn signed(tree: &MemoryTree, name: &str) -> SignedCheckpoint {
    Checkpoint::new(name, tree.size(), tree.root()).unwrap().sign(&signer(name, 1)).unwrap()
}

/// Names as signed-note allows them, other scripts included.
fn name() -> impl Strategy<Value = String> {
    "[a-z0-9./_áñ日-]{1,60}"
}

proptest! {
    #[test]
    fn checkpoints_round_trip(name in name(), size in 0u64..600, time in 1u64..1 << 40) {
        let tree = tree(size);
        let mut checkpoint = signed(&tree, &name);
        cosignature::append(&mut checkpoint, &signer("w", 2), time).unwrap();
        let read = SignedCheckpoint::parse(checkpoint.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&read, &checkpoint);
        let key = VerifierKey::of(&signer(&name, 1), SignatureType::Ed25519).unwrap();
        let again: VerifierKey = key.to_string().parse().unwrap();
        prop_assert_eq!(&again, &key);
        read.verify_log(&key).unwrap();
        let cosigner = VerifierKey::of(&signer("w", 2), SignatureType::CosignatureV1).unwrap();
        prop_assert_eq!(cosignature::verify(&read, &cosigner), Ok(time));
    }

    #[test]
    fn one_changed_byte_never_verifies(size in 0u64..300, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let checkpoint = signed(&tree(size), "o").to_string();
        let key = VerifierKey::of(&signer("o", 1), SignatureType::Ed25519).unwrap();
        let mut bytes = checkpoint.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(convenio_log::checkpoint::open(&bytes, &key).is_err());
    }

    #[test]
    fn receipts_round_trip_and_hold(size in 1u64..600, index in any::<prop::sample::Index>(), extra in prop::collection::vec(any::<u8>(), 1..80)) {
        let tree = tree(size);
        let index = index.index(size as usize) as u64;
        let mut checkpoint = signed(&tree, "o");
        cosignature::append(&mut checkpoint, &signer("m", 2), 5).unwrap();
        let receipt = TlogProof::new(&tree, index, checkpoint).unwrap().with_extra(extra).unwrap();
        let read = TlogProof::parse(receipt.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&read, &receipt);
        let log = VerifierKey::of(&signer("o", 1), SignatureType::Ed25519).unwrap();
        let mirror = VerifierKey::of(&signer("m", 2), SignatureType::CosignatureV1).unwrap();
        let policy = Policy::of(&log, &mirror).unwrap();
        read.verify(&tree.leaves()[index as usize], &policy).unwrap();
        prop_assert!(read.verify(&leaf_hash(b"another"), &policy).is_err());
    }

    #[test]
    fn submissions_round_trip_and_are_cosigned(a in 0u64..400, b in 0u64..400) {
        let (old, new) = (tree(a.min(b)), tree(a.max(b)));
        let request = AddCheckpoint::prove(&new, old.size(), signed(&new, "o")).unwrap();
        let read = AddCheckpoint::parse(request.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&read, &request);
        let key = VerifierKey::of(&signer("o", 1), SignatureType::Ed25519).unwrap();
        let head = |tree: &MemoryTree| Head { size: tree.size(), root: tree.root() };
        prop_assert_eq!(decide(Some(head(&old)), &read, &[key]), Decision::Cosign(head(&new)));
    }

    #[test]
    fn a_consistency_proof_holds_for_its_own_sizes_alone(a in 1u64..300, b in 1u64..300, c in 1u64..300) {
        let (old, new) = (tree(a.min(b)), tree(a.max(b)));
        let hashes = proof::consistency(&new, old.size(), new.size()).unwrap();
        let holds = |size: u64| {
            proof::verify_consistency(&hashes, size, &old.root(), new.size(), &new.root()).is_ok()
        };
        prop_assert!(holds(old.size()));
        // The sizes are not all fixed by the hashes, but the roots are by the sizes.
        let other = tree(c);
        let split = proof::verify_consistency(&hashes, c, &other.root(), new.size(), &new.root()).is_ok();
        prop_assert!(!split || c == old.size() || proof::consistency(&new, c, new.size()).unwrap() == hashes);
    }

    #[test]
    fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40)) {
        let bytes = encode_bundle(entries.iter().map(Vec::as_slice)).unwrap();
        prop_assert_eq!(parse_bundle(&bytes, entries.len() as u16).unwrap(), entries);
    }

    #[test]
    fn tile_paths_round_trip(level in 0u8..64, index in 0u64..1 << 50, width in 1u16..=256) {
        let tile = Tile::new(level, index, width).unwrap();
        prop_assert_eq!(Tile::parse(&tile.to_string()), Ok(tile));
        let tile = EntryTile::new(index, width).unwrap();
        prop_assert_eq!(EntryTile::parse(&tile.to_string()), Ok(tile));
    }

    #[test]
    fn policies_round_trip(witnesses in 1usize..12, threshold in 1usize..12, url in any::<bool>()) {
        let threshold = threshold.min(witnesses);
        let log = VerifierKey::of(&signer("o", 1), SignatureType::Ed25519).unwrap();
        let mut text = format!("log {log}{}\n", if url { " https://o.example/" } else { "" });
        let mut names = String::new();
        for number in 0..witnesses {
            let key = VerifierKey::of(&signer(&format!("w{number}"), 10 + number as u8), SignatureType::CosignatureV1);
            text += &format!("witness n{number} {}\n", key.unwrap());
            names += &format!(" n{number}");
        }
        text += &format!("group g {threshold}{names}\nquorum g\n");
        let policy = Policy::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&Policy::parse(policy.to_string().as_bytes()).unwrap(), &policy);
        // The quorum is reached by exactly that many.
        let mut checkpoint = signed(&tree(3), "o");
        for number in 0..witnesses {
            prop_assert_eq!(policy.evaluate(&checkpoint).is_ok(), number >= threshold);
            cosignature::append(&mut checkpoint, &signer(&format!("w{number}"), 10 + number as u8), 9).unwrap();
        }
        prop_assert!(policy.evaluate(&checkpoint).is_ok());
    }
}
