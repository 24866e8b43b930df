use convenio_model::SeededEntropy;

use super::*;

fn request() -> RecoveryRequest {
    RecoveryRequest {
        agreement: "sv-ca".into(),
        party: "sv".into(),
        node: "node.sv.example".into(),
        partner: "node.ca.example".into(),
        log_origin: "node.sv.example/agreements/sv-ca/to/node.ca.example/1".into(),
        challenge: vec![7; 32],
        number: 1,
        reason: "lost disk".into(),
    }
}

#[test]
fn officers_sign_one_after_another_and_the_threshold_counts() {
    let entropy = SeededEntropy::new(1);
    let keys: Vec<_> = (0..3).map(|_| SigningKey::generate(&entropy)).collect();
    let roots = RootSet::new("sv", 2, keys.iter().map(SigningKey::public).collect()).unwrap();
    let unsigned = recovery_envelope(&request()).unwrap();
    let first = sign_recovery(&unsigned, &[&keys[0]]).unwrap();
    assert!(verify_recovery(&first.payload, &first.signatures, &roots).is_err());
    let again = sign_recovery(&first, &[&keys[0]]).unwrap();
    assert!(verify_recovery(&again.payload, &again.signatures, &roots).is_err());
    let both = sign_recovery(&first, &[&keys[2]]).unwrap();
    assert_eq!(verify_recovery(&both.payload, &both.signatures, &roots).unwrap(), request());
    let other = recovery_envelope(&RecoveryRequest { number: 2, ..request() }).unwrap();
    assert!(verify_recovery(&other.payload, &both.signatures, &roots).is_err());
}

#[test]
fn a_request_names_one_log_of_the_asking_node() {
    let bad = [
        RecoveryRequest { partner: "node.cb.example".into(), ..request() },
        RecoveryRequest { agreement: "sv-cb".into(), ..request() },
        RecoveryRequest { challenge: vec![7; 31], ..request() },
        RecoveryRequest { number: 0, ..request() },
        RecoveryRequest { reason: "a\u{7}".into(), ..request() },
    ];
    for bad in bad {
        assert!(recovery_envelope(&bad).is_err(), "{bad:?}");
    }
}
