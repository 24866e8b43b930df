//! What verification and comparison accept, and what they do not.

use std::fs;
use std::path::Path;

use convenio_agreement::act::Refusal;
use convenio_audit::{Check, TrustFile, Unusable, Verification, compare, verify};
use convenio_model::Ref;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Erase, Outcome, Reject};
use convenio_wire::r#type::v1::LicenceState;
use tempfile::TempDir;

use crate::export::{draft, folder};
use crate::pair::{CA, Pair, SV, origin};
use crate::records::Job;

pub fn job(number: u8, agency: Option<Ref>) -> Job {
    Job { placement: Ref([number; 16]), order: Ref([200; 16]), agency, seats: 3, wage_cents: 1720 }
}

/// A short story: one placement to its contract.
pub fn story() -> Pair {
    told(Pair::new())
}

/// The same of nodes whose logs were opened.
pub fn told(mut pair: Pair) -> Pair {
    let one = job(1, None);
    pair.order(&one);
    pair.sync();
    season(&mut pair, &one, &[(SV, "nominate"), (CA, "offer"), (CA, "contract_offered"), (SV, "contract")]);
    pair.entangle(SV);
    pair.sync();
    pair
}

pub fn season(pair: &mut Pair, job: &Job, acts: &[(usize, &str)]) {
    for (node, act) in acts {
        pair.act(*node, job, act).unwrap_or_else(|refusal| panic!("{act}: {refusal}"));
        pair.sync();
    }
}

pub fn trust(pair: &Pair) -> TrustFile {
    TrustFile::parse(&pair.trust()).unwrap()
}

fn exported(pair: &Pair, node: usize) -> TempDir {
    let dir = TempDir::new().unwrap();
    draft(pair, node).write(pair, dir.path());
    dir
}

fn checks(found: &Verification) -> Vec<Check> {
    let mut checks: Vec<Check> = found.problems.iter().map(|problem| problem.check).collect();
    checks.sort();
    checks.dedup();
    checks
}

fn verified(pair: &Pair, dir: &Path) -> Verification {
    verify(dir, &trust(pair)).unwrap()
}

/// Verifies a bundle of the exporter whose log was made as `tell` makes it.
fn after(tell: impl FnOnce(&mut Pair)) -> Verification {
    let mut pair = story();
    tell(&mut pair);
    let dir = exported(&pair, SV);
    verified(&pair, dir.path())
}

#[test]
fn honest_bundles_hold_and_agree() {
    let pair = story();
    let (sv, ca) = (exported(&pair, SV), exported(&pair, CA));
    for dir in [&sv, &ca] {
        let found = verified(&pair, dir.path());
        assert!(found.holds, "{:#?}", found.problems);
        assert_eq!(found.logs.len(), 2);
        assert!(found.logs.iter().all(|log| log.delivered == log.size && log.records == log.accepted));
    }
    let both = compare(sv.path(), ca.path(), &trust(&pair)).unwrap();
    assert!(both.holds, "{:#?}", both.problems);
    assert_eq!(both.placements, 1);
    assert!(both.logs.iter().all(|log| log.undelivered == 0 && log.common == log.a_size));
}

#[test]
fn a_tail_that_is_not_delivered_is_reported_and_no_problem() {
    let mut pair = story();
    let ca = exported(&pair, CA);
    pair.act(SV, &job(1, None), "oriented").unwrap();
    let sv = exported(&pair, SV);
    let found = verified(&pair, sv.path());
    assert!(found.holds, "{:#?}", found.problems);
    let own = found.logs.iter().find(|log| log.origin == origin(SV)).unwrap();
    assert_eq!(own.delivered + 1, own.size);
    let both = compare(sv.path(), ca.path(), &trust(&pair)).unwrap();
    assert!(both.holds, "{:#?}", both.problems);
    assert_eq!(both.logs.iter().map(|log| log.undelivered).sum::<u64>(), 1);
}

#[test]
fn more_than_one_tile_is_verified() {
    let mut pair = Pair::new();
    for _ in 0..600 {
        pair.licence(CA, Ref([9; 16]), LicenceState::Active);
    }
    pair.sync();
    let dir = exported(&pair, CA);
    let found = verified(&pair, dir.path());
    assert!(found.holds, "{:#?}", found.problems);
    // A partial tile above the leaves, signed as if it were right.
    let mut forged = draft(&pair, CA);
    let tile = format!("{}tile/1/000.p/2", folder(CA));
    forged.files.get_mut(&tile).unwrap()[40] ^= 1;
    let dir = TempDir::new().unwrap();
    forged.write(&pair, dir.path());
    assert_eq!(checks(&verified(&pair, dir.path())), [Check::Tile]);
}

