use super::*;
use crate::parties::{TIME, cosigned, log_key, mirror, mirror_key, signer, witness, witness_key};

#[test]
fn the_message_is_the_specifications() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let expected = format!("cosignature/v1\ntime 1679315147\n{text}");
    assert_eq!(message(1_679_315_147, text), expected.as_bytes());
}

#[test]
fn cosigners_are_told_apart() {
    let (_, mut signed) = cosigned(5);
    assert_eq!(verify(&signed, &mirror_key()), Ok(TIME));
    assert_eq!(verify(&signed, &witness_key()), Err(NoteError::NoKnownSignature.into()));
    append(&mut signed, &witness(), TIME + 1).unwrap();
    append(&mut signed, &mirror(), TIME + 2).unwrap();
    assert_eq!(verify(&signed, &witness_key()), Ok(TIME + 1));
    assert_eq!(verify(&signed, &mirror_key()), Ok(TIME + 2));
    assert_eq!(verify(&signed, &log_key()), Err(CosignatureError::KeyType));
    let parsed = SignedCheckpoint::parse(signed.to_string().as_bytes()).unwrap();
    assert_eq!(parsed, signed);
    assert_eq!(parsed.note().verify([&log_key(), &mirror_key(), &witness_key()]).unwrap().len(), 4);
}

#[test]
fn a_plain_signature_is_no_cosignature() {
    let (_, mut signed) = cosigned(5);
    let plain = witness().sign(signed.note().text().as_bytes());
    let bytes = [&TIME.to_be_bytes()[..], &plain].concat();
    signed.add(NoteSignature::new(&witness_key(), bytes)).unwrap();
    assert!(matches!(verify(&signed, &witness_key()), Err(CosignatureError::Note(NoteError::BadSignature(_)))));
}

#[test]
fn the_time_is_signed() {
    let (_, signed) = cosigned(5);
    let line = cosign(&signed, &witness(), TIME).unwrap();
    for at in 0..COSIGNATURE_LEN {
        let mut bytes = line.signature().to_vec();
        bytes[at] ^= 1;
        let mut forged = signed.clone();
        forged.add(NoteSignature::new(&witness_key(), bytes)).unwrap();
        assert!(verify(&forged, &witness_key()).is_err(), "byte {at}");
    }
}

#[test]
fn times_and_lengths_are_bounded() {
    let (_, signed) = cosigned(5);
    assert_eq!(cosign(&signed, &witness(), 1 << 63), Err(CosignatureError::Time));
    assert!(cosign(&signed, &signer("w", 4), MAX_SIZE).is_ok());
    let text = signed.note().text();
    assert!(super::signed(text, &[0xff; COSIGNATURE_LEN]).is_none());
    for length in [0, 7, 8, 71, 73] {
        assert!(super::signed(text, &vec![0; length]).is_none(), "{length}");
    }
}
