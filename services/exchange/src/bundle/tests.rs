use convenio_model::SeededEntropy;
use prost::Message;

use super::*;

#[test]
fn repro_a_node_with_several_logs_has_a_policy() {
    let keys = |seed, party, node| {
        let keys = NodeKeys::generate(&SeededEntropy::new(seed));
        ManifestKeys::parse(&keys.manifest(party, node, 1).encode_to_vec()).unwrap()
    };
    let (sv, ca) = (keys(1, "sv", "node.sv.example"), keys(2, "ca", "node.ca.example"));
    let logs = [
        ("node.ca.example/agreements/sv-ca/to/node.sv.example/1".to_owned(), ca),
        ("node.sv.example/agreements/sv-ca/to/node.ca.example/1".to_owned(), sv.clone()),
        ("node.sv.example/agreements/sv-ca/to/node.ca.example/2".to_owned(), sv.clone()),
        ("node.sv.example/agreements/sv-us/to/node.us.example/1".to_owned(), sv),
    ];
    let policy = Policy::parse(policy(&logs).unwrap().as_bytes()).unwrap();
    let named: Vec<&str> = policy.logs().iter().map(|log| log.key().name()).collect();
    assert_eq!(named, [&logs[0].0, &logs[1].0]);
}
