//! A recovery drill at any size: two nodes are filled, one of them loses its disk and is recovered by
//! `convenio node recover` from the other, which serves as a process of its own; then both go on, and their bundles
//! verify and compare.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use convenio_model::{SystemClock, SystemEntropy};
use convenio_node::{BundleKind, Config, Node};
use convenio_seal::key::KEY_FILE_SUFFIX;
use convenio_seal::vault::Vault;
use futures::StreamExt;
use tokio::time::{Instant, sleep};

use crate::acts::Case;
use crate::invariants;
use crate::kills::compare;
use crate::ledger::Books;
use crate::nodes::{Nodes, integration};
use crate::process::NodeProcess;
use crate::side::Side;
use crate::site::Site;
use crate::treaty::{Party, SV_CA};

/// Acts under way at once.
const AT_ONCE: usize = 256;
/// Placements that are nominated before the first of them is offered a contract.
const WAVE: u32 = 2_000;
/// Records of one placement.
const RECORDS: u32 = 3;
/// Seats of one job order.
const SEATS: u32 = 500;
/// Longest time that the two nodes may take to have nothing more to say.
const PATIENCE: Duration = Duration::from_secs(180);
/// What a node keeps on the disk that it loses.
const LOST: [&str; 7] =
    ["node.db", "node.db-wal", "node.db-shm", "data.keys", "data.keys.kek", "data.keys.ledger", "witness.heads"];

/// What to do.
pub struct Plan {
    /// The binary `convenio`.
    pub convenio: PathBuf,
    /// RECORDs in both logs, about.
    pub records: u32,
    /// Seed of everything.
    pub seed: u64,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Figures {
    /// RECORDs in both logs.
    pub records: u64,
    /// Entries in both logs.
    pub entries: u64,
    /// Seconds to fill both nodes.
    pub filled: f64,
    /// Seconds from the beginning of `convenio node recover` to its end.
    pub recovered: f64,
    /// Peak resident memory of the command, MiB.
    pub peak_mib: u64,
    /// The same of the node that served the refill.
    pub partner_mib: u64,
    /// What the command said.
    pub said: String,
}

/// Plays it.
///
/// # Errors
/// What does not hold.
///
/// # Panics
/// If the nodes cannot be filled.
pub async fn run(plan: Plan) -> anyhow::Result<Figures> {
    let begun = Instant::now();
    let nodes = Nodes::start(plan.seed).await;
    fill(&nodes, plan.records.div_ceil(RECORDS)).await?;
    let logs = nodes.origin.node.core().store().logs().await?;
    let logs: Vec<_> = logs.into_iter().filter(|log| !log.agreement.is_empty()).collect();
    let (records, entries) = (logs.iter().map(|log| log.records).sum(), logs.iter().map(|log| log.size).sum());
    let filled = begun.elapsed().as_secs_f64();
    let (site, proxies, _dir) = nodes.stop_with_site().await;

    let partner = NodeProcess::start(&plan.convenio, &site.path("ca")).await?;
    proxies[1].retarget(partner.address);
    for file in LOST {
        let path = site.path("sv").join(file);
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    let roots = site.dir.join("root-sv");
    write_roots(&site.treaty.origin, &roots)?;
    let begun = Instant::now();
    let (said, peak_mib) = recover(&plan.convenio, &site, &roots).await?;
    let recovered = begun.elapsed().as_secs_f64();
    let partner_mib = partner.peak_mib();
    let own = NodeProcess::start(&plan.convenio, &site.path("sv")).await?;
    proxies[0].retarget(own.address);
    settle(&site, [&own, &partner]).await?;
    drop((own, partner));
    verify(&site).await?;
    Ok(Figures { records, entries, filled, recovered, peak_mib, partner_mib, said })
}

/// Nominations, offers and identities of so many placements.
async fn fill(nodes: &Nodes, placements: u32) -> anyhow::Result<()> {
    let of_node = |party: &Party| {
        let keys = nodes.site.path(&party.party).join("data.keys");
        Side::of_node(nodes.books(&party.party), party.keys.clone(), keys)
    };
    let (origin, destination) = (of_node(&nodes.site.treaty.origin), of_node(&nodes.site.treaty.destination));
    for order in 0..=placements / SEATS {
        destination.order(SV_CA, &format!("order {order}"), i32::try_from(SEATS)?, true).await?;
    }
    nodes.settle().await;
    let mut first = 0;
    while first < placements {
        let wave: Vec<_> = (first..placements.min(first + WAVE)).map(case).collect();
        for (side, act) in [(&origin, "nominate"), (&destination, "offer"), (&origin, "identified")] {
            let acts = futures::stream::iter(&wave).map(|case| side.act(case, act)).buffer_unordered(AT_ONCE);
            let failed = acts.filter_map(|done| async move { done.err() }).collect::<Vec<_>>().await;
            ensure!(failed.is_empty(), "{act}: {:?}", failed.first());
            nodes.settle().await;
        }
        first += WAVE;
    }
    Ok(())
}

fn case(number: u32) -> Case {
    Case::new(&format!("p{number}"), &format!("order {}", number / SEATS))
}

/// A folder of root keys as `convenio root init` makes it.
///
/// # Errors
/// The folder's.
pub fn write_roots(party: &Party, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let spki: Vec<_> = party.roots.keys().iter().map(|key| format!("\"{}\"", key.spki_base64())).collect();
    let (name, keys) = (&party.party, spki.join(", "));
    let text = format!("{{\"party\": \"{name}\", \"threshold\": {}, \"keys\": [{keys}]}}", party.roots.threshold());
    fs::write(dir.join("root.json"), text)?;
    for (nth, key) in party.root_keys.iter().enumerate() {
        key.store(&dir.join(format!("root-{}{KEY_FILE_SUFFIX}", nth + 1)))?;
    }
    Ok(())
}

/// Runs the command; what it said, and its peak memory in MiB.
async fn recover(convenio: &Path, site: &Site, roots: &Path) -> anyhow::Result<(String, u64)> {
    let mut command = Command::new(convenio);
    command.args(["node", "recover", "--from", "node.ca.example", "--config"]).arg(site.config("sv"));
    command.arg("--drill-root").arg(roots).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("convenio node recover")?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = peak.max(peak_mib(child.id()));
        sleep(Duration::from_millis(20)).await;
    }
    let output = child.wait_with_output()?;
    let (said, why) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr).into_owned());
    ensure!(output.status.success(), "convenio node recover: {why}");
    Ok((said, peak))
}

