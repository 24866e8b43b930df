//! Agreements that require independent witnesses: over http and https, with one of them down, and with a stranger in its place.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convenio_exchange::witness::cosigned;
use convenio_log::witness::{AddCheckpoint, Decision, Head, decide, lines};
use convenio_log::{SignatureType, VerifierKey, cosignature};
use convenio_model::{Clock, ManualClock, SeededEntropy, SystemEntropy};
use convenio_node::pki::{Authority, Usage};
use convenio_node::{Config, Node, NodeRecovery};
use convenio_seal::key::SigningKey;
use convenio_seal::recovery::{recovery_envelope, sign_recovery};
use convenio_store::LogRow;
use convenio_testkit::nodes::{Running, act_once, integration};
use convenio_testkit::pair::START_MS;
use convenio_testkit::third::{self, Log, Third};
use convenio_testkit::treaty::SV_CA;
use convenio_testkit::{Nodes, site};
use convenio_wire::node::v1::ListExchangesRequest;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const HOUR: Duration = Duration::from_secs(3600);

/// A witness that is nobody's node: what it knows is in memory.
struct Independent {
    name: String,
    key: SigningKey,
    clock: ManualClock,
    down: AtomicBool,
    logs: Mutex<Vec<VerifierKey>>,
    heads: Mutex<BTreeMap<String, Head>>,
    /// How often each log was submitted.
    asked: Mutex<BTreeMap<String, u64>>,
}

impl Independent {
    /// Serves on a port of its own, over TLS if there is an acceptor.
    async fn start(name: &str, clock: &ManualClock, tls: Option<(TlsAcceptor, &Path)>) -> (Arc<Self>, Third) {
        let key = SigningKey::generate(&SeededEntropy::labelled(451, name));
        let long = format!("{name}.example/w");
        let (down, clock) = (AtomicBool::new(false), clock.clone());
        let (logs, heads, asked) = (Mutex::default(), Mutex::default(), Mutex::default());
        let witness = Arc::new(Self { name: long, key, clock, down, logs, heads, asked });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let third = Third {
            name: name.to_owned(),
            key: VerifierKey::of(&witness.signer(), SignatureType::CosignatureV1).unwrap(),
            url: match tls {
                Some(_) => format!("https://localhost:{port}/below"),
                None => format!("http://127.0.0.1:{port}"),
            },
            ca: tls.as_ref().map(|(_, ca)| ca.display().to_string()),
        };
        let (acceptor, serving) = (tls.map(|(acceptor, _)| acceptor), witness.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if serving.down.load(Ordering::Acquire) {
                    continue;
                }
                match &acceptor {
                    None => serving.answer(stream, "/add-checkpoint").await,
                    // Who believes another authority ends the handshake.
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => serving.answer(stream, "/below/add-checkpoint").await,
                        Err(_) => continue,
                    },
                }
            }
        });
        (witness, third)
    }

    fn signer(&self) -> Log<'_> {
        Log(&self.name, &self.key)
    }

    fn knows(&self, nodes: &Nodes) {
        *self.logs.lock().unwrap() = third::submitted(nodes);
    }

    fn asked(&self, origin: &str) -> u64 {
        self.asked.lock().unwrap().get(origin).copied().unwrap_or(0)
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, path: &str) {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
        let body = loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{head}");
                let length = head.to_lowercase();
                let length = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap().to_owned();
                if body.len() >= length.parse().unwrap() {
                    break body.to_owned();
                }
            }
            match stream.read(&mut chunk).await {
                Ok(read @ 1..) => bytes.extend_from_slice(&chunk[..read]),
                _ => return,
            }
        };
        let (status, kind, body) = self.decided(&AddCheckpoint::parse(body.as_bytes()).unwrap());
        let text =
            format!("HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        // A node that has gone asks again.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    fn decided(&self, request: &AddCheckpoint) -> (u16, &'static str, String) {
        *self.asked.lock().unwrap().entry(request.origin().to_owned()).or_default() += 1;
        let mut heads = self.heads.lock().unwrap();
        let decision = decide(heads.get(request.origin()).copied(), request, &self.logs.lock().unwrap());
        match decision {
            Decision::Cosign(head) => {
                heads.insert(request.origin().to_owned(), head);
                let time = self.clock.now_ms() / 1000;
                let line = cosignature::cosign(request.checkpoint(), &self.signer(), time).unwrap();
                (200, "text/plain; charset=utf-8", lines([&line]))
            }
            _ => {
                let (kind, body) = decision.refusal().unwrap_or(("text/plain; charset=utf-8", String::new()));
                (decision.status(), kind, body)
            }
        }
    }
}

