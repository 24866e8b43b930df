//! What neither a dishonest partner nor a failing disk may bring about: that a node stops writing, loses what is its own, or
//! keeps what may not cross.

use std::fs;
use std::sync::Arc;

use convenio_exchange::erase::hold::{self, Hold, HoldError};
use convenio_exchange::erase::order::Progress;
use convenio_exchange::journal::{self, Actor};
use convenio_exchange::session::Message;
use convenio_exchange::witness::{HeadsFile, Submitter, Witness};
use convenio_exchange::{Core, step};
use convenio_log::witness::AddCheckpoint;
use convenio_log::{Checkpoint, Frontier, Hash, MemoryTree, leaf_hash};
use convenio_model::{RecordId, Ref};
use convenio_seal::key::SigningKey;
use convenio_seal::rotation::{sign_revocation, verify_revoke};
use convenio_seal::vault::{DataKeyId, VaultError};
use convenio_store::{Deed, Kind, ResourceRow, StoreError, Work};
use convenio_testkit::acts::reference;
use convenio_testkit::dishonest::{Draft, commitments};
use convenio_testkit::erasure::MONTH_MS;
use convenio_testkit::ledger::Ledger;
use convenio_testkit::pair::START_MS;
use convenio_testkit::records::DOCUMENT;
use convenio_testkit::sim::faulty::{Fault, Faults, FaultyStore};
use convenio_testkit::third::Log;
use convenio_testkit::treaty::SV_CA;
use convenio_testkit::{Books, Case, Dishonest, Pair, Relay, Side};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{
    ActKind, Erase, JournalEntry, JournalPart, KeyRevocation, Outcome, OutcomeDetail, Part, Reject, RejectDetail,
    Revoke, SaltedPart, Signature,
};
use futures::FutureExt;
use futures::future::join_all;
use prost::Message as _;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

async fn pair(seed: u64) -> Pair {
    let pair = Pair::new(seed).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    pair.settle().await;
    pair
}

async fn ledger(side: &Side) -> Ledger {
    side.books().ledger(side.exchange(SV_CA)).await
}

/// A placement whose name has crossed, and the record that names.
async fn named(pair: &Pair, label: &str) -> (Case, RecordId) {
    let case = pair.bring_one(label, "order", "CONTRACTED").await;
    pair.settle().await;
    let own = ledger(&pair.origin).await.own;
    let names = |e: &&convenio_testkit::ledger::Entry| {
        let lead = e.decoded().unwrap_or_default().into_iter().next().unwrap_or_default();
        lead.message_name.ends_with("CandidateIdentified") && lead.subject_ref.ends_with(&case.id.to_string())
    };
    let id = own.iter().rfind(names).unwrap().record_id();
    (case, id)
}

async fn readable(side: &Side, record: RecordId, part: usize) -> bool {
    let ledger = ledger(side).await;
    let mut entries = ledger.own.iter().chain(&ledger.peer);
    entries.any(|e| e.record_id() == record && e.is_record() && e.parts.get(part).is_some_and(Option::is_some))
}

/// Lines by keys that nobody knows, of any length, and one good line many times over: nothing of them is kept, and both
/// sides go on writing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_padded_checkpoint_stopped_every_write() {
    let pair = pair(501).await;
    let pad = |note: &mut Vec<u8>| {
        let last = String::from_utf8(note.clone()).unwrap().lines().last().unwrap().to_owned() + "\n";
        note.extend(last.repeat(60).as_bytes());
        note.extend(format!("\u{2014} nobody {}\n", "A".repeat(88_000)).as_bytes());
    };
    pair.link.intercept(move |_, message| {
        let padded = match message {
            Message::Batch(mut batch) => {
                pad(&mut batch.checkpoint);
                Message::Batch(batch)
            }
            Message::Cosigned(mut cosigned) => {
                pad(&mut cosigned.checkpoint);
                Message::Cosigned(cosigned)
            }
            other => other,
        };
        Relay::Pass(vec![padded])
    });
    pair.bring_one("p1", "order", "OFFERED").await;
    pair.check().await;
    for side in [&pair.origin, &pair.destination] {
        let logs = side.core.store().logs().await.unwrap();
        assert!(logs.iter().all(|log| log.cosigned.len() < 2_000), "a padded note is kept");
    }
}

