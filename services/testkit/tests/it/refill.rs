//! A refill by a partner that lies or breaks off, and one that is taken twice: nothing counts before it is verified, and
//! nothing is signed that this node did not say.

use std::sync::Arc;

use convenio_exchange::erase::order::Progress;
use convenio_exchange::recovery::client::{RecoverError, Recovering};
use convenio_exchange::{Core, OpenError, publish};
use convenio_model::{RecordId, SeededEntropy};
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::rotation::{key_rotate_from, sign_keys};
use convenio_seal::statement::{claimed_statement, seal_entry};
use convenio_store::Staged;
use convenio_testkit::ledger::Ledger;
use convenio_testkit::loss::Backup;
use convenio_testkit::treaty::{self, SV_CA};
use convenio_testkit::{Books, Case, Link, Pair, Side, invariants};
use convenio_wire::exchange::v1::refill_response::Message as Said;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{Batch, Outcome, RefillLog, RefillResponse, Reject, Statement};
use futures::FutureExt;

async fn ledger(side: &Side) -> Ledger {
    side.books().ledger(side.exchange(SV_CA)).await
}

/// What a lying partner makes of the log that it announces and of its entries.
type Lie = fn(&mut RefillLog, &mut Batch);

/// The answer up to the batch of the own log, or of the partner's, with a lie in it; then it breaks off.
fn broken_off(honest: &[RefillResponse], own: bool, lie: Lie) -> Vec<Result<RefillResponse, std::convert::Infallible>> {
    let mut told = Vec::new();
    let mut messages = honest.iter().filter_map(|answer| answer.message.clone());
    while let Some(message) = messages.next() {
        if let Said::Log(mut log) = message.clone()
            && log.mirrored == own
        {
            let Some(Said::Batch(mut batch)) = messages.next() else { panic!("a log has entries") };
            lie(&mut log, &mut batch);
            told.extend([Said::Log(log), Said::Batch(batch)]);
            break;
        }
        told.push(message);
    }
    told.into_iter().map(|message| Ok(RefillResponse { message: Some(message) })).collect()
}

/// More entries than there are: a record that nobody issued, signed by whom it may concern.
fn forged(log: &mut RefillLog, batch: &mut Batch) {
    let record =
        batch.entries.iter().rev().find_map(|entry| {
            claimed_statement(entry).filter(|statement| matches!(statement.body, Some(Body::Record(_))))
        });
    let said = Statement { record_id: vec![7; 16], ..record.unwrap() };
    let key = SigningKey::generate(&SeededEntropy::labelled(1, "liar"));
    batch.entries.push(seal_entry(&said, &key).unwrap().into());
    log.size += 1;
}

/// Other bytes at an index that exists.
fn other_bytes(_: &mut RefillLog, batch: &mut Batch) {
    let last = batch.entries.len() - 1;
    batch.entries[last] = batch.entries[last - 1].clone();
}

/// True entries twice.
fn repeated(log: &mut RefillLog, batch: &mut Batch) {
    batch.entries.extend(batch.entries.last().cloned());
    log.size += 1;
}

/// The log of an epoch that nobody opened.
fn another_epoch(log: &mut RefillLog, batch: &mut Batch) {
    log.origin = log.origin.trim_end_matches('1').to_owned() + "9";
    batch.origin.clone_from(&log.origin);
}

