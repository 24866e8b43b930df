use std::os::unix::fs::PermissionsExt;

use convenio_node::tls::TlsMaterial;

use super::*;

fn spec() -> StateSpec {
    StateSpec {
        state: "sv".to_owned(),
        trust_domain: "sv.example".to_owned(),
        node_name: "node.sv.example".to_owned(),
        organisation: "mtps".to_owned(),
        posts: vec![("mre".to_owned(), "toronto".to_owned())],
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now_ms())
}

#[test]
fn every_certificate_of_a_set_is_usable_and_names_its_role() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("certs/sv");
    let written = init(&dir, &spec(), now()).unwrap();
    let named: Vec<_> = written
        .certificates
        .iter()
        .map(|(path, id)| (path.file_name().unwrap().to_str().unwrap().to_owned(), id.to_string()))
        .collect();
    let expected = [
        ("node.pem", "spiffe://sv.example/node/sv"),
        ("integration.pem", "spiffe://sv.example/integration/mtps"),
        ("operator.pem", "spiffe://sv.example/operator/mtps"),
        ("auditor.pem", "spiffe://sv.example/auditor/mtps"),
        ("ministry.pem", "spiffe://sv.example/ministry/mtps"),
        ("consulate-toronto.pem", "spiffe://sv.example/consulate/mre/toronto"),
    ];
    assert_eq!(named, expected.map(|(file, id)| (file.to_owned(), id.to_owned())));
    for (path, identity) in written.certificates {
        let material = TlsMaterial {
            key: path.with_extension("sk.pem"),
            certificate: path,
            own_ca: written.ca.clone(),
            own_trust_domain: "sv.example".to_owned(),
            partner_cas: Vec::new(),
            crls: Vec::new(),
        };
        let loaded = material.load().unwrap();
        assert_eq!(*loaded.identity(), identity);
        loaded.check_own_chain().unwrap();
    }
}

#[test]
fn private_keys_are_the_owners_alone() {
    let temp = tempfile::tempdir().unwrap();
    init(temp.path(), &spec(), now()).unwrap();
    let mut keys = 0;
    for entry in fs::read_dir(temp.path()).unwrap().map(Result::unwrap) {
        let text = fs::read_to_string(entry.path()).unwrap();
        let is_key = text.contains("PRIVATE KEY");
        assert_eq!(is_key, entry.file_name().to_str().unwrap().ends_with(".sk.pem"));
        if is_key {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            keys += 1;
        }
    }
    assert_eq!(keys, 7);
}

#[test]
fn a_set_is_never_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let written = init(temp.path(), &spec(), now()).unwrap();
    let before = fs::read(&written.ca).unwrap();
    let error = init(temp.path(), &spec(), now()).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
    assert_eq!(fs::read(&written.ca).unwrap(), before);
}

#[test]
fn a_name_that_cannot_be_certified_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("new");
    let post = |name: &str| vec![("mre".to_owned(), name.to_owned())];
    let twice = [post("toronto"), post("toronto")].concat();
    let cases = [
        ("Sv.example", StateSpec { trust_domain: "Sv.example".to_owned(), ..spec() }),
        ("../x", StateSpec { posts: post("../x"), ..spec() }),
        ("named twice", StateSpec { posts: twice, ..spec() }),
        ("not a DNS name", StateSpec { node_name: "node sv".to_owned(), ..spec() }),
    ];
    for (said, spec) in cases {
        let error = format!("{:#}", init(&dir, &spec, now()).unwrap_err());
        assert!(error.contains(said), "{error}");
        assert!(!dir.exists());
    }
}
