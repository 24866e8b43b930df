//! SIGKILL of either node at random moments while a season is played, and then: nothing that was acknowledged is lost or
//! applied twice, both states agree on every placement, and both bundles verify and compare.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use convenio_faultproxy::FaultProxy;
use convenio_model::{Clock, Entropy, SeededEntropy, SystemClock, SystemEntropy};
use convenio_node::{BundleKind, Config, Node};
use convenio_seal::vault::Vault;
use convenio_wire::node::v1::{Exchange, GetRecordRequest};
use convenio_wire::registry::v1 as registry;
use futures::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tonic::Status;

use crate::calls::{Caller, passes, reason};
use crate::invariants;
use crate::ledger::Books;
use crate::nodes::{SEASON, act_once, integration, order, placement};
use crate::process::NodeProcess;
use crate::site::Site;

/// Workers that register and travel at once.
const AT_ONCE: u32 = 12;
/// Longest time that one call, or the settling, may take: redialling waits up to half a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// What to do.
pub struct Plan {
    /// The binary `convenio`.
    pub convenio: PathBuf,
    /// Kills.
    pub count: u32,
    /// Decides who is killed and when.
    pub seed: u64,
    /// Folder for everything; must exist and be empty.
    pub dir: PathBuf,
}

/// What was done.
#[derive(Debug)]
pub struct Summary {
    /// Kills of the origin's and the destination's node.
    pub kills: [u32; 2],
    /// Placements.
    pub placements: usize,
    /// Acts that were acknowledged.
    pub acknowledged: usize,
    /// Records in both logs.
    pub records: u64,
}

/// One acknowledged act.
struct Acknowledged {
    placement: String,
    act: &'static str,
}

struct Run {
    site: Site,
    convenio: PathBuf,
    processes: [Mutex<Option<NodeProcess>>; 2],
    proxies: [FaultProxy; 2],
    calls: [Caller; 2],
    over: AtomicBool,
    started: AtomicU32,
}

const PARTIES: [&str; 2] = ["sv", "ca"];

/// Plays it.
///
/// # Errors
/// What does not hold.
pub async fn run(plan: Plan) -> anyhow::Result<Summary> {
    let site = Site::make(&plan.dir, plan.seed);
    let nowhere = "127.0.0.1:9".parse()?;
    let proxies = [FaultProxy::start(nowhere).await?, FaultProxy::start(nowhere).await?];
    site.configure("sv", proxies[1].addr(), "info");
    site.configure("ca", proxies[0].addr(), "info");
    let calls = [integration(&site, "sv", proxies[0].addr()), integration(&site, "ca", proxies[1].addr())];
    let run = Arc::new(Run {
        site,
        convenio: plan.convenio,
        processes: [Mutex::new(None), Mutex::new(None)],
        proxies,
        calls,
        over: AtomicBool::new(false),
        started: AtomicU32::new(0),
    });
    run.start(0).await?;
    run.start(1).await?;
    let order = until_answered(|| order(&run.calls[1], "order", 50_000)).await?;
    let workers = (0..AT_ONCE).map(|_| run.clone().work(order.clone()));
    let (kills, acknowledged) = tokio::try_join!(run.clone().kill_often(plan.count, plan.seed), try_join_all(workers))?;
    let acknowledged: Vec<_> = acknowledged.into_iter().flatten().collect();
    run.settle().await?;
    let placements = run.check_acknowledged(&acknowledged).await?;
    let records = run.check_files().await?;
    Ok(Summary { kills, placements, acknowledged: acknowledged.len(), records })
}

impl Run {
    async fn start(&self, at: usize) -> anyhow::Result<()> {
        let process = NodeProcess::start(&self.convenio, &self.site.path(PARTIES[at])).await?;
        self.proxies[at].retarget(process.address);
        *self.processes[at].lock().await = Some(process);
        Ok(())
    }

