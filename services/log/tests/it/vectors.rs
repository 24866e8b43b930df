//! Bytes of aics-tlog, aics-witness and Go's sumdb, see `tests/vectors/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use convenio_log::tile::{bundle_leaves, encode_bundle, entry_tiles, parse_bundle, tiles};
use convenio_log::witness::{AddCheckpoint, Answer, Decision, Head, apply, decide};
use convenio_log::{
    Hash, MemoryTree, Note, SignatureType, SignedCheckpoint, TileBuilder, TlogProof, VerifierKey, cosignature,
    leaf_hash, proof,
};

fn read(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(path)).unwrap()
}

fn text(path: &str) -> String {
    String::from_utf8(read(path)).unwrap()
}

fn tree(size: u64) -> MemoryTree {
    (0..size).map(|index| leaf_hash(format!("entry {index}").as_bytes())).collect()
}

fn keys() -> (VerifierKey, VerifierKey) {
    let keys: Vec<VerifierKey> = text("aics/keys").lines().map(|line| line.parse().unwrap()).collect();
    let [log, witness] = <[VerifierKey; 2]>::try_from(keys).unwrap();
    (log, witness)
}

#[test]
fn keys_of_others_are_read_and_written() {
    let (log, witness) = keys();
    assert_eq!(
        (log.signature_type(), witness.signature_type()),
        (SignatureType::Ed25519, SignatureType::CosignatureV1)
    );
    assert_eq!(format!("{log}\n{witness}\n"), text("aics/keys"));
}

#[test]
fn a_checkpoint_of_others_verifies_with_its_cosignature() {
    let (log, witness) = keys();
    let bytes = read("aics/checkpoint");
    let signed = SignedCheckpoint::parse(&bytes).unwrap();
    assert_eq!(signed.to_string().as_bytes(), bytes);
    signed.verify_log(&log).unwrap();
    assert_eq!(cosignature::verify(&signed, &witness), Ok(1_700_000_000));
    assert_eq!((signed.checkpoint().size(), signed.checkpoint().root()), (300, tree(300).root()));
}

#[test]
fn tiles_and_bundles_of_others_are_ours() {
    let mut expected: Vec<PathBuf> = Vec::new();
    let mut builder = TileBuilder::new();
    let mut full = Vec::new();
    tree(300).leaves().iter().for_each(|leaf| full.extend(builder.append(*leaf)));
    let ours = full.iter().map(|tile| (tile.tile(), tile.bytes())).chain(builder.partial_tiles());
    for (tile, bytes) in ours {
        assert_eq!(read(&format!("aics/{tile}")), bytes, "{tile}");
        expected.push(tile.to_string().into());
    }
    for tile in entry_tiles(300) {
        let bytes = read(&format!("aics/{tile}"));
        let entries = parse_bundle(&bytes, tile.width()).unwrap();
        assert_eq!(entries[0], format!("entry {}", tile.first_entry()).as_bytes());
        assert_eq!(encode_bundle(entries.iter().copied()).unwrap(), bytes);
        let first = tile.first_entry() as usize;
        assert_eq!(bundle_leaves(&bytes, tile.width()).unwrap(), tree(300).leaves()[first..][..entries.len()]);
    }
    assert_eq!(expected.len(), tiles(300).count());
}

#[test]
fn a_submission_of_others_is_read_and_cosigned() {
    let (log, witness) = keys();
    let bytes = read("aics/request");
    let request = AddCheckpoint::parse(&bytes).unwrap();
    assert_eq!(request.to_string().as_bytes(), bytes);
    let (old, new) = (tree(150), tree(300));
    let before = Head { size: 150, root: old.root() };
    let after = Head { size: 300, root: new.root() };
    assert_eq!(decide(Some(before), &request, std::slice::from_ref(&log)), Decision::Cosign(after));
    // Ours is the same, byte for byte.
    let ours = AddCheckpoint::prove(&new, 150, request.checkpoint().clone()).unwrap();
    assert_eq!(ours, request);
    let Ok(Answer::Cosigned(lines)) = Answer::parse(200, None, &read("aics/answer")) else { panic!() };
    let mut cosigned = request.into_checkpoint();
    assert_eq!(apply(&mut cosigned, &lines, &[witness]), Ok(1));
    assert_eq!(cosigned.to_string().as_bytes(), read("aics/checkpoint"));
}

#[test]
fn a_receipt_over_a_checkpoint_of_others_holds() {
    let (log, witness) = keys();
    let policy = convenio_log::Policy::of(&log, &witness).unwrap();
    let signed = SignedCheckpoint::parse(&read("aics/checkpoint")).unwrap();
    let tree = tree(300);
    for index in [0, 1, 150, 255, 256, 299] {
        let receipt = TlogProof::new(&tree, index, signed.clone()).unwrap();
        receipt.verify(&tree.leaves()[index as usize], &policy).unwrap();
    }
}

#[test]
fn a_note_of_sumdb_verifies() {
    let key: VerifierKey = text("sumdb/vkey").parse().unwrap();
    assert_eq!(key.to_string(), text("sumdb/vkey"));
    let note = Note::parse(&read("sumdb/note")).unwrap();
    assert_eq!(note.verify([&key]).unwrap().len(), 1);
    assert!(note.text().contains("\n\n"), "its text holds an empty line");
}

#[test]
fn proofs_of_sumdb_are_ours() {
    let all = tree(1_000);
    let mut lines = 0;
    for line in text("sumdb/proofs").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let size: u64 = words[1].parse().unwrap();
        let root = proof::root_from(&all, size).unwrap();
        let hash = |word: &&str| Hash::try_from(STANDARD.decode(word).unwrap().as_slice()).unwrap();
        let at = |word: &str| word.parse::<u64>().unwrap();
        match words[0] {
            "root" => assert_eq!(hash(&words[2]), root),
            "inclusion" => {
                let hashes: Vec<Hash> = words[3..].iter().map(hash).collect();
                let index = at(words[2]);
                assert_eq!(proof::inclusion(&all, index, size).unwrap(), hashes, "{line}");
                proof::verify_inclusion(&hashes, &all.leaves()[index as usize], index, size, &root).unwrap();
            }
            "consistency" => {
                let hashes: Vec<Hash> = words[3..].iter().map(hash).collect();
                let old = at(words[2]);
                let old_root = proof::root_from(&all, old).unwrap();
                // Between equal sizes tlog repeats nothing either.
                assert_eq!(proof::consistency(&all, old, size).unwrap(), hashes, "{line}");
                proof::verify_consistency(&hashes, old, &old_root, size, &root).unwrap();
            }
            other => panic!("{other}"),
        }
        lines += 1;
    }
    assert!(lines > 150, "{lines}");
}
