//! For each fix of the executable model about a lost disk a test that bears its name plays its trace on two real sides:
//! `name_mirrored`, `close_on_refill`, `granted_epoch`, `fresh_request`, `reissue_tail`, `reissue_all_kinds`,
//! `decided_from_log`; `hello_cosigned` stands in `flaws`. Then what may be tried around a lost disk.

use convenio_exchange::erase::order::Progress;
use convenio_exchange::recovery::client::{RecoverError, Recovering};
use convenio_exchange::recovery::serve::ServeError;
use convenio_exchange::session::SessionEnd;
use convenio_exchange::{Core, OpenError};
use convenio_log::{Frontier, leaf_hash};
use convenio_seal::dsse::Envelope;
use convenio_seal::epoch::epoch_open_from;
use convenio_testkit::ledger::Ledger;
use convenio_testkit::treaty::SV_CA;
use convenio_testkit::{Dishonest, Link, Pair, Side};
use convenio_wire::exchange::v1::statement::Body;

async fn ledger(side: &Side) -> Ledger {
    side.books().ledger(side.exchange(SV_CA)).await
}

/// `O withdraw, …, D cosign, O DISK LOST`: the whole of an empty database comes back, and both go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_disk_is_refilled_and_both_go_on() {
    let (mut pair, case) = Pair::nominated(60).await;
    let before = pair.origin.placement(&case).await;
    let recovered = pair.recover(true, None).await;
    assert_eq!((recovered.opened.reissued, recovered.refilled.epoch), (0, 2));
    pair.check().await;
    assert_eq!(pair.origin.placement(&case).await, before);
    pair.destination.act(&case, "offer").await.unwrap();
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.check().await;
    let own = ledger(&pair.origin).await.own;
    assert_eq!(own.iter().filter(|e| matches!(e.statement.body, Some(Body::EpochOpen(_)))).count(), 2);
}

/// `reissue_tail` (`O withdraw, O sequence, O backup, O DISK LOST`): what was sequenced and not mirrored is issued again, under
/// its id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reissue_tail() {
    let (mut pair, case) = Pair::nominated(59).await;
    pair.origin.delivers(false);
    let withdrawn = pair.origin.act(&case, "withdrawn").await.unwrap().record_id.unwrap();
    pair.link.cut();
    let backup = pair.backup(true);
    let recovered = pair.recover(true, Some(backup)).await;
    assert_eq!((recovered.refilled.tail, recovered.opened.reissued), (1, 1));
    pair.check().await;
    let again = ledger(&pair.origin).await;
    let places: Vec<_> = again.own.iter().filter(|e| e.record_id() == withdrawn).map(|e| e.epoch).collect();
    assert_eq!(places, [2]);
    assert!(pair.destination.placement(&case).await.has("withdrawn"));
}

/// `name_mirrored` (`O withdraw, D mirror, network loses COSIGNED, O DISK LOST`): the new epoch names what the partner mirrored,
/// which is more than the node ever had cosigned; one that names less opens nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_mirrored() {
    let (mut pair, case) = Pair::nominated(58).await;
    pair.destination.core.controls.cosign.send_replace(false);
    let withdrawn = pair.origin.act(&case, "withdrawn").await.unwrap().record_id.unwrap();
    let size = ledger(&pair.origin).await.own_row.size;
    let log = pair.destination.exchange(SV_CA).peer().log;
    let mut heads = pair.destination.core.heads();
    tokio::time::timeout(std::time::Duration::from_secs(20), heads.wait_for(|heads| heads[&log].size >= size))
        .await
        .unwrap()
        .unwrap();
    let cosigned = ledger(&pair.origin).await.own_row;
    assert!(cosigned.cosigned_size < size, "the cosignature is lost");
    pair.link.cut();
    pair.destination.core.controls.cosign.send_replace(true);
    let backup = pair.backup(true);
    let (parts, _store, _dir) = pair.restored(true, Some(pair.backup(true))).await;
    let recovering = Recovering::open(parts, SV_CA).await.unwrap();
    let request = recovering.request(&pair.challenge(true).await, "lost disk");
    let refilled = pair.refilled(true, &recovering, &request).await.unwrap();
    assert_eq!((refilled.prev_size, refilled.tail), (size, 0));
    let (own, other) = (&pair.treaty.origin, &pair.treaty.destination);
    for (prev_size, root) in [(cosigned.cosigned_size, refilled.prev_root.clone()), (size, vec![7; 32])] {
        let less = own.open_epoch(other, refilled.epoch, prev_size, root);
        assert!(matches!(recovering.open_epoch(&less).await, Err(RecoverError::Authorisation(_))));
    }
    drop(recovering);
    let recovered = pair.recover(true, Some(backup)).await;
    assert_eq!((recovered.refilled.prev_size, recovered.opened.reissued), (size, 0));
    pair.check().await;
    let own = ledger(&pair.origin).await.own;
    assert_eq!(own.iter().filter(|e| e.record_id() == withdrawn).map(|e| e.epoch).collect::<Vec<_>>(), [1]);
}