    async fn kill(&self, at: usize) -> anyhow::Result<()> {
        self.processes[at].lock().await.take().context("killed twice")?.kill()
    }

    async fn kill_often(self: Arc<Self>, count: u32, seed: u64) -> anyhow::Result<[u32; 2]> {
        let entropy = SeededEntropy::labelled(seed, "kills");
        let draw = |below: u64| {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_be_bytes(bytes) % below
        };
        let mut kills = [0; 2];
        for _ in 0..count {
            sleep(Duration::from_millis(20 + draw(700))).await;
            let at = usize::from(draw(2) == 1);
            self.kill(at).await?;
            kills[at] += 1;
            sleep(Duration::from_millis(draw(150))).await;
            self.start(at).await?;
        }
        self.over.store(true, SeqCst);
        Ok(kills)
    }

    /// Registers one worker after the other and takes each through the season, until the kills are over.
    async fn work(self: Arc<Self>, order: String) -> anyhow::Result<Vec<Acknowledged>> {
        let mut done = Vec::new();
        while !self.over.load(SeqCst) {
            let number = self.started.fetch_add(1, SeqCst);
            let label = format!("p{number}");
            let name = until_answered(|| placement(&self.calls[0], &label, &order)).await?;
            for (_, act) in SEASON {
                let time = SystemClock.now_ms();
                until_answered(|| act_once(&self.calls[0], &self.calls[1], &name, act, time))
                    .await
                    .with_context(|| format!("{act} of {name}"))?;
                done.push(Acknowledged { placement: name.clone(), act });
            }
        }
        Ok(done)
    }

