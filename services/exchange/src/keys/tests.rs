use convenio_model::SeededEntropy;
use prost::Message;

use super::*;

const ORIGIN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/2";

fn manifest(seed: u64, version: u64) -> ManifestKeys {
    let keys = NodeKeys::generate(&SeededEntropy::new(seed));
    ManifestKeys::parse(&keys.manifest("sv", "node.sv.example", version).encode_to_vec()).unwrap()
}

#[test]
fn each_entry_has_the_manifest_in_force() {
    let mut timeline = Timeline::opened(manifest(1, 1));
    assert!(timeline.rotate(10, manifest(2, 2)));
    assert!(!timeline.rotate(11, manifest(3, 2)) && !timeline.rotate(10, manifest(3, 3)));
    let version = |index| timeline.at(index).unwrap().version;
    assert_eq!([version(0), version(9), version(10), version(99)], [1, 1, 2, 2]);
    let signers = |size| timeline.signers(size).map(|keys| keys.version).collect::<Vec<_>>();
    assert_eq!((signers(10), signers(11), signers(0)), (vec![1, 2], vec![2], vec![1, 2]));
}

#[test]
fn a_revoked_key_is_believed_up_to_the_last_good_entry() {
    let keys = manifest(1, 1);
    let mut revoked = Revocations::default();
    let said = KeyRevocation {
        key_id: keys.record.key_id().to_vec(),
        log_origin: ORIGIN.to_owned(),
        last_good_size: 9,
        ..KeyRevocation::default()
    };
    assert!(revoked.add(said.clone()) && !revoked.add(said));
    assert!(revoked.good(&keys.record, ORIGIN, 9) && !revoked.good(&keys.record, ORIGIN, 10));
    assert!(revoked.good(&keys.log, ORIGIN, 10));
    let other =
        |epoch: u64, agreement: &str| format!("node.sv.example/agreements/{agreement}/to/node.ca.example/{epoch}");
    assert!(revoked.good(&keys.record, &other(1, "sv-ca"), 100));
    assert!(!revoked.good(&keys.record, &other(3, "sv-ca"), 1));
    assert!(!revoked.good(&keys.record, &other(1, "sv-us"), 1));
}
