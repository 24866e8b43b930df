//! Runs aics-witness, which nobody of this project wrote, as the independent witness of two live nodes: it cosigns what they
//! submit and refuses what is forged with their own log keys, the exchange goes on while it is down, and both states'
//! bundles then exclude collusion.
//!
//! ```text
//! third_witness PYTHON        a Python that has aics_witness installed
//! ```
#![allow(clippy::unwrap_used)] // it fails by panicking

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use convenio_faultproxy::FaultProxy;
use convenio_log::witness::{AddCheckpoint, Answer};
use convenio_log::{Checkpoint, MemoryTree, leaf_hash};
use convenio_model::{ManualClock, SeededEntropy};
use convenio_seal::key::SigningKey;
use convenio_testkit::third::{self, Log, Third};
use convenio_testkit::{Nodes, site};
use convenio_wire::node::v1::ListExchangesRequest;

/// Longest wait for the program to listen.
const START: Duration = Duration::from_secs(30);
const NAME: &str = "witness.example/w1";

/// The program, and its folder.
struct Aics {
    python: PathBuf,
    config: PathBuf,
}

/// The program while it serves; dropping it kills it.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Aics {
    fn command(&self, command: &str, words: &[&str]) -> Command {
        let mut program = Command::new(&self.python);
        program.args(["-B", "-m", "aics_witness", command, "--config"]).arg(&self.config).args(words);
        program
    }

    fn said(&self, command: &str, words: &[&str]) -> String {
        let output = self.command(command, words).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn serve(&self) -> (Serving, SocketAddr) {
        let mut child = self.command("serve", &[]).stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let serving = Serving(child);
        let (tell, told) = mpsc::channel();
        // What it logs must be read to its end, or it would block.
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let found = line.split("listening on http://").nth(1).and_then(|rest| rest.split(' ').next());
                if let Some(address) = found.and_then(|text| text.trim_end_matches('/').parse::<SocketAddr>().ok()) {
                    let _ = tell.send(address);
                }
            }
        });
        (serving, told.recv_timeout(START).expect("aics-witness listens"))
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let python = std::env::args().nth(1).expect("usage: third_witness PYTHON");
    let folder = tempfile::tempdir().unwrap();
    let aics = Aics { python: python.into(), config: folder.path().join("witness.json") };
    let vkey = aics.said("init", &["--name", NAME, "--listen", "127.0.0.1:0"]);
    // Its port is another each time that it starts.
    let proxy = FaultProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).await.unwrap();
    let url = format!("http://{}", proxy.addr());
    let witness = Third { name: "w1".into(), key: vkey.parse().unwrap(), url, ca: None };
    let nodes = live(&witness).await;
    println!("ok the nodes exchange before their witness was ever there");

    for key in third::submitted(&nodes) {
        aics.said("add-log", &["--origin", key.name(), "--vkey", &key.to_string()]);
    }
    let (serving, address) = aics.serve();
    proxy.retarget(address);
    third::covered(&nodes, &[&witness]).await;
    println!("ok it cosigned both logs");
    let refused = forged(&nodes, address).await;
    println!("ok {refused} forgeries refused");
    drop(serving);
    down(&nodes, &witness).await;
    println!("ok the exchange goes on while it is down, and both states see that it is");
    let (_serving, address) = aics.serve();
    proxy.retarget(address);
    third::covered(&nodes, &[&witness]).await;
    println!("ok it cosigned what had passed meanwhile");
    let evidence = aics.said("evidence", &[]);
    assert!(evidence.contains("root"), "no evidence of the split view: {evidence}");
    audited(&nodes).await;
    println!("ok both bundles hold its cosignatures, and collusion is excluded");
    nodes.check().await;
    nodes.stop().await;
}

/// Two nodes under an agreement that requires this witness. Their clock begins now: the witness has no other.
async fn live(witness: &Third) -> Nodes {
    let now = site::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let clock = ManualClock::new(u64::try_from(now.as_millis()).unwrap());
    let only = std::slice::from_ref(witness);
    let nodes = Nodes::start_under(441, clock, third::required(1, only), |site| third::submit_to(site, only)).await;
    let order = nodes.order("first", 5).await;
    nodes.settle().await;
    let placement = nodes.placement("first", &order).await;
    nodes.bring(&placement, "nominate").await;
    nodes
}

