//! Times and deadlines: what the cosigners' clocks say against a log's.

use convenio_audit::{Verification, verify};
use convenio_log::cosignature;
use tempfile::TempDir;

use crate::export::draft;
use crate::integrity::{job, story, trust};
use crate::pair::{CA, Named, Pair, SV, node_name, origin};

fn checked(pair: &Pair, exporter: usize) -> Verification {
    let dir = TempDir::new().unwrap();
    draft(pair, exporter).write(pair, dir.path());
    let found = verify(dir.path(), &trust(pair)).unwrap();
    // Nothing of this is a broken log.
    assert!(found.holds, "{:#?}", found.problems);
    found
}

fn told(found: &Verification) -> Vec<(&str, String, u64)> {
    let of = |finding: &convenio_audit::Problem| {
        (finding.reason, finding.origin.clone().unwrap_or_default(), finding.index.unwrap_or(u64::MAX))
    };
    found.findings.iter().map(of).collect()
}

/// The partner's mirror cosigns all of a node's log, at a time of its own.
fn cosigned_at(pair: &mut Pair, node: usize, seconds: u64) {
    let size = pair.nodes[node].log.len() as u64;
    let mut signed = pair.head(node, size);
    let mirror = Named(format!("{}/mirror/1", node_name(1 - node)), &pair.nodes[1 - node].keys.mirror);
    cosignature::append(&mut signed, &mirror, seconds).unwrap();
    pair.nodes[node].cosigned.insert(size, signed);
}

#[test]
fn a_tail_that_nobody_cosigns_in_time_is_overdue() {
    let mut pair = story();
    let first = pair.nodes[SV].log.len() as u64;
    pair.act(SV, &job(1, None), "documented").unwrap();
    pair.act(SV, &job(1, None), "oriented").unwrap();
    assert_eq!(told(&checked(&pair, SV)), []);
    // The partner goes on, and does not mirror.
    let hours = u64::from(pair.pack.config().cosign_deadline_hours);
    pair.pass(hours.div_ceil(24) + 1);
    pair.licence(CA, convenio_model::Ref([9; 16]), convenio_wire::r#type::v1::LicenceState::Active);
    pair.deliver(CA);
    assert_eq!(told(&checked(&pair, SV)), [("COSIGNATURE_OVERDUE", origin(SV), first)]);
    pair.deliver(SV);
    assert_eq!(told(&checked(&pair, SV)), []);
}

#[test]
fn a_log_ahead_of_its_cosigner_is_told() {
    let mut pair = story();
    pair.act(SV, &job(1, None), "documented").unwrap();
    let index = pair.nodes[SV].log.len() as u64 - 1;
    let now = pair.now_ms() / 1_000;
    cosigned_at(&mut pair, SV, now - 30);
    let skewed = ("CLOCK_SKEW", origin(SV), index);
    assert!(!told(&checked(&pair, SV)).contains(&skewed));
    cosigned_at(&mut pair, SV, now - 31);
    assert!(told(&checked(&pair, SV)).contains(&skewed));
}

#[test]
fn a_cosigner_whose_time_goes_back_is_told() {
    let mut pair = story();
    let now = pair.now_ms() / 1_000;
    let first = pair.nodes[SV].log.len() as u64;
    pair.act(SV, &job(1, None), "documented").unwrap();
    cosigned_at(&mut pair, SV, now + 20);
    assert_eq!(told(&checked(&pair, SV)), []);
    pair.act(SV, &job(1, None), "oriented").unwrap();
    cosigned_at(&mut pair, SV, now + 10);
    assert_eq!(told(&checked(&pair, SV)), [("COSIGNATURE_TIME", origin(SV), first + 1)]);
}

#[test]
fn an_entry_that_entangles_the_future_is_told() {
    let mut pair = story();
    pair.licence(CA, convenio_model::Ref([9; 16]), convenio_wire::r#type::v1::LicenceState::Active);
    let now = pair.now_ms() / 1_000;
    cosigned_at(&mut pair, CA, now + 3_600);
    pair.entangle(SV);
    let index = pair.nodes[SV].log.len() as u64 - 1;
    pair.deliver(SV);
    assert_eq!(told(&checked(&pair, SV)), [("CLOCK_SKEW", origin(SV), index)]);
}
