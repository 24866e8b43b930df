//! Erasure that keeps proof: holds, minimum retention, deadlines, crashes in the middle, and databases restored from
//! before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use convenio_exchange::erase::order::{EraseError, Ordered, Progress};
use convenio_exchange::erase::retention;
use convenio_model::RecordId;
use convenio_seal::vault::{DataKeyId, VaultError};
use convenio_testkit::calls::reason;
use convenio_testkit::ledger::Ledger;
use convenio_testkit::pair::START_MS;
use convenio_testkit::records::{DOCUMENT, FAMILY_NAME};
use convenio_testkit::treaty::SV_CA;
use convenio_testkit::{Case, Nodes, Pair, Side};
use convenio_wire::exchange::v1::{JournalAction, JournalPart};
use convenio_wire::registry::v1 as registry;
use prost::Message;
use tonic::Code;

const DAY: Duration = Duration::from_secs(86_400);

async fn pair(seed: u64) -> Pair {
    let pair = Pair::new(seed).await;
    pair.destination.order(SV_CA, "order", 5, true).await.unwrap();
    pair.settle().await;
    pair
}

/// A placement whose name and document have crossed; ids of the records that nominated, named and documented.
async fn documented(pair: &Pair, label: &str) -> (Case, [RecordId; 3]) {
    let case = pair.bring_one(label, "order", "CONTRACTED").await;
    pair.origin.act(&case, "documented").await.unwrap();
    pair.destination.act(&case, "permitted").await.unwrap();
    pair.settle().await;
    let mut found = Vec::new();
    for lead in ["Nomination", "CandidateIdentified", "CandidateDocumented"] {
        let own = ledger(&pair.origin).await.own;
        let of = |e: &&convenio_testkit::ledger::Entry| {
            let parts = e.decoded().unwrap_or_default();
            parts
                .first()
                .is_some_and(|p| p.message_name.ends_with(lead) && p.subject_ref.ends_with(&case.id.to_string()))
        };
        found.push(own.iter().rfind(of).unwrap().record_id());
    }
    (case, found.try_into().unwrap())
}

async fn ledger(side: &Side) -> Ledger {
    side.books().ledger(side.exchange(SV_CA)).await
}

/// Whether a part of a record can be read.
async fn readable(side: &Side, record: RecordId, part: usize) -> bool {
    let ledger = ledger(side).await;
    let mut entries = ledger.own.iter().chain(&ledger.peer);
    entries.any(|e| e.record_id() == record && e.is_record() && e.parts.get(part).is_some_and(Option::is_some))
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
    found
}

fn holding(files: &[(PathBuf, Vec<u8>)], text: &str) -> Vec<PathBuf> {
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    files.iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path.clone()).collect()
}