#[test]
fn files_that_are_missing_or_too_many_are_found() {
    let pair = story();
    let paths: Vec<String> = draft(&pair, SV).files.into_keys().filter(|path| !path.starts_with("packs/")).collect();
    for path in paths.iter().map(String::as_str).chain(["manifest", "manifest.sig"]) {
        let dir = exported(&pair, SV);
        fs::remove_file(dir.path().join(path)).unwrap();
        assert!(!verified(&pair, dir.path()).holds, "{path}");
    }
    let dir = exported(&pair, SV);
    fs::write(dir.path().join("logs/more"), "").unwrap();
    assert_eq!(checks(&verified(&pair, dir.path())), [Check::ExtraFile]);
    let dir = exported(&pair, SV);
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert_eq!(checks(&verified(&pair, dir.path())), [Check::ExtraFile]);
    let dir = exported(&pair, SV);
    std::os::unix::fs::symlink("policy", dir.path().join("link")).unwrap();
    assert_eq!(checks(&verified(&pair, dir.path())), [Check::ExtraFile]);
}

#[test]
fn a_file_that_is_signed_but_has_no_place_is_found() {
    let pair = story();
    for path in ["notes.txt", "evidence/more", "logs/abc/checkpoint", "packs/abc/x.proto"] {
        let mut forged = draft(&pair, SV);
        forged.files.insert(path.into(), b"x\n".to_vec());
        let dir = TempDir::new().unwrap();
        forged.write(&pair, dir.path());
        assert!(!verified(&pair, dir.path()).holds, "{path}");
    }
}

#[test]
fn each_file_is_needed_even_when_the_exporter_signs_without_it() {
    let pair = story();
    let all = draft(&pair, SV);
    // A kept checkpoint is the exporter's to keep; without it nothing else changes.
    let optional = format!("{}checkpoints/", folder(SV));
    let (mut dropped, partner) = (0, format!("{}checkpoints/", folder(CA)));
    for path in all.files.keys().filter(|path| !path.starts_with("packs/") || path.ends_with(".toml")) {
        if path.starts_with(&optional) || path.starts_with(&partner) {
            continue;
        }
        let mut forged = draft(&pair, SV);
        forged.files.remove(path);
        let dir = TempDir::new().unwrap();
        forged.write(&pair, dir.path());
        assert!(!verified(&pair, dir.path()).holds, "{path}");
        dropped += 1;
    }
    assert!(dropped > 10);
}

#[test]
fn nothing_holds_under_other_roots() {
    let (pair, mut other) = (story(), story());
    other.nodes[CA].root = convenio_seal::SigningKey::from_seed(&[7; 32]);
    let dir = exported(&pair, SV);
    let found = verify(dir.path(), &trust(&other)).unwrap();
    assert!(checks(&found).contains(&Check::Trust), "{:?}", found.problems);
    let digest = hex::encode(pair.pack.digest());
    let text = pair.trust().replace(&digest, &"ab".repeat(32));
    let found = verify(dir.path(), &TrustFile::parse(&text).unwrap()).unwrap();
    assert_eq!(checks(&found), [Check::Trust]);
}

#[test]
fn repro_a_third_states_root_opens_no_log_of_the_agreement() {
    let stranger = convenio_seal::SigningKey::from_seed(&[3; 32]);
    let mut pair = Pair::new();
    pair.usurp(SV, "gt", &stranger);
    let pair = told(pair);
    let dir = exported(&pair, CA);
    let text = format!("{}root gt 1 {}\n", pair.trust(), stranger.public().spki_base64());
    let reasons = |text: &str| {
        let found = verify(dir.path(), &TrustFile::parse(text).unwrap()).unwrap();
        found.problems.iter().map(|p| (p.reason, p.origin.clone(), p.index)).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&text), [("OTHER_PARTY", Some(origin(SV)), Some(0))]);
    // Whose the node is may be known from outside.
    let text = format!("{text}node sv node.sv.example\nnode ca node.ca.example\n");
    assert!(reasons(&text).contains(&("OTHER_NODE", Some(origin(SV)), Some(0))));
}

#[test]
fn node_lines_of_the_trust_file_bind_nodes_to_parties() {
    let pair = story();
    let dir = exported(&pair, SV);
    let under =
        |lines: &str| verify(dir.path(), &TrustFile::parse(&format!("{}{lines}", pair.trust())).unwrap()).unwrap();
    assert!(under("node sv node.sv.example\nnode ca node.ca.example\n").holds);
    for other in ["node sv second.sv.example\n", "node ca node.sv.example\n"] {
        assert!(under(other).problems.iter().any(|p| p.reason == "OTHER_NODE"), "{other}");
    }
}

