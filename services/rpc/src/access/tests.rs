#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use prost::Message;
use prost_types::FileDescriptorSet;

use super::*;

/// Path of every method in `descriptors`, with whether either side streams.
fn methods(descriptors: &[u8]) -> BTreeMap<String, bool> {
    let set = FileDescriptorSet::decode(descriptors).unwrap();
    let mut methods = BTreeMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.insert(path, method.client_streaming() || method.server_streaming());
            }
        }
    }
    methods
}

#[test]
fn every_method_of_the_contract_is_listed_explicitly_and_nothing_else() {
    let mut served = methods(convenio_wire::DESCRIPTORS);
    assert!(served.len() > 30, "the descriptors hold the services: {}", served.len());
    served.extend(methods(tonic_health::pb::FILE_DESCRIPTOR_SET));
    served.extend(methods(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
    let listed: BTreeMap<_, _> = TABLE.iter().map(|rule| (rule.path.to_owned(), rule.streams)).collect();
    assert_eq!(listed.len(), TABLE.len(), "a method is listed twice");
    assert_eq!(listed, served);
}

#[test]
fn an_unlisted_method_has_no_rule() {
    for path in ["/convenio.registry.v1.WorkerService/DeleteWorker", "/", "", "convenio.node.v1.NodeService/GetRecord"]
    {
        assert!(rule(path).is_none(), "{path}");
    }
}

#[test]
fn only_a_partners_node_replicates_and_a_partner_calls_nothing_else_but_negotiations_and_health() {
    for rule in TABLE {
        let negotiates = rule.path.starts_with("/convenio.agreement.v1.NegotiationService/");
        let listing = rule.path.ends_with("/ListNegotiations");
        assert_eq!(rule.partner, if negotiates && !listing { &["node"][..] } else { &[] }, "{}", rule.path);
        match rule.path {
            path if path.starts_with("/convenio.exchange.v1.ExchangeService/") => {
                assert_eq!((rule.side, rule.roles), (Side::Partner, &["node"][..]));
            }
            path if path.starts_with("/grpc.health.v1.Health/") => assert_eq!(rule.side, Side::Either),
            path => assert_eq!(rule.side, Side::Own, "{path}"),
        }
    }
}

#[test]
fn operators_and_auditors_change_nothing() {
    let reads = ["Get", "List", "Lookup"];
    for rule in TABLE.iter().filter(|rule| rule.path.starts_with("/convenio.")) {
        let method = rule.path.rsplit('/').next().unwrap();
        let reads = reads.iter().any(|verb| method.starts_with(verb));
        assert!(reads || !rule.roles.contains(&OPERATOR) && !rule.roles.contains(&AUDITOR), "{}", rule.path);
    }
}

#[test]
fn a_role_that_is_not_known_is_not_logged() {
    assert_eq!(role_label("consulate"), "consulate");
    assert_eq!(role_label("maria-perez"), "other");
}
