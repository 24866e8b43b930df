//! The logs over HTTPS, and the witness, between two whole nodes.

use std::sync::Arc;
use std::time::Duration;

use convenio_exchange::publish::folder;
use convenio_exchange::witness::HeadsFile;
use convenio_log::tile::parse_bundle;
use convenio_log::witness::AddCheckpoint;
use convenio_log::{Checkpoint, Frontier, Hash, MemoryTree, SignedCheckpoint, leaf_hash};
use convenio_model::{ManualClock, SeededEntropy, SystemEntropy};
use convenio_node::tls::LoadedTls;
use convenio_node::{Config, Node};
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::rotation::sign_keys;
use convenio_testkit::Nodes;
use convenio_testkit::nodes::{Running, integration};
use convenio_testkit::site::Site;
use convenio_testkit::third::Log;
use convenio_testkit::web::{Answered, ask};

const OWN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
const PEER: &str = "node.ca.example/agreements/sv-ca/to/node.sv.example/1";
const JOURNAL: &str = "node.sv.example/journal/1";

fn role(nodes: &Nodes, party: &str, role: &str) -> LoadedTls {
    let site = &nodes.site;
    site.client(party, &site.certificate(party, &format!("spiffe://{party}.example/{role}")))
}

/// The certificate of a state's node itself.
fn node_tls(nodes: &Nodes, party: &str) -> LoadedTls {
    Config::load(&nodes.site.config(party)).unwrap().tls
}

async fn get(nodes: &Nodes, tls: &LoadedTls, path: &str) -> Answered {
    ask("sv", nodes.origin.node.addr(), tls, "GET", path, "").await
}