const DATABASE: [&str; 3] = ["node.db", "node.db-wal", "node.db-shm"];

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for name in DATABASE {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        } else {
            let _ = fs::remove_file(to.join(name));
        }
    }
}

/// The partner issues a record under the id of one of ours and orders its erasure: a restore, which carries out what the
/// ledger tells, leaves ours alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_partner_erased_own_parts_at_a_restore() {
    let pair = pair(502).await;
    let (_, named) = named(&pair, "p1").await;
    // Of another placement: what shares a destroyed data key is lost in an older database anyway.
    let other = pair.bring_one("p2", "order", "CONTRACTED").await;
    pair.settle().await;
    let backup = tempfile::tempdir().unwrap();
    let keep = backup.path().to_owned();
    let pair = pair.restarted(503, move |here, _| copy(here, &keep)).await;
    let mut by = Dishonest::take_over(&pair, false, SV_CA).await;
    let draft = by.draft(&other, "permitted", ActKind::Fact, 0, "", "PERMITTED");
    let mut draft =
        draft.with_part(0, |p| p.record_id = named.0.to_vec()).with_part(1, |p| p.record_id = named.0.to_vec());
    draft.statement.record_id = named.0.to_vec();
    by.append(draft);
    let erase = Erase { record_id: named.0.to_vec(), part: 1, ground: "error".to_owned() };
    let statement = by.statement(reference("the order").0.to_vec(), Body::Erase(erase));
    by.append(Draft { statement, parts: Vec::new() });
    by.deliver().await;
    let answered = Ledger::answers(&by.ledger().await.own, (named, 1)).last().map(|said| said.answer.clone());
    assert_eq!(answered.as_deref(), Some("ERASED"), "the partner's own record is erased");
    drop(by);
    let keep = backup.path().to_owned();
    let pair = pair.restarted(504, move |here, _| copy(&keep, here)).await;
    assert!(readable(&pair.origin, named, 1).await, "the partner had our part erased");
    pair.check().await;
}

/// A restored database starts once before its disk is recovered: what lost its key with an erased part comes back with the
/// refill, and stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_what_shared_a_destroyed_key_was_erased_after_a_refill() {
    let pair = pair(505).await;
    let (case, named) = named(&pair, "p1").await;
    let nominated = ledger(&pair.origin).await.own.iter().find(|e| e.is_record()).unwrap().record_id();
    assert!(readable(&pair.destination, nominated, 1).await);
    let backup = tempfile::tempdir().unwrap();
    let keep = backup.path().to_owned();
    let pair = pair.restarted(506, move |_, there| copy(there, &keep)).await;
    pair.origin.erase(named, 1, "court-order").await.unwrap();
    pair.check().await;
    let keep = backup.path().to_owned();
    let mut pair = pair.restarted(507, move |_, there| copy(&keep, there)).await;
    assert!(!readable(&pair.destination, nominated, 1).await, "its key is gone");
    pair.link.cut();
    let started = pair.backup(false);
    pair.recover(false, Some(started)).await;
    pair.check().await;
    assert!(readable(&pair.destination, nominated, 1).await && !readable(&pair.destination, named, 1).await);
    let pair = pair.restarted(508, |_, _| {}).await;
    assert!(readable(&pair.destination, nominated, 1).await, "it was never ordered to be erased");
    assert!(!pair.destination.placement(&case).await.state.is_empty());
    pair.check().await;
}

