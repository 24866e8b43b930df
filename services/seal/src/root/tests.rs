use convenio_model::SeededEntropy;

use super::*;

fn roots() -> Vec<SigningKey> {
    (10..13).map(|seed| SigningKey::generate(&SeededEntropy::new(seed))).collect()
}

fn set(keys: &[SigningKey], threshold: usize) -> RootSet {
    RootSet::new("sv", threshold, keys.iter().map(SigningKey::public).collect()).unwrap()
}

fn said(roots: RootSet) -> RatifiedBy {
    RatifiedBy::new("sv-ca", [3; 32], "node.sv.example", roots)
}

#[test]
fn a_root_set_can_be_reached_and_is_distinct() {
    let public: Vec<_> = roots().iter().map(SigningKey::public).collect();
    assert!(RootSet::new("sv", 3, public.clone()).is_ok());
    assert!(matches!(RootSet::new("sv", 4, public.clone()), Err(RootError::Set)));
    assert!(matches!(RootSet::new("sv", 0, public.clone()), Err(RootError::Set)));
    assert!(matches!(RootSet::new("sv", 1, vec![]), Err(RootError::Set)));
    assert!(matches!(RootSet::new("sv", 1, vec![public[0], public[0]]), Err(RootError::Set)));
    assert!(matches!(RootSet::new("S", 1, public.clone()), Err(RootError::Field("party"))));
    let reversed = public.iter().rev().copied().collect();
    assert_eq!(RootSet::new("sv", 2, public).unwrap(), RootSet::new("sv", 2, reversed).unwrap());
}

#[test]
fn a_ratification_survives_file_and_entry() {
    let keys = roots();
    let trusted = set(&keys, 2);
    let envelope = sign_ratification(&said(trusted.clone()), &[&keys[0], &keys[2]]).unwrap();
    let ratify = ratify_from(&Envelope::parse(envelope.to_json().as_bytes()).unwrap()).unwrap();
    assert_eq!(ratify_envelope(&ratify), envelope);
    let verified = verify_ratify(&ratify, &trusted).unwrap();
    assert_eq!(verified, said(trusted.clone()));
    assert_eq!(verified.party(), "sv");
    assert_eq!(self_described_roots(&ratify).unwrap(), verified);
}

#[test]
fn too_few_or_foreign_roots_ratify_nothing() {
    let keys = roots();
    let trusted = set(&keys, 2);
    let one = ratify_from(&sign_ratification(&said(trusted.clone()), &[&keys[0], &keys[0]]).unwrap()).unwrap();
    assert!(matches!(verify_ratify(&one, &trusted), Err(RootError::Dsse(DsseError::BelowThreshold { valid: 1, .. }))));
    assert!(self_described_roots(&one).is_err());

    // Roots that a stranger names himself are good only by their own word.
    let stranger = vec![SigningKey::generate(&SeededEntropy::new(99))];
    let own = sign_ratification(&said(set(&stranger, 1)), &[&stranger[0]]).unwrap();
    let own = ratify_from(&own).unwrap();
    assert!(self_described_roots(&own).is_ok());
    assert!(verify_ratify(&own, &trusted).is_err());

    // The trusted roots cannot lower their own threshold this way.
    let weaker = sign_ratification(&said(set(&keys, 1)), &[&keys[0], &keys[1]]).unwrap();
    assert!(matches!(verify_ratify(&ratify_from(&weaker).unwrap(), &trusted), Err(RootError::OtherRoots)));
    assert!(matches!(sign_ratification(&said(trusted), &[&stranger[0]]), Err(RootError::OtherRoots)));
}

#[test]
fn every_changed_byte_of_a_payload_is_refused() {
    let keys = roots();
    let trusted = set(&keys, 2);
    let ratify = ratify_from(&sign_ratification(&said(trusted.clone()), &[&keys[0], &keys[1]]).unwrap()).unwrap();
    for at in 0..ratify.payload.len() {
        let mut bad = ratify.clone();
        bad.payload[at] ^= 1;
        assert!(verify_ratify(&bad, &trusted).is_err(), "{at}");
    }
}