/// Name, document and permit go on both sides; state, number, facts and terms stay, and all signatures with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn personal_parts_go_and_the_record_stays() {
    let pair = pair(301).await;
    let (case, [nominated, named, documented]) = documented(&pair, "p1").await;
    let (other, [_, other_named, _]) = self::documented(&pair, "p2").await;
    let before = (pair.origin.placement(&case).await, pair.destination.placement(&case).await);
    let keys: Vec<_> = pair.destination.stored(named).await.iter().map(|row| DataKeyId(row.key_id)).collect();
    assert!(readable(&pair.destination, named, 1).await);

    let ordered = pair.origin.erase_class(&case, "personal", "consent-withdrawn").await.unwrap();
    assert_eq!(ordered.len(), 3, "Candidate, CandidateName, CandidateDocument");
    pair.settle().await;
    for one in &ordered {
        assert_eq!(pair.origin.progress(one).await, (Progress::Erased, String::new()));
    }
    for side in [&pair.origin, &pair.destination] {
        for record in [nominated, named, documented] {
            assert!(readable(side, record, 0).await, "the act outlives the person's data");
            assert!(!readable(side, record, 1).await);
        }
        assert!(readable(side, other_named, 1).await, "another person's data stays");
    }
    // The permit is the destination's to erase; it was sealed with the same data key and is readable still.
    let granted = |e: &&convenio_testkit::ledger::Entry| {
        let parts = e.decoded().unwrap_or_default();
        let of_case = |p: &convenio_wire::exchange::v1::Part| p.subject_ref.ends_with(&case.id.to_string());
        parts.first().is_some_and(|p| p.message_name.ends_with("PermitGranted") && of_case(p))
    };
    let permit = ledger(&pair.destination).await.own.iter().rfind(granted).unwrap().record_id();
    assert!(readable(&pair.destination, permit, 1).await && readable(&pair.origin, permit, 1).await);
    assert!(matches!(pair.destination.vault.available(keys[1]), Err(VaultError::Destroyed)), "its key is destroyed");
    let after = (pair.origin.placement(&case).await, pair.destination.placement(&case).await);
    assert!(!before.1.worker_ref.is_empty() && after.1.worker_ref.is_empty() && after.0.worker_ref.is_empty());
    assert_eq!((after.1.state, after.1.number, after.1.facts), (before.1.state, before.1.number, before.1.facts));
    assert_eq!(after.1.agreed, before.1.agreed, "the terms outlive the person's data");
    // Both go on, under a fresh key.
    pair.origin.act(&case, "oriented").await.unwrap();
    pair.origin.act(&case, "documented").await.unwrap();
    pair.origin.act(&case, "ready").await.unwrap();
    pair.destination.erase_class(&case, "personal", "consent-withdrawn").await.unwrap();
    pair.destination.act(&other, "permitted").await.unwrap();
    pair.check().await;
    assert!(!readable(&pair.origin, permit, 1).await);
    assert_eq!(pair.destination.placement(&case).await.state, "READY_TO_TRAVEL");
}

/// An ERASE that is repeated is answered again and does nothing; one about what is not the issuer's is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_issuer_erases_and_once() {
    let pair = pair(302).await;
    let (_, [_, named, _]) = documented(&pair, "p1").await;
    let first = pair.origin.erase(named, 1, "subject-request").await.unwrap();
    let sizes = pair.sizes();
    let again = pair.origin.erase(named, 1, "error").await.unwrap();
    assert_eq!(first, again);
    assert!(pair.sizes()[0] <= sizes[0] + 1, "nothing is ordered twice");
    assert!(matches!(pair.destination.erase(named, 0, "error").await, Err(EraseError::NotIssuer)));
    assert!(matches!(pair.origin.erase(RecordId::default(), 0, "error").await, Err(EraseError::NotFound)));
    assert!(matches!(pair.origin.erase(named, 2, "error").await, Err(EraseError::NotFound)));
    assert!(matches!(pair.origin.erase(named, 1, "whim").await, Err(EraseError::Ground)));
    pair.check().await;
    assert_eq!(Ledger::answers(&ledger(&pair.destination).await.own, (named, 1)).len(), 1);
}

/// Terms are kept for six years after the end; then they go by themselves after ten, and what is public never.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minimum_retention_and_what_is_due() {
    let pair = pair(303).await;
    let (case, [nominated, named, _]) = documented(&pair, "p1").await;
    assert!(matches!(pair.origin.erase(nominated, 0, "error").await, Err(EraseError::TooEarly)));
    for (side, act) in [(&pair.origin, "oriented"), (&pair.origin, "ready"), (&pair.destination, "admitted")] {
        side.act(&case, act).await.unwrap();
        pair.settle().await;
    }
    for act in ["employ", "end"] {
        pair.destination.act(&case, act).await.unwrap();
        pair.settle().await;
    }
    assert!(matches!(pair.origin.erase(nominated, 0, "error").await, Err(EraseError::TooEarly)));
    pair.origin.retention_pass().await;
    assert!(readable(&pair.destination, named, 1).await, "not due yet");
    // Six years later the personal parts are due on both sides, terms and record are not.
    pair.clock.advance(DAY * 365 * 6 + DAY * 3);
    let due = retention::due(&pair.origin.core, pair.origin.exchange(SV_CA)).await.unwrap();
    assert!(due.iter().all(|due| due.class == "personal" && due.placement == case.id), "{due:?}");
    pair.origin.retention_pass().await;
    pair.destination.retention_pass().await;
    pair.check().await;
    for side in [&pair.origin, &pair.destination] {
        assert!(!readable(side, named, 1).await && readable(side, named, 0).await);
        assert!(retention::due(&side.core, side.exchange(SV_CA)).await.unwrap().is_empty(), "it is ordered once");
    }
    let sizes = pair.sizes();
    pair.origin.retention_pass().await;
    pair.settle().await;
    assert_eq!(pair.sizes(), sizes);
    // Ten years later the rest goes.
    pair.clock.advance(DAY * 365 * 4);
    pair.origin.retention_pass().await;
    pair.destination.retention_pass().await;
    pair.check().await;
    assert!(!readable(&pair.destination, nominated, 0).await);
    assert_eq!(pair.destination.placement(&case).await.state, "ENDED", "the live view knows its state still");
}

