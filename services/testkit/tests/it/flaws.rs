//! For each fix of the executable model that does not concern a lost disk: the model's shortest trace, played on two real
//! nodes by holding single steps, and what the fixed model says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use convenio_agreement::act::{Kind, Refusal};
use convenio_exchange::erase::order::Progress;
use convenio_exchange::session::Message;
use convenio_model::RecordId;
use convenio_seal::vault::DataKeyId;
use convenio_store::StoreError;
use convenio_testkit::ledger::{Entry, Ledger};
use convenio_testkit::treaty::SV_CA;
use convenio_testkit::{Case, Direction, Pair, Relay, Side};
use convenio_wire::exchange::v1::Part;
use futures::FutureExt;
use futures::future::{join, join_all};

/// Two nodes over loopback mTLS, with an open order of `seats`.
async fn pair(seed: u64, seats: i32) -> Pair {
    with_order(Pair::over_mtls(seed).await, seats).await
}

/// The same over a line within the process, for a trace that loses one message or destroys one key.
async fn pair_in_process(seed: u64, seats: i32) -> Pair {
    with_order(Pair::new(seed).await, seats).await
}

async fn with_order(pair: Pair, seats: i32) -> Pair {
    pair.destination.order(SV_CA, "order", seats, true).await.unwrap();
    pair.settle().await;
    pair
}

async fn do_all(pair: &Pair, case: &Case, acts: &[(&Side, &str)]) {
    for (side, act) in acts {
        side.act(case, act).await.unwrap_or_else(|error| panic!("{act}: {error}"));
        pair.settle().await;
    }
}

/// CONTRACTED, with all that travel needs.
async fn contracted(pair: &Pair, label: &str) -> Case {
    let case = pair.bring_one(label, "order", "CONTRACTED").await;
    let (o, d) = (&pair.origin, &pair.destination);
    do_all(pair, &case, &[(o, "documented"), (d, "permitted"), (o, "oriented")]).await;
    case
}

async fn ledger(side: &Side) -> Ledger {
    side.books().ledger(side.exchange(SV_CA)).await
}

fn lead(entry: &Entry) -> Part {
    entry.decoded().unwrap().swap_remove(0)
}

async fn state_and_number(side: &Side, case: &Case) -> (String, u64) {
    let view = side.placement(case).await;
    (view.state, view.number)
}

/// `O withdraw p1, O nominate p1`: whatever stood when the call came, the gate is read where the statement is staged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_in_txn() {
    let pair = pair(11, 50).await;
    let origin = &pair.origin;
    // Both wait for the same commit; neither call can have seen the other.
    let case = Case::new("p1", "order");
    let release = origin.occupy().await;
    let both = join(origin.act(&case, "withdrawn"), origin.act(&case, "nominate"));
    let (withdrawn, nominated) = release_once_queued(both, release).await;
    withdrawn.unwrap();
    assert!(matches!(nominated, Err(convenio_exchange::IssueError::Refused(r)) if r.gate() == "not_withdrawn"));
    // The other way round both stand, in that order.
    let case = Case::new("p2", "order");
    let release = origin.occupy().await;
    let both = join(origin.act(&case, "nominate"), origin.act(&case, "withdrawn"));
    let (nominated, withdrawn) = release_once_queued(both, release).await;
    nominated.unwrap();
    withdrawn.unwrap();
    // And as it comes.
    let cases: Vec<_> = (0..20).map(|n| Case::new(&format!("race {n}"), "order")).collect();
    join_all(cases.iter().map(|case| join(origin.act(case, "withdrawn"), origin.act(case, "nominate")))).await;
    pair.check().await;
}

/// Polls both calls once, so that they are queued in that order, then lets the writer go on.
async fn release_once_queued<T>(both: impl Future<Output = T>, release: tokio::sync::oneshot::Sender<()>) -> T {
    let mut both = Box::pin(both);
    assert!(both.as_mut().now_or_never().is_none());
    release.send(()).unwrap();
    both.await
}