/// `name_mirrored` at the partner: an EPOCH_OPEN that names less than what was mirrored, more, or another past is refused
/// though the roots signed it, and nothing of it is stored; the one that names it opens the epoch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_names_another_past_than_was_mirrored_is_refused() {
    let (mut pair, _) = Pair::nominated(67).await;
    let mut by = Dishonest::take_over(&pair, true, SV_CA).await;
    let (parts, _store, _dir) = pair.restored(true, None).await;
    let recovering = Recovering::open(parts, SV_CA).await.unwrap();
    let request = recovering.request(&pair.challenge(true).await, "lost disk");
    let refilled = pair.refilled(true, &recovering, &request).await.unwrap();
    let (own, other) = (&pair.treaty.origin, &pair.treaty.destination);
    let opening = |size, root| own.open_epoch(other, refilled.epoch, size, root);
    let (size, root) = (refilled.prev_size, refilled.prev_root.clone());
    recovering.open_epoch(&opening(size, root.clone())).await.unwrap();
    by.exchange = recovering.exchange().clone();
    let past = std::mem::take(&mut by.log);
    let mirrored = by.mirrored().await;
    assert_eq!((past.len() as u64, mirrored), (size, size));
    let root_at = |size: u64| {
        let mut frontier = Frontier::new();
        past.iter().take(usize::try_from(size).unwrap()).for_each(|entry| frontier.append(leaf_hash(entry)));
        frontier.root().as_bytes().to_vec()
    };
    assert_eq!(root_at(size), root);
    let open = |by: &mut Dishonest, size, root| {
        let file = Envelope::parse(&opening(size, root)).unwrap();
        let mut draft = by.record(Vec::new());
        draft.statement.body = Some(Body::EpochOpen(epoch_open_from(&file).unwrap().1));
        by.log.clear();
        by.append(draft);
    };
    for (named, root) in
        [(size - 1, root_at(size - 1)), (1, root_at(1)), (size, root_at(size - 1)), (size + 1, root.clone())]
    {
        open(&mut by, named, root);
        let ended = by.send(by.batch(0)).await;
        assert!(matches!(&ended, Err(SessionEnd::Stopped(why)) if why == "EPOCH_REFUSED"), "{named}: {ended:?}");
        assert_eq!(by.mirrored().await, mirrored, "{named}");
    }
    open(&mut by, size, root);
    by.send(by.batch(0)).await.unwrap();
    assert_eq!(by.mirrored().await, mirrored + 1);
    drop((by, recovering));
    assert_eq!(pair.recover(true, None).await.refilled.epoch, 3);
    pair.check().await;
}