/// What a damaged data key sealed counts as erased: orders about it are carried out and answered, and nothing waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_damaged_key_stopped_judging() {
    let pair = pair(509).await;
    let (case, named) = named(&pair, "p1").await;
    let nominated = ledger(&pair.origin).await.own.iter().find(|e| e.is_record()).unwrap().record_id();
    let keys = [&pair.origin, &pair.destination].map(|side| side.stored(named));
    let keys: Vec<[u8; 16]> = join_all(keys).await.iter().map(|rows| rows[1].key_id).collect();
    let damage = |file: std::path::PathBuf, key: &[u8]| {
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.windows(16).position(|window| window == key).unwrap();
        bytes[at + 40] ^= 1;
        fs::write(file, bytes).unwrap();
    };
    let pair = pair
        .restarted(510, move |here, there| {
            damage(here.join("data.keys"), &keys[0]);
            damage(there.join("data.keys"), &keys[1]);
        })
        .await;
    assert!(!readable(&pair.destination, named, 1).await && !readable(&pair.origin, named, 1).await);
    let ordered = pair.origin.erase(named, 1, "subject-request").await.unwrap();
    pair.settle().await;
    assert_eq!(pair.origin.progress(&ordered).await, (Progress::Erased, String::new()));
    pair.origin.erase(nominated, 1, "subject-request").await.unwrap();
    pair.origin.act(&case, "documented").await.unwrap();
    pair.destination.act(&case, "permitted").await.unwrap();
    pair.check().await;
    assert!(pair.origin.placement(&case).await.has("permitted"));
}

/// Of a record that comes back with a refill without its leading part the others are still its placement's: a hold keeps them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_part_refilled_without_its_lead_was_held_by_nothing() {
    let mut pair = pair(518).await;
    let (case, _) = named(&pair, "p1").await;
    pair.origin.act(&case, "documented").await.unwrap();
    let permit = pair.destination.act(&case, "permitted").await.unwrap().record_id.unwrap();
    pair.settle().await;
    for act in ["oriented", "ready"] {
        pair.origin.act(&case, act).await.unwrap();
        pair.settle().await;
    }
    for act in ["admitted", "employ", "end"] {
        pair.destination.act(&case, act).await.unwrap();
        pair.settle().await;
    }
    // Minimum retention of the lead passes while its permit is held.
    pair.clock.advance(DAY * 365 * 5);
    let hold = pair.destination.hold(&case, "personal", 22).await.unwrap();
    pair.clock.advance(DAY * 400);
    pair.destination.erase(permit, 0, "error").await.unwrap();
    pair.check().await;
    assert!(!readable(&pair.origin, permit, 0).await && readable(&pair.origin, permit, 1).await);
    pair.recover(true, None).await;
    pair.settle().await;
    let own = pair.origin.hold(&case, "", 3).await.unwrap();
    pair.destination.release(&case, hold).await.unwrap();
    let ordered = pair.destination.erase(permit, 1, "subject-request").await.unwrap();
    pair.check().await;
    assert_eq!(pair.destination.progress(&ordered).await, (Progress::Refused, "RETAINED".to_owned()));
    assert!(readable(&pair.origin, permit, 1).await);
    pair.origin.release(&case, own).await.unwrap();
    pair.check().await;
    assert_eq!(pair.destination.progress(&ordered).await, (Progress::Erased, String::new()));
    assert!(!readable(&pair.origin, permit, 1).await);
}

/// What the journal tells of a placement goes when the last of its classes has gone, of a worker with their last placement,
/// of nobody after as long; a hold keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_journal_tells_ends() {
    let pair = pair(519).await;
    let (first, second) = (pair.bring_one("p1", "order", "ENDED").await, pair.bring_one("p2", "order", "ENDED").await);
    let (here, worker) = (&pair.origin, reference("worker"));
    for case in [&first, &second] {
        let placement = ResourceRow {
            kind: Kind::Placement,
            id: case.id,
            parent: Some(worker),
            revision: 1,
            created_ms: START_MS,
            updated_ms: START_MS,
            body: Vec::new(),
        };
        told(here, move |work| work.put_resource(placement)).await;
        let id = case.id;
        told(here, move |work| work.note(Deed::Read, [(Kind::Placement, id)])).await;
    }
    told(here, |work| work.note(Deed::Read, [])).await;
    let mut keys = Vec::new();
    for subject in [journal::key_subject(first.id), journal::key_subject(second.id), journal::key_subject(worker)]
        .into_iter()
        .chain([journal::period_subject(START_MS)])
    {
        let key = here.core.store().subject_keys(&[subject]).await.unwrap()[0].key_id;
        assert!(!here.core.store().parts_of_key(key).await.unwrap().is_empty());
        keys.push(key);
    }
    let gone = async || {
        let mut gone = Vec::new();
        for key in &keys {
            let destroyed = matches!(here.vault.available(DataKeyId(*key)), Err(VaultError::Destroyed));
            assert_eq!(destroyed, here.core.store().parts_of_key(*key).await.unwrap().is_empty());
            gone.push(destroyed);
        }
        gone
    };
    pair.clock.advance(DAY * (365 * 10 - 20));
    here.retention_pass().await;
    here.retention_pass().await;
    assert_eq!(gone().await, [false; 4], "its terms are kept still");
    let hold = here.hold(&second, "", 3).await.unwrap();
    pair.clock.advance(DAY * 25);
    here.retention_pass().await;
    here.retention_pass().await;
    assert_eq!(gone().await, [true, false, false, false]);
    here.release(&second, hold).await.unwrap();
    here.retention_pass().await;
    here.retention_pass().await;
    assert_eq!(gone().await, [true, true, true, false]);
    pair.clock.advance(DAY * 30);
    here.retention_pass().await;
    assert_eq!(gone().await, [true; 4]);
    all_named(here, 7).await;
    pair.settle().await;
    pair.destination.retention_pass().await;
    pair.check().await;
}

