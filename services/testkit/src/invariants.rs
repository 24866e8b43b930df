//! What must hold of two states once both are settled, whatever was done to them meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::view::{AgencyView, CrewView, OrderView, PlacementView};
use convenio_exchange::Exchange;
use convenio_log::{Frontier, Hash, Policy, SignedCheckpoint, TlogProof, cosignature, leaf_hash};
use convenio_model::Ref;
use convenio_store::ViewKind;
use convenio_wire::exchange::v1::statement::Body;
use prost::Message;

use crate::fold::{Folded, fold};
use crate::ledger::{Books, Entry, Ledger};

/// Rows that a test database holds at most.
const ALL: u32 = 1_000_000;

/// Checks both sides under every agreement that they share.
///
/// # Panics
/// With what does not hold.
pub async fn check(origin: &Books, destination: &Books) {
    for ours in origin.core.exchanges() {
        check_under(origin, destination, ours.pack().id()).await;
    }
}

/// Checks both sides under one agreement.
///
/// # Panics
/// With what does not hold.
pub async fn check_under(origin: &Books, destination: &Books, agreement: &str) {
    let [ours, theirs] = [origin, destination].map(|books| books.core.exchange(agreement).unwrap());
    let here = Checked::new(origin, ours).await;
    let there = Checked::new(destination, theirs).await;
    copies(&here.ledger, &there.ledger);
    copies(&there.ledger, &here.ledger);
    erasures(&here.ledger, &there.ledger);
    erasures(&there.ledger, &here.ledger);
    decided_once(&here.ledger, &there.ledger);
    decided_once(&there.ledger, &here.ledger);
    entangled(&here, &there);
    entangled(&there, &here);
    receipts(&here, &there).await;
    receipts(&there, &here).await;
    live(&here).await;
    live(&there).await;
    agree(&here, &there);
}

struct Checked<'a> {
    books: &'a Books,
    exchange: &'a Exchange,
    ledger: Ledger,
    folded: Folded,
}

impl<'a> Checked<'a> {
    async fn new(books: &'a Books, exchange: &'a Exchange) -> Self {
        let ledger = books.ledger(exchange).await;
        let folded = fold(exchange, &ledger);
        let folded = folded.unwrap_or_else(|why| panic!("{}: {why}", exchange.own_node));
        Self { books, exchange, ledger, folded }
    }
}

/// The mirror equals the original byte for byte, parts included where they were stored.
fn copies(issuer: &Ledger, holder: &Ledger) {
    let bytes = |log: &[Entry]| log.iter().map(|e| e.bytes.clone()).collect::<Vec<_>>();
    assert_eq!(bytes(&issuer.own), bytes(&holder.peer), "the mirror differs from {}", issuer.own_row.origin);
    for (own, mirrored) in issuer.own.iter().zip(&holder.peer) {
        for (part, copy) in own.parts.iter().zip(&mirrored.parts) {
            assert!(copy.is_none() || part.is_none() || part == copy, "a part of entry {} differs", own.index);
        }
    }
}

/// Every ERASE is answered; what was ordered is gone at its issuer, and at the other side once that says so.
fn erasures(issuer: &Ledger, holder: &Ledger) {
    for part in Ledger::orders(&issuer.own) {
        let answers = Ledger::answers(&holder.own, part);
        let last = answers.last().unwrap_or_else(|| panic!("the ERASE of {part:?} has no answer"));
        let there = |log: &[Entry]| {
            let number = usize::try_from(part.1).unwrap();
            log.iter()
                .any(|e| e.record_id() == part.0 && e.is_record() && e.parts.get(number).is_some_and(Option::is_some))
        };
        assert!(!there(&issuer.own), "the issuer holds {part:?}, which it erased");
        assert!(last.answer != "ERASED" || !there(&holder.peer), "{part:?} is said to be erased and is not");
        let erased = answers.iter().position(|said| said.answer == "ERASED");
        assert!(erased.is_none_or(|at| answers[at..].iter().all(|said| said.answer == "ERASED")), "{part:?} came back");
    }
}

/// Every RECORD that was delivered is decided exactly once, and an accepted record id only once.
fn decided_once(issuer: &Ledger, judge: &Ledger) {
    let mut accepted = BTreeSet::new();
    for entry in issuer.own.iter().filter(|e| e.is_record()) {
        let decisions = Ledger::decisions(&judge.own, entry.index);
        assert_eq!(decisions.len(), 1, "decisions about {}#{}", issuer.own_row.origin, entry.index);
        assert!(decisions[0].is_some() || accepted.insert(entry.record_id()), "{} twice", entry.record_id());
    }
    let records = issuer.own.iter().filter(|e| e.is_record()).count() as u64;
    for row in [&issuer.own_row, &judge.peer_row] {
        assert_eq!((row.records, row.decided), (records, records), "{}", row.origin);
        assert_eq!(row.rejected, records - accepted.len() as u64, "{}", row.origin);
        assert_eq!(row.alarm, "");
    }
}