/// `O nominate, …, D judge, D offer, D sequence (turned)`: entries keep the order of their commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifo() {
    let pair = pair(12, 50).await;
    let case = Case::new("p1", "order");
    do_all(&pair, &case, &[(&pair.origin, "nominate"), (&pair.destination, "offer")]).await;
    let own = ledger(&pair.destination).await.own;
    let outcome = own.iter().rposition(|e| e.outcome().is_some()).unwrap();
    let offer = own.iter().rposition(|e| e.is_record() && lead(e).message_name.ends_with("Offer")).unwrap();
    assert!(outcome < offer);
    // One group of many: the numbers in the log are those of the queue.
    let release = pair.destination.occupy().await;
    let orders = join_all((1..=40).map(|seats| pair.destination.order(SV_CA, "order", 50 + seats, true)));
    let ids = release_once_queued(orders, release).await;
    let ids: Vec<_> = ids.into_iter().map(Result::unwrap).collect();
    let own = ledger(&pair.destination).await.own;
    let logged: Vec<_> = own.iter().map(Entry::record_id).filter(|id| ids.contains(id)).collect();
    assert_eq!(logged, ids);
    pair.check().await;
    assert_eq!(pair.origin.order_of(&case).await.seats, 90);
}

/// `D end p1, D deliver, O judge, O close p1`: there is no moment at which a judged record has no decision in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcome_with_apply() {
    let pair = pair(13, 1).await;
    let case = pair.bring_one("p1", "order", "EMPLOYED").await;
    let (books, exchange) = (pair.origin.books(), pair.origin.exchange(SV_CA).clone());
    let looked = Arc::new(AtomicUsize::new(0));
    let watcher = tokio::spawn({
        let (looked, mut heads) = (looked.clone(), pair.origin.core.heads());
        async move {
            while heads.changed().await.is_ok() {
                let ledger = books.ledger(&exchange).await;
                for entry in ledger.peer.iter().filter(|e| e.is_record() && e.index < ledger.peer_row.settled) {
                    assert_eq!(Ledger::decisions(&ledger.own, entry.index).len(), 1);
                }
                looked.fetch_add(1, SeqCst);
            }
        }
    });
    pair.destination.act(&case, "end").await.unwrap();
    pair.settle().await;
    let close = pair.origin.act(&case, "close").await.unwrap();
    pair.settle().await;
    let own = ledger(&pair.origin).await.own;
    let close = own.iter().find(|e| Some(e.record_id()) == close.record_id).unwrap();
    let last = own.iter().rfind(|e| e.index < close.index && e.outcome().is_some()).unwrap().outcome().unwrap();
    assert!(close.statement.peer.unwrap().size >= last.end);
    assert!(!watcher.is_finished() && looked.load(SeqCst) > 0);
    watcher.abort();
    assert_eq!(state_and_number(&pair.destination, &case).await.0, "CLOSED");
    pair.check().await;
}

/// `O ready p1, O deliver, D judge, D deliver, O depart p1`: what is mirrored and not judged is not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_is_applied() {
    let pair = pair(14, 1).await;
    let case = contracted(&pair, "p1").await;
    pair.origin.judges(false);
    assert_eq!(pair.origin.act(&case, "ready").await.unwrap().kind, Kind::Proposal);
    let answered = async {
        // D's OUTCOME is held here, unjudged.
        while ledger(&pair.origin).await.peer_row.size == ledger(&pair.origin).await.peer_row.settled {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap();
    let departed = pair.origin.act(&case, "departed").await.unwrap();
    let books = ledger(&pair.origin).await;
    let entry = books.own.iter().find(|e| Some(e.record_id()) == departed.record_id).unwrap();
    assert_eq!(entry.statement.peer.unwrap().size, books.peer_row.settled);
    assert!(books.peer_row.settled < books.peer_row.size);
    assert_eq!(lead(entry).known_state, "CONTRACTED");
    pair.origin.judges(true);
    pair.settle().await;
    assert_eq!(alerts(&pair.origin, &case).await, 1);
    assert_eq!(alerts(&pair.destination, &case).await, 1);
    pair.check().await;
}

async fn alerts(side: &Side, case: &Case) -> usize {
    let found = side.exchange(SV_CA).engine().discrepancies(&side.placement(case).await);
    found.iter().filter(|d| d.kind == "fact_without_readiness").count()
}

/// `D end p1, D deliver, D recall p1, O judge, O close p1`: the state that an act leaves says who decides it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn governor_by_state() {
    let pair = pair(15, 1).await;
    let case = pair.bring_one("p1", "order", "EMPLOYED").await;
    pair.origin.judges(false);
    pair.destination.act(&case, "end").await.unwrap();
    pair.delivered().await;
    // ENDED is the origin's to govern; the accepted state has no recall to propose.
    let refusal = pair.destination.refused(&case, "recall").await;
    assert_eq!(refusal, Refusal::Lifecycle { state: "EMPLOYED".to_owned() });
    pair.origin.judges(true);
    pair.settle().await;
    pair.origin.act(&case, "close").await.unwrap();
    pair.settle().await;
    assert_eq!(state_and_number(&pair.destination, &case).await, state_and_number(&pair.origin, &case).await);
    assert_eq!(pair.origin.placement(&case).await.state, "CLOSED");
    pair.check().await;
}

