//! Reports of bundles that hold journals and the digests of live rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use convenio_audit::language::Language;
use convenio_audit::{Answer, Answered, Asked, OnProgress, Options, Report, report_as};
use convenio_log::{Checkpoint, MemoryTree, SignedCheckpoint, cosignature, leaf_hash};
use convenio_seal::{commit, row_digest};
use convenio_wire::exchange::v1::{EntryParts, JournalAction, JournalEntry, JournalPart, JournalRow, SaltedPart};
use prost::Message;
use tempfile::TempDir;

use crate::export::{Draft, Held, draft, log_files_of, sha256};
use crate::integrity::{story, trust};
use crate::pair::{CA, Named, Pair, SV, node_name};

/// Kind of the agencies' rows.
const AGENCIES: u8 = 1;

/// A row at its first revision.
fn row(number: u8) -> JournalRow {
    let digest = row_digest(AGENCIES, &[number; 16], 1, &[number]).to_vec();
    JournalRow { kind: AGENCIES.into(), id: vec![number; 16], revision: 1, digest }
}

fn written(number: u8) -> JournalPart {
    let action = JournalAction::Written.into();
    JournalPart { action, caller: "system".into(), rows: vec![row(number)], ..JournalPart::default() }
}

fn read(number: u8, purpose: &str) -> JournalPart {
    let rows = vec![JournalRow { digest: Vec::new(), revision: 0, ..row(number) }];
    let (caller, purpose) = ("spiffe://ca.example/registry/1".into(), purpose.into());
    JournalPart { action: JournalAction::Read.into(), caller, purpose, rows, ..JournalPart::default() }
}

fn origin(node: usize) -> String {
    format!("{}/journal/1", node_name(node))
}

/// The entries of a node's journal with their parts.
fn entries(node: usize, parts: &[JournalPart]) -> (Vec<Vec<u8>>, BTreeMap<u64, EntryParts>) {
    let one = |(part, index): (&JournalPart, u64)| {
        let (salt, part) = ([index as u8; 32], part.encode_to_vec());
        let entry = JournalEntry {
            version: 1,
            log_origin: origin(node),
            record_id: vec![index as u8; 16],
            time_ms: 1_714_000_000_000 + index,
            commitment: commit(&salt, &part).to_vec(),
        };
        let parts = vec![SaltedPart { salt: salt.to_vec(), part }];
        (entry.encode_to_vec(), (index, EntryParts { index, parts }))
    };
    parts.iter().zip(0..).map(one).unzip()
}

fn head(pair: &Pair, node: usize, entries: &[Vec<u8>]) -> SignedCheckpoint {
    let tree: MemoryTree = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let signer = Named(origin(node), &pair.nodes[node].keys.log);
    Checkpoint::new(origin(node), entries.len() as u64, tree.root()).unwrap().sign(&signer).unwrap()
}

/// Puts the exporter's journal into its bundle, and the rows as it left them.
fn keep(pair: &Pair, to: &mut Draft, told: &[JournalPart]) {
    let (entries, parts) = entries(to.exporter, told);
    let checkpoint = head(pair, to.exporter, &entries);
    let held = Held { entries, parts, checkpoint, kept: BTreeMap::new() };
    let line = log_files_of(&origin(to.exporter), &held, &mut to.files);
    to.logs.push(line.replacen("log ", "journal ", 1));
    let rows = told.iter().filter(|part| part.action() == JournalAction::Written).flat_map(|part| &part.rows);
    let line = |row: &JournalRow| format!("{} {} 1 {}\n", row.kind, hex::encode(&row.id), hex::encode(&row.digest));
    to.files.insert("rows".into(), rows.map(line).collect::<String>().into_bytes());
}

/// Puts into a bundle what its exporter's witness saw of the partner's journal, at some time.
fn witness(pair: &Pair, to: &mut Draft, told: &[JournalPart], time_ms: u64) {
    let partner = 1 - to.exporter;
    let mut signed = head(pair, partner, &entries(partner, told).0);
    let name = format!("{}/witness/1", node_name(to.exporter));
    let key = Named(name, &pair.nodes[to.exporter].keys.witness);
    cosignature::append(&mut signed, &key, time_ms / 1_000).unwrap();
    let path = format!("witnessed/{}", sha256(origin(partner).as_bytes()));
    to.files.insert(path, signed.to_string().into_bytes());
}

fn reported(pair: &Pair, [sv, ca]: &[Draft; 2], language: Language) -> Report {
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    sv.write(pair, dirs[SV].path());
    ca.write(pair, dirs[CA].path());
    let asked = Asked { language, ..Asked::default() };
    let found = report_as(dirs[SV].path(), Some(dirs[CA].path()), &trust(pair), &asked).unwrap();
    assert!(found.integrity, "{:#?}", found.comparison);
    found
}

fn of<'r>(report: &'r Report, code: &str) -> &'r Answer {
    report.answers.iter().find(|answer| answer.code == code).unwrap()
}

fn both(pair: &Pair) -> [Draft; 2] {
    [draft(pair, SV), draft(pair, CA)]
}

