//! A consulate over a line that comes and goes: what it is shown, what it may state, and that nothing of it is lost or doubled.

use std::collections::BTreeSet;
use std::time::Duration;

use convenio_faultproxy::{Direction, FaultProxy};
use convenio_model::{Clock, Entropy, Ref, SeededEntropy};
use convenio_store::Kind as Row;
use convenio_testkit::acts::reference;
use convenio_testkit::calls::{Caller, passes, reason};
use convenio_testkit::consul::{Open, captured, confirmation, message, observed, welfare};
use convenio_testkit::nodes::{SEASON, act_once};
use convenio_testkit::records::{self, FAMILY_NAME};
use convenio_testkit::treaty::{SV_CA, sv_ca};
use convenio_testkit::{Consulate, Nodes};
use convenio_wire::consular::v1::sync_request::Message as Up;
use convenio_wire::consular::v1::sync_response::Message as Down;
use convenio_wire::consular::v1::{Capture, CaptureResult, SyncFinish};
use convenio_wire::registry::v1 as registry;
use futures::future::{join_all, try_join_all};
use tonic::Code;

const TORONTO: &str = "mre/toronto";

/// Registers placements on `order` and takes them through the season up to and with `last`.
async fn bring(nodes: &Nodes, labels: &[String], order: &str, last: &str) -> Vec<String> {
    let names = join_all(labels.iter().map(|label| nodes.placement(label, order))).await;
    go_on(nodes, &names, SEASON[0].1, last).await;
    names
}

async fn go_on(nodes: &Nodes, names: &[String], first: &str, last: &str) {
    let at = |act: &str| SEASON.iter().position(|(_, name)| *name == act).unwrap();
    let (origin, destination, time) = (&nodes.origin.calls, &nodes.destination.calls, nodes.clock.now_ms());
    for (_, act) in &SEASON[at(first)..=at(last)] {
        let acts = names.iter().map(|name| act_once(origin, destination, name, act, time));
        try_join_all(acts).await.unwrap_or_else(|status| panic!("{act}: {status:?}"));
        nodes.settle().await;
    }
}

/// An open order for work in `subdivision`.
async fn order_in(nodes: &Nodes, label: &str, subdivision: &str) -> String {
    let order = records::job_order(&sv_ca(), Ref::default(), 50, true);
    let mut place = order.place.clone().unwrap();
    place.subdivision_code = subdivision.into();
    let employer = registry::Employer { eligible: true, ..records::employer() };
    let employer = registry::CreateEmployerRequest { employer: Some(employer), ..Default::default() };
    let employer = nodes.destination.calls.create_employer(employer).await.unwrap().name;
    let request = registry::CreateJobOrderRequest {
        job_order: Some(registry::JobOrder { name: String::new(), employer, place: Some(place), ..order }),
        job_order_id: reference(label).to_string(),
        ..Default::default()
    };
    let name = nodes.destination.calls.create_job_order(request).await.unwrap().name;
    nodes.settle().await;
    name
}

