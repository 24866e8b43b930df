//! A lost disk, restored backups, and the page about keys: the commands on real processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use convenio_faultproxy::FaultProxy;
use convenio_model::Ref;
use convenio_node::Config;
use convenio_seal::vault::Vault;
use convenio_store::Store;
use convenio_store_sqlite::SqliteStore;
use convenio_testkit::calls::{Caller, passes};
use convenio_testkit::drill::{self, Plan};
use convenio_testkit::nodes::{act_once, integration, order, placement};
use convenio_testkit::process::NodeProcess;
use convenio_testkit::site::{Site, now};
use convenio_wire::registry::v1 as registry;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::state::done;

const ORIGIN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";

fn convenio() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_convenio"))
}

/// Two nodes as processes; each dials the other through a proxy that knows where it is.
struct States {
    site: Site,
    sv: Option<NodeProcess>,
    ca: Option<NodeProcess>,
    proxies: [FaultProxy; 2],
    order: String,
    _dir: tempfile::TempDir,
}

impl States {
    async fn start(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::make(dir.path(), seed);
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let proxies = [FaultProxy::start(nowhere).await.unwrap(), FaultProxy::start(nowhere).await.unwrap()];
        site.configure("sv", proxies[1].addr(), "info");
        site.configure("ca", proxies[0].addr(), "info");
        let mut states = Self { site, sv: None, ca: None, proxies, order: String::new(), _dir: dir };
        states.ca = Some(states.node("ca").await);
        states.sv = Some(states.node("sv").await);
        states.order = until(async || order(&states.calls("ca"), "order", 50).await).await;
        states.settle().await;
        states
    }

    async fn node(&self, party: &str) -> NodeProcess {
        let node = NodeProcess::start(&convenio(), &self.site.path(party)).await.unwrap();
        self.proxies[usize::from(party == "ca")].retarget(node.address);
        node
    }

    fn calls(&self, party: &str) -> Caller {
        let node = if party == "sv" { &self.sv } else { &self.ca };
        integration(&self.site, party, node.as_ref().unwrap().address)
    }

    async fn settle(&self) {
        drill::settle(&self.site, [self.sv.as_ref().unwrap(), self.ca.as_ref().unwrap()]).await.unwrap();
    }

    /// One worker who is nominated, offered a contract and identified.
    async fn traffic(&self, label: &str) -> String {
        let (sv, ca) = (self.calls("sv"), self.calls("ca"));
        let name = until(async || placement(&sv, label, &self.order).await).await;
        for act in ["preselect", "nominate", "offer", "identified"] {
            let time = u64::try_from(now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
            until(async || act_once(&sv, &ca, &name, act, time).await).await;
            self.settle().await;
        }
        name
    }
}

/// Calls again while the node is on its way.
async fn until<T>(call: impl AsyncFn() -> Result<T, tonic::Status>) -> T {
    for _ in 0..600 {
        match call().await {
            Ok(answer) => return answer,
            Err(status) if passes(&status) => sleep(Duration::from_millis(50)).await,
            Err(status) => panic!("{status:?}"),
        }
    }
    panic!("no answer");
}

fn signal(node: &NodeProcess, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(node.id()).unwrap()).unwrap(), signal).unwrap();
}

/// The share of `cargo xtask recover` that runs in every test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_disk_is_recovered_by_the_command() {
    let figures = drill::run(Plan { convenio: convenio(), records: 300, seed: 3 }).await.unwrap();
    assert!(figures.records >= 300 && figures.entries > figures.records, "{figures:?}");
    let said = |words: &str| figures.said.contains(words);
    assert!(said(&format!("refilled   {} entries", figures.entries)), "{}", figures.said);
    assert!(said("only in a backup: workers' and employers' records") && said("open with  --epoch 2"));
}