/// A database from before an erasure of the journal: what it told is gone, and the journal says so again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_journal_names_what_was_erased() {
    let pair = pair(520).await;
    let case = pair.bring_one("p1", "order", "NOMINATED").await;
    let read = move |work: &mut Work| work.note(Deed::Read, [(Kind::Placement, case.id)]);
    told(&pair.origin, read).await;
    let backup = tempfile::tempdir().unwrap();
    let keep = backup.path().to_owned();
    let pair = pair.restarted(521, move |here, _| copy(here, &keep)).await;
    pair.settle().await;
    let subject = journal::key_subject(case.id);
    let key = pair.origin.core.store().subject_keys(&[subject]).await.unwrap()[0].key_id;
    let erased = pair.origin.core.write::<_, StoreError, _>(move |work| {
        async move { journal::erase(work, (Kind::Placement, case.id)).await }.boxed()
    });
    assert_eq!(erased.await.unwrap(), 1);
    pair.origin.retention_pass().await;
    assert!(matches!(pair.origin.vault.available(DataKeyId(key)), Err(VaultError::Destroyed)));
    let keep = backup.path().to_owned();
    let pair = pair.restarted(522, move |here, _| copy(&keep, here)).await;
    assert!(pair.origin.core.store().parts_of_key(key).await.unwrap().is_empty());
    told(&pair.origin, read).await;
    all_named(&pair.origin, 1).await;
    pair.check().await;
}

/// Each entry of the journal whose part went, so many of them, is named by an erasure.
async fn all_named(side: &Side, count: usize) {
    let logs = side.core.store().logs().await.unwrap();
    let log = logs.iter().find(|log| log.own && log.agreement.is_empty()).unwrap();
    let entries = side.books().entries(log, 0).await;
    let parts = entries.iter().flat_map(|entry| entry.parts.iter().flatten());
    let named: Vec<Vec<u8>> = parts
        .flat_map(|part| JournalPart::decode(part.part.as_slice()).unwrap().rows)
        .filter(|row| row.kind == 0)
        .map(|row| row.id)
        .collect();
    let without = entries.iter().filter(|entry| entry.parts.is_empty());
    let without: Vec<Vec<u8>> =
        without.map(|entry| JournalEntry::decode(entry.bytes.as_slice()).unwrap().record_id).collect();
    assert_eq!(without.len(), count);
    assert!(without.iter().all(|id| named.contains(id)), "{named:?}");
}

/// One job of the node's own.
async fn told(side: &Side, job: impl FnOnce(&mut Work) + Send + 'static) {
    let done = side.core.write_as::<_, StoreError, _>(Actor::system(), |work| {
        job(work);
        std::future::ready(Ok(())).boxed()
    });
    done.await.unwrap();
}

/// A core of one side's files over a database that can fail.
async fn faulty(pair: &Pair, origin: bool, fresh: bool) -> (Books, Arc<Faults>, tempfile::TempDir) {
    let files = (!fresh).then(|| pair.backup(origin));
    let (mut parts, store, dir) = pair.restored(origin, files).await;
    let faults = Arc::<Faults>::default();
    parts.store = Arc::new(FaultyStore::new(store, faults.clone()));
    let vault = parts.vault.clone();
    (Books { core: Core::open(parts).await.unwrap(), vault }, faults, dir)
}