/// `…, D offer p1, O judge, O cancel p1`: a proposal that was made before the governor moved names a number that is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposal_names_seq() {
    let pair = pair(16, 1).await;
    let case = contracted(&pair, "p1").await;
    do_all(&pair, &case, &[(&pair.destination, "admitted")]).await;
    pair.destination.delivers(false);
    let employed = pair.destination.act(&case, "employ").await.unwrap();
    let ready = pair.origin.act(&case, "ready").await.unwrap();
    assert_eq!((ready.kind, ready.number), (Kind::Proposal, employed.number));
    pair.destination.delivers(true);
    pair.settle().await;
    assert_eq!(state_and_number(&pair.origin, &case).await, ("EMPLOYED".to_owned(), employed.number));
    let rejected = pair.origin.placement(&case).await.rejected.unwrap();
    assert_eq!((rejected.act.as_str(), rejected.reason.as_str()), ("ready", "SEQUENCE"));
    pair.check().await;
}

/// `D end p1, O ready p1`: a rejected proposer returns to the governor's present state, not to where it stood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reject_to_current() {
    let pair = pair(17, 1).await;
    let case = contracted(&pair, "p1").await;
    for side in [&pair.origin, &pair.destination] {
        side.delivers(false);
    }
    let ended = pair.destination.act(&case, "end").await.unwrap();
    pair.origin.act(&case, "ready").await.unwrap();
    for side in [&pair.origin, &pair.destination] {
        side.delivers(true);
    }
    pair.settle().await;
    for side in [&pair.origin, &pair.destination] {
        assert_eq!(state_and_number(side, &case).await, ("ENDED".to_owned(), ended.number));
    }
    // ENDED, the governor's effective state, was not its own to leave any more.
    let rejected = pair.origin.placement(&case).await.rejected.unwrap();
    assert_eq!((rejected.act.as_str(), rejected.reason.as_str()), ("ready", "NOT_GOVERNOR"));
    pair.check().await;
}

/// `O contest p1, D end p1, D offer p2`: a seat whose release may yet be refused is not free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seat_freed_on_accept() {
    let pair = pair(18, 1).await;
    let first = pair.bring_one("p1", "order", "EMPLOYED").await;
    let second = pair.bring_one("p2", "order", "NOMINATED").await;
    pair.origin.delivers(false);
    pair.origin.act(&first, "end_contested").await.unwrap();
    pair.destination.act(&first, "end").await.unwrap();
    assert_eq!(pair.destination.refused(&second, "offer").await.gate(), "seat_free");
    pair.origin.delivers(true);
    pair.settle().await;
    let view = pair.destination.placement(&first).await;
    assert_eq!((view.state.as_str(), view.rejected.unwrap().gate.as_str()), ("EMPLOYED", "not_contested"));
    assert_eq!(pair.destination.refused(&second, "offer").await.gate(), "seat_free");
    // A fact frees it at once.
    pair.origin.act(&first, "withdrawn").await.unwrap();
    pair.settle().await;
    pair.destination.act(&second, "offer").await.unwrap();
    pair.settle().await;
    assert_eq!(pair.origin.order_of(&first).await.held, 1);
    pair.check().await;
}

/// `O ready p1, O depart p1`: whether a departure was without clearance is judged by what its issuer knew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alert_by_issuer() {
    let pair = pair(19, 1).await;
    let case = contracted(&pair, "p1").await;
    pair.origin.delivers(false);
    pair.origin.act(&case, "ready").await.unwrap();
    pair.origin.act(&case, "departed").await.unwrap();
    pair.origin.delivers(true);
    pair.settle().await;
    for side in [&pair.origin, &pair.destination] {
        // The destination had accepted READY_TO_TRAVEL before it came to the departure.
        assert_eq!(state_and_number(side, &case).await.0, "READY_TO_TRAVEL");
        assert_eq!(alerts(side, &case).await, 1);
    }
    pair.check().await;
}