/// Whatever a partner tells before it breaks off, the honest answer that follows is taken, and nothing of the lie is signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_what_was_never_verified_was_issued_again() {
    let (mut pair, case) = Pair::nominated(600).await;
    let recovered = pair.recover_after(true, None, async |pair, recovering, request| {
        let honest: Vec<_> = pair.answer(true, request).await.unwrap().into_iter().map(Result::unwrap).collect();
        let (_, twice) = honest.split_last().unwrap();
        let twice = [twice, &twice[1..]].concat().into_iter().map(Ok::<_, std::convert::Infallible>);
        let refused = recovering.refill(tokio_stream::iter(twice)).await;
        assert!(matches!(refused, Err(RecoverError::Answer("a log twice"))), "{refused:?}");
        for own in [true, false] {
            for lie in [forged as Lie, other_bytes, repeated, another_epoch] {
                let refused = recovering.refill(tokio_stream::iter(broken_off(&honest, own, lie))).await;
                assert!(matches!(refused, Err(RecoverError::Answer(_) | RecoverError::Refuted { .. })), "{refused:?}");
            }
        }
    });
    let recovered = recovered.await;
    assert_eq!((recovered.refilled.tail, recovered.opened.reissued, recovered.refilled.epoch), (0, 0, 2));
    pair.check().await;
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.check().await;
}

/// Taken twice, the tail stands in the views as it is issued again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_second_refill_lost_the_tail() {
    let (mut pair, case) = Pair::nominated(601).await;
    pair.origin.delivers(false);
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.link.cut();
    let backup = pair.backup(true);
    let recovered = pair.recover_after(true, Some(backup), async |pair, recovering, request| {
        let first = pair.refilled(true, recovering, request).await.unwrap();
        assert_eq!(first.tail, 1);
        // What is issued again elsewhere is shown to nobody in its old place.
        let logs = recovering.core().store().logs().await.unwrap();
        let own = logs.iter().find(|log| log.own && !log.agreement.is_empty()).unwrap();
        assert!(own.size > first.prev_size && publish::extent(own) == first.prev_size);
    });
    let recovered = recovered.await;
    assert_eq!((recovered.refilled.tail, recovered.opened.reissued), (1, 1));
    assert!(pair.origin.placement(&case).await.has("withdrawn"));
    pair.check().await;
    assert!(pair.destination.placement(&case).await.has("withdrawn"));
}

/// Whoever asked for a refill goes away while the epoch is closed: the request can come again, and so can another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_caller_that_went_away_left_a_half_closed_epoch() {
    let (mut pair, case) = Pair::nominated(605).await;
    let recovered = pair.recover_after(true, None, async |pair, _, request| {
        let own = &pair.treaty.origin;
        let gone = pair.destination.core.refill(&own.node, own.sign_request(request)).now_or_never();
        assert!(gone.is_none(), "it waits for a commit");
    });
    assert_eq!(recovered.await.refilled.epoch, 2);
    pair.check().await;
    assert_eq!(pair.recover(true, None).await.refilled.epoch, 3);
    pair.check().await;
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.check().await;
}

/// A frozen log is not signed again for a refill: the partner gets it as far as it has cosigned it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_refill_signed_a_frozen_log() {
    let (pair, case) = Pair::nominated(606).await;
    pair.link.cut();
    pair.destination.act(&case, "offer").await.unwrap();
    let row = ledger(&pair.destination).await.own_row;
    let frozen = row.clone();
    let job = pair.destination.core.write::<_, convenio_store::StoreError, _>(move |work| {
        work.put_log(convenio_store::LogRow { alarm: "ROLLBACK".to_owned(), ..frozen });
        std::future::ready(Ok(())).boxed()
    });
    job.await.unwrap();
    let (parts, _store, _dir) = pair.restored(true, None).await;
    let recovering = Recovering::open(parts, SV_CA).await.unwrap();
    let request = recovering.request(&pair.challenge(true).await, "lost disk");
    let answer = pair.answer(true, &request).await.unwrap();
    let told = answer.into_iter().filter_map(|said| match said.unwrap().message {
        Some(Said::Log(log)) if !log.mirrored => Some((log.size, log.checkpoint)),
        _ => None,
    });
    assert!(row.cosigned_size < row.size);
    assert_eq!(told.collect::<Vec<_>>(), [(row.cosigned_size, row.cosigned)]);
}