/// An old database and an old backup of the data keys, put back by the commands: before anything is served the destroyed
/// keys are destroyed again and what was erased stands as erased; then the node is recovered and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restored_backups_bring_nothing_erased_back() {
    let mut states = States::start(51).await;
    let name = states.traffic("p1").await;
    let (config, dir) = (states.site.config("ca"), states.site.path("ca"));
    let at = |file: &str| dir.join(file);
    done(&format!("node keystore backup --config {} --out {}", config.display(), at("keys.backup").display()));
    stop(states.ca.take().unwrap()).await;
    fs::copy(at("node.db"), at("old.db")).unwrap();
    states.ca = Some(states.node("ca").await);
    states.settle().await;

    let request = registry::ErasePlacementPartsRequest {
        placement: name,
        retention_class: "personal".into(),
        ground: "subject-request".into(),
        request_id: "0190163d-8694-739b-aea5-966c26f8ad91".into(),
    };
    let erased = states.calls("sv").erase_placement_parts(request).await.unwrap().erasures;
    assert_eq!(erased.len(), 2, "Candidate and CandidateName");
    states.settle().await;
    for one in &erased {
        let told =
            states.calls("sv").get_erasure(registry::GetErasureRequest { name: one.name.clone() }).await.unwrap();
        assert_eq!(told.state(), registry::ErasureState::Erased);
    }
    let records: Vec<Ref> = erased.iter().map(|one| record_of(&one.name)).collect();
    stop(states.ca.take().unwrap()).await;
    let destroyed = Vault::open_read_only(&at("data.keys")).unwrap().destroyed();
    assert!(!destroyed.is_empty());

    fs::remove_file(at("data.keys")).unwrap();
    let line = format!("node keystore restore --config {} --from {}", config.display(), at("keys.backup").display());
    // The first erasure sealed the other part anew, under a key that is younger than the backup.
    assert!(done(&line).contains(": restored; 1 keys were destroyed since"));
    let old = Vault::open_read_only(&at("data.keys")).unwrap().destroyed();
    assert!(old.len() == 1 && destroyed.contains(&old[0]), "{old:?} {destroyed:?}");
    fs::rename(at("old.db"), at("node.db")).unwrap();
    assert_eq!(marked(&config, &records).await, 0, "the old database holds what was erased since");
    // It is cut off from its partner: whatever it does now, it does before it has heard of anything.
    stop(states.sv.take().unwrap()).await;
    let restored = states.node("ca").await;
    assert_eq!(marked(&config, &records).await, records.len(), "it serves, and nothing erased is there");
    assert_eq!(Vault::open_read_only(&at("data.keys")).unwrap().destroyed(), old);
    stop(restored).await;

    // An old database ends in a recovery, from the partner that goes on.
    states.sv = Some(states.node("sv").await);
    let root = states.site.dir.join("root-ca");
    drill::write_roots(&states.site.treaty.destination, &root).unwrap();
    let line =
        format!("node recover --config {} --from node.sv.example --drill-root {}", config.display(), root.display());
    assert!(done(&line).contains("the node can start"));
    states.ca = Some(states.node("ca").await);
    states.settle().await;
    assert_eq!(marked(&config, &records).await, records.len());
    states.traffic("p2").await;
    drop((states.sv.take(), states.ca.take()));
    drill::check(&states.site).await.unwrap();
}

/// Ends a node in order.
async fn stop(node: NodeProcess) {
    signal(&node, Signal::TERM);
    node.ended().await.unwrap();
}

/// The record of an erasure's name, `…/records/<id>/…`.
fn record_of(name: &str) -> Ref {
    let hex_of = |word: &str| hex::decode(word.replace('-', "")).ok().and_then(|id| Ref::from_slice(&id).ok());
    name.split(['/', '.']).find_map(hex_of).unwrap_or_else(|| panic!("{name}"))
}

/// How many of these records have a part that stands as erased.
async fn marked(config: &Path, records: &[Ref]) -> usize {
    let store = SqliteStore::open_snapshot(&Config::load(config).unwrap().database).await.unwrap();
    let mut found = 0;
    for record in records {
        for (log, index) in store.record(*record).await.unwrap() {
            let parts = store.parts(log, index, index + 1).await.unwrap();
            found += usize::from(parts.iter().any(|part| part.sealed == b"ERASED"));
        }
    }
    store.close().await;
    found
}

