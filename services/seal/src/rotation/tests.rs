use convenio_model::SeededEntropy;
use convenio_wire::exchange::v1::{KeyRevocation, KeyRotate, Revoke};

use super::*;
use crate::manifest::NodeKeys;

fn roots(seed: u64) -> (SigningKey, RootSet) {
    let key = SigningKey::generate(&SeededEntropy::new(seed));
    let set = RootSet::new("sv", 1, vec![key.public()]).unwrap();
    (key, set)
}

fn revocation() -> KeyRevocation {
    KeyRevocation {
        party: "sv".into(),
        node: "node.sv.example".into(),
        key_id: vec![1; 32],
        r#use: "record".into(),
        log_origin: "node.sv.example/agreements/sv-ca/to/node.ca.example/1".into(),
        last_good_size: 9,
        last_good_root: vec![2; 32],
        reason: "stolen".into(),
    }
}

#[test]
fn new_keys_are_believed_by_the_roots_of_their_party_alone() {
    let ((root, set), (other, _)) = (roots(1), roots(2));
    let keys = NodeKeys::generate(&SeededEntropy::new(3));
    let manifest = keys.manifest("sv", "node.sv.example", 2);
    let rotate = |by: &SigningKey| key_rotate_from(&sign_keys(&manifest, &[by]).unwrap()).unwrap();
    assert_eq!(verify_key_rotate(&rotate(&root), &set).unwrap().version, 2);
    assert!(verify_key_rotate(&rotate(&other), &set).is_err());
    assert!(verify_key_rotate(&KeyRotate { root_signatures: vec![], ..rotate(&root) }, &set).is_err());
    let foreign = keys.manifest("ca", "node.sv.example", 2);
    let foreign = key_rotate_from(&sign_keys(&foreign, &[&root]).unwrap()).unwrap();
    assert!(matches!(verify_key_rotate(&foreign, &set), Err(RootError::Mismatch("key_manifest.party"))));
}

#[test]
fn a_revocation_is_read_strictly_and_believed_by_its_roots() {
    let ((root, set), (other, _)) = (roots(1), roots(2));
    let envelope = sign_revocation(&revocation(), &[&root]).unwrap();
    let revoke = revoke_from(&envelope).unwrap();
    assert_eq!(verify_revoke(&revoke, &set).unwrap(), revocation());
    assert_eq!(revocation_envelope(&revoke), envelope);
    let forged = Revoke { signatures: sign_revocation(&revocation(), &[&other]).unwrap().signatures, ..revoke };
    assert!(verify_revoke(&forged, &set).is_err());
    let bad = [
        KeyRevocation { r#use: "any".into(), ..revocation() },
        KeyRevocation { key_id: vec![1; 31], ..revocation() },
        KeyRevocation { last_good_root: vec![], ..revocation() },
        KeyRevocation { last_good_size: 0, ..revocation() },
        KeyRevocation { log_origin: "x".into(), ..revocation() },
        KeyRevocation { reason: "a\nb".into(), ..revocation() },
    ];
    for bad in bad {
        assert!(matches!(sign_revocation(&bad, &[&root]), Err(RootError::Field(_))), "{bad:?}");
    }
}
