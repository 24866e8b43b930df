//! Keys that rotate and are revoked, void entries, forks, resumption: what breaks integrity and what is a finding.

use std::fs;

use convenio_audit::{Options, Verification, verify, verify_with};
use convenio_log::{Checkpoint, Hash};
use convenio_model::SeededEntropy;
use convenio_seal::NodeKeys;
use convenio_seal::dsse::sign;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{EraseAnswer, KeyRevocation, KeyRotate, Outcome, Record, Reject, Revoke};
use convenio_wire::r#type::v1::LicenceState;
use convenio_wire::{KEYS_TYPE, REVOCATION_TYPE};
use prost::Message;
use tempfile::TempDir;

use crate::export::{Draft, draft, folder};
use crate::integrity::{story, trust};
use crate::pair::{CA, Named, Pair, SV, node_name, origin, party};

fn checked(pair: &Pair, draft: &Draft) -> Verification {
    let dir = TempDir::new().unwrap();
    draft.write(pair, dir.path());
    verify(dir.path(), &trust(pair)).unwrap()
}

fn reasons(found: &Verification) -> (Vec<&'static str>, Vec<&'static str>) {
    let of = |list: &[convenio_audit::Problem]| list.iter().map(|problem| problem.reason).collect();
    (of(&found.problems), of(&found.findings))
}

/// The issuer appends a RECORD whose signature is not good; returns its index.
fn lie(pair: &mut Pair) -> u64 {
    pair.append(SV, Body::Record(Record { commitments: vec![vec![1; 32]] }), Vec::new());
    *pair.nodes[SV].log.last_mut().unwrap().last_mut().unwrap() ^= 1;
    pair.nodes[SV].log.len() as u64 - 1
}

#[test]
fn an_entry_that_its_recipient_rejected_as_void_is_a_finding_and_the_pair_holds() {
    let mut pair = story();
    let index = lie(&mut pair);
    let rejects = vec![Reject { index, reason: "BAD_SIGNATURE".into() }];
    let outcome = Outcome { epoch: 1, begin: index, end: index + 1, rejects, commitments: Vec::new() };
    pair.append(CA, Body::Outcome(outcome), Vec::new());
    pair.deliver(SV);
    pair.deliver(CA);
    for exporter in [SV, CA] {
        let found = checked(&pair, &draft(&pair, exporter));
        assert!(found.holds, "{:#?}", found.problems);
        assert_eq!(reasons(&found).1, ["BAD_SIGNATURE"]);
        assert_eq!((found.findings[0].origin.as_deref(), found.findings[0].index), (Some(&*origin(SV)), Some(index)));
    }
}

#[test]
fn a_void_entry_that_nobody_rejected_breaks_integrity() {
    let mut pair = story();
    let index = lie(&mut pair);
    pair.deliver(SV);
    let found = checked(&pair, &draft(&pair, SV));
    assert_eq!(reasons(&found).0, ["BAD_SIGNATURE"]);
    assert_eq!(found.problems[0].index, Some(index));
}

/// New keys for the origin's node, by its root.
pub fn rotate(pair: &mut Pair, version: u64) -> NodeKeys {
    let keys = NodeKeys::generate(&SeededEntropy::new(100 + version));
    let key_manifest = keys.manifest(party(SV), node_name(SV), version).encode_to_vec();
    let root_signatures = vec![sign(KEYS_TYPE, &key_manifest, &pair.nodes[SV].root)];
    let old = std::mem::replace(&mut pair.nodes[SV].keys, keys);
    pair.append(SV, Body::KeyRotate(KeyRotate { key_manifest, root_signatures }), Vec::new());
    old
}

#[test]
fn a_rotation_by_the_roots_holds_and_the_old_key_ends_there() {
    let mut pair = story();
    // The cosigner of the first version stays the one that the policy names.
    let policy = draft(&pair, SV).files["policy"].clone();
    let exported = |pair: &Pair| {
        let mut draft = draft(pair, SV);
        draft.files.insert("policy".into(), policy.clone());
        checked(pair, &draft)
    };
    let old = rotate(&mut pair, 2);
    pair.append(SV, Body::EraseAnswer(EraseAnswer { answer: "REFUSED".into(), ..Default::default() }), Vec::new());
    pair.deliver(SV);
    let found = exported(&pair);
    assert!(found.holds, "{:#?}", found.problems);
    // The old key signs once more.
    let new = std::mem::replace(&mut pair.nodes[SV].keys, old);
    pair.append(SV, Body::Record(Record { commitments: vec![vec![1; 32]] }), Vec::new());
    pair.nodes[SV].keys = new;
    pair.deliver(SV);
    let found = exported(&pair);
    assert_eq!(reasons(&found).0, ["KEY_NOT_VALID"], "{:#?}", found.problems);
}