/// Waits until both nodes hold, have judged and have cosigned each other's logs.
///
/// # Errors
/// They do not in three minutes.
pub async fn settle(site: &Site, nodes: [&NodeProcess; 2]) -> anyhow::Result<()> {
    let calls = [integration(site, "sv", nodes[0].address), integration(site, "ca", nodes[1].address)];
    let until = Instant::now() + PATIENCE;
    loop {
        let (one, other) = (calls[0].exchange().await, calls[1].exchange().await);
        if let (Ok(one), Ok(other)) = (&one, &other)
            && crate::kills::settled(one, other)
            && crate::kills::settled(other, one)
        {
            return Ok(());
        }
        ensure!(Instant::now() < until, "not settled: {one:?} {other:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Opens the files of two nodes that have ended: everything that must hold of two states holds, and both bundles verify and
/// compare.
///
/// # Errors
/// What does not hold of the bundles.
///
/// # Panics
/// With what does not hold of the states.
pub async fn check(site: &Site) -> anyhow::Result<()> {
    let mut running = Vec::new();
    let mut books = Vec::new();
    for party in ["sv", "ca"] {
        let config = Config::load(&site.config(party))?;
        let node = Node::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy::default())).await?;
        let vault = Arc::new(Vault::open_read_only(&site.path(party).join("data.keys"))?);
        books.push(Books { core: node.core().clone(), vault });
        running.push(node);
    }
    invariants::check(&books[0], &books[1]).await;
    drop(books);
    for node in running {
        node.stop().await;
    }
    verify(site).await
}

async fn verify(site: &Site) -> anyhow::Result<()> {
    let trust = convenio_audit::load_trust(&site.trust())?;
    let mut bundles = Vec::new();
    for party in ["sv", "ca"] {
        let bundle = site.path(party).join("bundle");
        convenio_node::export(&Config::load(&site.config(party))?, BundleKind::Full, &bundle).await?;
        bundles.push(bundle);
    }
    compare(&bundles[0], &bundles[1], &trust)
}

/// Peak resident memory of a process, MiB; 0 where the system does not tell.
pub(crate) fn peak_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