fn labels(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

async fn seen(calls: &Caller, name: &str) -> registry::Placement {
    calls.get_placement(registry::GetPlacementRequest { name: name.to_owned() }).await.unwrap()
}

/// Acts of a placement called `act`, as one node lists them.
async fn acts(calls: &Caller, name: &str, act: &str) -> Vec<registry::PlacementEvent> {
    let request =
        registry::ListPlacementEventsRequest { parent: name.to_owned(), page_size: 1000, ..Default::default() };
    let listed = calls.list_placement_events(request).await.unwrap().events;
    listed.into_iter().filter(|event| event.act == act).collect()
}

/// Welfare contacts that El Salvador's registry holds of a placement.
async fn contacts(nodes: &Nodes, name: &str) -> usize {
    let id = name.strip_prefix("placements/").unwrap().parse().unwrap();
    nodes.origin.node.core().store().children(Row::WelfareContact, id, 100).await.unwrap().len()
}

/// Placements that a whole sync brought, in its order.
async fn brought(post: &mut Consulate) -> Vec<String> {
    let synced = post.sync().await.map_err(|(_, status)| status).unwrap();
    synced.items.into_iter().map(|item| item.placement.unwrap().name).collect()
}

/// An open sync from the kept cursor, on a line that has healed but whose client may not have heard yet that it broke.
async fn reopened(post: &Consulate) -> Open {
    for _ in 0..100 {
        match post.open(post.cursor).await {
            Ok(open) => return open,
            Err(status) => assert!(passes(&status), "{status:?}"),
        }
    }
    panic!("no sync opens");
}

/// Syncs over a line that `cut` readies to fail in each of 30 rounds at most, until one comes through whole: items and
/// results in their order, and how many syncs broke.
async fn through_cuts(post: &mut Consulate, cut: impl Fn(&FaultProxy)) -> (Vec<String>, Vec<CaptureResult>, u32) {
    let (mut items, mut results, mut broken) = (Vec::new(), Vec::new(), 0);
    for round in 0..40 {
        if round < 30 {
            cut(&post.line);
        }
        let ended = post.sync().await;
        let whole = ended.is_ok();
        let synced = ended.unwrap_or_else(|(synced, status)| {
            assert!(passes(&status), "{status:?}");
            synced
        });
        broken += u32::from(!whole);
        items.extend(synced.items.into_iter().map(|item| item.placement.unwrap().name));
        results.extend(synced.results);
        post.line.heal();
        if whole {
            return (items, results, broken);
        }
    }
    panic!("no sync comes through");
}

/// Whole syncs of captures; the reasons that they were given, in the order of the captures' ids.
async fn answers(post: &mut Consulate, captures: Vec<Capture>) -> Vec<String> {
    let order: Vec<_> = captures.iter().map(|capture| capture.capture_id.clone()).collect();
    post.capture(captures);
    let results = post.sync().await.map_err(|(_, status)| status).unwrap().results;
    let reason = |id: &String| results.iter().find(|r| r.capture_id == *id).unwrap().error_reason.clone();
    order.iter().map(reason).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caseload_comes_whole_and_then_only_what_changed() {
    let nodes = Nodes::start(61).await;
    let (ours, other) = (order_in(&nodes, "on", "CA-ON").await, order_in(&nodes, "bc", "CA-BC").await);
    let offered = bring(&nodes, &labels("o", 3), &ours, "offer").await;
    let nominated = bring(&nodes, &labels("n", 1), &ours, "nominate").await;
    let elsewhere = bring(&nodes, &labels("b", 1), &other, "offer").await;
    let mut post = Consulate::new(&nodes, TORONTO).await;

    let first = brought(&mut post).await;
    assert_eq!(first.iter().collect::<BTreeSet<_>>(), offered.iter().collect());
    assert_eq!(first.len(), 3, "an item came twice");
    let item = &post.caseload[&offered[0]];
    assert_eq!(item.worker_name, format!("María José {FAMILY_NAME}"));
    assert_eq!((item.employer_name.as_str(), item.languages.len()), ("Finca Ficticia Ltd", 2));
    assert_eq!((item.placement.as_ref().unwrap().state.as_str(), &item.contract), ("OFFERED", &None));
    let cursor = post.cursor;
    assert_eq!((brought(&mut post).await.len(), post.cursor), (0, cursor));

    go_on(&nodes, &offered[..1], "identified", "contract").await;
    assert_eq!(brought(&mut post).await, offered[..1]);
    let item = &post.caseload[&offered[0]];
    assert_eq!(item.placement.as_ref().unwrap().state, "CONTRACTED");
    // As agreed: how many share a room is not for the agreement.
    let mut agreed = records::terms();
    agreed.housing.as_mut().unwrap().persons_per_room = 0;
    assert_eq!(item.contract.as_ref().unwrap().terms, Some(agreed));

    // What changes elsewhere stays unseen; who reaches a seat enters, and who leaves it is shown leaving.
    go_on(&nodes, &elsewhere, "identified", "author").await;
    assert!(brought(&mut post).await.is_empty());
    go_on(&nodes, &nominated, "offer", "offer").await;
    let event = records::event(nodes.clock.now_ms());
    let event = registry::Event { all_modules: false, ..event };
    nodes.origin.calls.fact(&offered[1], "withdrawn", event, "").await.unwrap();
    nodes.settle().await;
    let changed = brought(&mut post).await;
    assert_eq!(changed.iter().collect::<BTreeSet<_>>(), [&nominated[0], &offered[1]].into());
    assert!(post.caseload[&offered[1]].placement.as_ref().unwrap().facts.contains(&"sv:withdrawn".to_owned()));

    // What happens while a sync is open comes before its end.
    let Open { up, mut down } = post.open(post.cursor).await.unwrap();
    go_on(&nodes, &nominated, "identified", "identified").await;
    up.send(message(Up::Finish(SyncFinish {}))).await.unwrap();
    let Some(Down::Item(item)) = down.message().await.unwrap().unwrap().message else { panic!("no item") };
    assert_eq!(item.placement.unwrap().name, nominated[0]);
    let Some(Down::End(end)) = down.message().await.unwrap().unwrap().message else { panic!("no end") };
    assert!(end.cursor >= item.cursor && down.message().await.unwrap().is_none());

    // A device that was lost begins anew; one that is ahead of everything gets nothing.
    let mut new = Consulate::new(&nodes, TORONTO).await;
    assert_eq!(brought(&mut new).await.len(), 4);
    new.cursor = u64::MAX;
    assert!(brought(&mut new).await.is_empty());
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worse_contract_that_a_post_saw_is_a_discrepancy_in_both_states() {
    let nodes = Nodes::start(62).await;
    let order = order_in(&nodes, "on", "CA-ON").await;
    let name = bring(&nodes, &labels("p", 1), &order, "employ").await.remove(0);
    let mut post = Consulate::new(&nodes, TORONTO).await;
    let mut worse = records::terms();
    worse.wage_rate = records::cad(1500);
    let captures = [
        captured(&nodes, "confirmed", &name, confirmation()),
        captured(&nodes, "well", &name, welfare()),
        captured(&nodes, "seen", &name, observed(&name, worse)),
    ];
    // Twice in one stream, at once; then a third time.
    let Open { up, mut down } = post.open(0).await.unwrap();
    for capture in captures.iter().chain(&captures) {
        up.send(message(Up::Capture(capture.clone()))).await.unwrap();
    }
    up.send(message(Up::Finish(SyncFinish {}))).await.unwrap();
    let mut results = Vec::new();
    while let Some(answer) = down.message().await.unwrap() {
        if let Some(Down::Result(result)) = answer.message {
            results.push((result.capture_id, result.error_reason));
        }
    }
    let taken: Vec<_> = captures.iter().map(|capture| (capture.capture_id.clone(), String::new())).collect();
    assert_eq!(results, [taken.clone(), taken].concat());
    assert_eq!(answers(&mut post, captures.to_vec()).await, ["", "", ""]);
    nodes.settle().await;

    assert_eq!(contacts(&nodes, &name).await, 1);
    let mut told = Vec::new();
    for (calls, party) in [(&nodes.origin.calls, "sv"), (&nodes.destination.calls, "ca")] {
        let placement = seen(calls, &name).await;
        assert!(placement.facts.contains(&"sv:employment_confirmed".to_owned()));
        assert!(!placement.facts.iter().any(|fact| fact.contains("welfare")), "a welfare contact crossed");
        assert_eq!(acts(calls, &name, "employment_confirmed").await.len(), 1);
        let [agreed, seen] = ["contract_offered", "contract_observed"].map(|act| acts(calls, &name, act));
        let (agreed, seen) = (agreed.await, seen.await);
        assert_eq!((agreed.len(), seen.len()), (1, 1));

        let [found] = placement.discrepancies.as_slice() else { panic!("{:?}", placement.discrepancies) };
        assert_eq!(
            (found.kind.as_str(), found.field_path.as_str()),
            ("contract_substitution", "contract.terms.wage_rate")
        );
        assert_eq!((found.agreed.as_str(), found.observed.as_str()), ("17.20 CAD", "15.00 CAD"));
        assert_eq!(record_at(&nodes, party, &found.agreed_at).await, agreed[0].record_id);
        assert_eq!(record_at(&nodes, party, &found.observed_at).await, seen[0].record_id);
        told.push(found.clone());
    }
    assert_eq!(told[0], told[1]);
    brought(&mut post).await;
    assert_eq!(post.caseload[&name].placement.as_ref().unwrap().discrepancies, told[..1]);
    nodes.check().await;
    nodes.stop().await;
}

/// Record id at `<log origin>#<index>` in a node's own copy of that log.
async fn record_at(nodes: &Nodes, party: &str, position: &str) -> String {
    let (origin, index) = position.rsplit_once('#').unwrap();
    let books = nodes.books(party);
    let ledger = books.ledger(books.core.exchange(SV_CA).unwrap()).await;
    let log = if ledger.own_row.origin == origin { &ledger.own } else { &ledger.peer };
    assert!([&ledger.own_row.origin, &ledger.peer_row.origin].iter().any(|known| *known == origin), "{origin}");
    hex::encode(log[index.parse::<usize>().unwrap()].record_id().0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_in_the_middle_loses_and_doubles_nothing() {
    const SEED: u64 = 63;
    let nodes = Nodes::start(SEED).await;
    let order = order_in(&nodes, "on", "CA-ON").await;
    let names = bring(&nodes, &labels("p", 30), &order, "employ").await;
    let draws = SeededEntropy::labelled(SEED, "cuts");
    let mut post = Consulate::new(&nodes, TORONTO).await;

    // Downward: cut after so many items were kept, then at any byte. Each item comes once.
    let mut items = Vec::new();
    for kept in [1, 7, 13] {
        let Open { up: _up, mut down } = reopened(&post).await;
        for _ in 0..kept {
            let Some(Down::Item(item)) = down.message().await.unwrap().unwrap().message else { panic!("no item") };
            items.push(item.placement.as_ref().unwrap().name.clone());
            post.keep(item);
        }
        post.line.cut();
        // What was under way is not kept.
        while down.message().await.is_ok_and(|answer| answer.is_some()) {}
        post.line.heal();
    }
    let cut = |line: &FaultProxy| line.drop_after(500 + draw(&draws, 12_000), Direction::ToClient);
    items.extend(through_cuts(&mut post, cut).await.0);
    assert_eq!((items.len(), items.iter().collect::<BTreeSet<_>>()), (30, names.iter().collect()));

    // Upward: first the answers are lost, so that the node took what the device believes untold.
    post.capture(names.iter().flat_map(|name| {
        [("confirmed", confirmation()), ("well", welfare())]
            .map(|(what, kind)| captured(&nodes, &format!("{what} {name}"), name, kind))
    }));
    let Open { up, down } = reopened(&post).await;
    post.line.lose_answers();
    for capture in post.waiting.values().take(20) {
        up.send(message(Up::Capture(capture.clone()))).await.unwrap();
    }
    let taken = async {
        // Ids are random: any 20 captures hold some of either kind.
        let store = nodes.origin.node.core().store();
        while store.resources(Row::WelfareContact, None, 100).await.unwrap().len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), taken).await.expect("captures whose answer is lost are taken");
    drop((up, down));
    post.line.heal();
    // Then it is cut anywhere, in either direction.
    let cut = |line: &FaultProxy| {
        let way = if draw(&draws, 2) == 0 { Direction::ToServer } else { Direction::ToClient };
        line.drop_after(500 + draw(&draws, 4_000), way);
    };
    let (_, results, broken) = through_cuts(&mut post, cut).await;
    assert!(broken >= 1, "no sync broke");
    assert!(results.iter().all(|result| result.error_reason.is_empty()), "{results:?}");
    assert_eq!((results.len(), post.waiting.len()), (60, 0));

    nodes.settle().await;
    brought(&mut post).await;
    for name in &names {
        for calls in [&nodes.origin.calls, &nodes.destination.calls] {
            assert_eq!(acts(calls, name, "employment_confirmed").await.len(), 1, "{name}");
        }
        assert_eq!(contacts(&nodes, name).await, 1, "{name}");
        // What the device holds is what the node says now.
        assert_eq!(post.caseload[name].placement.as_ref().unwrap(), &seen(&nodes.origin.calls, name).await);
    }
    nodes.check().await;
    nodes.stop().await;
}

fn draw(entropy: &SeededEntropy, below: u64) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_be_bytes(bytes) % below
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_sees_and_states_nothing_beyond_its_district_and_role() {
    let nodes = Nodes::start(64).await;
    let (ours, other) = (order_in(&nodes, "on", "CA-ON").await, order_in(&nodes, "bc", "CA-BC").await);
    let elsewhere = bring(&nodes, &labels("b", 1), &other, "employ").await.remove(0);
    let early = bring(&nodes, &labels("e", 1), &ours, "offer").await.remove(0);
    let mut post = Consulate::new(&nodes, TORONTO).await;

    assert_eq!(brought(&mut post).await, [early.as_str()]);
    let stranger = format!("placements/{}", reference("nobody"));
    let kinds = || [confirmation(), welfare(), observed(&elsewhere, records::terms())];
    for (n, kind) in kinds().into_iter().enumerate() {
        let capture = captured(&nodes, &format!("elsewhere {n}"), &elsewhere, kind);
        assert_eq!(answers(&mut post, vec![capture]).await, ["PERMISSION_DENIED"], "capture {n}");
    }
    assert_eq!(answers(&mut post, vec![captured(&nodes, "?", &stranger, welfare())]).await, ["NOT_FOUND"]);
    assert_eq!(contacts(&nodes, &elsewhere).await, 0);
    let facts = seen(&nodes.origin.calls, &elsewhere).await.facts;
    assert!(!facts.iter().any(|fact| fact.contains("confirmed") || fact.contains("observed")), "{facts:?}");

    // What is refused may come again, later or corrected, under the same id; what was taken stays as it was.
    let confirmed = captured(&nodes, "early", &early, confirmation());
    let refused = answers(&mut post, vec![confirmed.clone()]).await.remove(0);
    assert_eq!(refused, "LIFECYCLE", "confirmed before the worker is employed");
    let mut without = captured(&nodes, "seen", &early, observed(&early, records::terms()));
    let corrected = without.clone();
    let Some(convenio_wire::consular::v1::capture::Kind::ObservedContract(contract)) = &mut without.kind else {
        panic!()
    };
    contract.contract.as_mut().unwrap().terms = None;
    post.capture([without]);
    let results = post.sync().await.map_err(|(_, status)| status).unwrap().results;
    assert_eq!(results[0].error_reason, "INVALID_ARGUMENT");
    assert_eq!(results[0].field_paths, ["observed_contract.contract.terms"]);
    go_on(&nodes, std::slice::from_ref(&early), "identified", "employ").await;
    assert_eq!(answers(&mut post, vec![confirmed.clone(), corrected]).await, ["", ""]);
    let other_kind = Capture { kind: Some(welfare()), ..confirmed };
    assert_eq!(answers(&mut post, vec![other_kind]).await, ["REQUEST_ID_REUSED"]);
    assert_eq!(acts(&nodes.origin.calls, &early, "employment_confirmed").await.len(), 1);
    nodes.settle().await;
    assert!(seen(&nodes.destination.calls, &early).await.discrepancies.is_empty(), "the same terms are no discrepancy");

    // Other methods, other posts, no purpose.
    let denied = |status: tonic::Status| {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    };
    let worker = seen(&nodes.origin.calls, &early).await.worker;
    denied(post.calls.get_worker(registry::GetWorkerRequest { name: worker }).await.unwrap_err());
    denied(post.calls.get_placement(registry::GetPlacementRequest { name: early.clone() }).await.unwrap_err());
    denied(post.calls.fact(&early, "returned", registry::Event::default(), "").await.unwrap_err());
    for unlisted in ["mre/montreal", "mtps/toronto", "mre"] {
        let unlisted = Consulate::new(&nodes, unlisted).await;
        denied(unlisted.open(0).await.map(drop).unwrap_err());
    }
    assert_eq!(reason(&post.open_without_purpose().await.unwrap_err()), "PURPOSE_REQUIRED");
    // The state's own integration system is no consulate.
    let ministry = Consulate { calls: nodes.origin.calls.clone(), ..Consulate::new(&nodes, TORONTO).await };
    denied(ministry.open(0).await.map(drop).unwrap_err());
    nodes.check().await;
    nodes.stop().await;
}
