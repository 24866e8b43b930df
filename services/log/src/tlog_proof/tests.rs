use super::*;
use crate::note::NoteError;
use crate::parties::{TIME, cosigned, log_key, mirror_key, witness, witness_key};
use crate::{cosignature, naive};

fn policy() -> Policy {
    Policy::of(&log_key(), &mirror_key()).unwrap()
}

#[test]
fn receipts_round_trip_and_verify() {
    let leaves = naive::leaves(300);
    for size in [1, 2, 3, 255, 300] {
        let (tree, checkpoint) = cosigned(size);
        for index in [0, size / 2, size - 1] {
            let receipt = TlogProof::new(&tree, u64::from(index), checkpoint.clone()).unwrap();
            let text = receipt.to_string();
            assert_eq!(TlogProof::parse(text.as_bytes()).unwrap(), receipt);
            let policy = policy();
            let accepted = receipt.verify(&leaves[index as usize], &policy).unwrap();
            assert_eq!(accepted.log.key(), &log_key());
            assert_eq!(accepted.witnesses.len(), 1);
            assert_eq!(accepted.witnesses[0].1, TIME);
        }
    }
}

#[test]
fn layout_is_the_specifications() {
    let (tree, checkpoint) = cosigned(3);
    let receipt = TlogProof::new(&tree, 2, checkpoint.clone()).unwrap().with_extra(b"extra".to_vec()).unwrap();
    let sibling = encoding::base64(receipt.hashes()[0].as_bytes());
    let expected = format!("c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 2\n{sibling}\n\n{checkpoint}");
    assert_eq!(receipt.to_string(), expected);
    let parsed = TlogProof::parse(expected.as_bytes()).unwrap();
    assert_eq!(parsed.extra(), Some(&b"extra"[..]));
    assert_eq!((parsed.index(), parsed.checkpoint()), (2, &checkpoint));
}

#[test]
fn every_flipped_byte_is_refused() {
    let (tree, checkpoint) = cosigned(7);
    let leaf = naive::leaves(7)[4];
    let text = TlogProof::new(&tree, 4, checkpoint).unwrap().to_string();
    let policy = policy();
    for at in 0..text.len() {
        for bit in [0, 3, 5, 7] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let verdict = TlogProof::parse(&bytes).and_then(|receipt| receipt.verify(&leaf, &policy).map(drop));
            assert!(verdict.is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_witness_makes_no_receipt() {
    let (tree, checkpoint) = cosigned(4);
    let mut witnessed = checkpoint.checkpoint().sign(&crate::parties::log()).unwrap();
    cosignature::append(&mut witnessed, &witness(), TIME).unwrap();
    let receipt = TlogProof::new(&tree, 1, witnessed).unwrap();
    assert_eq!(receipt.verify(&tree.leaves()[1], &policy()), Err(PolicyError::NoQuorum.into()));
    let witness_policy = Policy::of(&log_key(), &witness_key()).unwrap();
    assert!(receipt.verify(&tree.leaves()[1], &witness_policy).is_ok());
    assert_eq!(receipt.verify(&tree.leaves()[2], &witness_policy), Err(ProofError::RootMismatch.into()));
}

#[test]
fn malformed_receipts_are_refused() {
    let (tree, checkpoint) = cosigned(3);
    let text = TlogProof::new(&tree, 2, checkpoint.clone()).unwrap().to_string();
    let (hash, long) = (encoding::base64(&[1; 32]), encoding::base64(&[1; 33]));
    let with = |from: &str, to: &str| TlogProof::parse(text.replacen(from, to, 1).as_bytes());
    assert_eq!(with("@v1", "@v2"), Err(TlogProofError::Syntax));
    assert_eq!(with("index 2", "index 02"), Err(TlogProofError::Index));
    assert_eq!(with("index 2", "index  2"), Err(TlogProofError::Index));
    assert_eq!(with("index 2\n", ""), Err(TlogProofError::Syntax));
    assert_eq!(with("index", "extra \nindex"), Err(TlogProofError::Extra));
    assert_eq!(with("index", "extra YQ\nindex"), Err(TlogProofError::Extra));
    assert_eq!(with("index", "extra YQ==\nextra YQ==\nindex"), Err(TlogProofError::Syntax));
    assert_eq!(with("index 2\n", &format!("index 2\n{long}\n")), Err(TlogProofError::Hash(1)));
    // A blank line too early leaves a hash and a blank line in the checkpoint's text.
    assert_eq!(with("index 2\n", "index 2\n\n"), Err(CheckpointError::Syntax.into()));
    let endless = format!("index 2\n{}", format!("{hash}\n").repeat(MAX_PROOF));
    assert_eq!(with("index 2\n", &endless), Err(TlogProofError::Hash(MAX_PROOF + 1)));
    assert_eq!(TlogProof::parse(&vec![b'a'; MAX_LEN + 1]), Err(TlogProofError::Syntax));
    // Cut after the log's line it is whole again, but no longer cosigned.
    let policy = policy();
    for cut in 0..text.len() {
        let receipt = TlogProof::parse(&text.as_bytes()[..cut]);
        assert!(receipt.and_then(|receipt| receipt.verify(&tree.leaves()[2], &policy).map(drop)).is_err(), "{cut}");
    }
    let receipt = TlogProof::new(&tree, 2, checkpoint.clone()).unwrap();
    assert_eq!(receipt.clone().with_extra(Vec::new()), Err(TlogProofError::Extra));
    assert!(receipt.with_extra(vec![0; MAX_EXTRA_LEN + 1]).is_err());
    assert!(matches!(TlogProof::new(&tree, 3, checkpoint), Err(ProofError::IndexOutOfRange { .. })));
}

#[test]
fn a_bad_signature_by_a_known_key_refuses_the_receipt() {
    let (tree, checkpoint) = cosigned(3);
    let receipt = TlogProof::new(&tree, 0, checkpoint).unwrap().to_string();
    let line = receipt.lines().last().unwrap();
    let forged = receipt.replace(line, &line.replacen("mirror/1 ", "mirror/2 ", 1));
    let renamed = TlogProof::parse(forged.as_bytes()).unwrap();
    assert_eq!(renamed.verify(&tree.leaves()[0], &policy()), Err(PolicyError::NoQuorum.into()));
    let cut = line.len() - 6;
    let changed = format!("{}AAAA==", &line[..cut]);
    let changed = TlogProof::parse(receipt.replace(line, &changed).as_bytes());
    let policy = policy();
    let verdict = changed.unwrap().verify(&tree.leaves()[0], &policy);
    assert!(matches!(verdict, Err(TlogProofError::Policy(PolicyError::Note(NoteError::BadSignature(_))))));
}
