use convenio_model::SeededEntropy;

use super::*;

const TYPE: &str = "application/example";

fn keys(count: u64) -> Vec<SigningKey> {
    (0..count).map(|seed| SigningKey::generate(&SeededEntropy::new(seed))).collect()
}

fn public(keys: &[SigningKey]) -> Vec<PublicKey> {
    keys.iter().map(SigningKey::public).collect()
}

#[test]
fn pae_is_that_of_the_specification() {
    // secure-systems-lab/dsse, protocol.md, "Test Vectors".
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    // Lengths count bytes, not characters.
    assert_eq!(pae("\u{e9}", "\u{f1}\u{f1}".as_bytes()), "DSSEv1 2 \u{e9} 4 \u{f1}\u{f1}".as_bytes());
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn the_json_form_round_trips_and_verifies() {
    let keys = keys(2);
    let envelope = Envelope::signed(TYPE, b"payload".to_vec(), &[&keys[0], &keys[1]]);
    let read = Envelope::parse(envelope.to_json().as_bytes()).unwrap();
    assert_eq!(read, envelope);
    assert_eq!(read.verify(TYPE, &public(&keys), 2).unwrap(), b"payload");
    assert!(matches!(read.verify("application/other", &public(&keys), 2), Err(DsseError::PayloadType)));
}

#[test]
fn the_threshold_counts_distinct_known_keys() {
    let keys = keys(3);
    let [a, b] = [sign(TYPE, b"x", &keys[0]), sign(TYPE, b"x", &keys[1])];
    let known = public(&keys[..2]);
    let verify = |signatures: &[Signature], threshold| verify_threshold(TYPE, b"x", signatures, &known, threshold);

    assert!(verify(&[a.clone(), b.clone()], 2).is_ok());
    let twice = verify(&[a.clone(), a.clone()], 2);
    assert!(matches!(twice, Err(DsseError::BelowThreshold { needed: 2, valid: 1 })), "{twice:?}");
    let unknown = verify(&[a.clone(), sign(TYPE, b"x", &keys[2])], 2);
    assert!(matches!(unknown, Err(DsseError::BelowThreshold { needed: 2, valid: 1 })), "{unknown:?}");
    assert!(matches!(verify(&[a.clone(), b.clone()], 3), Err(DsseError::BelowThreshold { .. })));
    assert!(matches!(verify(&[a.clone(), b.clone()], 0), Err(DsseError::BelowThreshold { .. })));
    assert!(matches!(verify(&vec![a.clone(); MAX_SIGNATURES + 1], 1), Err(DsseError::TooManySignatures)));

    // One key listed twice is one key.
    let listed_twice = verify_threshold(TYPE, b"x", &[a.clone(), a.clone()], &[known[0], known[0]], 2);
    assert!(matches!(listed_twice, Err(DsseError::BelowThreshold { valid: 1, .. })));
    // A known key's failing signature refuses the whole, whatever else verifies.
    let swapped = Signature { key_id: b.key_id.clone(), sig: a.sig.clone() };
    assert!(matches!(verify(&[a, b, swapped], 2), Err(DsseError::BadSignature)));
}

#[test]
fn the_type_is_signed() {
    let keys = keys(1);
    let signature = sign(TYPE, b"x", &keys[0]);
    let other = verify_threshold("application/other", b"x", &[signature], &public(&keys), 1);
    assert!(matches!(other, Err(DsseError::BadSignature)));
}

#[test]
fn odd_json_is_refused() {
    let good = Envelope::signed(TYPE, b"payload".to_vec(), &[&keys(1)[0]]).to_json();
    assert!(Envelope::parse(good.as_bytes()).is_ok());
    for (from, to) in [
        ("\"payload\":", "\"extra\": 1, \"payload\":"),
        ("\"payload\":", "\"payload\": \"\", \"payload\":"),
        ("\"keyid\":", "\"extra\": 1, \"keyid\":"),
        ("\"payloadType\"", "\"payloadtype\""),
        ("cGF5bG9hZA==", "cGF5bG9hZA"),
        ("cGF5bG9hZA==", "cGF5bG9hZB=="),
        ("\"keyid\": \"", "\"keyid\": \"0"),
        ("}\n", "} trailing\n"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(Envelope::parse(good.replace(from, to).as_bytes()).is_err(), "{from} -> {to}");
    }
    assert!(matches!(Envelope::parse(&vec![b' '; MAX_ENVELOPE + 1]), Err(DsseError::TooLarge)));
}

#[test]
fn a_long_file_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.dsse.json");
    std::fs::write(&path, vec![b' '; MAX_ENVELOPE + 1]).unwrap();
    assert!(matches!(Envelope::load(&path), Err(DsseError::TooLarge)));
    let envelope = Envelope::signed(TYPE, b"payload".to_vec(), &[&keys(1)[0]]);
    std::fs::write(&path, envelope.to_json()).unwrap();
    assert_eq!(Envelope::load(&path).unwrap(), envelope);
}