/// A hold puts an order off: REFUSED, and ERASED unasked once it ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_expires() {
    let pair = pair(304).await;
    let (case, [_, named, documented]) = documented(&pair, "p1").await;
    pair.destination.hold(&case, "personal", 3).await.unwrap();
    let ordered = pair.origin.erase(named, 1, "subject-request").await.unwrap();
    pair.check().await;
    assert_eq!(pair.origin.progress(&ordered).await, (Progress::Refused, "RETAINED".to_owned()));
    assert!(readable(&pair.destination, named, 1).await && !readable(&pair.origin, named, 1).await);
    pair.clock.advance(DAY * 60);
    pair.destination.retention_pass().await;
    assert!(readable(&pair.destination, named, 1).await);
    pair.clock.advance(DAY * 60);
    pair.destination.retention_pass().await;
    pair.check().await;
    assert_eq!(pair.origin.progress(&ordered).await, (Progress::Erased, String::new()));
    assert!(!readable(&pair.destination, named, 1).await);
    // A hold of the issuer's own keeps it from ordering.
    let hold = pair.origin.hold(&case, "", 1).await.unwrap();
    assert!(matches!(pair.origin.erase(documented, 1, "error").await, Err(EraseError::Held)));
    pair.origin.release(&case, hold).await.unwrap();
    pair.origin.erase(documented, 1, "error").await.unwrap();
    pair.check().await;
}

/// Without an answer the erasure is overdue after the agreement's thirty days, and done once the answer comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_can_be_overdue() {
    let pair = pair(305).await;
    let (_, [_, named, _]) = documented(&pair, "p1").await;
    pair.destination.judges(false);
    let ordered = pair.origin.erase(named, 1, "court-order").await.unwrap();
    pair.delivered().await;
    assert_eq!(pair.origin.progress(&ordered).await.0, Progress::Delivered);
    pair.clock.advance(DAY * 31);
    assert_eq!(pair.origin.progress(&ordered).await.0, Progress::Overdue);
    pair.destination.judges(true);
    pair.check().await;
    assert_eq!(pair.origin.progress(&ordered).await.0, Progress::Erased);
}

/// A part that was erased before delivery is delivered as erased and rejected; the ERASE behind it is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erased_before_delivery() {
    let pair = pair(306).await;
    pair.origin.delivers(false);
    let case = Case::new("p1", "order");
    let nominated = pair.origin.act(&case, "nominate").await.unwrap().record_id.unwrap();
    let ordered = pair.origin.erase(nominated, 1, "error").await.unwrap();
    assert_eq!(pair.origin.progress(&ordered).await.0, Progress::Ordered);
    pair.origin.delivers(true);
    pair.check().await;
    let reason = pair.origin.placement(&case).await.rejected.unwrap().reason;
    assert_eq!((reason.as_str(), pair.origin.progress(&ordered).await.0), ("PART_MISSING", Progress::Erased));
    assert_eq!(pair.destination.placement(&case).await.state, "");
}

/// A destroyed data key must not wedge the later records of its subject.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_destroyed_key_wedged_its_subject() {
    let pair = pair(307).await;
    let (case, [_, named, _]) = documented(&pair, "p1").await;
    let key = DataKeyId(pair.origin.stored(named).await[1].key_id);
    pair.origin.vault.destroy(key).unwrap();
    pair.origin.act(&case, "identified").await.unwrap();
    pair.settle().await;
    assert!(pair.destination.placement(&case).await.facts.iter().filter(|f| f.name == "identified").count() == 2);
}

