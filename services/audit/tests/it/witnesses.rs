//! Witnesses beside the two states, and what the exporter's own witness signed.

use convenio_agreement::Pack;
use convenio_agreement::digest::Files;
use convenio_audit::{COLLUSION, Verification, verify};
use convenio_log::{Checkpoint, Hash, SignatureType, SignedCheckpoint, VerifierKey, cosignature};
use convenio_seal::SigningKey;
use tempfile::TempDir;

use crate::export::{Draft, draft, folder};
use crate::integrity::{story, trust};
use crate::pair::{CA, Named, Pair, SV, node_name, origin, pack};

/// Witnesses of the changed pack: two of these three must sign.
fn witness(number: u8) -> SigningKey {
    SigningKey::from_seed(&[70 + number; 32])
}

fn named(number: u8, key: &SigningKey) -> Named<'_> {
    Named(format!("witness{number}.example"), key)
}

/// The agreement, with independent witnesses required.
fn watched() -> Pack {
    let mut files = Files::default();
    for (path, bytes) in pack().files().iter() {
        let mut bytes = bytes.to_vec();
        if path.ends_with("agreement.toml") {
            let mut table = "independent = \"required\"\nquorum = 2\n".to_owned();
            for number in 0..3 {
                let key = witness(number);
                let key = VerifierKey::of(&named(number, &key), SignatureType::CosignatureV1).unwrap();
                table += &format!(
                    "[[witness.keys]]\nname = \"w{number}\"\nvkey = \"{key}\"\nurl = \"https://witness{number}.example\"\n"
                );
            }
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains("independent = \"none\""));
            bytes = text.replace("independent = \"none\"", &table).into_bytes();
        }
        files.insert(path, bytes).unwrap();
    }
    Pack::from_files(files).unwrap()
}

fn checked(pair: &Pair, draft: &Draft) -> Verification {
    let dir = TempDir::new().unwrap();
    draft.write(pair, dir.path());
    verify(dir.path(), &trust(pair)).unwrap()
}

/// The bundle of the origin with the heads of both logs cosigned by these witnesses; a signature by another key than its
/// name says where `forged`.
fn seen_by(pair: &Pair, witnesses: [&[u8]; 2], forged: bool) -> Draft {
    let mut draft = draft(pair, SV);
    for (node, witnesses) in [SV, CA].into_iter().zip(witnesses) {
        let path = format!("{}checkpoint", folder(node));
        let mut signed = SignedCheckpoint::parse(&draft.files[&path]).unwrap();
        for number in witnesses {
            let key = if forged { SigningKey::from_seed(&[99; 32]) } else { witness(*number) };
            cosignature::append(&mut signed, &named(*number, &key), pair.now_ms() / 1_000).unwrap();
        }
        draft.files.insert(path, signed.to_string().into_bytes());
    }
    draft
}

#[test]
fn a_quorum_of_independent_witnesses_excludes_collusion() {
    let mut pair = Pair::seeded(watched(), 11);
    pair.sync();
    for witnesses in [[&[0, 1][..], &[1, 2]], [&[0, 1, 2], &[0, 2]]] {
        let found = checked(&pair, &seen_by(&pair, witnesses, false));
        assert!(found.holds, "{:#?}", found.problems);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }
}

#[test]
fn too_few_or_forged_witnesses_are_a_problem_of_the_exporters_own_log() {
    let pair = waited(30);
    let missing = |found: &Verification| -> Vec<String> {
        assert!(found.problems.iter().all(|problem| problem.reason == "WITNESS_QUORUM"), "{:#?}", found.problems);
        assert_eq!(found.notes, [COLLUSION]);
        found.problems.iter().filter_map(|problem| problem.origin.clone()).collect()
    };
    // Those of the partner's log are the partner's to show: without them collusion is not excluded, and no more.
    assert!(missing(&checked(&pair, &seen_by(&pair, [&[0, 1], &[2]], false))).is_empty());
    assert_eq!(missing(&checked(&pair, &seen_by(&pair, [&[0], &[1, 2]], false))), [origin(SV)]);
    assert_eq!(missing(&checked(&pair, &seen_by(&pair, [&[], &[]], false))), [origin(SV)]);
    assert_eq!(missing(&checked(&pair, &seen_by(&pair, [&[0, 1], &[0, 1]], true))), [origin(SV)]);
}

/// Logs whose first entries are so many days old.
fn waited(days: u64) -> Pair {
    let mut pair = Pair::seeded(watched(), 11);
    pair.pass(days);
    pair.licence(SV, convenio_model::Ref([9; 16]), convenio_wire::r#type::v1::LicenceState::Active);
    pair.sync();
    pair
}

#[test]
fn repro_entries_younger_than_the_deadline_need_no_witness_yet() {
    let found = checked(&waited(0), &seen_by(&waited(0), [&[], &[]], false));
    assert!(found.holds, "{:#?}", found.problems);
    assert_eq!(found.notes, [COLLUSION]);
}

#[test]
fn repro_the_witnesses_of_a_lost_epoch_are_not_asked_for_again() {
    let mut pair = waited(30);
    let size = pair.nodes[SV].log.len() as u64;
    let prev_root = *pair.head(SV, size).checkpoint().root().as_bytes();
    let mut draft = crate::epochs::reopened_at(&pair, size, prev_root);
    let found = checked(&pair, &draft);
    // The log that goes on is young; the one that was lost has no cosignature left.
    assert!(found.holds, "{:#?}", found.problems);
    assert_eq!(found.notes, [COLLUSION]);
    // Without the second epoch there was nothing to lose.
    pair.pass(1);
    draft = seen_by(&pair, [&[], &[]], false);
    assert!(!checked(&pair, &draft).holds);
}

/// The bundle of the destination, whose witness cosigned `root` of the origin's log at `size`.
fn witnessed(pair: &Pair, size: u64, root: Hash, witness: &SigningKey) -> Draft {
    let mut draft = draft(pair, CA);
    let log = Named(origin(SV), &pair.nodes[SV].keys.log);
    let mut head = Checkpoint::new(origin(SV), size, root).unwrap().sign(&log).unwrap();
    let own = Named(format!("{}/witness/1", node_name(CA)), witness);
    cosignature::append(&mut head, &own, pair.now_ms() / 1_000).unwrap();
    let path = folder(SV).replacen("logs/", "witnessed/", 1);
    draft.files.insert(path.trim_end_matches('/').to_owned(), head.to_string().into_bytes());
    draft
}

#[test]
fn what_the_witness_cosigned_must_be_what_the_log_says() {
    let pair = story();
    let key = &pair.nodes[CA].keys.witness;
    let root = pair.head(SV, 6).checkpoint().root();
    let found = checked(&pair, &witnessed(&pair, 6, root, key));
    assert!(found.holds, "{:#?}", found.problems);
    let found = checked(&pair, &witnessed(&pair, 6, Hash::from([1; 32]), key));
    let told: Vec<_> = found.problems.iter().map(|p| (p.reason, p.origin.clone(), p.index)).collect();
    assert_eq!(told, [("REWRITTEN", Some(origin(SV)), Some(5))]);
    // A mirror's key is no witness's, nor a stranger's.
    for other in [&pair.nodes[CA].keys.mirror, &SigningKey::from_seed(&[1; 32])] {
        let found = checked(&pair, &witnessed(&pair, 6, root, other));
        let reasons: Vec<_> = found.problems.iter().map(|problem| problem.reason).collect();
        assert_eq!(reasons, ["WITNESSED_INVALID"]);
    }
}