/// After a failed commit nothing is written before the database was read again: a head at a wrong root would stand for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_failed_reread_wrote_a_wrong_head() {
    let pair = pair(511).await;
    pair.check().await;
    pair.link.cut();
    let (Books { core, .. }, faults, _dir) = faulty(&pair, false, false).await;
    let read = || async {
        let job = core.write_as::<_, StoreError, _>(Actor::system(), |work| {
            work.note(Deed::Read, []);
            std::future::ready(Ok(())).boxed()
        });
        job.await
    };
    read().await.unwrap();
    faults.plan(Fault::Failed);
    faults.blind(2);
    read().await.unwrap_err();
    read().await.unwrap_err();
    read().await.unwrap();
    read().await.unwrap();
    let store = core.store();
    for log in store.logs().await.unwrap().iter().filter(|log| log.size > 0) {
        let mut frontier = Frontier::new();
        store.leaves(log.id, 0, log.size).await.unwrap().into_iter().for_each(|leaf| frontier.append(Hash::from(leaf)));
        let head = store.checkpoint_at_most(log.id, log.size).await.unwrap().unwrap();
        assert_eq!((head.size, head.root), (log.size, *frontier.root().as_bytes()), "{}", log.origin);
    }
}

/// A commit that is done although nobody could tell: what its entries put in force is in force.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_an_uncertain_commit_forgot_what_is_in_force() {
    let pair = Pair::new(512).await;
    pair.check().await;
    pair.link.cut();
    let (books, faults, _dir) = faulty(&pair, true, true).await;
    let (there, here) = (pair.destination.exchange(SV_CA), books.core.exchange(SV_CA).unwrap());
    let opening = step::next_batch(&pair.destination.core, there, 0).await.unwrap().unwrap();
    let mut mirror = step::Receiving::open(&books.core, here).await.unwrap();
    mirror.take(opening).await.unwrap();
    faults.plan(Fault::UncertainAfter);
    step::judge(&books.core, here).await.unwrap_err();
    let begin = books.ledger(here).await.peer_row;
    assert_eq!(begin.settled, begin.size, "it is done");
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    let batch = step::next_batch(&pair.destination.core, there, begin.size).await.unwrap().unwrap();
    mirror.take(batch).await.unwrap();
    step::judge(&books.core, here).await.unwrap();
    let ledger = books.ledger(here).await;
    let order = ledger.peer.iter().rfind(|e| e.is_record()).unwrap().index;
    assert_eq!(Ledger::decisions(&ledger.own, order), [None]);
    pair.link.heal();
    pair.check().await;
}

/// An OUTCOME over more than any honest one covers is void; one over as much as may be is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_an_outcome_over_everything_loaded_everything() {
    let pair = pair(513).await;
    pair.check().await;
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    let begin = by.ledger().await.own_row;
    let seats: Vec<i32> = (0..4_200).collect();
    for some in seats.chunks(256) {
        for done in join_all(some.iter().map(|n| pair.destination.order(SV_CA, "order", 9 + n, true))).await {
            done.unwrap();
        }
    }
    let size = by.ledger().await.own_row.size;
    for (range, decided) in
        [((begin.size, size), 0), ((begin.size, begin.size + 4_097), 0), ((begin.size, begin.size + 4_096), 1)]
    {
        let outcome = Outcome { epoch: 1, begin: range.0, end: range.1, rejects: Vec::new(), commitments: Vec::new() };
        let statement = by.statement(reference(&format!("{range:?}")).0.to_vec(), Body::Outcome(outcome));
        by.append(Draft { statement, parts: Vec::new() });
        by.deliver().await;
        let row = by.ledger().await.own_row;
        assert_eq!(row.decided > begin.decided, decided == 1, "{range:?}");
    }
}

