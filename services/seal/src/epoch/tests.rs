use convenio_model::SeededEntropy;

use super::*;
use crate::dsse::DsseError;
use crate::manifest::NodeKeys;

const ORIGIN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";

fn root() -> SigningKey {
    SigningKey::generate(&SeededEntropy::new(10))
}

fn set(party: &str) -> RootSet {
    RootSet::new(party, 1, vec![root().public()]).unwrap()
}

fn first() -> EpochAuthorisation {
    EpochAuthorisation {
        log_origin: ORIGIN.into(),
        epoch: 1,
        prev_size: 0,
        prev_root: vec![],
        reason: "first".into(),
        key_manifest: NodeKeys::generate(&SeededEntropy::new(1)).manifest("sv", "node.sv.example", 1).encode_to_vec(),
    }
}

#[test]
fn an_authorisation_survives_file_and_entry() {
    let envelope = authorise_epoch(&first(), &[&root()]).unwrap();
    let (origin, open) = epoch_open_from(&Envelope::parse(envelope.to_json().as_bytes()).unwrap()).unwrap();
    assert_eq!(origin.to_string(), ORIGIN);
    assert_eq!(epoch_envelope(&open, ORIGIN), envelope);
    let keys = verify_epoch_open(&open, ORIGIN, &set("sv")).unwrap();
    assert!(NodeKeys::generate(&SeededEntropy::new(1)).matches(&keys));
}

#[test]
fn another_log_party_or_root_is_refused() {
    let (_, open) = epoch_open_from(&authorise_epoch(&first(), &[&root()]).unwrap()).unwrap();
    let elsewhere = ORIGIN.replace("node.ca", "node.es");
    let other_log = verify_epoch_open(&open, &elsewhere, &set("sv"));
    assert!(matches!(other_log, Err(RootError::Dsse(DsseError::BadSignature))), "{other_log:?}");
    let next = ORIGIN.replace("/1", "/2");
    assert!(matches!(verify_epoch_open(&open, &next, &set("sv")), Err(RootError::Mismatch("epoch"))));
    assert!(matches!(verify_epoch_open(&open, ORIGIN, &set("ca")), Err(RootError::Mismatch("key_manifest.party"))));
    let unsigned = EpochOpen { root_signatures: vec![], ..open };
    assert!(matches!(
        verify_epoch_open(&unsigned, ORIGIN, &set("sv")),
        Err(RootError::Dsse(DsseError::BelowThreshold { .. }))
    ));
}

#[test]
fn only_the_first_epoch_has_no_predecessor() {
    let check = |change: &dyn Fn(&mut EpochAuthorisation)| {
        let mut said = first();
        change(&mut said);
        authorise_epoch(&said, &[&root()]).map(drop)
    };
    let second = |said: &mut EpochAuthorisation| {
        said.log_origin = ORIGIN.replace("/1", "/2");
        said.epoch = 2;
        said.prev_size = 7;
        said.prev_root = vec![1; 32];
    };
    assert!(check(&second).is_ok());
    assert!(matches!(
        check(&|s| {
            second(s);
            s.prev_root.clear()
        }),
        Err(RootError::Field("prev_root"))
    ));
    assert!(matches!(check(&|s| s.prev_root = vec![1; 32]), Err(RootError::Field("prev_root"))));
    assert!(matches!(check(&|s| s.prev_size = 1), Err(RootError::Field("prev_size"))));
    assert!(matches!(check(&|s| s.reason = "a\nb".into()), Err(RootError::Field("reason"))));
    assert!(matches!(check(&|s| s.log_origin = "x".into()), Err(RootError::Field("log_origin"))));
    let other_node = ORIGIN.replace("node.sv", "node.es");
    assert!(matches!(check(&|s| s.log_origin = other_node.clone()), Err(RootError::Mismatch("key_manifest.node"))));
}