#[test]
fn repro_an_issuer_keeps_the_parts_of_what_was_rejected() {
    let mut pair = story();
    pair.act(SV, &job(1, None), "documented").unwrap();
    let index = pair.nodes[SV].log.len() as u64 - 1;
    pair.deliver(SV);
    let rejects = vec![Reject { index, reason: "UNDISCLOSED".into() }];
    let outcome = Outcome { epoch: 1, begin: index, end: index + 1, rejects, commitments: Vec::new() };
    pair.append(CA, Body::Outcome(outcome), Vec::new());
    pair.deliver(CA);
    assert!(verified(&pair, exported(&pair, SV).path()).holds);
    assert!(pair.nodes[SV].parts.remove(&index).is_some());
    // The recipient did not keep them; the issuer has no reason not to show what it sent.
    assert!(verified(&pair, exported(&pair, CA).path()).holds);
    let found = verified(&pair, exported(&pair, SV).path());
    assert!(!found.holds);
    for problem in &found.problems {
        assert_eq!((problem.reason, problem.index), ("PART_MISSING", Some(index)));
    }
}

#[test]
fn repro_an_id_that_stands_many_times_is_told_once_for_each() {
    let found = after(|pair| {
        for _ in 0..40 {
            let again = pair.nodes[SV].log.last().unwrap().clone();
            pair.nodes[SV].log.push(again);
        }
    });
    let repeated = found.problems.iter().filter(|problem| problem.reason == "REPEATED_RECORD");
    assert_eq!(repeated.count(), 40, "{}", found.problem_count);
}

#[test]
fn a_log_that_is_shorter_than_a_pinned_checkpoint_is_truncated() {
    let mut pair = story();
    let dir = exported(&pair, SV);
    let held = pair.nodes[SV].log.len() as u64;
    let pin = |pair: &Pair, size: u64| {
        let text = pair.head(SV, size).checkpoint().text();
        let root = text.lines().nth(2).unwrap().to_owned();
        TrustFile::parse(&format!("{}checkpoint {} {size} {root}\n", pair.trust(), origin(SV))).unwrap()
    };
    assert!(verify(dir.path(), &pin(&pair, held)).unwrap().holds);
    pair.act(SV, &job(1, None), "oriented").unwrap();
    let found = verify(dir.path(), &pin(&pair, held + 1)).unwrap();
    assert_eq!(checks(&found), [Check::Pinned]);
}

#[test]
fn forged_outcomes_are_found() {
    let end = |pair: &Pair| pair.nodes[CA].log.len() as u64;
    let found = after(|pair| pair.outcome(SV, 0, end(pair), &[]));
    assert!(checks(&found).contains(&Check::Outcome), "{:?}", found.problems);
    let found = after(|pair| pair.outcome(SV, end(pair), end(pair) + 5, &[]));
    assert!(checks(&found).contains(&Check::Outcome), "{:?}", found.problems);
    let found = after(|pair| {
        let begin = end(pair);
        pair.order(&job(1, None));
        pair.deliver(CA);
        pair.outcome(SV, begin, begin + 1, &[(begin - 1, Refusal::Sequence)]);
    });
    assert!(checks(&found).contains(&Check::Outcome), "{:?}", found.problems);
}

#[test]
fn a_truncated_partner_shows_in_entangled_checkpoints_and_positions() {
    let pair = story();
    let mut short = story();
    // The partner's log, cut: every position and checkpoint in the exporter's log that lies past the cut shows it.
    let cut = 6;
    short.nodes[CA].cosigned.clear();
    short.nodes[CA].log.truncate(cut);
    short.nodes[CA].parts.retain(|index, _| *index < cut as u64);
    short.deliver(CA);
    let dir = exported(&short, SV);
    let found = verified(&pair, dir.path());
    assert!(checks(&found).contains(&Check::PeerCheckpoint), "{:?}", found.problems);
    assert!(checks(&found).contains(&Check::Sequence));
    let whole = exported(&pair, CA);
    let both = compare(dir.path(), whole.path(), &trust(&pair)).unwrap();
    assert!(!both.holds);
}

