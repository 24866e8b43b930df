use super::*;
use crate::cosignature;
use crate::parties::{ORIGIN, TIME, log, log_key, mirror, mirror_key, signer};

/// The example of tlog-cosignature: a log's signature and a witness's cosignature.
const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

#[test]
fn the_specifications_example_parses() {
    let signed = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(signed.checkpoint().origin(), "example.com/behind-the-sofa");
    assert_eq!(signed.checkpoint().size(), 20_852_163);
    assert_eq!(signed.checkpoint().text(), EXAMPLE.split_once("\n\n").unwrap().0.to_owned() + "\n");
    assert_eq!(signed.to_string(), EXAMPLE);
    let witness = &signed.note().signatures()[1];
    let time: [u8; 8] = witness.signature()[..8].try_into().unwrap();
    assert_eq!(u64::from_be_bytes(time), 1_679_315_147);
}

fn signed() -> SignedCheckpoint {
    Checkpoint::new(ORIGIN, 7, Hash::from([9; 32])).unwrap().sign(&log()).unwrap()
}

/// Signed with OpenSSL from the same seeds: the log's line, the mirror's line.
const FROZEN: &str = "\
node.sv.example/agreements/sv-ca/to/node.ca.example/1\n\
7\n\
CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n\
\n\
\u{2014} node.sv.example/agreements/sv-ca/to/node.ca.example/1 a7Whct2+8xh2Xh+7/jlJrz4xGdY7U+GbXmMjOm59c32ONFci8BuKXrxA7D1lSY403Rlee3lGyb4dQhtWze3t+Ql9ZwY=\n\
\u{2014} node.ca.example/mirror/1 wfi8sQAAAABl+8nA949smv1jO7Nh0iVjlCCFv1bo3ZM5yX4sprIFZW7sJ9n46e/ed9sa1AU7+OyAe7tjGqW5syIst7bpB6e4o1d0AQ==\n\
";

#[test]
fn signed_bytes_are_frozen() {
    let mut signed = signed();
    cosignature::append(&mut signed, &mirror(), TIME).unwrap();
    assert_eq!(signed.to_string(), FROZEN);
    assert_eq!(open(FROZEN.as_bytes(), &log_key()).unwrap(), signed);
    assert_eq!(cosignature::verify(&signed, &mirror_key()), Ok(TIME));
}

#[test]
fn every_flipped_byte_is_refused() {
    let note = signed().to_string();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            assert!(open(&bytes, &log_key()).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn texts_are_strict() {
    let root = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let empty = encoding::base64(empty_root().as_bytes());
    assert!(Checkpoint::parse_text(&format!("o\n1\n{root}\n")).is_ok());
    assert!(Checkpoint::parse_text(&format!("o\n0\n{empty}\n")).is_ok());
    for (text, error) in [
        (format!("o\n1\n{root}"), CheckpointError::Syntax),
        (format!("o\n1\n{root}\nextension\n"), CheckpointError::Syntax),
        (format!("o\n1\n{root}\n\n"), CheckpointError::Syntax),
        ("o\n1\n".into(), CheckpointError::Syntax),
        (format!("\n1\n{root}\n"), CheckpointError::Origin),
        (format!("o o\n1\n{root}\n"), CheckpointError::Origin),
        (format!("o+o\n1\n{root}\n"), CheckpointError::Origin),
        (format!("{}\n1\n{root}\n", "o".repeat(256)), CheckpointError::Origin),
        (format!("o\n01\n{root}\n"), CheckpointError::Size),
        (format!("o\n\n{root}\n"), CheckpointError::Size),
        (format!("o\n-1\n{root}\n"), CheckpointError::Size),
        (format!("o\n9223372036854775808\n{root}\n"), CheckpointError::Size),
        (format!("o\n1\n{}\n", &root[1..]), CheckpointError::Root),
        (format!("o\n1\n{root} \n"), CheckpointError::Root),
        (format!("o\n0\n{root}\n"), CheckpointError::EmptyRoot),
    ] {
        assert_eq!(Checkpoint::parse_text(&text), Err(error), "{text:?}");
    }
}

#[test]
fn only_the_logs_own_key_signs() {
    let checkpoint = signed().checkpoint().clone();
    assert_eq!(checkpoint.sign(&mirror()), Err(CheckpointError::OriginMismatch));
    let other = VerifierKey::of(&signer("other", 1), crate::SignatureType::Ed25519).unwrap();
    assert_eq!(signed().verify_log(&other), Err(CheckpointError::OriginMismatch));
    let impostor = VerifierKey::of(&signer(ORIGIN, 9), crate::SignatureType::Ed25519).unwrap();
    assert_eq!(signed().verify_log(&impostor), Err(NoteError::NoKnownSignature.into()));
}

#[test]
fn no_origin_can_forge_lines() {
    let root = Hash::from([9; 32]);
    assert_eq!(Checkpoint::new("a\n1", 1, root), Err(CheckpointError::Origin));
    assert_eq!(Checkpoint::new("a", 1 << 63, root), Err(CheckpointError::Size));
}
