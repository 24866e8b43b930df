use super::*;
use crate::note::VkeyError;
use crate::parties::{ORIGIN, TIME, cosigned, log, log_key, mirror_key, signer, witness_key};
use crate::{NoteSignature, cosignature};

fn cosigner(number: u8) -> crate::Ed25519Signer {
    signer(&format!("w{number}.example"), 10 + number)
}

fn cosigner_key(number: u8) -> VerifierKey {
    VerifierKey::of(&cosigner(number), SignatureType::CosignatureV1).unwrap()
}

/// The example of tlog-policy §Example policy, with keys.
fn example() -> String {
    let mut text = format!("log {}\n", log_key());
    for (number, name) in ["X1", "X2", "X3", "Y1", "Y2", "Y3"].iter().enumerate() {
        text += &format!("witness {name} {}\n", cosigner_key(number as u8));
    }
    text += "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\n";
    text + "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
}

fn signed_by(cosigners: &[u8]) -> SignedCheckpoint {
    let (_, cosigned) = cosigned(9);
    let mut signed = cosigned.checkpoint().sign(&log()).unwrap();
    for number in cosigners {
        cosignature::append(&mut signed, &cosigner(*number), TIME + u64::from(*number)).unwrap();
    }
    signed
}

#[test]
fn the_specifications_example_decides() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    assert_eq!(policy.to_string(), example());
    // All 64 subsets of the six cosigners.
    for subset in 0u8..64 {
        let numbers: Vec<u8> = (0..6).filter(|number| subset >> number & 1 == 1).collect();
        let enough = (subset & 0b111).count_ones() >= 2 && subset & 0b11_1000 != 0;
        let verdict = policy.evaluate(&signed_by(&numbers));
        if !enough {
            assert_eq!(verdict, Err(PolicyError::NoQuorum), "{subset:06b}");
            continue;
        }
        let accepted = verdict.unwrap();
        let times: Vec<u64> = accepted.witnesses.iter().map(|(_, time)| *time).collect();
        assert_eq!(times, numbers.iter().map(|number| TIME + u64::from(*number)).collect::<Vec<_>>());
    }
}

#[test]
fn the_log_must_sign() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let whole = signed_by(&[0, 1, 3]);
    let without: String = {
        let text = whole.to_string();
        let kept = text.lines().filter(|line| !line.starts_with(&format!("\u{2014} {ORIGIN} ")));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let unsigned = SignedCheckpoint::parse(without.as_bytes()).unwrap();
    assert_eq!(policy.evaluate(&unsigned), Err(PolicyError::NotSignedByLog));
    let other = Policy::of(&VerifierKey::of(&signer("other", 1), SignatureType::Ed25519).unwrap(), &mirror_key());
    assert_eq!(other.unwrap().evaluate(&whole), Err(PolicyError::UnknownLog));
    let rotated = Policy::of(&VerifierKey::of(&signer(ORIGIN, 9), SignatureType::Ed25519).unwrap(), &mirror_key());
    assert_eq!(rotated.unwrap().evaluate(&whole), Err(PolicyError::NotSignedByLog));
}

#[test]
fn a_failing_witness_rejects_even_beside_a_quorum() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    let mut signed = signed_by(&[0, 1, 3]);
    signed.add(NoteSignature::new(&cosigner_key(5), vec![0; 72])).unwrap();
    assert!(matches!(policy.evaluate(&signed), Err(PolicyError::Note(NoteError::BadSignature(_)))));
}

#[test]
fn quorum_none_and_a_single_witness() {
    let none = Policy::parse(format!("log {}\nquorum none\n", log_key()).as_bytes()).unwrap();
    assert!(none.evaluate(&signed_by(&[])).unwrap().witnesses.is_empty());
    let (_, cosigned) = cosigned(9);
    assert!(Policy::of(&log_key(), &mirror_key()).unwrap().evaluate(&cosigned).is_ok());
    let witnessed = Policy::of(&log_key(), &witness_key()).unwrap();
    assert_eq!(witnessed.evaluate(&cosigned), Err(PolicyError::NoQuorum));
    assert!(Policy::of(&mirror_key(), &log_key()).is_err());
}

