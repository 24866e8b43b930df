//! The lines between two whole nodes fail in every way, again and again, while both states work; and a partner is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use convenio_faultproxy::{Direction, FaultProxy};
use convenio_model::{Clock, Entropy, Ref, SeededEntropy};
use convenio_node::tls::{LiveTls, ServeLimits, serve};
use convenio_node::{Config, Node};
use convenio_rpc::Principals;
use convenio_testkit::acts::reference;
use convenio_testkit::calls::{Caller, passes, reason};
use convenio_testkit::nodes::{SEASON, act_once, integration, placement};
use convenio_testkit::treaty::{SV_CA, sv_ca};
use convenio_testkit::{Nodes, records};
use convenio_wire::registry::v1 as registry;
use futures::future::join_all;
use futures::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Faults in one run.
const FAULTS: u32 = 20;
/// Placements under way at once.
const AT_ONCE: u32 = 8;
/// Longest time from the end of the last fault until everything is delivered, judged and answered.
const BOUND: Duration = Duration::from_secs(8);
/// Longest time that one act may take, faults included.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tells how to play a failed run again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to replay: CONVENIO_SEED={}", self.0);
        }
    }
}

/// The run's seed: the environment's, or `usual`.
fn seed(usual: u64) -> u64 {
    std::env::var("CONVENIO_SEED").map_or(usual, |text| text.parse().expect("CONVENIO_SEED is a number"))
}

struct Draws(SeededEntropy);

impl Draws {
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % end
    }

    async fn pause(&self, least: u64, most: u64) {
        sleep(Duration::from_millis(least + self.below(most - least))).await;
    }
}

/// One fault of one line, and its end.
async fn fail(line: &FaultProxy, draws: &Draws) -> &'static str {
    let kind = match draws.below(6) {
        0 => {
            line.delay(Duration::from_millis(5 + draws.below(60)));
            "slow"
        }
        1 => {
            line.cut();
            "cut"
        }
        2 | 3 => {
            let way = if draws.below(2) == 0 { Direction::ToServer } else { Direction::ToClient };
            line.drop_after(1 + draws.below(6_000), way);
            "cut in the middle of a message"
        }
        4 => {
            line.lose_answers();
            "answers lost"
        }
        _ => {
            line.pause();
            "silent"
        }
    };
    draws.pause(50, 300).await;
    // Silence ends with what waited, or with a cut: keep-alive would take longer than a test may.
    if kind == "silent" && draws.below(2) == 0 {
        line.cut();
    }
    line.heal();
    kind
}

/// Fails one line after the other or both at once; tells what was done.
async fn fail_often(nodes: &Nodes, draws: &Draws) -> Vec<&'static str> {
    let lines = [&nodes.origin.proxy, &nodes.destination.proxy];
    let mut done = Vec::new();
    while done.len() < FAULTS as usize {
        match draws.below(3) {
            2 => done.extend(join_all(lines.map(|line| fail(line, draws))).await),
            one => done.push(fail(lines[usize::try_from(one).unwrap()], draws).await),
        }
        draws.pause(20, 120).await;
    }
    done
}