async fn erased_both(pair: &Pair, record: RecordId) {
    for side in [&pair.origin, &pair.destination] {
        assert!(!readable(side, record, 1).await);
    }
}

/// A crash between the commit of an erasure and the destruction of the key: the next start destroys it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_the_key_is_destroyed() {
    let pair = pair(308).await;
    let (_, [_, named, _]) = documented(&pair, "p1").await;
    let keys = [&pair.origin, &pair.destination].map(|side| side.stored(named));
    let keys: Vec<_> = futures::future::join_all(keys).await.iter().map(|rows| DataKeyId(rows[1].key_id)).collect();
    for side in [&pair.origin, &pair.destination] {
        side.core.controls.shred.send_replace(false);
    }
    pair.origin.erase(named, 1, "error").await.unwrap();
    pair.settle().await;
    assert!(pair.origin.vault.available(keys[0]).is_ok() && pair.destination.vault.available(keys[1]).is_ok());
    let pair = pair.restarted(309, |_, _| {}).await;
    for (side, key) in [(&pair.origin, keys[0]), (&pair.destination, keys[1])] {
        assert!(matches!(side.vault.available(key), Err(VaultError::Destroyed)));
    }
    erased_both(&pair, named).await;
    pair.check().await;
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        } else {
            let _ = fs::remove_file(to.join(name));
        }
    }
}

const DATABASE: [&str; 3] = ["node.db", "node.db-wal", "node.db-shm"];

/// A database from before an erasure, and even data keys from before it: what was erased does not come back, holds stand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_has_no_erased_data() {
    for with_keys in [false, true] {
        let pair = pair(310).await;
        let (case, [nominated, named, documented]) = documented(&pair, "p1").await;
        let backup = tempfile::tempdir().unwrap();
        let keep = backup.path().to_owned();
        let pair =
            pair.restarted(311, move |_, there| copy(there, &keep, &[&DATABASE[..], &["data.keys"]].concat())).await;
        pair.settle().await;
        let old = pair.destination.placement(&case).await;
        pair.origin.erase(nominated, 1, "error").await.unwrap();
        pair.origin.erase(named, 1, "error").await.unwrap();
        pair.settle().await;
        pair.destination.hold(&case, "personal", 3).await.unwrap();
        pair.settle().await;
        // Both stop; only the destination's files are restored, and the line stays cut: rollback is another matter.
        let keep = backup.path().to_owned();
        let names = if with_keys { [&DATABASE[..], &["data.keys"]].concat() } else { DATABASE.to_vec() };
        let pair = pair.restarted(312, move |_, there| copy(&keep, there, &names)).await;
        let there = &pair.destination;
        assert!(!readable(there, named, 1).await && !readable(there, nominated, 1).await, "with keys: {with_keys}");
        assert!(readable(there, documented, 1).await || !with_keys, "what was not erased is there");
        assert!(!old.worker_ref.is_empty() && there.placement(&case).await.worker_ref.is_empty());
        let holds = convenio_exchange::erase::hold::of(there.core.store().as_ref(), SV_CA, case.id).await.unwrap();
        assert_eq!(holds.len(), 1);
    }
}

/// A placement's permit, the destination's record.
async fn permit_of(pair: &Pair, case: &Case) -> RecordId {
    let granted = |e: &&convenio_testkit::ledger::Entry| {
        let parts = e.decoded().unwrap_or_default();
        let of_case = |p: &convenio_wire::exchange::v1::Part| p.subject_ref.ends_with(&case.id.to_string());
        parts.first().is_some_and(|p| p.message_name.ends_with("PermitGranted") && of_case(p))
    };
    ledger(&pair.destination).await.own.iter().rfind(granted).unwrap().record_id()
}