/// Neither a header nor the details of an OUTCOME carry what the agreement does not let cross.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_headers_and_details_carried_what_may_not_cross() {
    let pair = pair(514).await;
    pair.bring_one("p2", "order", "NOMINATED").await;
    pair.check().await;
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    let secret = || DOCUMENT.repeat(1_000);
    let mut wrong = Vec::new();
    let headers: [fn(&mut Part, String); 2] =
        [|p, s| p.record_id = s.into_bytes(), |p, s| p.agreement_digest = s.into_bytes()];
    for change in headers {
        let draft = by.draft(&Case::new("p0", "order"), "nominate", ActKind::Transition, 1, "PRESELECTED", "NOMINATED");
        let draft = draft.with_part(1, |part| change(part, secret()));
        wrong.push(by.append(draft));
    }
    let details: [fn(&mut Part, &mut OutcomeDetail, String); 7] = [
        |p, _, s| p.subject_ref = s,
        |p, _, s| p.known_state = s,
        |p, _, s| p.supersedes = s.into_bytes(),
        |p, _, s| p.record_id = s.into_bytes(),
        |p, _, s| p.agreement_digest = s.into_bytes(),
        |_, d, s| d.rejects[0].gate = s,
        |_, d, s| d.rejects[0].field_paths = vec![s],
    ];
    let mut entries = Vec::new();
    for (at, change) in details.into_iter().enumerate() {
        let id = reference(&format!("outcome {at}")).0.to_vec();
        let mut detail = OutcomeDetail {
            rejects: vec![RejectDetail {
                index: 3,
                gate: "order_open".into(),
                field_paths: vec!["placement.job_order".into()],
                ..RejectDetail::default()
            }],
        };
        let mut part = Part {
            record_id: id.clone(),
            agreement_digest: by.exchange.pack().digest().to_vec(),
            message_name: "convenio.exchange.v1.OutcomeDetail".into(),
            retention_class: "record".into(),
            ..Part::default()
        };
        change(&mut part, &mut detail, secret());
        part.message = detail.encode_to_vec();
        let parts: Vec<SaltedPart> = vec![by.salted(part.encode_to_vec())];
        let rejects = vec![Reject { index: 3, reason: "GATE".into() }];
        let outcome = Outcome { epoch: 1, begin: 3, end: 4, rejects, commitments: commitments(&parts) };
        let statement = by.statement(id, Body::Outcome(outcome));
        entries.push(by.append(Draft { statement, parts }));
    }
    by.deliver().await;
    for index in wrong {
        assert_eq!(by.verdict(index).await, Err("SCHEMA".to_owned()));
    }
    for entry in &by.ledger().await.peer {
        for part in entry.parts.iter().flatten() {
            let found = part.part.windows(DOCUMENT.len()).any(|w| w == DOCUMENT.as_bytes());
            assert!(!found, "entry {} is stored with what may not cross", entry.index);
        }
    }
}

/// A revocation padded to the length of an entry is echoed with the roots' signatures alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_padded_revocation_stopped_judging() {
    let pair = pair(515).await;
    pair.check().await;
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    let party = &pair.treaty.origin;
    let mut frontier = Frontier::new();
    by.log.iter().for_each(|entry| frontier.append(leaf_hash(entry)));
    let said = KeyRevocation {
        party: party.party.clone(),
        node: party.node.clone(),
        key_id: party.keys.witness.public().key_id().to_vec(),
        r#use: "witness".to_owned(),
        log_origin: by.exchange.own().origin.clone(),
        last_good_size: frontier.size(),
        last_good_root: frontier.root().as_bytes().to_vec(),
        reason: "stolen".to_owned(),
    };
    let signed = sign_revocation(&said, &party.roots_that_sign()).unwrap();
    let revoke = |junk: usize| {
        let mut signatures = signed.signatures.clone();
        signatures.extend((0..14).map(|n| Signature { key_id: vec![n; 32], sig: vec![7; junk] }));
        Revoke { payload: signed.payload.clone(), signatures }
    };
    let length = |by: &Dishonest, junk| {
        let statement = by.statement(reference("revoke").0.to_vec(), Body::Revoke(revoke(junk)));
        convenio_seal::statement::seal_entry(&statement, &by.keys.record).map(|entry| entry.len())
    };
    let junk = (1..5_000).rev().find(|junk| length(&by, *junk).is_ok()).unwrap();
    let statement = by.statement(reference("revoke").0.to_vec(), Body::Revoke(revoke(junk)));
    by.append(Draft { statement, parts: Vec::new() });
    by.deliver().await;
    let own = by.ledger().await.own;
    let echoed: Vec<&Revoke> = own
        .iter()
        .filter_map(|e| match &e.statement.body {
            Some(Body::Revoke(revoke)) => Some(revoke),
            _ => None,
        })
        .collect();
    let [echoed] = echoed[..] else { panic!("{} revocations", echoed.len()) };
    assert_eq!(echoed.signatures.len(), signed.signatures.len());
    assert_eq!(verify_revoke(echoed, &party.roots).unwrap(), said);
}