/// PEER_CHECKPOINTs never go back or repeat, are cosigned here and are heads of the very log that is mirrored.
fn entangled(here: &Checked<'_>, there: &Checked<'_>) {
    let mut last = (0, 0);
    for entry in &here.ledger.own {
        let Some(Body::PeerCheckpoint(point)) = &entry.statement.body else { continue };
        let note = SignedCheckpoint::parse(&point.note).unwrap();
        let head = note.checkpoint();
        let lanes = here.exchange.peer_lanes();
        let lane = lanes.iter().find(|lane| lane.origin == head.origin()).expect("a log of the partner");
        let logs = here.exchange.partner_log_keys(lane.epoch, &lane.origin, head.size());
        assert!(logs.iter().any(|key| note.verify_log(key).is_ok()), "an entangled head is not the partner's");
        let mirrors = there.exchange.partner_mirrors(&lane.origin, head.size());
        assert!(mirrors.iter().any(|key| cosignature::verify(&note, key).is_ok()), "an entangled head is not cosigned");
        let now = (lane.epoch, head.size());
        assert!(now > last, "a PEER_CHECKPOINT goes back from {last:?} to {now:?}");
        let roots = roots(here.ledger.peer.iter().filter(|e| e.epoch == lane.epoch));
        assert_eq!(head.root(), roots[usize::try_from(head.size()).unwrap()], "an entangled head is not the mirror's");
        last = now;
    }
}

/// Every record that was delivered has a receipt that verifies with nothing but two public keys.
async fn receipts(here: &Checked<'_>, there: &Checked<'_>) {
    // All receipts are under the same checkpoint: a few places of the tree tell as much as all of them.
    let records: Vec<_> = here.ledger.own.iter().filter(|e| e.is_record()).collect();
    let step = records.len() / 40 + 1;
    for entry in records.into_iter().step_by(step) {
        let receipt = convenio_exchange::receipt(&here.books.core, entry.record_id()).await.unwrap();
        let proof = TlogProof::parse(receipt.expect("delivered").as_bytes()).unwrap();
        let own = here.ledger.own.iter().filter(|e| e.epoch == entry.epoch);
        let found = own.into_iter().nth(usize::try_from(proof.index()).unwrap()).unwrap();
        assert_eq!(found.record_id(), entry.record_id());
        let head = proof.checkpoint().checkpoint();
        let logs = there.exchange.partner_log_keys(entry.epoch, head.origin(), head.size());
        let mirrors = here.exchange.partner_mirrors(head.origin(), head.size());
        let policies = logs.iter().flat_map(|log| mirrors.iter().map(move |mirror| Policy::of(log, mirror).unwrap()));
        let leaf = leaf_hash(&found.bytes);
        assert!(policies.into_iter().any(|policy| proof.verify(&leaf, &policy).is_ok()), "a receipt does not verify");
    }
}

/// Roots of a log at every size.
fn roots<'e>(log: impl Iterator<Item = &'e Entry>) -> Vec<Hash> {
    let mut frontier = Frontier::new();
    let mut roots = vec![frontier.root()];
    for entry in log {
        frontier.append(leaf_hash(&entry.bytes));
        roots.push(frontier.root());
    }
    roots
}

/// What the node believes is what its logs say.
async fn live(side: &Checked<'_>) {
    let (world, agreement) = (&side.folded.world, side.exchange.pack().id());
    let node = &side.exchange.own_node;
    let placements: BTreeMap<Ref, PlacementView> = views(side, ViewKind::Placement).await;
    for (id, view) in &placements {
        if side.folded.unknowable.contains(id) {
            continue;
        }
        match world.placement(*id) {
            // Before it crosses, its state is the origin's own and in no log.
            Some(folded) if view.number == 0 => {
                let folded = PlacementView { state: view.state.clone(), ..folded.clone() };
                assert_eq!(&folded, view, "{node}: placement {id} differs from its replay");
            }
            Some(folded) => assert_eq!(folded, view, "{node}: placement {id} differs from its replay"),
            // Registered and not yet nominated: nothing of it has crossed.
            None => assert!(view.number == 0 && view.pending.is_empty() && view.facts.is_empty(), "{node}: {id}"),
        }
    }
    assert!(world.placements().all(|(id, _)| placements.contains_key(&id)), "{node} forgot a placement of {agreement}");
    let orders: BTreeMap<Ref, OrderView> = views(side, ViewKind::Order).await;
    let folded = world.orders().map(|(id, v)| (id, v.clone())).collect();
    let seats = side.folded.unknowable.is_empty();
    assert_eq!(counted(orders, seats), counted(folded, seats), "{node}: orders of {agreement}");
    let agencies: BTreeMap<Ref, AgencyView> = views(side, ViewKind::Agency).await;
    assert_eq!(agencies, world.agencies().map(|(id, v)| (id, v.clone())).collect(), "{node}: agencies");
    let crews: BTreeMap<Ref, CrewView> = views(side, ViewKind::Crew).await;
    assert_eq!(crews, world.crews().map(|(id, v)| (id, v.clone())).collect(), "{node}: crews");
}