/// What someone with the log's own key might submit to have another past cosigned.
async fn forged(nodes: &Nodes, witness: SocketAddr) -> usize {
    let core = nodes.origin.node.core();
    let own = core.exchange("sv-ca").unwrap().own();
    let (origin, size) = (own.origin.as_str(), core.heads().borrow()[&own.log].size);
    let key = &nodes.site.treaty.origin.keys.log;
    let stranger = SigningKey::generate(&SeededEntropy::new(9));
    let fork: MemoryTree = (0..size + 3).map(|at| leaf_hash(&at.to_be_bytes())).collect();
    let head = |size: u64, key: &SigningKey| {
        let root = convenio_log::proof::root_from(&fork, size).unwrap();
        Checkpoint::new(origin, size, root).unwrap().sign(&Log(origin, key)).unwrap()
    };
    let bare = |old: u64, head| AddCheckpoint::new(old, Vec::new(), head).unwrap();
    let proved = AddCheckpoint::prove(&fork, size, head(size + 3, key)).unwrap();
    let other = "node.sv.example/agreements/sv-ca/to/node.ca.example/2";
    let elsewhere = Checkpoint::new(other, size, convenio_log::empty_root()).unwrap().sign(&Log(other, key)).unwrap();
    let cases = [
        ("a fork of the same size", bare(size, head(size, key)), 422),
        ("a rollback", bare(size - 1, head(size - 1, key)), 409),
        ("a rollback that names the size held", bare(size, head(size - 1, key)), 400),
        ("a fork that grew, with its own sound proof", proved, 422),
        ("a fork that grew, without a proof", bare(size, head(size + 3, key)), 422),
        ("another key", bare(size, head(size, &stranger)), 403),
        ("a log that nobody told it of", bare(0, elsewhere), 404),
    ];
    let count = cases.len();
    for (what, request, expected) in cases {
        let (status, answer) = third::post(witness, &request).await;
        assert_eq!(status, expected, "{what}: {answer:?}");
        if let Answer::Conflict { size: held } = answer {
            assert_eq!(held, size, "{what}");
        }
    }
    count
}

async fn down(nodes: &Nodes, witness: &Third) {
    let order = nodes.order("while it is down", 2).await;
    nodes.settle().await;
    let placement = nodes.placement("while it is down", &order).await;
    nodes.bring(&placement, "offer").await;
    assert!(!third::covers(nodes, &witness.key).await, "who is down cosigned");
    for running in [&nodes.origin, &nodes.destination] {
        let told = async {
            loop {
                nodes.clock.advance(Duration::from_secs(5));
                let listed = running.calls.list_exchanges(ListExchangesRequest {}).await.unwrap();
                let standing = listed.exchanges[0].witnesses.iter().find(|one| one.name == witness.name).cloned();
                if standing.is_some_and(|one| one.problem == "WITNESS_UNREACHABLE" && one.failed > 0) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START, told).await.expect("the outage is told");
    }
}

async fn audited(nodes: &Nodes) {
    let report = third::report(nodes).await;
    let codes: Vec<_> = report.limits.iter().map(|limit| limit.code).collect();
    assert!(report.integrity && codes.contains(&"INDEPENDENT_WITNESS"), "{codes:?}");
    assert!(!codes.contains(&"COLLUSION_NOT_EXCLUDED"), "{codes:?}");
    // Each state holds the cosignatures of its own logs, the journal's too.
    for (bundle, party) in nodes.export().await.iter().zip(["sv", "ca"]) {
        let own = format!("node.{party}.example/");
        for log in third::submitted(nodes).iter().filter(|log| log.name().starts_with(&own)) {
            let path = bundle.join("logs").join(convenio_exchange::publish::folder(log.name())).join("checkpoint");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(&format!("\u{2014} {NAME} ")), "{}: {text}", path.display());
        }
    }
}
