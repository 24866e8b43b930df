//! A log that was lost and opened again: what the second epoch may say of the first.

use convenio_audit::{Verification, verify};
use convenio_log::{Checkpoint, MemoryTree, cosignature, leaf_hash};
use convenio_seal::{authorise_epoch, epoch_open_from, log_origin, open_entry, ratify_from, seal_entry};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Activate, EpochAuthorisation, Position, Statement};
use prost::Message;
use tempfile::TempDir;

use crate::export::{Draft, Held, draft, folder, log_files_of};
use crate::integrity::{job, story, trust};
use crate::pair::{CA, Named, Pair, SV, node_name, origin, party};

/// What the second epoch of the origin's log says.
struct Said {
    prev_size: u64,
    prev_root: [u8; 32],
    /// Indices of the first epoch whose entries are issued again.
    again: Vec<usize>,
    /// Added to the position that a re-issued entry had.
    moved: u64,
}

fn second() -> String {
    log_origin(node_name(SV), "sv-ca", node_name(CA), 2)
}

/// A story whose last act was not mirrored before the disk was lost, and what an honest epoch says of it.
fn lost() -> (Pair, Said) {
    let mut pair = story();
    let mirrored = pair.nodes[SV].log.len();
    pair.act(SV, &job(1, None), "documented").unwrap();
    let prev_root = pair.head(SV, mirrored as u64).checkpoint().root();
    let said = Said { prev_size: mirrored as u64, prev_root: *prev_root.as_bytes(), again: vec![mirrored], moved: 0 };
    (pair, said)
}

fn opening(pair: &Pair, said: &Said) -> Body {
    let authorisation = EpochAuthorisation {
        log_origin: second(),
        epoch: 2,
        prev_size: said.prev_size,
        prev_root: said.prev_root.to_vec(),
        reason: "disk lost".into(),
        key_manifest: pair.nodes[SV].keys.manifest(party(SV), node_name(SV), 1).encode_to_vec(),
    };
    let envelope = authorise_epoch(&authorisation, &[&pair.nodes[SV].root]).unwrap();
    Body::EpochOpen(epoch_open_from(&envelope).unwrap().1)
}

/// The second log.
fn reopened(pair: &Pair, said: &Said) -> Held {
    let digest = pair.pack.digest().to_vec();
    let template = open_entry(&pair.nodes[SV].log[0]).unwrap().statement;
    let mut statements = Vec::new();
    let ratify = |of: usize| Body::Ratify(ratify_from(&pair.ratification(of)).unwrap());
    let beginning = [opening(pair, said), ratify(SV), ratify(CA), Body::Activate(Activate { digest: digest.clone() })];
    for (number, body) in (0u8..).zip(beginning) {
        let mut record_id = template.record_id.clone();
        record_id[15] ^= 0x80 | number;
        let agreement_digest = if number == 0 { Vec::new() } else { digest.clone() };
        let peer = Some(Position { epoch: 1, size: pair.judged(SV) });
        statements.push(Statement {
            record_id,
            agreement_digest,
            peer,
            time_ms: pair.now_ms(),
            body: Some(body),
            ..template.clone()
        });
    }
    let (mut parts, mut entries) = (std::collections::BTreeMap::new(), Vec::new());
    for index in &said.again {
        let mut statement = open_entry(&pair.nodes[SV].log[*index]).unwrap().statement;
        statement.peer.as_mut().unwrap().size += said.moved;
        let at = statements.len() as u64;
        if let Some(held) = pair.nodes[SV].parts.get(&(*index as u64)) {
            parts.insert(at, convenio_wire::exchange::v1::EntryParts { index: at, ..held.clone() });
        }
        statements.push(statement);
    }
    for statement in statements {
        let statement = Statement { log_origin: second(), ..statement };
        entries.push(seal_entry(&statement, &pair.nodes[SV].keys.record).unwrap());
    }
    let tree: MemoryTree = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let signer = Named(second(), &pair.nodes[SV].keys.log);
    let mut checkpoint = Checkpoint::new(second(), entries.len() as u64, tree.root()).unwrap().sign(&signer).unwrap();
    let mirror = Named(format!("{}/mirror/1", node_name(CA)), &pair.nodes[CA].keys.mirror);
    cosignature::append(&mut checkpoint, &mirror, pair.now_ms() / 1_000).unwrap();
    Held { entries, parts, checkpoint, kept: Default::default() }
}

/// The origin's bundle with both epochs. One key signs both, and stands in the policy once.
fn bundle(pair: &Pair, said: &Said) -> Draft {
    bundle_of(pair, SV, said)
}

fn bundle_of(pair: &Pair, exporter: usize, said: &Said) -> Draft {
    let mut draft = draft(pair, exporter);
    let line = log_files_of(&second(), &reopened(pair, said), &mut draft.files);
    draft.logs.push(line);
    draft.logs.sort();
    draft
}

/// The origin's bundle with a second epoch that names so much of the first.
pub fn reopened_at(pair: &Pair, prev_size: u64, prev_root: [u8; 32]) -> Draft {
    bundle(pair, &Said { prev_size, prev_root, again: Vec::new(), moved: 0 })
}

fn checked(pair: &Pair, draft: &Draft) -> Verification {
    let dir = TempDir::new().unwrap();
    draft.write(pair, dir.path());
    verify(dir.path(), &trust(pair)).unwrap()
}

/// Reasons of the problems, with origin and index.
fn told(found: &Verification) -> Vec<(&str, &str, u64)> {
    let of = |problem: &convenio_audit::Problem| problem.index.unwrap_or(u64::MAX);
    found.problems.iter().map(|p| (p.reason, p.origin.as_deref().unwrap_or_default(), of(p))).collect()
}