/// The journal of a backup may be older than what its witness has seen, whatever its epoch: a recovery begins another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_journal_went_on_from_a_backup() {
    let (mut pair, _) = Pair::nominated(607).await;
    convenio_exchange::journal::open(&pair.origin.core, 5).await.unwrap();
    let erased = pair.origin.core.write::<_, convenio_store::StoreError, _>(|work| {
        work.note(convenio_store::Deed::Erased, []);
        std::future::ready(Ok(())).boxed()
    });
    erased.await.unwrap();
    pair.settle().await;
    pair.link.cut();
    let backup = pair.backup(true);
    pair.recover(true, Some(backup)).await;
    let logs = pair.origin.core.store().logs().await.unwrap();
    let journals = logs.iter().filter_map(|log| Some((convenio_exchange::journal::epoch_of(log)?, log.closed)));
    assert_eq!(journals.collect::<Vec<_>>(), [(1, true), (5, true), (6, false)]);
    pair.check().await;
}

/// Data keys without their database tell of a past: a node that lost it does not begin anew, it is recovered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_lost_database_began_anew() {
    let (mut pair, _) = Pair::nominated(608).await;
    pair.link.cut();
    for survived in ["data.keys", "data.keys.ledger"] {
        let erased = ledger(&pair.origin).await.own.iter().find(|e| e.is_record()).unwrap().record_id();
        if survived == "data.keys.ledger" {
            pair.origin.erase(erased, 1, "error").await.unwrap();
        }
        let files = match survived {
            "data.keys" => pair.backup(true).without("node.db"),
            _ => Backup::empty().with(&pair.backup(true), survived),
        };
        let (parts, _store, _dir) = pair.restored(true, Some(files)).await;
        assert!(matches!(Core::open(parts).await, Err(OpenError::LostDatabase)), "{survived}");
    }
    let survived = pair.backup(true).without("node.db");
    pair.recover(true, Some(survived)).await;
    pair.check().await;
}

/// An epoch that opens with new keys, on a node with another log: that one is not signed by keys that it never named. The roots
/// sign the manifest for all logs, and both go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_log_was_signed_by_keys_of_another() {
    let pair = Pair::under(609, vec![treaty::sv_ca(), treaty::second()]).await;
    pair.link.cut();
    let (mut parts, _store, _dir) = pair.restored(true, Some(pair.backup(true))).await;
    let (own, other) = (&pair.treaty.origin, &pair.treaty.destination);
    let keys = Arc::new(NodeKeys::generate(&SeededEntropy::labelled(609, "new")));
    parts.other_keys.push(keys.clone());
    let recovering = Recovering::open(parts.clone(), SV_CA).await.unwrap();
    let request = recovering.request(&pair.challenge(true).await, "rollback");
    let refilled = pair.refilled(true, &recovering, &request).await.unwrap();
    let file = own.open_epoch_by(other, refilled.epoch, refilled.prev_size, refilled.prev_root, (&keys, 2));
    recovering.open_epoch(&file).await.unwrap();
    drop(recovering);
    let refused = Core::open(parts.clone()).await.map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::KeysDiffer { named: 1, used: 2, .. }), "{refused}");
    let manifest = keys.manifest(&own.party, &own.node, 2);
    parts.key_changes.push(sign_keys(&manifest, &own.roots_that_sign()).unwrap().to_json().into_bytes());
    let core = Core::open(parts.clone()).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    core.start(&stop);
    let link = Link::new(&core, &pair.destination.core);
    link.heal();
    let mut heads = core.heads();
    let logs: Vec<_> = core.exchanges().iter().map(|exchange| exchange.own().log).collect();
    let settled = heads.wait_for(|heads| logs.iter().all(|log| heads[log].size == heads[log].settled));
    tokio::time::timeout(std::time::Duration::from_secs(20), settled).await.unwrap().unwrap();
    let books = Books { core, vault: parts.vault.clone() };
    for exchange in books.core.exchanges() {
        assert_eq!(exchange.own_keys(exchange.own().epoch).last().unwrap().version, 2);
    }
    invariants::check(&books, &pair.destination.books()).await;
    stop.cancel();
}