/// `granted_epoch` (`O DISK LOST, D grants, O DISK LOST again`): a number that was granted and never opened is not granted again;
/// the very same request asked twice gets the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_epoch() {
    let (mut pair, case) = Pair::nominated(57).await;
    pair.link.cut();
    let (parts, _store, _dir) = pair.restored(true, None).await;
    let recovering = Recovering::open(parts, SV_CA).await.unwrap();
    let request = recovering.request(&pair.challenge(true).await, "lost disk");
    assert_eq!(pair.refilled(true, &recovering, &request).await.unwrap().epoch, 2);
    // Its answer was lost.
    assert_eq!(pair.refilled(true, &recovering, &request).await.unwrap().epoch, 2);
    drop(recovering);
    let recovered = pair.recover(true, None).await;
    assert_eq!(recovered.refilled.epoch, 3);
    pair.check().await;
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.check().await;
    let epochs: std::collections::BTreeSet<_> = ledger(&pair.origin).await.own.iter().map(|e| e.epoch).collect();
    assert_eq!(epochs.into_iter().collect::<Vec<_>>(), [1, 3]);
}

/// `reissue_all_kinds` (`D offer, O judge, O erase, O DISK LOST`): decisions, records and orders to erase that the backup holds
/// past the mirrored head are issued again under their ids, in their old order, and judged once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reissue_all_kinds() {
    let (mut pair, case) = Pair::nominated(61).await;
    let nominated = ledger(&pair.origin).await.own.iter().find(|e| e.is_record()).unwrap().record_id();
    pair.origin.delivers(false);
    pair.destination.act(&case, "offer").await.unwrap();
    // The origin judges the offer; its OUTCOME and the withdrawal are sequenced and not mirrored.
    pair.origin
        .core
        .heads()
        .wait_for(|heads| {
            let head = &heads[&pair.origin.exchange(SV_CA).peer().log];
            head.size == head.settled
        })
        .await
        .unwrap();
    while ledger(&pair.origin).await.own.iter().filter(|e| e.outcome().is_some()).count() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let withdrawn = pair.origin.act(&case, "withdrawn").await.unwrap().record_id.unwrap();
    let ordered = pair.origin.erase(nominated, 1, "error").await.unwrap();
    pair.link.cut();
    let backup = pair.backup(true);
    let recovered = pair.recover(true, Some(backup)).await;
    assert!(recovered.opened.reissued >= 3, "{}", recovered.opened.reissued);
    pair.check().await;
    assert_eq!(pair.origin.progress(&ordered).await.0, Progress::Erased);
    let again = ledger(&pair.origin).await;
    let kinds = again.own.iter().filter(|e| e.epoch == 2).filter_map(|e| match &e.statement.body {
        Some(Body::Outcome(_)) => Some("OUTCOME"),
        Some(Body::Record(_)) => Some("RECORD"),
        Some(Body::Erase(_)) => Some("ERASE"),
        _ => None,
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["OUTCOME", "RECORD", "ERASE"]);
    let places: Vec<_> = again.own.iter().filter(|e| e.record_id() == withdrawn).collect();
    assert_eq!((places.len(), places[0].epoch), (1, 2));
    assert!(pair.destination.placement(&case).await.has("withdrawn"));
}

/// `decided_from_log`: a backup older than the last decisions does not judge again what its lost log decided.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decided_from_log() {
    let (mut pair, case) = Pair::nominated(62).await;
    let backup = pair.backup(true);
    pair.destination.act(&case, "offer").await.unwrap();
    pair.settle().await;
    let recovered = pair.recover(true, Some(backup)).await;
    assert_eq!(recovered.opened.reissued, 0);
    pair.check().await;
    assert_eq!(pair.origin.placement(&case).await.state, "OFFERED");
}