#[test]
fn a_rotation_that_no_root_signed_is_found() {
    let mut pair = story();
    let keys = NodeKeys::generate(&SeededEntropy::new(3));
    let key_manifest = keys.manifest(party(SV), node_name(SV), 2).encode_to_vec();
    let root_signatures = vec![sign(KEYS_TYPE, &key_manifest, &pair.nodes[CA].root)];
    pair.append(SV, Body::KeyRotate(KeyRotate { key_manifest, root_signatures }), Vec::new());
    pair.deliver(SV);
    assert_eq!(reasons(&checked(&pair, &draft(&pair, SV))).0, ["ROTATION_UNAUTHORISED"]);
}

#[test]
fn entries_past_the_last_good_size_of_a_revoked_key_fail() {
    let mut pair = story();
    let size = pair.nodes[SV].log.len() as u64;
    let old = rotate(&mut pair, 2);
    let payload = KeyRevocation {
        party: party(SV).into(),
        node: node_name(SV).into(),
        key_id: old.record.public().key_id().to_vec(),
        r#use: "record".into(),
        log_origin: origin(SV),
        last_good_size: size - 2,
        last_good_root: pair.head(SV, size - 2).checkpoint().root().as_bytes().to_vec(),
        reason: "stolen".into(),
    }
    .encode_to_vec();
    let signatures = vec![sign(REVOCATION_TYPE, &payload, &pair.nodes[SV].root)];
    pair.append(SV, Body::Revoke(Revoke { payload, signatures }), Vec::new());
    pair.deliver(SV);
    let found = checked(&pair, &draft(&pair, SV));
    let revoked: Vec<_> = found.findings.iter().filter(|f| f.reason == "REVOKED_KEY").map(|f| f.index).collect();
    assert_eq!(revoked, [Some(size - 2), Some(size - 1)], "{:#?}", found);
}

#[test]
fn repro_a_state_cannot_revoke_the_keys_of_the_other() {
    for node in [SV, CA] {
        let mut pair = story();
        let payload = KeyRevocation {
            party: party(CA).into(),
            node: node_name(node).into(),
            key_id: pair.nodes[SV].keys.record.public().key_id().to_vec(),
            r#use: "record".into(),
            log_origin: origin(SV),
            last_good_size: 5,
            last_good_root: pair.head(SV, 5).checkpoint().root().as_bytes().to_vec(),
            reason: "not mine".into(),
        }
        .encode_to_vec();
        let signatures = vec![sign(REVOCATION_TYPE, &payload, &pair.nodes[CA].root)];
        let revoke = Revoke { payload, signatures };
        // The partner repeats what the roots of the other signed.
        for by in [CA, SV] {
            pair.append(by, Body::Revoke(revoke.clone()), Vec::new());
            pair.deliver(by);
        }
        for exporter in [SV, CA] {
            let found = checked(&pair, &draft(&pair, exporter));
            assert!(found.holds, "{:#?}", found.problems);
            let told: Vec<_> = found.findings.iter().map(|f| (f.reason, f.origin.clone())).collect();
            assert_eq!(told, [("REVOCATION_FOREIGN", Some(origin(CA)))]);
        }
    }
}

#[test]
fn a_fork_is_proven_by_two_signatures_of_one_key_and_by_nothing_less() {
    let pair = story();
    let signer = Named(origin(SV), &pair.nodes[SV].keys.log);
    let head = |root: u8| Checkpoint::new(origin(SV), 5, Hash::from([root; 32])).unwrap().sign(&signer).unwrap();
    for (one, other, expected) in [(1, 2, "EQUIVOCATION"), (1, 1, "NOT_EVIDENCE")] {
        let mut forked = draft(&pair, CA);
        forked.files.insert("evidence/forks/1".into(), format!("{}---\n{}", head(one), head(other)).into_bytes());
        let found = checked(&pair, &forked);
        assert!(found.holds, "{:#?}", found.problems);
        assert_eq!(reasons(&found).1, [expected]);
    }
}