/// Whether a part of a record can be read.
async fn readable(side: &Side, record: RecordId, part: usize) -> bool {
    let ledger = ledger(side).await;
    let mut entries = ledger.own.iter().chain(&ledger.peer);
    entries.any(|e| e.record_id() == record && e.is_record() && e.parts.get(part).is_some_and(Option::is_some))
}

/// What is issued again shares a data key with a part that is erased between the refill and the new epoch, and with one that is
/// erased after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_parts_of_the_tail_outlive_an_erasure_under_their_key() {
    let (mut pair, _) = Pair::nominated(602).await;
    let case = pair.bring_one("p2", "order", "CONTRACTED").await;
    pair.settle().await;
    let own = ledger(&pair.origin).await.own;
    let named = own.iter().rfind(|e| {
        let parts = e.decoded().unwrap_or_default();
        let lead = parts.first();
        lead.is_some_and(|p| {
            p.message_name.ends_with("CandidateIdentified") && p.subject_ref.ends_with(&case.id.to_string())
        })
    });
    let named = named.unwrap().record_id();
    pair.origin.delivers(false);
    let documented = pair.origin.act(&case, "documented").await.unwrap().record_id.unwrap();
    let ordered = pair.origin.erase(named, 1, "court-order").await.unwrap();
    pair.link.cut();
    let backup = pair.backup(true);
    let recovered = pair.recover(true, Some(backup)).await;
    assert_eq!(recovered.opened.reissued, 2);
    pair.check().await;
    assert_eq!(pair.origin.progress(&ordered).await.0, Progress::Erased);
    assert!(readable(&pair.destination, documented, 1).await && readable(&pair.origin, documented, 1).await);
    let ordered = pair.origin.erase(documented, 1, "court-order").await.unwrap();
    pair.check().await;
    assert_eq!(pair.origin.progress(&ordered).await.0, Progress::Erased);
    assert!(!readable(&pair.destination, documented, 1).await);
}

/// Has a side that is taken over append an entry to its own log. What it then says of its partner is no invariant of two honest
/// states; what the other side does is looked at alone.
async fn appends(side: &Side, body: Body, change: impl FnOnce(&mut Statement)) {
    let exchange = side.exchange(SV_CA);
    let (node, log) = (exchange.own_node.clone(), exchange.own());
    let mut statement = Statement {
        version: 1,
        issuer: node,
        recipient: exchange.partner_node.clone(),
        log_origin: log.origin.clone(),
        agreement_digest: exchange.pack().digest().to_vec(),
        record_id: convenio_model::uuid_v7(1, side.core.entropy().as_ref()).into_bytes().to_vec(),
        peer: ledger(side).await.own.last().unwrap().statement.peer,
        time_ms: side.core.clock().now_ms(),
        captures: Vec::new(),
        body: Some(body),
    };
    change(&mut statement);
    let bytes = seal_entry(&statement, &side.keys.record).unwrap();
    let record_id = convenio_model::Ref::from_slice(&statement.record_id).unwrap();
    let staged = Staged { log: log.log, record_id, is_record: false, subject: None, bytes, parts: Vec::new() };
    let job = side.core.write::<_, convenio_store::StoreError, _>(move |work| {
        work.stage(staged);
        std::future::ready(Ok(())).boxed()
    });
    job.await.unwrap();
}

fn outcome(begin: u64, end: u64, rejects: &[(u64, &str)]) -> Body {
    let rejects =
        rejects.iter().map(|(index, reason)| Reject { index: *index, reason: (*reason).to_owned() }).collect();
    Body::Outcome(Outcome { epoch: 1, begin, end, rejects, commitments: Vec::new() })
}