/// Rollback: an old backup that is put in service freezes, signs nothing, and ends in a recovery.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_freezes_and_is_recovered() {
    let (mut pair, case) = Pair::nominated(63).await;
    let backup = pair.backup(true);
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.settle().await;
    pair.link.cut();
    let (parts, _store, dir) = pair.restored(true, Some(backup)).await;
    let old = Core::open(parts.clone()).await.unwrap();
    let link = Link::new(&old, &pair.destination.core);
    link.heal();
    let frozen = async {
        while old.store().logs().await.unwrap().iter().all(|l| l.alarm != "ROLLBACK") {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), frozen).await.unwrap();
    drop((link, old));
    let recovering = Recovering::open(parts.clone(), SV_CA).await.unwrap();
    let request = recovering.request(&pair.challenge(true).await, "rollback");
    let refilled = pair.refilled(true, &recovering, &request).await.unwrap();
    assert_eq!(refilled.epoch, 2);
    // Until its epoch is open the node does not serve.
    assert!(matches!(Core::open(parts).await, Err(OpenError::Recovering)));
    drop((recovering, dir));
    pair.recover(true, None).await;
    pair.check().await;
    assert!(pair.destination.placement(&case).await.has("withdrawn"));
}

/// `close_on_refill` (`O DISK LOST, D answers REFILL?, the dead process delivers`): a process thought dead is cut off, and what it
/// does is mirrored nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_on_refill() {
    let (mut pair, case) = Pair::nominated(64).await;
    let recovered = pair.recover(true, None).await;
    pair.settle().await;
    pair.link.cut();
    let zombie = recovered.zombie;
    zombie.act(&case, "withdrawn").await.unwrap();
    let link = Link::new(&zombie.core, &pair.destination.core);
    link.heal();
    let refused = |end: &SessionEnd| matches!(end, SessionEnd::Refused { reason: "EPOCH_CLOSED", .. });
    let cut = async {
        while !link.ends().iter().any(refused) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), cut).await.unwrap();
    drop(link);
    assert!(!pair.destination.placement(&case).await.has("withdrawn"));
    let again = pair.recover(true, None).await;
    assert_eq!(again.refilled.epoch, 3);
    pair.check().await;
}

/// `fresh_request`: an old request, a foreign one and one of another number close nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_request() {
    let (mut pair, _) = Pair::nominated(65).await;
    let (parts, _store, _dir) = pair.restored(true, None).await;
    let recovering = Recovering::open(parts, SV_CA).await.unwrap();
    let given = pair.challenge(true).await;
    let request = recovering.request(&given, "lost disk");
    let (own, other) = (&pair.treaty.origin, &pair.treaty.destination);
    let asked = |signed| pair.destination.core.refill(&own.node, signed);
    let unsigned = convenio_wire::exchange::v1::RefillRequest { signatures: Vec::new(), ..own.sign_request(&request) };
    assert!(matches!(asked(unsigned).await, Err(ServeError::Roots(_))));
    assert!(matches!(asked(other.sign_request(&request)).await, Err(ServeError::Roots(_))));
    let mut later = request.clone();
    later.number += 1;
    assert!(matches!(asked(own.sign_request(&later)).await, Err(ServeError::Field("number"))));
    // A newer challenge takes the place of the one before.
    let newer = recovering.request(&pair.challenge(true).await, "lost disk");
    assert!(matches!(asked(own.sign_request(&request)).await, Err(ServeError::Challenge)));
    let size = ledger(&pair.destination).await.peer_row.size;
    assert!(pair.destination.exchange(SV_CA).peer().epoch == 1 && size > 0);
    drop(recovering);
    pair.recover(true, None).await;
    let refused = pair.destination.core.refill(&pair.treaty.origin.node, pair.treaty.origin.sign_request(&newer)).await;
    assert!(matches!(refused, Err(ServeError::Challenge)));
    pair.check().await;
}

/// The destination loses its disk too, and the origin again: every epoch stays readable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss_of_both_in_turn() {
    let (mut pair, case) = Pair::nominated(66).await;
    pair.recover(true, None).await;
    pair.check().await;
    pair.recover(false, None).await;
    pair.check().await;
    pair.destination.act(&case, "offer").await.unwrap();
    pair.settle().await;
    pair.recover(true, None).await;
    pair.origin.act(&case, "withdrawn").await.unwrap();
    pair.check().await;
    assert!(pair.destination.placement(&case).await.has("withdrawn"));
}
