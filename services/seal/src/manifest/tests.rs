use convenio_model::SeededEntropy;
use prost::Message;

use super::*;

fn manifest() -> KeyManifest {
    NodeKeys::generate(&SeededEntropy::new(1)).manifest("sv", "node.sv.example", 1)
}

fn parse(manifest: &KeyManifest) -> Result<ManifestKeys, ManifestError> {
    ManifestKeys::parse(&manifest.encode_to_vec())
}

#[test]
fn key_files_and_manifest_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let keys = NodeKeys::generate(&SeededEntropy::new(1));
    keys.store(dir.path()).unwrap();
    assert!(matches!(NodeKeys::generate(&SeededEntropy::new(2)).store(dir.path()), Err(KeyError::Exists)));
    let loaded = NodeKeys::load(dir.path()).unwrap();
    let read = parse(&loaded.manifest("sv", "node.sv.example", 3)).unwrap();
    assert!(keys.matches(&read));
    assert!(!NodeKeys::generate(&SeededEntropy::new(2)).matches(&read));
    assert_eq!((read.party.as_str(), read.node.as_str(), read.version), ("sv", "node.sv.example", 3));
    assert_eq!(read.mirror, keys.mirror.public());
}

#[test]
fn odd_manifests_are_refused() {
    let bad = |change: &dyn Fn(&mut KeyManifest)| {
        let mut manifest = manifest();
        change(&mut manifest);
        parse(&manifest).unwrap_err()
    };
    assert_eq!(bad(&|m| m.party = "SV".into()), ManifestError::Field("party"));
    assert_eq!(bad(&|m| m.node = "node sv".into()), ManifestError::Field("node"));
    assert_eq!(bad(&|m| m.version = 0), ManifestError::Field("version"));
    assert_eq!(bad(&|m| drop(m.keys.remove(2))), ManifestError::Missing("mirror"));
    assert_eq!(bad(&|m| m.keys.push(m.keys[0].clone())), ManifestError::Repeated);
    assert_eq!(bad(&|m| m.keys[3].spki = m.keys[2].spki.clone()), ManifestError::Repeated);
    assert_eq!(bad(&|m| m.keys[0].r#use = "other".into()), ManifestError::UnknownUse);
    assert_eq!(bad(&|m| m.keys[0].alg = "Ed25519".into()), ManifestError::Field("keys.alg"));
    assert_eq!(bad(&|m| m.keys[0].spki.truncate(43)), ManifestError::Field("keys.spki"));
    assert_eq!(bad(&|m| m.keys[0].alg = "x".repeat(MAX_MANIFEST)), ManifestError::TooLarge);

    let mut bytes = manifest().encode_to_vec();
    bytes.extend([0x78, 0x01]); // field 15
    assert_eq!(ManifestKeys::parse(&bytes), Err(ManifestError::Encoding(NotCanonical::Differs)));
}

#[test]
fn other_uses_are_let_pass_once() {
    let mut with_other = manifest();
    with_other.keys.push(Key { r#use: "tls-ca".into(), alg: "ecdsa-p256".into(), spki: vec![1] });
    assert_eq!(parse(&with_other), parse(&manifest()));
    with_other.keys.push(Key { r#use: "tls-ca".into(), alg: "ecdsa-p256".into(), spki: vec![2] });
    assert_eq!(parse(&with_other), Err(ManifestError::Repeated));
}