/// The sections of the page with their command lines.
fn sections(page: &str) -> Vec<(String, Vec<String>)> {
    let sections = page.split("\n## ").skip(1).map(|section| {
        let title = section.lines().next().unwrap().to_owned();
        let blocks = section.split("```sh\n").skip(1).flat_map(|block| block.split("```").next().unwrap().lines());
        (title, blocks.map(str::to_owned).collect())
    });
    sections.collect()
}

/// Every command of `deploy/docs/keys.md` is run, and the nodes go on exchanging after each section.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_page_about_keys_does_what_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/docs/keys.md");
    let sections = sections(&fs::read_to_string(page).unwrap());
    assert!(sections.len() == 4 && sections.iter().all(|(_, lines)| lines.len() >= 3), "{sections:#?}");
    let mut states = States::start(52).await;
    let dir = states.site.path("sv");
    let keys = &states.site.treaty.origin;
    drill::write_roots(keys, &dir.join("root")).unwrap();
    let manifest = keys.keys.manifest(&keys.party, &keys.node, 1);
    fs::write(dir.join("keys/manifest.binpb"), prost::Message::encode_to_vec(&manifest)).unwrap();
    let issued = states.site.node_certificate("sv", None);
    fs::create_dir(dir.join("new")).unwrap();
    fs::write(dir.join("new/node.pem"), &issued.certificate).unwrap();
    fs::write(dir.join("new/node.sk.pem"), &issued.key).unwrap();
    states.traffic("p0").await;
    let mut told = String::new();
    for (at, (title, lines)) in sections.iter().enumerate() {
        for line in lines {
            told = run(&mut states, &dir, line, &told).await;
        }
        states.traffic(&format!("p{}", at + 1)).await;
        println!("{title}: done");
    }
    let log = fs::read_to_string(dir.join("node.log")).unwrap();
    assert_eq!(log.matches("a change of keys stands in the logs").count(), 2, "a rotation and a revocation");
    drop((states.sv.take(), states.ca.take()));
    drill::check(&states.site).await.unwrap();
}

/// Runs one line in the node's folder; the service manager's are carried out here. Gives what it said.
async fn run(states: &mut States, dir: &Path, line: &str, told: &str) -> String {
    match line {
        "systemctl stop convenio" => stop(states.sv.take().unwrap()).await,
        "systemctl start convenio" => states.sv = Some(states.node("sv").await),
        "systemctl reload convenio" => reload(states, dir).await,
        _ => {
            let (size, root) = head(dir, told);
            let line = line.replace("ORIGIN", ORIGIN).replace("SIZE", &size).replace("ROOT", &root);
            let path = format!("{}:{}", convenio().parent().unwrap().display(), std::env::var("PATH").unwrap());
            let mut command = Command::new("sh");
            command.args(["-c", &line]).current_dir(dir).env("PATH", path).env_remove("RUST_LOG");
            let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
            assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
            let said = String::from_utf8(ran.stdout).unwrap();
            // What it said to open with is needed two lines later.
            return if said.contains("open with") { said } else { told.to_owned() };
        }
    }
    told.to_owned()
}

/// Size and root: of the line `open with`, or of the checkpoint that was exported before.
fn head(dir: &Path, told: &str) -> (String, String) {
    if let Some(line) = told.lines().find(|line| line.starts_with("open with")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let after = |word: &str| words[words.iter().position(|w| *w == word).unwrap() + 1].to_owned();
        return (after("--prev-size"), after("--prev-root"));
    }
    let folder = convenio_exchange::publish::folder(ORIGIN);
    let Ok(note) = fs::read_to_string(dir.join("before/logs").join(folder).join("checkpoint")) else {
        return (String::new(), String::new());
    };
    let lines: Vec<_> = note.lines().collect();
    let note = convenio_log::SignedCheckpoint::parse(note.as_bytes()).unwrap();
    (lines[1].to_owned(), hex::encode(note.checkpoint().root().as_bytes()))
}

/// SIGHUP, and waits until the files were read again.
async fn reload(states: &States, dir: &Path) {
    let count = || fs::read_to_string(dir.join("node.log")).unwrap().matches("were read again").count();
    let before = count();
    signal(states.sv.as_ref().unwrap(), Signal::HUP);
    for _ in 0..600 {
        if count() > before {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing was read again");
}
