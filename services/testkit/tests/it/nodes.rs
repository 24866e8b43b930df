//! Two whole nodes over loopback mTLS.

use std::time::Duration;

use convenio_faultproxy::Direction;
use convenio_model::Clock;
use convenio_node::tls::LoadedTls;
use convenio_rpc::client::ExchangeServiceClient;
use convenio_testkit::calls::{Caller, passes, reason};
use convenio_testkit::kills::compare;
use convenio_testkit::nodes::act_once;
use convenio_testkit::records::worker;
use convenio_testkit::{Nodes, Site};
use convenio_wire::exchange::v1::ExchangeRequest;
use convenio_wire::node::v1::ListExchangesRequest;
use convenio_wire::registry::v1 as registry;
use tonic::{Code, Status};

/// Does an act through a line to the own node that loses every answer, until it was answered.
async fn act_through(nodes: &Nodes, placement: &str, act: &str) {
    let time = nodes.clock.now_ms();
    for _ in 0..500 {
        match act_once(&nodes.origin.calls, &nodes.destination.calls, placement, act, time).await {
            Ok(()) => return,
            Err(status) if passes(&status) || !reason(&status).is_empty() => {}
            Err(status) => panic!("{act}: {status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{act} was never answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_season_passes_over_a_line_that_breaks() {
    let nodes = Nodes::start(51).await;
    let order = nodes.order("order", 2).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "offer").await;

    let lines = [&nodes.origin.proxy, &nodes.destination.proxy];
    lines.iter().for_each(|line| line.delay(Duration::from_millis(15)));
    act_through(&nodes, &placement, "identified").await;
    act_through(&nodes, &placement, "author").await;
    lines.iter().for_each(|line| line.heal());

    // The answers to what the origin delivers are lost; then the line is cut in the middle of a message.
    nodes.destination.proxy.lose_answers();
    act_through(&nodes, &placement, "contract").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    nodes.destination.proxy.heal();
    act_through(&nodes, &placement, "permitted").await;
    nodes.origin.proxy.drop_after(700, Direction::ToServer);
    act_through(&nodes, &placement, "oriented").await;
    act_through(&nodes, &placement, "admitted").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    lines.iter().for_each(|line| line.cut());
    tokio::time::sleep(Duration::from_millis(50)).await;
    lines.iter().for_each(|line| line.heal());
    for act in ["documented", "ready", "departed", "employ", "end", "close"] {
        act_through(&nodes, &placement, act).await;
        nodes.settle().await;
    }
    for calls in [&nodes.origin.calls, &nodes.destination.calls] {
        let request = registry::GetPlacementRequest { name: placement.clone() };
        assert_eq!(calls.get_placement(request).await.unwrap().state, "CLOSED");
    }
    nodes.check().await;
    let [sv, ca] = nodes.export().await;
    compare(&sv, &ca, &convenio_audit::load_trust(&nodes.site.trust()).unwrap()).unwrap();
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_twice_is_done_once() {
    let nodes = Nodes::start(52).await;
    let order = nodes.order("order", 2).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    assert_eq!(nodes.placement("p1", &order).await, placement, "registered twice");
    nodes.bring(&placement, "preselect").await;
    let size = || {
        let core = nodes.origin.node.core();
        core.heads().borrow()[&core.exchange("sv-ca").unwrap().own().log].size
    };
    // At once, and again later.
    let before = size();
    let nominate = || act_once(&nodes.origin.calls, &nodes.destination.calls, &placement, "nominate", 7);
    let (first, second) = futures::join!(nominate(), nominate());
    first.unwrap();
    second.unwrap();
    nodes.settle().await;
    nominate().await.unwrap();
    nodes.settle().await;
    assert_eq!(size() - before, 1, "one RECORD and nothing else");
    let events =
        registry::ListPlacementEventsRequest { parent: placement.clone(), page_size: 0, page_token: String::new() };
    let events = nodes.origin.calls.list_placement_events(events).await.unwrap().events;
    assert_eq!(events.iter().filter(|e| e.act == "nominate").count(), 1);
    // The same id for something else is refused.
    let other = act_once(&nodes.origin.calls, &nodes.destination.calls, &placement, "nominate", 8).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    nodes.check().await;
    nodes.stop().await;
}

/// Calls `ListExchanges` of the origin's node, as anybody of that state may.
async fn calls_as(nodes: &Nodes, tls: &LoadedTls) -> Result<(), Status> {
    let caller = Caller::new("sv", nodes.origin.node.addr(), tls);
    caller.list_exchanges(ListExchangesRequest {}).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_do_not_fit_are_refused() {
    let nodes = Nodes::start(53).await;
    let site = &nodes.site;
    let uri = "spiffe://sv.example/integration/ministry";
    let good = site.client("sv", &site.certificate("sv", uri));
    calls_as(&nodes, &good).await.expect("positive control");

    let refused = |status: Result<(), Status>, codes: &[Code]| {
        let status = status.unwrap_err();
        assert!(codes.contains(&status.code()), "{status:?}");
    };
    // Below TLS nothing is said: the connection ends.
    let closed = [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled];
    refused(calls_as(&nodes, &site.client("sv", &site.expired("sv", uri))).await, &closed);
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Site::make(elsewhere.path(), 53).certificate("sv", uri);
    refused(calls_as(&nodes, &site.client("sv", &stranger)).await, &closed);
    // Canada's authority speaks for Canada's names alone, and Canada's callers are not El Salvador's.
    refused(calls_as(&nodes, &site.client("sv", &site.certificate("ca", uri))).await, &closed);
    let canadian = site.certificate("ca", "spiffe://ca.example/integration/ministry");
    refused(calls_as(&nodes, &site.client("ca", &canadian)).await, &[Code::PermissionDenied]);

    // Roles: what the table does not list is denied.
    let as_role = |role: &str| {
        let tls = site.client("sv", &site.certificate("sv", &format!("spiffe://sv.example/{role}")));
        Caller::new("sv", nodes.origin.node.addr(), &tls)
    };
    let create = || registry::CreateWorkerRequest { worker: Some(worker(Default::default())), ..Default::default() };
    let read = || registry::GetWorkerRequest { name: format!("workers/{}", convenio_testkit::acts::reference("w")) };
    for role in
        ["operator/ministry", "auditor/ministry", "consulate/mre/toronto", "node/sv", "agency/someone", "minister/x"]
    {
        let status = as_role(role).create_worker(create()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{role}");
    }
    assert_eq!(as_role("consulate/mre/toronto").get_worker(read()).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(as_role("operator/ministry").get_worker(read()).await.unwrap_err().code(), Code::NotFound);
    // Nobody but the partner's node exchanges.
    for (party, uri) in [("sv", uri), ("sv", "spiffe://sv.example/node/sv"), ("ca", "spiffe://ca.example/operator/x")] {
        let caller = Caller::new("sv", nodes.origin.node.addr(), &site.client(party, &site.certificate(party, uri)));
        let stream = futures::stream::empty::<ExchangeRequest>();
        let status = ExchangeServiceClient::new(caller.channel).exchange(stream).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{uri}");
    }
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_idle_nodes_append_nothing() {
    let nodes = Nodes::start(54).await;
    nodes.order("order", 2).await;
    let sizes = || {
        let of = |node: &convenio_node::Node| node.core().heads().borrow().values().map(|head| head.size).sum::<u64>();
        (of(&nodes.origin.node), of(&nodes.destination.node))
    };
    for _ in 0..4 {
        nodes.clock.advance(Duration::from_secs(61));
        tokio::time::sleep(Duration::from_millis(50)).await;
        nodes.settle().await;
    }
    let before = sizes();
    for _ in 0..96 {
        nodes.clock.advance(Duration::from_secs(900));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    nodes.settle().await;
    assert_eq!(sizes(), before);
    nodes.check().await;
    nodes.stop().await;
}