/// A server certificate for `localhost`, and the file of the authority that issued it.
fn https(dir: &Path) -> (TlsAcceptor, std::path::PathBuf) {
    let (now, later) = (site::now() - HOUR, site::now() + 24 * HOUR);
    let authority = Authority::create("third.example", now, later).unwrap();
    let mut request = site::request("spiffe://third.example/witness/w2", now, later - HOUR, Usage::Both);
    request.dns = vec!["localhost".to_owned()];
    let issued = authority.issue(&request).unwrap();
    let ca = dir.join("third-ca.pem");
    fs::write(&ca, authority.certificate()).unwrap();
    let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), ca)
}

/// Whether both nodes say that their quorum is met; the problems that they have with a witness.
async fn standing(nodes: &Nodes, name: &str) -> (bool, Vec<String>) {
    let (mut met, mut problems) = (true, Vec::new());
    for running in [&nodes.origin, &nodes.destination] {
        let listed = running.calls.list_exchanges(ListExchangesRequest {}).await.unwrap().exchanges.remove(0);
        met &= listed.witness_quorum_met;
        problems.extend(listed.witnesses.into_iter().filter(|one| one.name == name).map(|one| one.problem));
    }
    (met, problems)
}

/// Waits until both nodes say so; a round of submissions tells how it went only once it has ended.
async fn stands(nodes: &Nodes, name: &str, expected: (bool, Vec<String>)) {
    for _ in 0..1000 {
        if standing(nodes, name).await == expected {
            return;
        }
        nodes.clock.advance(Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(standing(nodes, name).await, expected);
}

fn codes(report: &convenio_audit::Report) -> Vec<&'static str> {
    report.limits.iter().map(|limit| limit.code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_two_independent_witnesses_are_asked_over_http_and_https_and_one_missing_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(START_MS);
    let (acceptor, ca) = https(dir.path());
    let (one, w1) = Independent::start("w1", &clock, None).await;
    let (two, w2) = Independent::start("w2", &clock, Some((acceptor, &ca))).await;
    let both = [w1.clone(), w2.clone()];
    let pack = third::required(2, &both);
    let nodes = Nodes::start_under(451, clock, pack, |site| third::submit_to(site, &both)).await;
    one.knows(&nodes);
    two.knows(&nodes);
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "preselect").await;
    third::covered(&nodes, &[&w1, &w2]).await;
    stands(&nodes, "w2", (true, vec![String::new(); 2])).await;
    let report = third::report(&nodes).await;
    assert!(report.integrity, "{:?}", report.limits);
    assert!(codes(&report).contains(&"INDEPENDENT_WITNESS"), "{:?}", codes(&report));

    // One of two is down. The exchange goes on; within the deadline nothing is amiss, but collusion is not excluded.
    two.down.store(true, Ordering::Release);
    nodes.bring_from(&placement, "nominate", "offer").await;
    third::covered(&nodes, &[&w1]).await;
    assert!(!third::covers(&nodes, &w2.key).await);
    assert!(standing(&nodes, "w2").await.0);
    let report = third::report(&nodes).await;
    assert!(report.integrity && codes(&report).contains(&"COLLUSION_NOT_EXCLUDED"), "{:?}", codes(&report));

    // Past the agreement's deadline of 48 hours both the nodes and the audit tell it.
    for _ in 0..50 {
        nodes.clock.advance(HOUR);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    nodes.bring_from(&placement, "identified", "author").await;
    stands(&nodes, "w2", (false, vec!["WITNESS_UNREACHABLE".to_owned(); 2])).await;
    let report = third::report(&nodes).await;
    assert!(!report.integrity && codes(&report).contains(&"COLLUSION_NOT_EXCLUDED"), "{:?}", codes(&report));

    two.down.store(false, Ordering::Release);
    third::covered(&nodes, &[&w1, &w2]).await;
    stands(&nodes, "w2", (true, vec![String::new(); 2])).await;
    let report = third::report(&nodes).await;
    assert!(report.integrity && codes(&report).contains(&"INDEPENDENT_WITNESS"), "{:?}", codes(&report));
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_behind_another_authority_or_with_another_key_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(START_MS);
    let (acceptor, ca) = https(dir.path());
    let (good, w1) = Independent::start("w1", &clock, None).await;
    let (hidden, mut w2) = Independent::start("w2", &clock, Some((acceptor, &ca))).await;
    let (other, mut w3) = Independent::start("w3", &clock, None).await;
    https(dir.path()); // another authority now stands in the file
    w2.ca = Some(ca.display().to_string());
    let stranger = SigningKey::generate(&SeededEntropy::new(9));
    w3.key = VerifierKey::of(&Log(&other.name, &stranger), SignatureType::CosignatureV1).unwrap();
    let all = [w1.clone(), w2.clone(), w3.clone()];
    let pack = third::required(1, &all);
    let nodes = Nodes::start_under(452, clock, pack, |site| third::submit_to(site, &all)).await;
    [&good, &hidden, &other].iter().for_each(|witness| witness.knows(&nodes));
    third::covered(&nodes, &[&w1]).await;
    for (third, problem) in [(&w2, "WITNESS_UNREACHABLE"), (&w3, "WITNESS_BAD_COSIGNATURE")] {
        assert!(!third::covers(&nodes, &third.key).await, "{}", third.name);
        stands(&nodes, &third.name, (true, vec![problem.to_owned(); 2])).await;
    }
    assert!(hidden.heads.lock().unwrap().is_empty() && !other.heads.lock().unwrap().is_empty());
    // One of three is enough for this agreement.
    let report = third::report(&nodes).await;
    assert!(report.integrity && codes(&report).contains(&"INDEPENDENT_WITNESS"), "{:?}", codes(&report));
    nodes.check().await;
    nodes.stop().await;
}

const OWN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
const JOURNAL: &str = "node.sv.example/journal/1";

/// A log of El Salvador's node.
async fn log_of(nodes: &Nodes, origin: &str) -> LogRow {
    let logs = nodes.origin.node.core().store().logs().await.unwrap();
    logs.into_iter().find(|log| log.origin == origin).unwrap()
}

/// Whether El Salvador's node holds a cosignature of the log as it is now.
async fn covers(nodes: &Nodes, origin: &str, witness: &Third) -> bool {
    let size = log_of(nodes, origin).await.size;
    let notes = cosigned(nodes.origin.node.core().store().as_ref(), origin).await.unwrap();
    notes.iter().any(|note| note.checkpoint().size() == size && cosignature::verify(note, &witness.key).is_ok())
}

/// Stops El Salvador's node and opens its next epoch as after a lost disk; its partner mirrors what it has mirrored.
async fn recovered(mut nodes: Nodes) -> Nodes {
    let (site, clock) = (&nodes.site, Arc::new(nodes.clock.clone()));
    let config = || Config::load(&site.config("sv")).unwrap();
    nodes.origin.node.stop().await;
    nodes.destination.proxy.heal();
    let (sv, ca) = (&site.treaty.origin, &site.treaty.destination);
    let entropy = Arc::new(SystemEntropy::default());
    let recovery = NodeRecovery::open(config(), &ca.node, None, clock.clone(), entropy.clone()).await.unwrap();
    let asked = recovery_envelope(&recovery.request("lost disk").await.unwrap()).unwrap();
    let refilled = recovery.refill(&sign_recovery(&asked, &sv.roots_that_sign()).unwrap()).await.unwrap();
    let file = sv.open_epoch(ca, refilled.epoch, refilled.prev_size, refilled.prev_root.clone());
    recovery.open_epoch(&file).await.unwrap();
    drop(recovery);
    let node = Node::start(config(), clock, entropy).await.unwrap();
    nodes.origin.proxy.retarget(node.addr());
    nodes.origin.proxy.heal();
    let calls = integration(site, "sv", node.addr());
    nodes.origin = Running { node, calls, party: nodes.origin.party, proxy: nodes.origin.proxy };
    nodes.settle().await;
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_the_last_head_of_a_closed_epoch_is_submitted_until_it_is_covered_and_never_again() {
    let clock = ManualClock::new(START_MS);
    let (one, w1) = Independent::start("w1", &clock, None).await;
    let (two, w2) = Independent::start("w2", &clock, None).await;
    let both = [w1.clone(), w2.clone()];
    let pack = third::required(1, &both);
    let nodes = Nodes::start_under(453, clock, pack, |site| third::submit_to(site, &both)).await;
    [&one, &two].iter().for_each(|witness| witness.knows(&nodes));
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    let (placement, other) = (nodes.placement("p1", &order).await, nodes.placement("p2", &order).await);
    third::covered(&nodes, &[&w1, &w2]).await;

    // The second witness is down; the first one has cosigned what the partner never mirrors.
    two.down.store(true, Ordering::Release);
    nodes.bring(&placement, "nominate").await;
    [&nodes.origin, &nodes.destination].iter().for_each(|running| running.proxy.cut());
    let (here, there) = (&nodes.origin.calls, &nodes.destination.calls);
    for act in ["preselect", "nominate"] {
        act_once(here, there, &other, act, nodes.clock.now_ms()).await.unwrap();
    }
    until(&nodes, async || covers(&nodes, OWN, &w1).await).await;
    let ahead = log_of(&nodes, OWN).await.size;

    let nodes = recovered(nodes).await;
    [&one, &two].iter().for_each(|witness| witness.knows(&nodes));
    let (own, journal) = (log_of(&nodes, OWN).await, log_of(&nodes, JOURNAL).await);
    assert!(own.closed && own.size < ahead && journal.closed, "{own:?} {journal:?}");
    assert!(!covers(&nodes, OWN, &w2).await && !covers(&nodes, JOURNAL, &w2).await);
    nodes.bring_from(&placement, "offer", "identified").await;
    two.down.store(false, Ordering::Release);
    third::covered(&nodes, &[&w1, &w2]).await;
    let closed = async || {
        covers(&nodes, OWN, &w2).await && covers(&nodes, JOURNAL, &w1).await && covers(&nodes, JOURNAL, &w2).await
    };
    until(&nodes, closed).await;
    // Where the partner's mirror ended the first witness cannot cosign any more: that is kept, and is no failure.
    assert!(!covers(&nodes, OWN, &w1).await);
    let kept = nodes.origin.node.core().store().states("uncosigned/", "", 10).await.unwrap();
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    assert!(kept.key.ends_with("/w1.example/w") && kept.body == b"WITNESS_AHEAD", "{kept:?}");
    assert_eq!(standing(&nodes, "w1").await, (true, vec![String::new(); 2]));
    let report = third::report(&nodes).await;
    assert!(report.integrity && codes(&report).contains(&"INDEPENDENT_WITNESS"), "{:?}", codes(&report));

    let asked = || [&one, &two].map(|witness| [OWN, JOURNAL].map(|origin| witness.asked(origin)));
    let before = asked();
    let open = one.asked(&nodes.origin.node.core().exchange(SV_CA).unwrap().own().origin);
    nodes.bring_from(&placement, "author", "contract").await;
    nodes.clock.advance(13 * HOUR);
    third::covered(&nodes, &[&w1, &w2]).await;
    assert!(one.asked(&nodes.origin.node.core().exchange(SV_CA).unwrap().own().origin) > open);
    assert_eq!(asked(), before, "a closed log was submitted again");
    nodes.check().await;
    nodes.stop().await;
}

/// Lets time pass until something holds.
async fn until(nodes: &Nodes, holds: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        nodes.clock.advance(Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to hold");
}