#[test]
fn spacing_comments_and_urls() {
    let text = format!(
        "# sv-ca\n\n \t \n\tlog \t{} https://log.example \n witness M {} https://m.example/x\n  # fin — ñ\nquorum\tM\n",
        log_key(),
        mirror_key()
    );
    let policy = Policy::parse(text.as_bytes()).unwrap();
    assert_eq!(policy.logs()[0].url(), Some("https://log.example"));
    assert_eq!(policy.witnesses()[0].url(), Some("https://m.example/x"));
    assert_eq!(policy.witnesses()[0].name(), "M");
    assert_eq!(Policy::parse(policy.to_string().as_bytes()).unwrap(), policy);
}

#[test]
fn wrong_lines_are_named() {
    let (l, m, w) = (log_key(), mirror_key(), witness_key());
    let again = VerifierKey::new("again", SignatureType::CosignatureV1, *m.public_key()).unwrap();
    let head = format!("witness A {m}\nwitness B {w}\n");
    for (line, error) in [
        (format!("witness C {again}"), LineError::DuplicateKey),
        (format!("witness C {l}"), LineError::KeyType),
        (format!("log {m}"), LineError::KeyType),
        (format!("log {l} url more"), LineError::Syntax),
        ("log".into(), LineError::Syntax),
        ("log x".into(), LineError::Key(VkeyError::Syntax)),
        ("logs x".into(), LineError::Syntax),
        ("group G all".into(), LineError::Syntax),
        ("group G".into(), LineError::Syntax),
        ("group G 0 A B".into(), LineError::Threshold),
        ("group G 3 A B".into(), LineError::Threshold),
        ("group G 02 A B".into(), LineError::Threshold),
        ("group G some A B".into(), LineError::Threshold),
        ("group G any A A".into(), LineError::MemberTwice),
        ("group G any C".into(), LineError::UnknownName),
        ("group G any G".into(), LineError::UnknownName),
        ("group G any none".into(), LineError::UnknownName),
        ("group A any B".into(), LineError::NameTaken),
        ("group none any B".into(), LineError::NameTaken),
        ("quorum C".into(), LineError::UnknownName),
        ("quorum".into(), LineError::Syntax),
        ("quorum A B".into(), LineError::Syntax),
    ] {
        let parsed = Policy::parse(format!("{head}{line}\n").as_bytes());
        assert_eq!(parsed, Err(PolicyParseError::Line { line: 3, error }), "{line}");
    }
    let fourth = |error| Err(PolicyParseError::Line { line: 4, error });
    let two = |a: &str, b: &str| Policy::parse(format!("{head}{a}\n{b}\n").as_bytes());
    assert_eq!(two("quorum A", "quorum A"), fourth(LineError::SecondQuorum));
    assert_eq!(two("group G any A", "group H any A B"), fourth(LineError::MemberTwice));
    assert_eq!(two(&format!("log {l}"), &format!("log {l}")), fourth(LineError::DuplicateKey));
    assert_eq!(Policy::parse(head.as_bytes()), Err(PolicyParseError::NoQuorum));
}

#[test]
fn only_text_is_read() {
    for bad in [
        &b"quorum none"[..],
        b"",
        b"quorum none\r\n",
        b"quorum\0none\n",
        b"# \x7f\nquorum none\n",
        b"# \xff\nquorum none\n",
    ] {
        assert_eq!(Policy::parse(bad), Err(PolicyParseError::Text), "{bad:?}");
    }
    assert!(Policy::parse(b"quorum none\n").is_ok());
    assert_eq!(Policy::parse(&vec![b'#'; MAX_POLICY_LEN + 1]), Err(PolicyParseError::TooLong));
}