/// A lost disk after erasures: nothing that was erased comes back with the refill, not even what the partner keeps under a
/// hold; orders, answers and what was put off are known again, and the views are as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refill_replays_erasures() {
    let mut pair = pair(330).await;
    let (first, [_, gone, _]) = documented(&pair, "p1").await;
    let (second, [_, held, documented]) = self::documented(&pair, "p2").await;
    let done = pair.origin.erase(gone, 1, "subject-request").await.unwrap();
    let hold = pair.destination.hold(&second, "personal", 6).await.unwrap();
    let refused = pair.origin.erase(held, 1, "subject-request").await.unwrap();
    let (third, _) = self::documented(&pair, "p3").await;
    let (first_permit, third_permit) = (permit_of(&pair, &first).await, permit_of(&pair, &third).await);
    let erased_there = pair.destination.erase(first_permit, 1, "error").await.unwrap();
    pair.origin.hold(&third, "", 1).await.unwrap();
    let put_off = pair.destination.erase(third_permit, 1, "error").await.unwrap();
    pair.check().await;
    let views = (pair.origin.placement(&first).await, pair.origin.placement(&second).await);
    assert_eq!(pair.destination.progress(&put_off).await.0, Progress::Refused);
    assert!(readable(&pair.destination, held, 1).await, "the partner keeps it");

    pair.recover(true, None).await;
    // Before anything was exchanged again.
    for part in [(gone, 1), (held, 1), (first_permit, 1)] {
        assert!(!readable(&pair.origin, part.0, 1).await);
        assert!(pair.origin.is_marked_erased(part.0, part.1).await, "{part:?}");
    }
    assert!(readable(&pair.origin, documented, 1).await && readable(&pair.origin, gone, 0).await);
    pair.check().await;
    assert_eq!(pair.origin.placement(&first).await, views.0);
    assert_eq!(pair.origin.placement(&second).await, views.1);
    assert_eq!(pair.origin.progress(&done).await, (Progress::Erased, String::new()));
    assert_eq!(pair.origin.progress(&refused).await, (Progress::Refused, "RETAINED".to_owned()));
    assert_eq!(pair.destination.progress(&erased_there).await.0, Progress::Erased);
    // What the origin held was lost with its hold: it says so by itself.
    pair.origin.retention_pass().await;
    pair.destination.release(&second, hold).await.unwrap();
    pair.check().await;
    assert_eq!(pair.origin.progress(&refused).await, (Progress::Erased, String::new()));
    assert_eq!(pair.destination.progress(&put_off).await, (Progress::Erased, String::new()));
    // The other side loses its disk too: what it erased for its partner stays erased.
    pair.recover(false, None).await;
    for record in [gone, held] {
        assert!(pair.destination.is_marked_erased(record, 1).await && !readable(&pair.destination, record, 1).await);
    }
    pair.check().await;
}