async fn post(nodes: &Nodes, tls: &LoadedTls, body: &str) -> Answered {
    ask("ca", nodes.destination.node.addr(), tls, "POST", "/add-checkpoint", body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_read_over_https_by_whom_they_concern_and_verify() {
    let nodes = Nodes::start(411).await;
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "offer").await;
    let auditor = role(&nodes, "sv", "auditor/court");
    let list = get(&nodes, &auditor, "/logs/").await;
    assert_eq!(list.status, 200);
    assert!(list.text().lines().any(|origin| origin == OWN) && list.text().lines().any(|origin| origin == PEER));

    for origin in [OWN, PEER] {
        let at = |file: &str| format!("/logs/{}/{file}", folder(origin));
        let answer = get(&nodes, &auditor, &at("checkpoint")).await;
        assert!(answer.status == 200 && answer.head.contains("cache-control: no-cache"), "{answer:?}");
        let note = SignedCheckpoint::parse(&answer.body).unwrap();
        let size = note.checkpoint().size();
        assert_eq!(note.note().signatures().len(), 2, "the log's and the mirror's");
        let hashes = get(&nodes, &auditor, &at(&format!("tile/0/000.p/{size}"))).await;
        assert!(hashes.head.contains("content-type: application/octet-stream"), "{}", hashes.head);
        let mut frontier = Frontier::new();
        hashes.body.chunks_exact(32).for_each(|hash| frontier.append(Hash::try_from(hash).unwrap()));
        assert_eq!((frontier.size(), frontier.root()), (size, note.checkpoint().root()));
        let bundle = get(&nodes, &auditor, &at(&format!("tile/entries/000.p/{size}"))).await;
        let leaves: Vec<_> = parse_bundle(&bundle.body, u16::try_from(size).unwrap())
            .unwrap()
            .into_iter()
            .map(|e| *leaf_hash(e).as_bytes())
            .collect();
        assert_eq!(leaves.concat(), hashes.body);
        // A narrower one was true once; a wider one never was, nor an empty, nor one of a level that is not there.
        assert_eq!(get(&nodes, &auditor, &at(&format!("tile/0/000.p/{}", size - 1))).await.status, 200);
        for file in [
            format!("tile/0/000.p/{}", size + 1),
            "tile/0/000".into(),
            "tile/1/000.p/1".into(),
            "tile/0/001.p/1".into(),
        ] {
            assert_eq!(get(&nodes, &auditor, &at(&file)).await.status, 404, "{file}");
        }
    }
    refused_elsewhere(&nodes, &auditor).await;
    nodes.check().await;
    nodes.stop().await;
}

async fn refused_elsewhere(nodes: &Nodes, auditor: &LoadedTls) {
    let checkpoint = format!("/logs/{}/checkpoint", folder(OWN));
    for path in ["/", "/logs", "/metrics", "/logs/00/checkpoint", &format!("/logs/{}/checkpoint", folder("nobody"))] {
        assert_eq!(get(nodes, auditor, path).await.status, 404, "{path}");
    }
    assert_eq!(ask("sv", nodes.origin.node.addr(), auditor, "POST", &checkpoint, "").await.status, 405);
    for (who, status) in [("integration/ministry", 403), ("consulate/mre/toronto", 403), ("operator/ministry", 200)] {
        assert_eq!(get(nodes, &role(nodes, "sv", who), &checkpoint).await.status, status, "{who}");
    }
    // The partner reads what is between the two states, and nothing else.
    let partner = node_tls(nodes, "ca");
    assert_eq!(get(nodes, &partner, &checkpoint).await.status, 200);
    assert_eq!(get(nodes, &partner, "/logs/").await.status, 403);
    assert_eq!(get(nodes, &partner, &format!("/logs/{}/checkpoint", folder(JOURNAL))).await.status, 404);
    assert_eq!(get(nodes, &role(nodes, "ca", "auditor/court"), &checkpoint).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partners_witness_cosigns_the_journal_unasked_and_refuses_what_is_forged() {
    let nodes = Nodes::start(412).await;
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    nodes.placement("p1", &order).await;
    let auditor = role(&nodes, "ca", "auditor/court");
    let path = format!("/{}/checkpoint", folder(JOURNAL));
    let cosigned = async {
        loop {
            // Submissions are a minute apart at least.
            nodes.clock.advance(Duration::from_secs(61));
            let answer = ask("ca", nodes.destination.node.addr(), &auditor, "GET", &path, "").await;
            if answer.status == 200 {
                return SignedCheckpoint::parse(&answer.body).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let note = tokio::time::timeout(Duration::from_secs(60), cosigned).await.unwrap();
    assert_eq!(note.checkpoint().origin(), JOURNAL);
    assert!(note.note().signatures().iter().any(|line| line.name() == "node.ca.example/witness/1"));

    let partner = node_tls(&nodes, "sv");
    let (head, size) = (note.to_string(), note.checkpoint().size());
    let status = async |body: String| post(&nodes, &partner, &body).await.status;
    assert_eq!(status(format!("old {size}\n\n{head}")).await, 200, "the same head, with a newer time");
    let conflict = post(&nodes, &partner, &format!("old 0\n\n{head}")).await;
    assert_eq!((conflict.status, conflict.text()), (409, format!("{size}\n")));
    assert!(conflict.head.contains("content-type: text/x.tlog.size"), "{}", conflict.head);
    assert_eq!(status(format!("old {}\n\n{head}", size + 1)).await, 400);
    assert_eq!(status("old x\n".to_owned()).await, 400);
    assert_eq!(status(forged(JOURNAL, None, size)).await, 403, "signed by another key");
    let sv = &nodes.site.treaty.origin.keys;
    assert_eq!(status(forged(JOURNAL, Some(sv), size)).await, 422, "another root at the same size");
    assert_eq!(status(forged("elsewhere.example/log", Some(sv), size)).await, 404);
    // A log of the other direction is not the submitter's.
    assert_eq!(status(forged(PEER, Some(sv), size)).await, 404);
    assert_eq!(post(&nodes, &auditor, &format!("old {size}\n\n{head}")).await.status, 403);
    // What it refused it keeps as evidence: two heads of one size.
    let evidence = nodes.destination.node.core().store().states("evidence/forks/", "", 10).await.unwrap();
    assert_eq!(evidence.len(), 1);
    assert!(String::from_utf8(evidence[0].body.clone()).unwrap().contains("\n---\n"));
    nodes.check().await;
    nodes.stop().await;
}

/// A submission of a head that the log never had.
fn forged(origin: &str, keys: Option<&NodeKeys>, size: u64) -> String {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|at| tree.append(leaf_hash(&at.to_be_bytes())));
    let head = Checkpoint::new(origin, size, tree.root()).unwrap();
    let stranger = NodeKeys::generate(&SeededEntropy::new(9));
    let head = head.sign(&Log(origin, &keys.unwrap_or(&stranger).log)).unwrap();
    AddCheckpoint::new(size, Vec::new(), head).unwrap().to_string()
}

/// The first head of a log, of `size` entries, and the submission that grows it from `old`.
fn grown(origin: &str, key: &SigningKey, old: u64, size: u64) -> String {
    let mut tree = MemoryTree::new();
    (0..size).for_each(|at| tree.append(leaf_hash(&at.to_be_bytes())));
    let head = Checkpoint::new(origin, size, tree.root()).unwrap().sign(&Log(origin, key)).unwrap();
    AddCheckpoint::prove(&tree, old, head).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_witness_cosigns_nothing_until_its_key_is_another() {
    let nodes = Nodes::start(413).await;
    // A later epoch of the partner's journal, so that nobody else submits it.
    let log = "node.sv.example/journal/7";
    let (ours, theirs) = (nodes.site.treaty.origin.keys.clone(), nodes.site.treaty.destination.keys.clone());
    let (partner, key) = (node_tls(&nodes, "sv"), &ours.log);
    assert_eq!(post(&nodes, &partner, &grown(log, key, 0, 3)).await.status, 200);
    let heads = nodes.site.path("ca").join(convenio_node::WITNESS_HEADS);
    let held = std::fs::read_to_string(&heads).unwrap();
    assert!(held.contains(&format!("{} 3 ", folder(log))), "{held}");
    let store = nodes.destination.node.core().store().clone();
    let witness = &theirs.witness;
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("witness.heads");
    let opened = async |text: &str, past: bool, key: &SigningKey| {
        match text {
            "" => drop(std::fs::remove_file(&file)),
            text => std::fs::write(&file, text).unwrap(),
        }
        let rolled_back = HeadsFile::open(&file, store.as_ref(), past, key).await.unwrap().rolled_back(key);
        // What it said is kept: the next start says the same.
        assert_eq!(HeadsFile::open(&file, store.as_ref(), past, key).await.unwrap().rolled_back(key), rolled_back);
        rolled_back
    };
    assert!(!opened(&held, true, witness).await, "the database that belongs to the file");
    // As after a restore: the file has seen a head that the database has not.
    let more = format!("{held}{} 9 {}\n", folder(log), "A".repeat(44));
    assert!(opened(&more, true, witness).await);
    let other = NodeKeys::generate(&SeededEntropy::new(8)).witness;
    std::fs::write(&file, &more).unwrap();
    assert!(HeadsFile::open(&file, store.as_ref(), true, witness).await.unwrap().rolled_back(witness));
    assert!(!HeadsFile::open(&file, store.as_ref(), true, &other).await.unwrap().rolled_back(&other), "a new key");
    assert!(
        HeadsFile::open(&file, store.as_ref(), true, witness).await.unwrap().rolled_back(witness),
        "the old key again"
    );
    assert!(opened("", true, witness).await, "the file is gone, and the node has a past");
    assert!(opened("nonsense\n", true, witness).await);
    drop(store);

    // The node itself: its file has seen more than its database.
    std::fs::write(&heads, more).unwrap();
    let mut nodes = nodes;
    nodes.destination = again(&nodes.site, &nodes.clock, nodes.destination).await;
    let refused = post(&nodes, &partner, &grown(log, key, 3, 5)).await;
    assert_eq!((refused.status, refused.text().as_str()), (503, "WITNESS_ROLLED_BACK\n"));
    // The exchange goes on: a witness is no mirror.
    nodes.order("order", 2).await;
    nodes.check().await;

    // A new witness key may cosign once the partner knows it, from what the database knows on; so after a restart too.
    let ca = &nodes.site.treaty.destination;
    let copy = |key: &SigningKey| SigningKey::from_pem(&key.to_pem()).unwrap();
    let NodeKeys { record, log: log_key, mirror, .. } = &*theirs;
    let new = NodeKeys { record: copy(record), log: copy(log_key), mirror: copy(mirror), witness: other };
    let folder = nodes.site.path("ca").join("keys/v2");
    std::fs::create_dir(&folder).unwrap();
    new.store(&folder).unwrap();
    let signed = sign_keys(&new.manifest(&ca.party, &ca.node, 2), &ca.roots_that_sign()).unwrap();
    std::fs::write(nodes.site.path("ca").join("trust/epochs/keys-2.dsse.json"), signed.to_json()).unwrap();
    nodes.destination.node.reload().await.unwrap();
    nodes.check().await;
    let cosigned = post(&nodes, &partner, &grown(log, key, 3, 5)).await;
    assert!(cosigned.status == 200 && cosigned.text().contains("node.ca.example/witness/2"), "{cosigned:?}");
    nodes.destination = again(&nodes.site, &nodes.clock, nodes.destination).await;
    nodes.settle().await;
    assert_eq!(post(&nodes, &partner, &grown(log, key, 5, 6)).await.status, 200);
    // The key that was given up stays given up.
    let store = nodes.destination.node.core().store().clone();
    let kept = copy_of(&heads);
    assert!(HeadsFile::open(kept.path(), store.as_ref(), true, witness).await.unwrap().rolled_back(witness));
    drop(store);
    nodes.check().await;
    nodes.stop().await;
}

fn copy_of(file: &std::path::Path) -> tempfile::NamedTempFile {
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(file, copy.path()).unwrap();
    copy
}

/// Stops a node and starts it again on its files.
async fn again(site: &Site, clock: &ManualClock, old: Running) -> Running {
    let config = Config::load(&site.config(&old.party)).unwrap();
    old.node.stop().await;
    let entropy = SystemEntropy::default();
    let node = Node::start(config, Arc::new(clock.clone()), Arc::new(entropy)).await.unwrap();
    old.proxy.retarget(node.addr());
    let calls = integration(site, &old.party, node.addr());
    Running { node, calls, party: old.party, proxy: old.proxy }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_fork_of_a_mirrored_log_shown_to_the_witness_first_is_evidence_and_freezes() {
    let nodes = Nodes::start(415).await;
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "nominate").await;
    let store = nodes.destination.node.core().store().clone();
    let mirror = async || store.logs().await.unwrap().into_iter().find(|log| log.origin == OWN).unwrap();
    let (partner, key) = (node_tls(&nodes, "sv"), &nodes.site.treaty.origin.keys.log);
    let size = mirror().await.cosigned_size;
    // What the log did not sign is no evidence.
    let stranger = NodeKeys::generate(&SeededEntropy::new(9));
    assert_eq!(post(&nodes, &partner, &grown(OWN, &stranger.log, 0, size)).await.status, 403);
    assert_eq!(mirror().await.alarm, "");
    // The witness has never cosigned a head of this log, but the mirror beside it has.
    assert_eq!(post(&nodes, &partner, &grown(OWN, key, 0, size)).await.status, 422);
    assert_eq!(mirror().await.alarm, "EQUIVOCATION");
    let evidence = store.states("evidence/forks/", "", 10).await.unwrap();
    assert_eq!(evidence.len(), 1);
    let text = String::from_utf8(evidence[0].body.clone()).unwrap();
    let (one, other) = text.split_once("\n---\n").unwrap();
    let head = |text: &str| SignedCheckpoint::parse(text.as_bytes()).unwrap();
    let (one, other) = (head(&format!("{one}\n")), head(other));
    assert_eq!((one.checkpoint().size(), other.checkpoint().size()), (size, size));
    assert_ne!(one.checkpoint().root(), other.checkpoint().root());
    let auditor = role(&nodes, "ca", "auditor/court");
    let path = format!("/{}/checkpoint", folder(OWN));
    let witnessed = ask("ca", nodes.destination.node.addr(), &auditor, "GET", &path, "").await;
    assert_eq!(witnessed.status, 404, "it cosigned nothing");
    nodes.stop().await;
}