/// Does one act until it is answered: while what it builds on is still under way, the node refuses it for good reason.
async fn act_until_answered(nodes: &Nodes, name: &str, act: &str) {
    let until = Instant::now() + PATIENCE;
    let (origin, destination, time) = (&nodes.origin.calls, &nodes.destination.calls, nodes.clock.now_ms());
    while let Err(status) = act_once(origin, destination, name, act, time).await {
        let early = ["NOT_FOUND", "LIFECYCLE", "NOT_GOVERNOR", "GATE"].contains(&reason(&status).as_str());
        assert!((passes(&status) || early) && Instant::now() < until, "{act} of {name}: {status:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Takes one worker after the other through the season until the faults are over; gives the placements.
async fn work(nodes: &Nodes, order: &str, next: &AtomicU32, over: &AtomicBool) -> Vec<String> {
    let mut done = Vec::new();
    while !over.load(SeqCst) {
        let label = format!("p{}", next.fetch_add(1, SeqCst));
        let name = placement(&nodes.origin.calls, &label, order).await.unwrap();
        for (_, act) in SEASON {
            act_until_answered(nodes, &name, act).await;
        }
        done.push(name);
    }
    done
}

async fn state(calls: &Caller, name: &str) -> registry::Placement {
    calls.get_placement(registry::GetPlacementRequest { name: name.to_owned() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_whose_lines_fail_in_every_way_converge_soon_after() {
    let seed = seed(71);
    let _replay = Replay(seed);
    let nodes = Nodes::start(seed).await;
    let order = nodes.order("order", 1_000).await;
    nodes.settle().await;
    let draws = Draws(SeededEntropy::labelled(seed, "faults"));
    let (next, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let faults = async {
        let done = fail_often(&nodes, &draws).await;
        over.store(true, SeqCst);
        (done, Instant::now())
    };
    let workers = join_all((0..AT_ONCE).map(|_| work(&nodes, &order, &next, &over)));
    let ((done, healed), placements) = futures::join!(faults, workers);
    let placements: Vec<_> = placements.into_iter().flatten().collect();
    timeout(BOUND, nodes.settle()).await.unwrap_or_else(|_| panic!("not settled in {BOUND:?} after {done:?}"));
    let took = healed.elapsed();

    assert!(done.len() >= FAULTS as usize && placements.len() >= AT_ONCE as usize);
    for name in &placements {
        let (ours, theirs) = (state(&nodes.origin.calls, name).await, state(&nodes.destination.calls, name).await);
        assert_eq!((ours.state.as_str(), theirs.state.as_str()), ("CLOSED", "CLOSED"), "{name} after {done:?}");
        assert_eq!((ours.sequence, theirs.pending_acts.len() + ours.pending_acts.len()), (theirs.sequence, 0));
        assert_eq!(ours.discrepancies, theirs.discrepancies);
    }
    nodes.check().await;
    eprintln!("{} placements, converged {took:?} after the last of {done:?}", placements.len());
    nodes.stop().await;
}

/// Job orders of one employer, many at once.
async fn orders(calls: &Caller, employer: &str, numbers: std::ops::Range<u32>) {
    let order = records::job_order(&sv_ca(), Ref::default(), 1, true);
    let one = |number: u32| {
        let job_order = registry::JobOrder { name: String::new(), employer: employer.to_owned(), ..order.clone() };
        let request = registry::CreateJobOrderRequest {
            job_order: Some(job_order),
            job_order_id: reference(&format!("order {number}")).to_string(),
            ..Default::default()
        };
        async move { calls.create_job_order(request).await.map(drop) }
    };
    let made: Vec<Result<(), Status>> = stream::iter(numbers).map(one).buffer_unordered(64).collect().await;
    made.into_iter().for_each(|answer| answer.unwrap());
}

/// El Salvador's node first takes in and never answers, then is away altogether. Canada's sends no more than one batch ahead
/// of an answer, goes on serving its own, and delivers everything to the node that comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_is_away_for_many_records_costs_nothing_and_gets_them_all() {
    const MANY: u32 = 1_500;
    let seed = seed(72);
    let _replay = Replay(seed);
    let mut nodes = Nodes::start(seed).await;
    let employer = registry::Employer { eligible: true, ..records::employer() };
    let employer = registry::CreateEmployerRequest { employer: Some(employer), ..Default::default() };
    let employer = nodes.destination.calls.create_employer(employer).await.unwrap().name;

    nodes.origin.proxy.lose_answers();
    let sent = nodes.origin.proxy.forwarded(Direction::ToServer);
    orders(&nodes.destination.calls, &employer, 0..1).await;
    let arrived = async {
        while held(&nodes.origin.node) < 5 {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(BOUND, arrived).await.expect("what is sent arrives");
    let (after_one, first) = (nodes.origin.proxy.forwarded(Direction::ToServer), held(&nodes.origin.node));
    orders(&nodes.destination.calls, &employer, 1..400).await;
    assert_eq!(held(&nodes.origin.node), first, "more than one batch under way");
    let ahead = nodes.origin.proxy.forwarded(Direction::ToServer) - after_one;
    assert!(after_one > sent && ahead < 1_000, "{ahead} bytes sent ahead of an answer");

    nodes.origin.proxy.cut();
    nodes.origin.node.stop().await;
    orders(&nodes.destination.calls, &employer, 400..MANY).await;
    let exchange = nodes.destination.calls.exchange().await.unwrap();
    // The first was answered over the partner's own connection, though nobody heard that it had arrived.
    let known = (exchange.delivered_records, exchange.undecided_records, exchange.connected);
    assert_eq!(known, (0, u64::from(MANY) - 1, false));

    let config = Config::load(&nodes.site.config("sv")).unwrap();
    let entropy = Arc::new(SeededEntropy::labelled(seed, "sv/again"));
    nodes.origin.node = Node::start(config, Arc::new(nodes.clock.clone()), entropy).await.unwrap();
    nodes.origin.calls = integration(&nodes.site, "sv", nodes.origin.node.addr());
    nodes.origin.proxy.retarget(nodes.origin.node.addr());
    nodes.origin.proxy.heal();
    timeout(2 * BOUND, nodes.settle()).await.expect("everything is delivered to the partner that comes back");
    for number in [0, MANY / 2, MANY - 1] {
        let name = format!("jobOrders/{}", reference(&format!("order {number}")));
        let order = nodes.origin.calls.get_job_order(registry::GetJobOrderRequest { name }).await.unwrap();
        assert_eq!(order.seats, 1);
    }
    let exchange = nodes.destination.calls.exchange().await.unwrap();
    assert_eq!((exchange.own_records, exchange.undecided_records, exchange.own_rejected), (u64::from(MANY), 0, 0));
    nodes.check().await;
    nodes.stop().await;
}

/// A line that is silent and never breaks: keep-alive ends the session, and the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_silent_for_ever_is_given_up() {
    let nodes = Nodes::start(73).await;
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    // El Salvador's node served a second time, with a patience that fits a test.
    let config = Config::load(&nodes.site.config("sv")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let impatient = listener.local_addr().unwrap();
    let principals = Principals::new("sv.example").partner("ca.example", "node.ca.example").unwrap();
    let rpc = convenio_rpc::routes(
        nodes.origin.node.registry().clone(),
        principals,
        None,
        None,
        convenio_rpc::Negotiating::default(),
    )
    .await;
    let tls = LiveTls::new(config.tls).unwrap();
    let wait = Duration::from_millis(150);
    let limits = ServeLimits { keep_alive_interval: wait, keep_alive_timeout: wait, ..ServeLimits::default() };
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, tls, rpc.known(), rpc.service.clone(), limits, stop.clone()));
    nodes.origin.proxy.cut();
    nodes.destination.proxy.cut();
    nodes.origin.proxy.retarget(impatient);
    nodes.origin.proxy.heal();
    connected(&nodes, true).await;
    // An idle session that is answered lives on.
    sleep(4 * wait).await;
    assert!(nodes.origin.calls.exchange().await.unwrap().connected, "an idle session was given up");

    nodes.origin.proxy.pause();
    connected(&nodes, false).await;
    nodes.origin.proxy.heal();
    nodes.destination.proxy.heal();
    connected(&nodes, true).await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "offer").await;
    nodes.check().await;
    stop.cancel();
    serving.await.unwrap();
    drop(rpc);
    nodes.stop().await;
}

/// Waits until El Salvador's node has a session, or none.
async fn connected(nodes: &Nodes, is: bool) {
    let seen = async {
        while nodes.origin.calls.exchange().await.unwrap().connected != is {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, seen).await.unwrap_or_else(|_| panic!("a session: not {is}"));
}

/// Entries that a node holds of its partner's log.
fn held(node: &Node) -> u64 {
    let log = node.core().exchange(SV_CA).unwrap().peer().log;
    node.core().heads().borrow().get(&log).map_or(0, |head| head.size)
}