/// An own order that was lost with the disk before it was mirrored is given again from the ledger, which survived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_in_flight_outlives_the_disk() {
    let mut pair = pair(331).await;
    let (_, [_, named, documented]) = documented(&pair, "p1").await;
    pair.origin.delivers(false);
    pair.origin.erase(named, 1, "court-order").await.unwrap();
    pair.link.cut();
    let survived = pair.backup(true).without("node.db");
    let recovered = pair.recover(true, Some(survived)).await;
    assert_eq!(recovered.opened.reissued, 1);
    assert!(pair.origin.is_marked_erased(named, 1).await && readable(&pair.origin, documented, 1).await);
    pair.check().await;
    let own = ledger(&pair.origin).await.own;
    let grounds: Vec<_> = own
        .iter()
        .filter_map(|e| match &e.statement.body {
            Some(convenio_wire::exchange::v1::statement::Body::Erase(order)) => Some(order.ground.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(grounds, ["court-order"]);
    let ordered =
        convenio_exchange::erase::order::ordered(&pair.origin.core, pair.origin.exchange(SV_CA), named, 1).await;
    assert_eq!(pair.origin.progress(&ordered.unwrap().unwrap()).await, (Progress::Erased, String::new()));
    assert!(!readable(&pair.destination, named, 1).await);
}

/// A database from before an erasure with the data keys of today, then a refill: what shared the destroyed key comes back
/// from the partner, what was erased does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refill_brings_back_what_was_not_erased() {
    for old_keys in [false, true] {
        let mut pair = pair(332).await;
        let (_, [_, named, documented]) = documented(&pair, "p1").await;
        let old = pair.backup(false);
        pair.origin.erase(named, 1, "court-order").await.unwrap();
        pair.check().await;
        pair.link.cut();
        let new = pair.backup(false);
        // With the keys of then, the ledger of today alone says what is erased.
        let files = if old_keys { old.with(&new, "data.keys.ledger") } else { old.with(&new, "data.keys") };
        pair.recover(false, Some(files)).await;
        let there = &pair.destination;
        assert!(there.is_marked_erased(named, 1).await && !readable(there, named, 1).await, "old keys: {old_keys}");
        assert!(readable(there, documented, 1).await, "old keys: {old_keys}");
        pair.check().await;
    }
}

/// What a node's journal says was erased: of which placements.
async fn journalled(side: &Side) -> Vec<Vec<u8>> {
    let logs = side.core.store().logs().await.unwrap();
    let journal = logs.iter().find(|log| log.own && log.agreement.is_empty()).unwrap();
    let mut found = Vec::new();
    for entry in side.books().entries(journal, 0).await {
        for part in entry.parts.iter().flatten() {
            let part = JournalPart::decode(part.part.as_slice()).unwrap();
            if part.action == i32::from(JournalAction::Erased) {
                found.extend(part.rows.into_iter().map(|row| row.id));
            }
        }
    }
    found
}

/// What the partner orders erased stands in the recipient's own journal, at once or when a hold has expired; so does what
/// either erases by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_for_the_partner_is_journalled() {
    let pair = pair(333).await;
    let (first, [_, named, _]) = documented(&pair, "p1").await;
    let (second, [_, held, _]) = self::documented(&pair, "p2").await;
    assert_eq!(journalled(&pair.destination).await, Vec::<Vec<u8>>::new());
    pair.origin.erase(named, 1, "subject-request").await.unwrap();
    pair.destination.hold(&second, "", 1).await.unwrap();
    pair.origin.erase(held, 1, "subject-request").await.unwrap();
    pair.check().await;
    assert_eq!(journalled(&pair.destination).await, [first.id.0.to_vec()]);
    pair.clock.advance(DAY * 40);
    pair.destination.retention_pass().await;
    pair.check().await;
    assert_eq!(journalled(&pair.destination).await, [first.id.0.to_vec(), second.id.0.to_vec()]);
}

/// Sentinels of personal parts are in no file of the destination once they are erased: database, WAL, vault, bundle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sentinel_is_left_in_any_file() {
    let pair = pair(313).await;
    let (case, [_, named, documented]) = documented(&pair, "p1").await;
    let worker_ref = case.worker_ref().to_string();
    let parts = |side: &Side, record| {
        let books = side.books();
        let exchange = side.exchange(SV_CA).clone();
        async move {
            let ledger = books.ledger(&exchange).await;
            let entry = ledger.peer.into_iter().find(|e| e.record_id() == record).unwrap();
            entry.parts[1].clone().unwrap().part
        }
    };
    let said = [parts(&pair.destination, named).await, parts(&pair.destination, documented).await].concat();
    assert!(said.windows(FAMILY_NAME.len()).any(|w| w == FAMILY_NAME.as_bytes()), "the sentinels did cross");
    assert!(said.windows(DOCUMENT.len()).any(|w| w == DOCUMENT.as_bytes()));
    let ordered: Vec<Ordered> = pair.origin.erase_class(&case, "personal", "subject-request").await.unwrap();
    assert_eq!(ordered.len(), 3);
    pair.check().await;
    // The pool is closed, so that the WAL is checkpointed.
    let pair = pair.restarted(314, move |_, there| {
        let all = files(there);
        assert!(all.len() >= 3);
        for sentinel in [FAMILY_NAME, DOCUMENT, worker_ref.as_str()] {
            assert_eq!(holding(&all, sentinel), Vec::<PathBuf>::new(), "{sentinel}");
        }
    });
    pair.await.check().await;
}