#[test]
fn a_second_epoch_that_names_what_was_mirrored_holds() {
    let (pair, said) = lost();
    let found = checked(&pair, &bundle(&pair, &said));
    assert!(found.holds, "{:#?}", found.problems);
    assert_eq!(found.findings, []);
    // What is issued again counts once, in the second log.
    let records = |name: &str| found.logs.iter().find(|log| log.origin == name).unwrap().records;
    assert_eq!((records(&origin(SV)), records(&second())), (2, 1));
}

#[test]
fn an_epoch_may_name_neither_less_nor_more_nor_other_than_was_mirrored() {
    let (pair, honest) = lost();
    let root = |size: u64| *pair.head(SV, size).checkpoint().root().as_bytes();
    let all = pair.nodes[SV].log.len() as u64;
    let cases = [
        (honest.prev_size - 1, root(honest.prev_size - 1), "EPOCH_NAMES_LESS"),
        (all + 1, [7; 32], "EPOCH_NAMES_MORE"),
        (honest.prev_size, [7; 32], "EPOCH_ROOT"),
    ];
    for (prev_size, prev_root, reason) in cases {
        let said = Said { prev_size, prev_root, again: Vec::new(), moved: 0 };
        let found = checked(&pair, &bundle(&pair, &said));
        assert!(told(&found).contains(&(reason, &second(), 0)), "{reason}: {:#?}", found.problems);
        let epochs = told(&found).iter().filter(|(reason, ..)| reason.starts_with("EPOCH")).count();
        assert_eq!(epochs, 1, "{reason}");
    }
}

#[test]
fn repro_less_than_the_partner_entangled_is_less_than_was_mirrored() {
    let mut pair = story();
    let (prev_size, root) = (pair.nodes[SV].log.len() as u64, pair.head(SV, pair.nodes[SV].log.len() as u64));
    pair.act(SV, &job(1, None), "documented").unwrap();
    pair.deliver(SV);
    pair.entangle(CA);
    pair.deliver(CA);
    // The issuer leaves out the cosignature; the partner's log in the very same bundle has it.
    pair.nodes[SV].cosigned.remove(&(prev_size + 1));
    let prev_root = *root.checkpoint().root().as_bytes();
    let found = checked(&pair, &bundle(&pair, &Said { prev_size, prev_root, again: Vec::new(), moved: 0 }));
    assert_eq!(told(&found), [("EPOCH_NAMES_LESS", &*second(), 0)], "{:#?}", found.problems);
}

#[test]
fn repro_records_of_a_closed_epoch_need_an_outcome() {
    let mut pair = story();
    pair.act(SV, &job(1, None), "documented").unwrap();
    pair.deliver(SV);
    let size = pair.nodes[SV].log.len() as u64;
    let prev_root = *pair.head(SV, size).checkpoint().root().as_bytes();
    let said = Said { prev_size: size, prev_root, again: Vec::new(), moved: 0 };
    // The partner says that it is within the second epoch, and never decided the last record of the first.
    pair.licence(CA, convenio_model::Ref([9; 16]), convenio_wire::r#type::v1::LicenceState::Active);
    let last = pair.nodes[CA].log.last_mut().unwrap();
    let mut statement = open_entry(last).unwrap().statement;
    statement.peer = Some(Position { epoch: 2, size: 4 });
    *last = seal_entry(&statement, &pair.nodes[CA].keys.record).unwrap();
    pair.deliver(CA);
    for exporter in [SV, CA] {
        let found = checked(&pair, &bundle_of(&pair, exporter, &said));
        assert_eq!(told(&found), [("NO_OUTCOME", &*origin(SV), size - 1)], "{:#?}", found.problems);
    }
}

#[test]
fn repro_an_epoch_opened_between_two_exports_is_no_fault() {
    let (pair, said) = lost();
    let (first, second_bundle) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    bundle(&pair, &said).write(&pair, first.path());
    draft(&pair, CA).write(&pair, second_bundle.path());
    for (a, b) in [(&first, &second_bundle), (&second_bundle, &first)] {
        let both = convenio_audit::compare(a.path(), b.path(), &trust(&pair)).unwrap();
        assert!(both.holds, "{:#?}", both.problems);
        let log = both.logs.iter().find(|log| log.origin == second()).unwrap();
        assert_eq!((log.common, log.undelivered), (0, 5));
    }
}

#[test]
fn a_second_epoch_without_the_first_is_a_gap() {
    let (pair, said) = lost();
    let mut alone = bundle(&pair, &said);
    alone.files.retain(|path, _| !path.starts_with(&folder(SV)));
    alone.logs.retain(|line| !line.contains(&format!("{} ", origin(SV))));
    let found = checked(&pair, &alone);
    assert!(told(&found).contains(&("EPOCH_GAP", &second(), 0)), "{:#?}", found.problems);
}

#[test]
fn what_is_issued_again_keeps_its_id_and_position_and_was_not_mirrored() {
    let (pair, honest) = lost();
    let moved = Said { moved: 1, ..honest };
    let found = checked(&pair, &bundle(&pair, &moved));
    assert!(told(&found).contains(&("REISSUED_CHANGED", &second(), 4)), "{:#?}", found.problems);
    // A record that the partner has would count twice.
    let twice = Said { moved: 0, again: vec![moved.again[0] - 1], ..moved };
    let found = checked(&pair, &bundle(&pair, &twice));
    assert!(told(&found).contains(&("REPEATED_RECORD", &second(), 4)), "{:#?}", found.problems);
}