    async fn settle(&self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let one = until_answered(|| self.calls[0].exchange()).await?;
            let other = until_answered(|| self.calls[1].exchange()).await?;
            if settled(&one, &other) && settled(&other, &one) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "not settled: {one:?} {other:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Each acknowledged act stands exactly once on both sides, delivered and accepted; both agree on each placement.
    async fn check_acknowledged(&self, acknowledged: &[Acknowledged]) -> anyhow::Result<usize> {
        let mut names: Vec<_> = acknowledged.iter().map(|a| a.placement.clone()).collect();
        names.dedup();
        for name in &names {
            let mut seen = Vec::new();
            for calls in &self.calls {
                let request = registry::GetPlacementRequest { name: name.clone() };
                let known = calls.get_placement(request).await?;
                let mut facts = known.facts.clone();
                facts.sort();
                seen.push((known.state, known.sequence, facts, known.discrepancies, known.pending_acts));
            }
            ensure!(seen[0] == seen[1] && seen[0].4.is_empty(), "the sides disagree on {name}: {seen:?}");
            let acts = acknowledged.iter().filter(|a| a.placement == *name).map(|a| a.act);
            self.check_acts(name, &acts.collect::<Vec<_>>()).await?;
        }
        Ok(names.len())
    }

    async fn check_acts(&self, name: &str, acts: &[&str]) -> anyhow::Result<()> {
        let request = || registry::ListPlacementEventsRequest {
            parent: name.to_owned(),
            page_size: 1000,
            page_token: String::new(),
        };
        let events = [
            self.calls[0].list_placement_events(request()).await?,
            self.calls[1].list_placement_events(request()).await?,
        ];
        for act in acts {
            let by_origin = SEASON.iter().any(|(origin, a)| a == act && *origin);
            let (own, other) = if by_origin { (0, 1) } else { (1, 0) };
            let act = if *act == "author" { "contract_offered" } else { act };
            let of = |at: usize| {
                let events = events[at].events.iter();
                events.filter(|e| e.act == act && e.party == PARTIES[own]).collect::<Vec<_>>()
            };
            let issued = of(own);
            ensure!(issued.len() == 1, "{act} of {name} stands {} times at its issuer", issued.len());
            if act == "preselect" {
                continue; // leaves no record
            }
            // A proposal that the governor overtook is rejected, visibly and on both sides.
            let taken = of(other);
            let told = events[own].events.iter();
            let told: Vec<_> = told.filter(|e| e.act == "decision" && e.record_id == issued[0].record_id).collect();
            ensure!(taken.len() == 1 && told.len() == 1, "{act} of {name} was decided: {taken:?}, {told:?}");
            ensure!(taken[0].record_id == issued[0].record_id, "{act} of {name} is another record at the other side");
            ensure!(taken[0].decision == told[0].decision, "{act} of {name}: {taken:?}, {told:?}");
            let overtaken = act == "ready" && taken[0].decision == "REJECTED";
            ensure!(taken[0].decision == "ACCEPTED" || overtaken, "{act} of {name}: {taken:?}");
            let request = GetRecordRequest { name: format!("records/{}", issued[0].record_id) };
            let record = self.calls[own].get_record(request).await?;
            ensure!(record.delivered && !record.receipt.is_empty(), "{act} of {name} has no receipt");
        }
        Ok(())
    }

    /// The files that the killed nodes left: they open, replay, and export bundles that verify and compare.
    async fn check_files(&self) -> anyhow::Result<u64> {
        for at in 0..2 {
            self.kill(at).await?;
        }
        let mut records = 0;
        let mut running = Vec::new();
        for party in PARTIES {
            let config = Config::load(&self.site.config(party))?;
            running.push(Node::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy::default())).await?);
        }
        let books = PARTIES.iter().zip(&running).map(|(party, node)| {
            let keys = self.site.path(party).join("data.keys");
            Ok(Books { core: node.core().clone(), vault: Arc::new(Vault::open_read_only(&keys)?) })
        });
        let books = books.collect::<anyhow::Result<Vec<_>>>()?;
        invariants::check(&books[0], &books[1]).await;
        for books in books {
            records += books.core.store().logs().await?.iter().filter(|l| l.own).map(|l| l.records).sum::<u64>();
        }
        for node in running {
            node.stop().await;
        }
        let trust = convenio_audit::load_trust(&self.site.trust())?;
        let mut bundles = Vec::new();
        for party in PARTIES {
            let bundle = self.site.path(party).join("bundle");
            convenio_node::export(&Config::load(&self.site.config(party))?, BundleKind::Full, &bundle).await?;
            bundles.push(bundle);
        }
        compare(&bundles[0], &bundles[1], &trust)?;
        Ok(records)
    }
}

/// Verifies both bundles and compares them.
///
/// # Errors
/// The first problems.
pub fn compare(a: &Path, b: &Path, trust: &convenio_audit::TrustFile) -> anyhow::Result<()> {
    let compared = convenio_audit::compare(a, b, trust)?;
    for side in [&compared.a, &compared.b] {
        ensure!(side.holds, "{}: {:?}", side.bundle, side.problems);
    }
    ensure!(compared.holds, "the bundles differ: {:?}", compared.problems);
    Ok(())
}

/// Whether the issuer's log is mirrored, judged and cosigned.
pub(crate) fn settled(issuer: &Exchange, holder: &Exchange) -> bool {
    issuer.own_size > 0
        && issuer.undecided_records == 0
        && issuer.delivered_size == issuer.own_size
        && holder.mirror_size == issuer.own_size
        && holder.judged_size == holder.mirror_size
}

/// Calls again until the node answers: while it is away, and while what the act builds on is still under way. Each call
/// carries its request id, so that it is the same call.
async fn until_answered<T, F>(call: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, Status>>,
{
    let until = Instant::now() + PATIENCE;
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let early = matches!(reason(&status).as_str(), "NOT_FOUND" | "LIFECYCLE" | "NOT_GOVERNOR" | "GATE");
        if !(passes(&status) || early) || Instant::now() >= until {
            bail!("{:?} {}: {}", status.code(), reason(&status), status.message());
        }
        sleep(Duration::from_millis(40)).await;
    }
}
