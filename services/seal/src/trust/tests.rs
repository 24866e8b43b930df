use convenio_model::SeededEntropy;
use proptest::prelude::*;

use super::*;
use crate::key::SigningKey;

fn key(seed: u64) -> PublicKey {
    SigningKey::generate(&SeededEntropy::new(seed)).public()
}

fn trust() -> TrustFile {
    TrustFile {
        agreements: vec![TrustedAgreement { id: "sv-ca".into(), digest: [0xab; 32] }],
        roots: vec![RootSet::new("sv", 2, vec![key(1), key(2)]).unwrap(), RootSet::new("ca", 1, vec![key(3)]).unwrap()],
        nodes: vec![TrustedNode { party: "sv".into(), node: "node.sv.example".into() }],
        offices: vec![TrustedOffice { party: "sv".into(), office: "minrex".into(), key: key(4) }],
        checkpoints: vec![PinnedCheckpoint {
            origin: "node.sv.example/agreements/sv-ca/to/node.ca.example/1".parse().unwrap(),
            size: 7,
            root: [9; 32],
        }],
    }
}

#[test]
fn what_is_written_is_read() {
    let text = trust().to_string();
    let read = TrustFile::parse(&text).unwrap();
    assert_eq!(read, trust());
    assert_eq!(TrustFile::parse(&format!("# gazette 12\n\n{text}# end")).unwrap(), trust());
    assert!(read.trusts("sv-ca", &[0xab; 32]) && !read.trusts("sv-ca", &[0; 32]) && !read.trusts("sv-es", &[0xab; 32]));
    assert!(read.trusts("sv-ca-gt-hn", &[0xab; 32]) && !read.trusts("sv-ca-gt-hn", &[0; 32]));
    assert!(!read.trusts("sv-ca-gt", &[0xab; 32]) && !read.trusts("sv-ca-gt-h1", &[0xab; 32]));
    assert_eq!(read.roots_of("sv").map(RootSet::threshold), Some(2));
    assert_eq!(read.roots_of("es"), None);
}

#[test]
fn a_bad_line_is_named() {
    let (k1, k2) = (key(1).spki_base64(), key(2).spki_base64());
    let digest = "ab".repeat(32);
    let hash = base64(&[9; 32]);
    let origin = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
    for (line, fault) in [
        ("trust me".to_owned(), TrustFault::Keyword),
        (" # indented".to_owned(), TrustFault::Keyword),
        ("agreement sv-ca".to_owned(), TrustFault::Fields),
        (format!("agreement sv-ca  {digest}"), TrustFault::Fields),
        (format!("agreement sv-ca {}", digest.to_uppercase()), TrustFault::Field("digest")),
        (format!("agreement sv-ca {digest}\r"), TrustFault::Field("digest")),
        (format!("agreement sv/ca {digest}"), TrustFault::Field("id")),
        ("root sv".to_owned(), TrustFault::Fields),
        ("root sv 1".to_owned(), TrustFault::RootSet),
        (format!("root SV 1 {k1}"), TrustFault::Field("party")),
        (format!("root sv 01 {k1}"), TrustFault::Field("k")),
        (format!("root sv 0 {k1}"), TrustFault::RootSet),
        (format!("root sv 3 {k1} {k2}"), TrustFault::RootSet),
        (format!("root sv 2 {k1} {k1}"), TrustFault::RootSet),
        (format!("root sv 1 {}", &k1[1..]), TrustFault::Field("spki")),
        ("node sv".to_owned(), TrustFault::Fields),
        ("node SV node.sv.example".to_owned(), TrustFault::Field("party")),
        ("node sv node/sv".to_owned(), TrustFault::Field("node")),
        ("office sv minrex".to_owned(), TrustFault::Fields),
        (format!("office SV minrex {k1}"), TrustFault::Field("party")),
        (format!("office sv Minrex {k1}"), TrustFault::Field("office")),
        (format!("office sv minrex {}", &k1[1..]), TrustFault::Field("spki")),
        (format!("checkpoint {origin} 7"), TrustFault::Fields),
        (format!("checkpoint {origin}/ 7 {hash}"), TrustFault::Field("origin")),
        (format!("checkpoint {origin} -7 {hash}"), TrustFault::Field("size")),
        (format!("checkpoint {origin} 7 {}", &hash[..43]), TrustFault::Field("root")),
    ] {
        let text = format!("# first\n\n{line}\n");
        assert_eq!(TrustFile::parse(&text), Err(TrustError { line: 3, fault }), "{line}");
    }
}

#[test]
fn a_node_line_binds_a_node_to_its_party_and_a_party_to_its_nodes() {
    let trust =
        TrustFile::parse("node sv node.sv.example\nnode sv second.sv.example\nnode ca node.ca.example\n").unwrap();
    for (party, node, allowed) in [
        ("sv", "node.sv.example", true),
        ("sv", "second.sv.example", true),
        ("sv", "other.sv.example", false),
        ("ca", "node.sv.example", false),
        ("gt", "node.sv.example", false),
        ("gt", "node.gt.example", true),
    ] {
        assert_eq!(trust.allows(party, node), allowed, "{party} {node}");
    }
    // Files written before there was such a line bind nobody.
    assert!(TrustFile::default().allows("ca", "node.sv.example"));
    let twice = TrustFile::parse("node sv node.sv.example\nnode ca node.sv.example\n");
    assert_eq!(twice, Err(TrustError { line: 2, fault: TrustFault::Repeated }));
}

#[test]
fn a_key_is_of_one_office_and_an_office_may_have_several() {
    let (k1, k2) = (key(1).spki_base64(), key(2).spki_base64());
    let trust = TrustFile::parse(&format!("office sv minrex {k1}\noffice sv minrex {k2}\n")).unwrap();
    assert_eq!(trust.office_of(&key(2)).map(|office| office.office.as_str()), Some("minrex"));
    assert_eq!(trust.office_of(&key(3)), None);
    let shared = TrustFile::parse(&format!("office sv minrex {k1}\noffice sv mtps {k1}\n"));
    assert_eq!(shared, Err(TrustError { line: 2, fault: TrustFault::Repeated }));
}

#[test]
fn repeated_lines_and_long_files_are_refused() {
    let text = trust().to_string();
    for line in text.lines() {
        let repeated = TrustFile::parse(&format!("{text}{line}\n"));
        assert_eq!(repeated, Err(TrustError { line: 7, fault: TrustFault::Repeated }));
    }
    let long = "#".repeat(MAX_TRUST + 1);
    assert_eq!(TrustFile::parse(&long), Err(TrustError { line: 0, fault: TrustFault::TooLarge }));
}

proptest! {
    #[test]
    fn no_text_panics(text in "((agreement|root|node|office|checkpoint) [ -~]{0,30}\n){0,4}\\PC{0,20}") {
        if let Ok(file) = TrustFile::parse(&text) {
            prop_assert_eq!(TrustFile::parse(&file.to_string()), Ok(file));
        }
    }
}