/// Job orders, without the seats held where a placement cannot be replayed.
fn counted(orders: BTreeMap<Ref, OrderView>, seats: bool) -> BTreeMap<Ref, OrderView> {
    let counted = |(id, order): (Ref, OrderView)| (id, OrderView { held: if seats { order.held } else { 0 }, ..order });
    orders.into_iter().map(counted).collect()
}

async fn views<M: Message + Default>(side: &Checked<'_>, kind: ViewKind) -> BTreeMap<Ref, M> {
    let rows = side.books.core.store().views(kind, side.exchange.pack().id(), "", None, ALL).await.unwrap();
    rows.into_iter().map(|row| (row.key.2, M::decode(row.body.as_slice()).unwrap())).collect()
}

/// Both sides know the same of every placement, job order and agency.
fn agree(here: &Checked<'_>, there: &Checked<'_>) {
    let placements = |side: &Checked<'_>| -> BTreeMap<Ref, Shared> {
        let crossed = side.folded.world.placements().filter(|(id, _)| !side.folded.unknowable.contains(id));
        let shared = crossed.map(|(id, view)| (id, Shared::of(side.exchange, view)));
        shared.filter(|(_, shared)| shared.number > 0 || !shared.facts.is_empty()).collect()
    };
    let (ours, mut theirs) = (placements(here), placements(there));
    theirs.retain(|id, _| !here.folded.unknowable.contains(id));
    assert_eq!(ours, theirs, "the sides disagree");
    let seats = here.folded.unknowable.is_empty() && there.folded.unknowable.is_empty();
    let orders = |side: &Checked<'_>| -> BTreeMap<Ref, OrderView> {
        counted(side.folded.world.orders().map(|(id, view)| (id, view.clone())).collect(), seats)
    };
    assert_eq!(orders(here), orders(there), "the sides disagree on orders and seats");
    let agencies = |side: &Checked<'_>| -> BTreeMap<Ref, BTreeSet<Vec<u8>>> {
        let licences = |view: &AgencyView| view.licences.iter().map(Message::encode_to_vec).collect();
        side.folded.world.agencies().map(|(id, view)| (id, licences(view))).collect()
    };
    assert_eq!(agencies(here), agencies(there), "the sides disagree on licences");
    let crews = |side: &Checked<'_>| -> BTreeMap<Ref, CrewView> {
        side.folded.world.crews().map(|(id, view)| (id, view.clone())).collect()
    };
    assert_eq!(crews(here), crews(there), "the sides disagree on crews");
}

/// What both sides must know alike of a placement (model: `shared`).
#[derive(Debug, PartialEq)]
struct Shared {
    state: String,
    number: u64,
    reached: u32,
    facts: BTreeSet<(String, bool, Vec<u8>, u64, String)>,
    discrepancies: BTreeSet<String>,
    agreed: Vec<u8>,
    observed: BTreeSet<Vec<u8>>,
    seat_in: Vec<u8>,
}

impl Shared {
    fn of(exchange: &Exchange, view: &PlacementView) -> Self {
        assert!(view.pending.is_empty(), "{} waits for an outcome for ever", exchange.own_node);
        assert!(view.facts.iter().all(|f| !f.undecided), "{} waits for an outcome for ever", exchange.own_node);
        let facts = view
            .facts
            .iter()
            .map(|f| (f.name.clone(), f.by_origin, f.record_id.clone(), f.event_time_ms, f.known_state.clone()));
        let discrepancies = exchange.engine().discrepancies(view).into_iter().map(|d| format!("{d:?}"));
        Self {
            state: view.state.clone(),
            number: view.number,
            reached: view.reached,
            facts: facts.collect(),
            discrepancies: discrepancies.collect(),
            agreed: view.agreed.as_ref().map(|t| t.record_id.clone()).unwrap_or_default(),
            observed: view.observed.iter().map(|t| t.record_id.clone()).collect(),
            seat_in: view.seat_in.clone(),
        }
    }
}