#[test]
fn a_side_that_cuts_its_own_log_is_shown_by_what_the_partner_said_since() {
    let whole = story();
    let ca = exported(&whole, CA);
    let all = whole.nodes[SV].log.len() as u64;
    // An earlier export of both logs is no fault: the comparison says how much more the partner holds.
    let mut early = Pair::new();
    early.order(&job(1, None));
    early.sync();
    season(&mut early, &job(1, None), &[(SV, "nominate")]);
    let kept = early.nodes[SV].log.len() as u64;
    let sv = exported(&early, SV);
    let both = compare(sv.path(), ca.path(), &trust(&whole)).unwrap();
    assert!(both.holds, "{:#?}", both.problems);
    let own = both.logs.iter().find(|log| log.origin == origin(SV)).unwrap();
    assert_eq!((own.common, own.undelivered), (kept, all - kept));
    // The same cut of its own log beside its partner's present one: positions and decisions lie past its end.
    let mut cut = story();
    cut.nodes[SV].log.truncate(kept as usize);
    cut.nodes[SV].parts.retain(|index, _| *index < kept);
    cut.nodes[SV].cosigned.retain(|size, _| *size <= kept);
    let sv = exported(&cut, SV);
    let found = verified(&whole, sv.path());
    let told = |reason: &str| found.problems.iter().any(|p| p.reason == reason && p.origin == Some(origin(CA)));
    assert!(told("POSITION_PAST_END") && told("OUTCOME"), "{:#?}", found.problems);
    assert!(!compare(sv.path(), ca.path(), &trust(&whole)).unwrap().holds);
}

#[test]
fn an_erased_part_needs_its_erase() {
    let erased = |pair: &mut Pair| {
        let (index, parts) = pair.nodes[SV].parts.iter_mut().next().unwrap();
        parts.parts[1] = Default::default();
        *index
    };
    let found = after(|pair| {
        erased(pair);
    });
    assert_eq!(checks(&found), [Check::Parts]);
    let found = after(|pair| {
        let index = erased(pair);
        let statement = convenio_seal::open_entry(&pair.nodes[SV].log[index as usize]).unwrap().statement;
        let erase = Erase { record_id: statement.record_id, part: 1, ground: "REQUEST".into() };
        pair.append(SV, Body::Erase(erase), Vec::new());
    });
    assert!(found.holds, "{:?}", found.problems);
}

#[test]
fn a_part_that_does_not_match_is_found() {
    let found = after(|pair| {
        let parts = pair.nodes[SV].parts.values_mut().next().unwrap();
        parts.parts[0].salt[0] ^= 1;
    });
    assert!(checks(&found).contains(&Check::Parts), "{:?}", found.problems);
}

#[test]
fn statements_of_another_log_or_key_are_found() {
    let found = after(|pair| {
        let foreign = pair.nodes[CA].log[4].clone();
        pair.nodes[SV].log.push(foreign);
    });
    assert_eq!(checks(&found), [Check::Entry], "{:?}", found.problems);
    assert_eq!(found.problems[0].reason, "UNKNOWN_KEY");
    let found = after(|pair| {
        let again = pair.nodes[SV].log.last().unwrap().clone();
        pair.nodes[SV].log.push(again);
    });
    assert!(checks(&found).contains(&Check::Statement), "{:?}", found.problems);
}

#[test]
fn a_rewritten_history_does_not_compare() {
    let pair = story();
    let mut other = Pair::new();
    // The same keys, another past: what one node tells its partner and what it exports differ.
    let one = job(1, None);
    other.order(&one);
    other.sync();
    season(&mut other, &one, &[(SV, "nominate"), (CA, "decline")]);
    let (sv, ca) = (exported(&pair, SV), exported(&other, CA));
    assert!(verified(&other, ca.path()).holds);
    let both = compare(sv.path(), ca.path(), &trust(&pair)).unwrap();
    assert!(!both.holds);
    assert!(both.problems.iter().any(|problem| problem.check == Check::Compare));
}

#[test]
fn what_is_no_bundle_is_unusable() {
    let pair = story();
    let dir = TempDir::new().unwrap();
    assert!(matches!(verify(dir.path(), &trust(&pair)), Err(Unusable::NotABundle(_))));
    assert!(matches!(verify(&dir.path().join("none"), &trust(&pair)), Err(Unusable::Io { .. })));
    draft(&pair, SV).write_as(&pair, dir.path(), "convenio-bundle/v2");
    assert!(matches!(verify(dir.path(), &trust(&pair)), Err(Unusable::Format { .. })));
    let path = dir.path().join("trust");
    fs::write(&path, "no trust\n").unwrap();
    assert!(matches!(convenio_audit::load_trust(&path), Err(Unusable::Trust { .. })));
}

#[test]
fn keys_are_listed() {
    let pair = story();
    let dir = exported(&pair, SV);
    let lines = convenio_audit::keys::listed(dir.path()).unwrap();
    assert_eq!(lines.len(), 6);
    let spki = pair.nodes[SV].keys.record.public().spki_base64();
    assert!(lines.contains(&format!("{} record {spki}", origin(SV))));
    let mirror = format!("{} mirror node.ca.example/mirror/1+", origin(SV));
    assert!(lines.iter().any(|line| line.starts_with(&mirror)));
}
