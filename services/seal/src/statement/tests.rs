use convenio_model::SeededEntropy;
use convenio_wire::exchange::v1::{Position, Record, statement::Body};

use super::*;

fn key() -> SigningKey {
    SigningKey::generate(&SeededEntropy::new(5))
}

fn statement() -> Statement {
    Statement {
        version: 1,
        issuer: "node.sv.example".into(),
        recipient: "node.ca.example".into(),
        log_origin: "node.sv.example/agreements/sv-ca/to/node.ca.example/1".into(),
        agreement_digest: vec![3; 32],
        record_id: vec![4; 16],
        peer: Some(Position { epoch: 1, size: 9 }),
        time_ms: 1_700_000_000_000,
        captures: vec![],
        body: Some(Body::Record(Record { commitments: vec![vec![5; 32], vec![6; 32]] })),
    }
}

fn refused(bytes: &[u8]) -> Option<EntryError> {
    open_entry(bytes).and_then(|open| verify_entry(&open, &key().public())).err()
}

/// An entry around statement bytes that need not be canonical, well signed.
fn entry_around(statement: Vec<u8>) -> Vec<u8> {
    let signatures = vec![sign(STATEMENT_TYPE, &statement, &key())];
    Entry { statement, signatures }.encode_to_vec()
}

#[test]
fn an_entry_round_trips() {
    let bytes = seal_entry(&statement(), &key()).unwrap();
    let open = open_entry(&bytes).unwrap();
    assert_eq!(open.statement, statement());
    assert_eq!(open.statement_bytes(), statement().encode_to_vec());
    assert_eq!(verify_entry(&open, &key().public()), Ok(()));
    assert_eq!(bytes, seal_entry(&statement(), &key()).unwrap());
    let other = SigningKey::generate(&SeededEntropy::new(6)).public();
    assert_eq!(verify_entry(&open, &other), Err(EntryError::UnknownKey));
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = seal_entry(&statement(), &key()).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            assert!(refused(&bad).is_some(), "byte {at} bit {bit}");
        }
    }
    for end in 0..bytes.len() {
        assert!(refused(&bytes[..end]).is_some(), "cut at {end}");
    }
}

#[test]
fn other_encodings_of_the_same_statement_are_refused() {
    let good = statement().encode_to_vec();
    assert_eq!(refused(&entry_around(good.clone())), None);
    let unknown_field = [&good[..], &[0xf8, 0x06, 0x01]].concat(); // field 111
    let repeated = [&good[..2], &good[..]].concat(); // `version` twice
    let moved = [&good[2..], &good[..2]].concat(); // `version` last
    let long_varint = [&[0x08, 0x81, 0x00], &good[2..]].concat();
    for odd in [unknown_field, repeated, moved, long_varint] {
        assert_eq!(Statement::decode(odd.as_slice()).unwrap(), statement());
        let entry = entry_around(odd);
        assert_eq!(canonical(&entry), Err(EntryError::NonCanonical));
        assert_eq!(claimed_statement(&entry), Some(statement()));
    }
    let spelled_out_default = [&[0x08, 0x00], &good[2..]].concat();
    assert_eq!(canonical(&entry_around(spelled_out_default)), Err(EntryError::NonCanonical));

    let entry = seal_entry(&statement(), &key()).unwrap();
    let unknown_outside = [&entry[..], &[0x78, 0x01]].concat();
    assert_eq!(canonical(&unknown_outside), Err(EntryError::NonCanonical));
    assert_eq!(canonical(&entry), Ok(()));
}

#[test]
fn exactly_one_signature() {
    let mut entry = open_entry(&seal_entry(&statement(), &key()).unwrap()).unwrap().entry;
    let other = SigningKey::generate(&SeededEntropy::new(6));
    entry.signatures.push(sign(STATEMENT_TYPE, &entry.statement, &other));
    assert_eq!(refused(&entry.encode_to_vec()), Some(EntryError::ExtraSignature));
    entry.signatures.clear();
    assert_eq!(refused(&entry.encode_to_vec()), Some(EntryError::Unsigned));
}

#[test]
fn a_long_entry_is_neither_made_nor_read() {
    let mut long = statement();
    let mut seal = |length: usize| {
        long.captures = vec![vec![0; length]];
        seal_entry(&long, &key())
    };
    let longest = 60_000 + MAX_ENTRY - seal(60_000).unwrap().len();
    let bytes = seal(longest).unwrap();
    assert_eq!(bytes.len(), MAX_ENTRY);
    assert!(refused(&bytes).is_none());
    assert!(matches!(seal(longest + 1), Err(EntryError::TooLarge)));
    assert!(matches!(seal(MAX_ENTRY), Err(EntryError::TooLarge)));
    assert_eq!(canonical(&vec![0; MAX_ENTRY + 1]), Err(EntryError::TooLarge));
    assert_eq!(canonical(&[]), Ok(()), "an empty entry is canonical, and unsigned");
    assert_eq!(refused(&[]), Some(EntryError::Unsigned));
}