/// `O nominate p1, O erase O.nominate:p1`: a record whose part is gone before it is delivered is decided all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erased_is_rejected() {
    let pair = pair_in_process(20, 1).await;
    pair.origin.delivers(false);
    let case = Case::new("p1", "order");
    let nominated = pair.origin.act(&case, "nominate").await.unwrap();
    let (log, index) = pair.origin.core.store().record(nominated.record_id.unwrap()).await.unwrap()[0];
    let parts = pair.origin.core.store().parts(log, index, index + 1).await.unwrap();
    pair.origin.vault.destroy(DataKeyId(parts[1].key_id)).unwrap();
    pair.origin.delivers(true);
    pair.settle().await;
    let decisions = Ledger::decisions(&ledger(&pair.destination).await.own, index);
    assert_eq!(decisions, [Some("PART_MISSING".to_owned())]);
    let view = pair.origin.placement(&case).await;
    assert_eq!((view.state.as_str(), view.pending.len()), ("PRESELECTED", 0));
    assert_eq!(view.rejected.unwrap().reason, "PART_MISSING");
    assert_eq!(pair.destination.placement(&case).await.state, "");
    pair.check().await;
}

/// `O nominate p1, O erase O.nominate:p1, D judge, D lift O.nominate:p1`: REFUSED is interim; once the hold is lifted the
/// recipient erases and answers ERASED, unasked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_release_erases() {
    let pair = pair_in_process(22, 1).await;
    let case = Case::new("p1", "order");
    let nominated = pair.origin.act(&case, "nominate").await.unwrap().record_id.unwrap();
    pair.settle().await;
    let hold = pair.destination.hold(&case, "", 12).await.unwrap();
    let ordered = pair.origin.erase(nominated, 1, "consent-withdrawn").await.unwrap();
    pair.check().await;
    let held = (Progress::Refused, "RETAINED".to_owned());
    assert_eq!(pair.origin.progress(&ordered).await, held);
    assert!(!is_erased(&pair.destination, nominated).await && is_erased(&pair.origin, nominated).await);
    pair.destination.release(&case, hold).await.unwrap();
    pair.settle().await;
    assert_eq!(pair.origin.progress(&ordered).await, (Progress::Erased, String::new()));
    assert!(is_erased(&pair.destination, nominated).await);
    let answers = ledger(&pair.destination).await.own;
    let words: Vec<_> = Ledger::answers(&answers, (nominated, 1)).iter().map(|said| said.answer.clone()).collect();
    assert_eq!(words, ["REFUSED", "ERASED"]);
    pair.destination.act(&case, "offer").await.unwrap();
    pair.check().await;
}

/// Whether the second part of a record is erased at a side.
async fn is_erased(side: &Side, record: RecordId) -> bool {
    side.stored(record).await.iter().any(|row| row.part == 1 && row.sealed == b"ERASED")
}

/// `…, D cosign, network loses COSIGNED`: HELLO serves the cosignature again, and nothing else has to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_cosigned() {
    let pair = pair_in_process(21, 1).await;
    let (batches, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    pair.link.intercept({
        let (batches, lost) = (batches.clone(), lost.clone());
        move |way, message| match (way, &message) {
            (Direction::ToOrigin, Message::Cosigned(_)) if lost.fetch_add(1, SeqCst) == 0 => Relay::Cut,
            (Direction::ToDestination, Message::Batch(_)) => {
                batches.fetch_add(1, SeqCst);
                Relay::Pass(vec![message])
            }
            _ => Relay::Pass(vec![message]),
        }
    });
    pair.origin.act(&Case::new("p1", "order"), "nominate").await.unwrap();
    pair.settle().await;
    assert_eq!((batches.load(SeqCst), lost.load(SeqCst)), (1, 1), "the batch was sent again, or nothing was lost");
    pair.check().await;
}

/// A job that fails leaves no trace, and does not disturb those of its group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_act_leaves_no_trace() {
    let pair = pair(22, 1).await;
    let before = pair.sizes();
    let case = Case::new("p1", "order");
    assert_eq!(pair.destination.refused(&case, "offer").await.gate(), "lifecycle");
    let failed = pair.origin.core.write::<(), StoreError, _>(|_| async { Err(StoreError::Corrupt("test")) }.boxed());
    assert!(failed.await.is_err());
    assert_eq!(pair.sizes(), before);
    pair.check().await;
}