#[test]
fn what_is_said_to_be_erased_must_be_gone() {
    let mut pair = story();
    let index = *pair.nodes[SV].parts.keys().next().unwrap() as usize;
    let record = convenio_seal::open_entry(&pair.nodes[SV].log[index]).unwrap().statement.record_id;
    let erase = convenio_wire::exchange::v1::Erase { record_id: record.clone(), part: 0, ground: "error".into() };
    pair.append(SV, Body::Erase(erase), Vec::new());
    let answer = EraseAnswer { record_id: record, part: 0, answer: "ERASED".into(), reason: String::new() };
    pair.append(CA, Body::EraseAnswer(answer), Vec::new());
    pair.deliver(SV);
    pair.deliver(CA);
    let found = checked(&pair, &draft(&pair, CA));
    assert!(found.holds, "{:#?}", found.problems);
    assert_eq!(reasons(&found).1, ["ERASED_BUT_PRESENT"]);
    // The issuer's bundle does not show what the partner still holds.
    assert_eq!(reasons(&checked(&pair, &draft(&pair, SV))).1, [""; 0]);
}

#[test]
fn collusion_is_not_excluded_where_the_pack_asks_for_no_witness() {
    let pair = story();
    assert_eq!(checked(&pair, &draft(&pair, SV)).notes, [convenio_audit::COLLUSION]);
}

#[test]
fn an_interrupted_verification_goes_on_where_it_was() {
    let mut pair = Pair::new();
    for _ in 0..600 {
        pair.licence(CA, convenio_model::Ref([9; 16]), LicenceState::Active);
    }
    pair.sync();
    let (dir, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    draft(&pair, CA).write(&pair, dir.path());
    let mut options = Options { work: Some(work.path().to_owned()), ..Options::default() };
    assert!(verify_with(dir.path(), &trust(&pair), &options).unwrap().holds);
    // A chunk that was checked is not read again: here it would not even be readable.
    let chunk = dir.path().join(format!("{}tile/entries/001", folder(CA)));
    let whole = fs::read(&chunk).unwrap();
    fs::write(&chunk, b"gone").unwrap();
    options.resume = true;
    let resumed = verify_with(dir.path(), &trust(&pair), &options).unwrap();
    assert!(resumed.holds, "{:#?}", resumed.problems);
    assert_eq!(resumed.logs.iter().map(|log| log.records).sum::<u64>(), 600);
    // What was left under another trust file is not used.
    let mut other = trust(&pair);
    other.agreements.push(convenio_seal::TrustedAgreement { id: "sv-ca".into(), digest: [1; 32] });
    assert!(!verify_with(dir.path(), &other, &options).unwrap().holds);
    fs::write(&chunk, whole).unwrap();
    assert!(verify_with(dir.path(), &other, &options).unwrap().holds);
}

#[test]
fn what_a_node_refused_to_erase_must_be_there() {
    let mut pair = story();
    let (index, record) = pair.nodes[SV].parts.iter().next().map(|(index, held)| (*index, held.clone())).unwrap();
    let record_id = convenio_seal::open_entry(&pair.nodes[SV].log[index as usize]).unwrap().statement.record_id;
    let erase =
        convenio_wire::exchange::v1::Erase { record_id: record_id.clone(), part: 1, ground: "subject-request".into() };
    pair.append(SV, Body::Erase(erase), Vec::new());
    let say = |pair: &mut Pair, answer: &str| {
        let said = EraseAnswer { record_id: record_id.clone(), part: 1, answer: answer.into(), reason: String::new() };
        pair.append(CA, Body::EraseAnswer(said), Vec::new());
        pair.deliver(SV);
        pair.deliver(CA);
    };
    // A hold keeps it.
    say(&mut pair, "REFUSED");
    assert_eq!(reasons(&checked(&pair, &draft(&pair, CA))).1, [""; 0]);
    // Gone under the hold: found in the bundle of the node that refused, and in no other.
    pair.nodes[SV].parts.get_mut(&index).unwrap().parts[1] = Default::default();
    let found = checked(&pair, &draft(&pair, CA));
    assert!(found.holds, "{:#?}", found.problems);
    assert_eq!(reasons(&found).1, ["ERASED_WHILE_REFUSED"]);
    assert_eq!((found.findings[0].origin.as_deref(), found.findings[0].index), (Some(&*origin(SV)), Some(index)));
    assert_eq!(reasons(&checked(&pair, &draft(&pair, SV))).1, [""; 0]);
    // The hold ends, and the node says so: nothing is left to find but what is still there.
    say(&mut pair, "ERASED");
    assert_eq!(reasons(&checked(&pair, &draft(&pair, CA))).1, [""; 0]);
    pair.nodes[SV].parts.insert(index, record);
    assert_eq!(reasons(&checked(&pair, &draft(&pair, CA))).1, ["ERASED_BUT_PRESENT"]);
}