/// Decisions of the partner that were void when they were judged are void when they are replayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_replay_believed_void_decisions() {
    let (mut pair, case) = Pair::nominated(603).await;
    let size = ledger(&pair.origin).await.own.len() as u64;
    for (end, recipient) in [(1 << 60, None), (u64::MAX, None), (size + 1, Some("node.xx.example"))] {
        appends(&pair.destination, outcome(size, end, &[(size, "GATE")]), |statement| {
            statement.recipient = recipient.map_or(statement.recipient.clone(), str::to_owned);
        })
        .await;
    }
    pair.settle().await;
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.settle().await;
    let before = (pair.origin.placement(&case).await, ledger(&pair.origin).await.own_row);
    assert!(before.0.has("withdrawn"));
    pair.recover(true, None).await;
    pair.settle().await;
    let after = (pair.origin.placement(&case).await, ledger(&pair.origin).await.own_row);
    assert_eq!((before.0, before.1.decided, before.1.rejected), (after.0, after.1.decided, after.1.rejected));
}

/// A partner that calls an own record undisclosed does not have its parts deleted here by a recovery.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_recovery_deleted_own_parts() {
    let (mut pair, case) = Pair::nominated(604).await;
    pair.destination.judges(false);
    let withdrawn = pair.origin.act(&case, "withdrawn").await.unwrap().record_id.unwrap();
    pair.delivered().await;
    // It has the record, and not what the partner said of it.
    let backup = pair.backup(true);
    let size = ledger(&pair.origin).await.own.len() as u64;
    let index = ledger(&pair.origin).await.own.iter().find(|e| e.record_id() == withdrawn).unwrap().index;
    let begin = ledger(&pair.origin).await.own_row.entangled;
    appends(&pair.destination, outcome(begin, size, &[(index, "UNDISCLOSED")]), |_| {}).await;
    pair.delivered().await;
    let log = pair.origin.exchange(SV_CA).peer().log;
    pair.origin.core.heads().wait_for(|heads| heads[&log].settled == heads[&log].size).await.unwrap();
    // What judged it is mirrored, so that the replay comes past it.
    pair.origin.act(&Case::new("p9", "order"), "nominate").await.unwrap();
    pair.delivered().await;
    assert!(readable(&pair.origin, withdrawn, 0).await);
    pair.recover(true, Some(backup)).await;
    assert!(readable(&pair.origin, withdrawn, 0).await);
}

/// KEY_ROTATE once more in the partner's log does not move the beginning of its keys, neither as it comes nor in a refill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_repeated_rotation_moved_the_beginning_of_keys() {
    let (mut pair, case) = Pair::nominated(610).await;
    let (party, before) = (&pair.treaty.destination, &pair.treaty.destination.keys);
    let same = |key: &SigningKey| SigningKey::from_pem(&key.to_pem()).unwrap();
    let log = SigningKey::generate(&SeededEntropy::labelled(610, "log"));
    let (record, mirror, witness) = (same(&before.record), same(&before.mirror), same(&before.witness));
    let keys = Arc::new(NodeKeys { record, log, mirror, witness });
    pair.destination.core.hold_keys(keys.clone());
    let manifest = keys.manifest(&party.party, &party.node, 2);
    let file = sign_keys(&manifest, &party.roots_that_sign()).unwrap();
    assert!(pair.destination.core.change_keys(file.to_json().as_bytes()).await.unwrap());
    pair.settle().await;
    let rotated = ledger(&pair.destination).await.own.len() as u64;
    pair.destination.order(SV_CA, "another", 9, true).await.unwrap();
    appends(&pair.destination, Body::KeyRotate(key_rotate_from(&file).unwrap()), |_| {}).await;
    pair.check().await;
    let signers = |side: &Side| {
        let exchange = side.exchange(SV_CA);
        exchange.partner_log_keys(1, &exchange.peer().origin, rotated + 1)
    };
    let live = signers(&pair.origin);
    assert_eq!(live.len(), 1);
    pair.recover(true, None).await;
    assert_eq!(signers(&pair.origin), live);
    pair.check().await;
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.check().await;
}
