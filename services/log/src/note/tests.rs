use super::*;
use crate::parties::{self, signer};

/// The example of signed-note §Verifier keys.
const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

#[test]
fn the_specifications_example_verifies() {
    let key: VerifierKey = VKEY.parse().unwrap();
    assert_eq!(key.to_string(), VKEY);
    assert_eq!(key.signature_type(), SignatureType::Ed25519);
    let note = Note::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.to_string(), NOTE);
    let verified = note.verify([&key]).unwrap();
    assert_eq!(verified, [VerifiedSignature { key: &key, timestamp: None }]);
}

#[test]
fn every_flipped_byte_of_the_note_is_refused() {
    let key: VerifierKey = VKEY.parse().unwrap();
    for at in 0..NOTE.len() {
        for bit in 0..8 {
            let mut bytes = NOTE.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let verdict = Note::parse(&bytes).and_then(|note| note.verify([&key]).map(|lines| lines.len()));
            assert!(verdict.is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_flipped_byte_of_a_vkey_is_refused_or_another_key() {
    let key: VerifierKey = VKEY.parse().unwrap();
    for at in 0..VKEY.len() {
        let mut bytes = VKEY.as_bytes().to_vec();
        bytes[at] ^= 1;
        let parsed = String::from_utf8(bytes).unwrap().parse::<VerifierKey>();
        assert!(parsed.is_err(), "byte {at}: {parsed:?} for {key}");
    }
}

#[test]
fn vkeys_are_strict() {
    let bytes = |signature_type: u8, key: &[u8]| {
        let id = u32::from_be_bytes(key_id("n", signature_type, key));
        format!("n+{id:08x}+{}", encoding::base64(&[&[signature_type], key].concat()))
    };
    assert!(bytes(1, &[5; 32]).parse::<VerifierKey>().is_ok());
    assert!(bytes(4, &[5; 32]).parse::<VerifierKey>().is_ok());
    assert_eq!(bytes(6, &[5; 1312]).parse::<VerifierKey>(), Err(VkeyError::SignatureType(6)));
    assert_eq!(bytes(1, &[5; 31]).parse::<VerifierKey>(), Err(VkeyError::KeyLength));
    assert_eq!(bytes(1, &[5; 33]).parse::<VerifierKey>(), Err(VkeyError::KeyLength));
    for bad in
        ["", "a", "a+b", "a+00000000+", &VKEY.to_uppercase(), &format!("{VKEY}+"), &format!("{VKEY}\n"), &VKEY[1..]]
    {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad:?}");
    }
    assert!(VKEY.replace("530d903a", "530D903A").parse::<VerifierKey>().is_err());
}

#[test]
fn key_names_are_strict() {
    for bad in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\tb", "a\u{85}b", "a\u{7f}"] {
        assert_eq!(check_name(bad), Err(NoteError::KeyName), "{bad:?}");
        assert!(VerifierKey::new(bad, SignatureType::Ed25519, [0; 32]).is_err());
    }
    assert_eq!(check_name("nodo.sv.example/según"), Ok(()));
}

#[test]
fn unknown_lines_are_ignored_and_known_failures_reject() {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let key_a = VerifierKey::of(&a, SignatureType::Ed25519).unwrap();
    let key_b = VerifierKey::of(&b, SignatureType::Ed25519).unwrap();
    let mut note = Note::new("text\n").unwrap();
    note.sign(&a).unwrap();
    assert_eq!(note.verify([&key_b]), Err(NoteError::NoKnownSignature));
    // The same name with another key, and the same key under another name, are other keys.
    let same_name = VerifierKey::of(&signer("a", 2), SignatureType::Ed25519).unwrap();
    let same_key = VerifierKey::of(&signer("b", 1), SignatureType::Ed25519).unwrap();
    assert_eq!(note.verify([&same_name, &same_key]), Err(NoteError::NoKnownSignature));

    note.add(NoteSignature::new(&key_b, vec![0; 64])).unwrap();
    assert_eq!(note.verify([&key_a]).unwrap().len(), 1);
    assert_eq!(note.verify([&key_a, &key_b]), Err(NoteError::BadSignature("b".into())));
    for length in [1, 63, 65] {
        let mut note = Note::new("text\n").unwrap();
        note.add(NoteSignature::new(&key_b, vec![0; length])).unwrap();
        assert!(note.verify([&key_b]).is_err());
    }
}

#[test]
fn signing_twice_adds_one_line() {
    let mut note = Note::new("text\n").unwrap();
    note.sign(&parties::log()).unwrap();
    note.sign(&parties::log()).unwrap();
    assert_eq!(note.signatures().len(), 1);
}

#[test]
fn text_may_hold_blank_lines() {
    let mut note = Note::new("one\n\ntwo\n\n\n").unwrap();
    note.sign(&signer("a", 1)).unwrap();
    let parsed = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(parsed, note);
    let key = VerifierKey::of(&signer("a", 1), SignatureType::Ed25519).unwrap();
    assert!(parsed.verify([&key]).is_ok());
}

#[test]
fn malformed_notes_are_refused() {
    let line = "— a AAAAAAA=\n";
    assert!(Note::parse(format!("text\n\n{line}").as_bytes()).is_ok());
    for bad in [
        String::new(),
        "text\n".into(),
        "text\n\n".into(),
        format!("text\n{line}"),
        format!("text\n\n{line}\n"),
        format!("text\n\n{line}x"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\r\n\n{line}"),
        format!("te\txt\n\n{line}"),
        format!("text\0\n\n{line}"),
        "text\n\n— a AAAAAA==\n".into(),
        "text\n\n— a AAAA\n".into(),
        "text\n\n— a AAAAAAA\n".into(),
        "text\n\n— a AAAAAAB=\n".into(),
        "text\n\n— a  AAAAAAA=\n".into(),
        "text\n\n— a AAAAAAA= \n".into(),
        "text\n\n—  AAAAAAA=\n".into(),
        "text\n\n— a+b AAAAAAA=\n".into(),
        "text\n\n- a AAAAAAA=\n".into(),
        "text\n\n—a AAAAAAA=\n".into(),
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(Note::parse(b"text\xff\n\n"), Err(NoteError::NotUtf8));
    assert_eq!(Note::parse(&vec![b'a'; MAX_NOTE_LEN + 1]), Err(NoteError::TooLong));
    assert_eq!(Note::new("no newline"), Err(NoteError::Malformed));
}

#[test]
fn signature_lines_are_counted() {
    let line = |number: usize| format!("— name{number} AAAAAAA=\n");
    let note = |count| format!("text\n\n{}", (0..count).map(line).collect::<String>());
    let mut full = Note::parse(note(MAX_SIGNATURES).as_bytes()).unwrap();
    assert_eq!(full.signatures().len(), MAX_SIGNATURES);
    assert_eq!(full.sign(&signer("a", 1)), Err(NoteError::TooManySignatures));
    assert_eq!(Note::parse(note(MAX_SIGNATURES + 1).as_bytes()), Err(NoteError::TooManySignatures));
}

#[test]
fn a_line_alone_round_trips() {
    let line = "— name AAAAAAA=\n";
    assert_eq!(NoteSignature::parse_line(line).unwrap().to_string(), line);
    assert!(NoteSignature::parse_line(line.trim_end()).is_err());
    assert!(NoteSignature::parse_line(&line.repeat(2)).is_err());
}