#[test]
fn journals_of_both_states_answer_who_read_whom_and_whether_rows_are_as_recorded() {
    let pair = story();
    let mut drafts = both(&pair);
    keep(&pair, &mut drafts[SV], &[written(1), read(1, "placement")]);
    keep(&pair, &mut drafts[CA], &[written(2), written(3), read(2, "inspection")]);
    let found = reported(&pair, &drafts, Language::English);
    assert_eq!((of(&found, "A7").answer, of(&found, "A7").examined), (Answered::Ok, 3));
    assert_eq!((of(&found, "A15").answer, of(&found, "A15").examined), (Answered::Ok, 2));
    assert!(of(&found, "A15").condition.contains("2 purposes"), "{}", of(&found, "A15").condition);

    let mut nameless = both(&pair);
    keep(&pair, &mut nameless[SV], &[written(1), read(1, "")]);
    keep(&pair, &mut nameless[CA], &[written(2)]);
    let found = reported(&pair, &nameless, Language::English);
    let answer = of(&found, "A15");
    assert_eq!((answer.answer, answer.failed, answer.evidence[0].index), (Answered::Finding, 1, 1));
    assert_eq!(answer.evidence[0].origin, origin(SV));
}

#[test]
fn repro_a_journal_that_was_cut_after_the_partner_saw_it_is_found_by_the_report() {
    let mut pair = story();
    let told = [written(1), written(2), read(1, "inspection")];
    let seen_ms = pair.now_ms();
    // Nothing shows that the export was not made before; once the bundle tells of a later time, it was not.
    for (kept, days, answer) in
        [(3, 0, Answered::Ok), (2, 0, Answered::Indeterminate), (2, 1, Answered::Finding), (3, 0, Answered::Ok)]
    {
        if days > 0 {
            pair.pass(days);
            pair.entangle(CA);
            pair.sync();
        }
        let mut drafts = both(&pair);
        keep(&pair, &mut drafts[SV], &[written(9)]);
        witness(&pair, &mut drafts[SV], &told, seen_ms);
        // The rows are made to match what is left.
        keep(&pair, &mut drafts[CA], &told[..kept]);
        let found = reported(&pair, &drafts, Language::English);
        assert_eq!(of(&found, "A7").answer, answer, "{:#?}", of(&found, "A7"));
        assert_eq!(of(&found, "A15").answer, if kept == 3 { Answered::Ok } else { Answered::Indeterminate });
        let places: Vec<_> = of(&found, "A7").evidence.iter().map(|at| (at.origin.clone(), at.index)).collect();
        assert_eq!(places, if answer == Answered::Finding { vec![(origin(CA), 2)] } else { vec![] });
    }
}

#[test]
fn a_journal_of_one_state_does_not_answer_for_the_other() {
    let pair = story();
    let mut drafts = both(&pair);
    keep(&pair, &mut drafts[CA], &[written(1), read(1, "inspection")]);
    for language in Language::ALL {
        let found = reported(&pair, &drafts, language);
        for code in ["A7", "A15"] {
            let answer = of(&found, code);
            assert_eq!((answer.answer, answer.examined, answer.indeterminate), (Answered::Indeterminate, 1, 1));
            assert!(answer.condition.contains(node_name(SV)), "{code}: {}", answer.condition);
            assert!(!answer.condition.contains(node_name(CA)), "{code}: {}", answer.condition);
        }
    }
    // What is wrong in the one that is there is still found.
    drafts[CA].files.insert("rows".into(), Vec::new());
    let found = reported(&pair, &drafts, Language::English);
    assert_eq!((of(&found, "A7").answer, of(&found, "A7").failed), (Answered::Finding, 1));
}

#[test]
fn without_parts_nothing_that_they_would_tell_is_guessed() {
    let pair = story();
    let [mut sv, mut ca] = both(&pair);
    keep(&pair, &mut sv, &[written(1), read(1, "placement")]);
    keep(&pair, &mut ca, &[written(2)]);
    let drafts = [sv, ca].map(|mut draft| {
        draft.files.remove("rows");
        draft.commitments()
    });
    let found = reported(&pair, &drafts, Language::English);
    for code in ["A8", "A9", "A10", "A11", "A13", "A14", "A15", "A16", "A18", "A19"] {
        let answer = of(&found, code);
        assert_eq!((answer.answer, answer.examined), (Answered::Indeterminate, 0), "{answer:#?}");
        assert!(answer.indeterminate > 0, "{code}");
    }
    assert_eq!(of(&found, "A15").indeterminate, 3);
}

#[test]
fn repro_a_report_verifies_each_bundle_once() {
    let pair = story();
    let mut drafts = both(&pair);
    keep(&pair, &mut drafts[SV], &[written(1), read(1, "placement")]);
    keep(&pair, &mut drafts[CA], &[written(2)]);
    let dirs = drafts.map(|draft| {
        let dir = TempDir::new().unwrap();
        draft.write(&pair, dir.path());
        dir
    });
    let verified = Arc::new(AtomicUsize::new(0));
    let count = verified.clone();
    let progress: OnProgress = Arc::new(move |told| {
        let ends = told.step == "verify" && told.done == told.total;
        count.fetch_add(usize::from(ends), Ordering::Relaxed);
    });
    let asked = Asked { options: Options { progress: Some(progress), ..Options::default() }, ..Asked::default() };
    let found = report_as(dirs[SV].path(), Some(dirs[CA].path()), &trust(&pair), &asked).unwrap();
    assert_eq!(of(&found, "A15").answer, Answered::Ok);
    assert_eq!(verified.load(Ordering::Relaxed), 2);
}