/// The same hold asked for twice at once is one; one too many leaves nothing, not in the ledger either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_hold_was_placed_twice_and_a_refused_one_stood() {
    let pair = pair(516).await;
    let (case, _) = named(&pair, "p1").await;
    let there = &pair.destination;
    let hold = |n: u8| Hold {
        id: vec![n; 16],
        ground: "litigation".to_owned(),
        expires_ms: there.core.clock().now_ms() + MONTH_MS,
        ..Hold::default()
    };
    let place = |n| hold::place(&there.core, Actor::system(), there.exchange(SV_CA), case.id, hold(n));
    let release = there.occupy().await;
    let (one, other, ()) = futures::join!(place(0), place(0), async {
        // Both have looked at what is kept, and wait for the writer.
        while there.vault.ledger().lines().unwrap().len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        release.send(()).unwrap();
    });
    assert_eq!(one.unwrap().id, other.unwrap().id);
    for n in 1..64 {
        place(n).await.unwrap();
    }
    let held = || hold::of(there.core.store().as_ref(), SV_CA, case.id);
    assert_eq!(held().await.unwrap().len(), 64);
    assert!(matches!(place(64).await, Err(HoldError::TooMany)));
    assert!(!there.vault.ledger().lines().unwrap().iter().any(|line| line.contains(&hex::encode([64; 16]))));
    hold::release(&there.core, Actor::system(), there.exchange(SV_CA), case.id, Ref([0; 16])).await.unwrap();
    assert_eq!(held().await.unwrap().iter().filter(|hold| hold.released_ms == 0).count(), 63);
    pair.check().await;
}

/// The first head of a log.
fn first(origin: &str, key: &SigningKey) -> String {
    let mut tree = MemoryTree::new();
    (0..3u64).for_each(|at| tree.append(leaf_hash(&at.to_be_bytes())));
    let head = Checkpoint::new(origin, 3, tree.root()).unwrap().sign(&Log(origin, key)).unwrap();
    AddCheckpoint::prove(&tree, 0, head).unwrap().to_string()
}

/// A partner cannot take all the room of the witness with logs of its own making, nor fill its file with one head.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_partner_filled_the_witness() {
    let pair = pair(517).await;
    let core = pair.destination.core.clone();
    let file = pair.destination.dir.path().join("witness.heads");
    let own = &pair.destination.keys.witness;
    let heads = HeadsFile::open(&file, core.store().as_ref(), false, own).await.unwrap();
    let witness = Witness::new(core.clone(), heads, Vec::new());
    let node = pair.origin.core.node_name().to_owned();
    let by = Submitter { partner: Some(&node), configured: false };
    let key = &pair.origin.keys.log;
    let submit =
        async |origin: String| witness.add_checkpoint(by, first(&origin, key).as_bytes()).await.unwrap().status;
    let invented = pair.origin.exchange(SV_CA).own().origin.replace("/1", "/9");
    assert_eq!(submit(invented).await, 404, "an epoch that nobody granted");
    let mut accepted = 0;
    for epoch in 1..=200 {
        accepted += u32::from(submit(format!("{node}/journal/{epoch}")).await == 200);
    }
    assert_eq!(accepted, 64);
    let lines = || fs::read_to_string(&file).unwrap().lines().count();
    let before = lines();
    let again = first(&format!("{node}/journal/1"), key).replace("old 0", "old 3");
    for _ in 0..5 {
        let again = AddCheckpoint::parse(again.as_bytes()).map(|_| again.clone());
        let body = again.unwrap_or_else(|_| panic!("a submission"));
        assert_eq!(witness.add_checkpoint(by, body.as_bytes()).await.unwrap().status, 200);
    }
    assert_eq!(lines(), before, "a head that stands there is written again");
    pair.check().await;
}