/// Case workers order an erasure and place a hold by RPC; answers kept for repeated requests hold nothing of it either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_rpc_on_whole_nodes_and_nothing_is_left() {
    let nodes = Nodes::start(320).await;
    let order = nodes.order("order", 2).await;
    nodes.settle().await;
    let name = nodes.placement("p1", &order).await;
    nodes.bring(&name, "documented").await;
    let (sv, ca) = (&nodes.origin.calls, &nodes.destination.calls);
    let worker_ref = ca.get_placement(registry::GetPlacementRequest { name: name.clone() }).await.unwrap().worker_ref;
    assert_eq!(worker_ref.len(), 36);

    let hold = registry::Hold {
        retention_class: "personal".into(),
        ground: "audit".into(),
        expire_time: Some(prost_types::Timestamp { seconds: (START_MS / 1000 + 5_000_000) as i64, nanos: 0 }),
        ..Default::default()
    };
    let parent = name.clone();
    let asked = registry::CreateHoldRequest { parent, hold: Some(hold.clone()), hold_id: String::new() };
    let held = ca.create_hold(asked.clone()).await.unwrap();
    assert!(held.standing && held.name.starts_with(&format!("{name}/holds/")));
    let late =
        registry::Hold { expire_time: Some(prost_types::Timestamp { seconds: 9_000_000_000, nanos: 0 }), ..hold };
    let refused = ca.create_hold(registry::CreateHoldRequest { hold: Some(late), ..asked }).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");

    let erase = |class: &str, ground: &str| registry::ErasePlacementPartsRequest {
        placement: name.clone(),
        retention_class: class.into(),
        ground: ground.into(),
        request_id: "0190163d-8694-739b-aea5-966c26f8ad91".into(),
    };
    let kept = sv.erase_placement_parts(erase("record", "error")).await.unwrap_err();
    assert_eq!((kept.code(), reason(&kept).as_str()), (Code::FailedPrecondition, "MINIMUM_RETENTION"));
    let erasures = sv.erase_placement_parts(erase("personal", "subject-request")).await.unwrap().erasures;
    assert_eq!(erasures.len(), 3);
    let again = sv.erase_placement_parts(erase("personal", "subject-request")).await.unwrap().erasures;
    assert_eq!(again.len(), 3);
    let reused = sv.erase_placement_parts(erase("personal", "error")).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    nodes.settle().await;
    let one = || registry::GetErasureRequest { name: erasures[0].name.clone() };
    let told = sv.get_erasure(one()).await.unwrap();
    assert_eq!((told.state(), told.reason.as_str()), (registry::ErasureState::Refused, "RETAINED"));

    ca.release_hold(registry::ReleaseHoldRequest { name: held.name.clone() }).await.unwrap();
    nodes.settle().await;
    assert_eq!(sv.get_erasure(one()).await.unwrap().state(), registry::ErasureState::Erased);
    let list = |page_token: String| registry::ListErasuresRequest { agreement: SV_CA.into(), page_size: 2, page_token };
    let first = sv.list_erasures(list(String::new())).await.unwrap();
    let second = sv.list_erasures(list(first.next_page_token.clone())).await.unwrap();
    assert_eq!((first.erasures.len(), second.erasures.len(), second.next_page_token.as_str()), (2, 1, ""));
    let holds = registry::ListHoldsRequest { agreement: SV_CA.into(), ..Default::default() };
    let holds = ca.list_holds(holds).await.unwrap().holds;
    assert!(holds.len() == 1 && !holds[0].standing && holds[0].release_time.is_some());
    nodes.check().await;

    // Folders outlive their nodes; stopping closes the database, and with it the WAL.
    let copies = tempfile::tempdir().unwrap();
    let kept = copies.path().to_owned();
    let folder = nodes.site.path("ca");
    nodes
        .stop_then(|| {
            files(&folder).into_iter().for_each(|(path, bytes)| {
                let flat = path.display().to_string().replace('/', "_");
                fs::write(kept.join(flat), bytes).unwrap();
            })
        })
        .await;
    let all = files(copies.path());
    assert!(all.iter().any(|(path, _)| path.to_string_lossy().ends_with(".db")), "{:?}", all.len());
    for sentinel in [worker_ref.as_str(), FAMILY_NAME, DOCUMENT] {
        assert_eq!(holding(&all, sentinel), Vec::<PathBuf>::new(), "{sentinel}");
    }
}
