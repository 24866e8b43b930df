//! An agreement's own example of a season, once for each worker: two nodes over a link that is cut once, one of them killed
//! once, both exports audited.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Role;
use convenio_audit::{Finding, load_trust, report};
use convenio_model::{Clock, SystemClock};
use convenio_script::{Day, Nodes, Played, Player, Script, Stage, list};
use convenio_wire::node::v1::Exchange;
use serde::Serialize;
use tokio::time::sleep;
use tonic::Status;
use tonic::transport::Channel;

use super::finish::{export, row};
use super::judge::integrity;
use super::pair::Pair;
use super::progress::{Phase, Progress};
use super::scenario::State;
use super::setup::Layout;
use super::side::{Side, settled};
use super::{DemoArgs, Output};

/// Workers, unless the command line says otherwise.
const WORKERS: u32 = 100;
/// Workers whose scripts are played at once.
const AT_ONCE: usize = 8;
/// How long the link stays cut.
const CUT: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(2);
/// The example that is a season.
const SEASON: &str = "season.toml";

/// A season to be played.
pub struct Corridor {
    pack: Pack,
    script: Script,
    stage: Stage,
    workers: u32,
}

/// The JSON object of `--output json`.
#[derive(Debug, Serialize)]
struct Summary {
    agreement: String,
    workers: u32,
    records: u64,
    /// Records that are delivered.
    receipts: u64,
    /// Calls refused at home, as the example says.
    refused: usize,
    /// Acts rejected by the partner, as the example says.
    rejected: usize,
    findings: usize,
    /// `ok`, or what does not hold.
    audit: String,
    seconds: f64,
    /// Peak of the larger node.
    rss_mib: u64,
}

/// The two nodes while the season is played.
struct Sides<'p>(&'p Pair);

impl Nodes for Sides<'_> {
    fn channel(&self, party: &str) -> Result<Channel, Status> {
        let sides = [&self.0.origin, &self.0.destination];
        let side = sides.into_iter().find(|side| side.state.id == party);
        side.ok_or_else(|| Status::not_found("there is no such node"))?.caller.channel()
    }
}

impl Corridor {
    /// Reads and checks the season of `pack`; nothing is started or written.
    ///
    /// # Errors
    /// There is none, or it cannot be played.
    pub fn plan(args: &DemoArgs, pack: Pack, agreements: &Path) -> anyhow::Result<Self> {
        let files = list(agreements, pack.id())?;
        let file = files.into_iter().find(|path| path.ends_with(SEASON));
        let file = file.with_context(|| format!("{} has no example {SEASON} to play", pack.id()))?;
        let script = Script::load(&file)?;
        ensure!(script.siblings().is_empty(), "{}: a season is played under its own agreement", file.display());
        let stage = Stage::new(std::slice::from_ref(&pack))?;
        Ok(Self { pack, script, stage, workers: args.workers.unwrap_or(WORKERS) })
    }

    /// Plays it. Answers with the exit code: 1 for an audit that is not ok.
    ///
    /// # Errors
    /// A step that goes otherwise than the example says.
    pub async fn demonstrate(self, args: &DemoArgs, progress: Progress) -> anyhow::Result<ExitCode> {
        progress.line(&format!("{}: {}", self.pack.config().title, self.script.title));
        let states = [Role::Origin, Role::Destination].map(|role| state(&self.pack, role));
        let pair = Pair::prepare(args, [&states[0], &states[1]], &self.pack, &progress).await?;
        tokio::try_join!(pair.origin.start(), pair.destination.start())?;
        let played = self.play(&pair, args.seed, &progress).await?;
        let exchanges = tokio::try_join!(pair.origin.exchange(), pair.destination.exchange())?;
        tokio::try_join!(pair.origin.stop(), pair.destination.stop())?;
        let rss_mib = pair.origin.peak_mib().await.max(pair.destination.peak_mib().await);
        progress.line("Exporting both bundles and auditing them …");
        let (findings, problems) = self.audit(&pair.layout).await?;
        let both = |count: fn(&Exchange) -> u64| count(&exchanges.0) + count(&exchanges.1);
        let summary = Summary {
            agreement: self.pack.id().to_owned(),
            workers: self.workers,
            records: both(|e| e.own_records),
            receipts: both(|e| e.delivered_records),
            refused: played.refused,
            rejected: played.rejected,
            findings: findings.len(),
            audit: if problems.is_empty() { "ok".to_owned() } else { problems.join("; ") },
            seconds: (progress.seconds() * 10.0).round() / 10.0,
            rss_mib,
        };
        progress.line(&summary.table(&findings, &pair.layout));
        if args.output == Output::Json {
            progress.line(&serde_json::to_string(&summary)?);
        }
        Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    async fn play(&self, pair: &Pair, seed: u64, progress: &Progress) -> anyhow::Result<Played> {
        let today = Day::of_ms(SystemClock.now_ms());
        let sides = Sides(pair);
        let mut player = Player::new(&self.script, self.pack.id(), &self.stage, &sides, seed, today)?;
        let before = player.once().await?;
        let phase = progress.phase(&format!("{}: workers", self.pack.id()), self.workers as usize);
        let step = || phase.step();
        let workers = player.workers(self.workers, AT_ONCE, &step);
        let (each, ()) = tokio::try_join!(
            async { workers.await.map_err(anyhow::Error::from) },
            self.interrupt(pair, &phase, progress)
        )?;
        phase.clone().finish();
        let after = player.finally().await?;
        settled(&pair.origin, &pair.destination).await?;
        Ok(before.and(each).and(after))
    }

    /// After a third of the workers the link is cut for a while, after two thirds the destination's node is killed.
    async fn interrupt(&self, pair: &Pair, phase: &Phase, progress: &Progress) -> anyhow::Result<()> {
        let third = u64::from(self.workers) / 3;
        reached(phase, third).await;
        pair.origin.link.cut();
        pair.destination.link.cut();
        sleep(CUT).await;
        pair.origin.link.heal();
        pair.destination.link.heal();
        progress.line(&format!("           the link between both nodes was cut for {} ms", CUT.as_millis()));
        reached(phase, 2 * third).await;
        kill(&pair.destination, progress).await
    }

    /// Findings, and what does not hold; a finding that the example does not announce does not.
    async fn audit(&self, layout: &Layout) -> anyhow::Result<(Vec<Finding>, Vec<String>)> {
        let [one, other] = export(layout).await?;
        let trust = layout.trust();
        let judged = tokio::task::spawn_blocking(move || {
            let trust = load_trust(&trust).context("the trust file")?;
            report(&one, Some(&other), &trust).context("the bundles")
        });
        let report = judged.await.context("the audit")??;
        let mut problems = integrity(&report);
        let unannounced = report.findings.iter().filter(|found| !self.script.findings.contains(found.code));
        problems.extend(unannounced.map(|found| format!("{} of {}: {}", found.code, found.subject, found.condition)));
        Ok((report.findings, problems))
    }
}

impl Summary {
    fn table(&self, findings: &[Finding], layout: &Layout) -> String {
        let mut lines = vec![
            String::new(),
            row("workers", &format!("{} synthetic", self.workers)),
            row("records", &format!("{} in both logs, {} receipts", self.records, self.receipts)),
            row("as the example says", &format!("{} refused at home, {} rejected", self.refused, self.rejected)),
            row("time, memory", &format!("{} s, the larger node's peak {} MiB", self.seconds, self.rss_mib)),
            row("findings", &self.findings.to_string()),
        ];
        lines.extend(findings.iter().take(8).map(|f| row(f.code, &format!("{} {}", f.criterion, f.condition))));
        lines.extend([
            row("folder", &layout.dir.display().to_string()),
            String::new(),
            format!("audit: {}", self.audit),
        ]);
        lines.join("\n")
    }
}

async fn reached(phase: &Phase, done: u64) {
    while phase.done() < done {
        sleep(LOOK).await;
    }
}

async fn kill(side: &Arc<Side>, progress: &Progress) -> anyhow::Result<()> {
    side.kill_and_restart().await?;
    progress.line(&format!("           {}'s node was killed (SIGKILL) and started again", side.state.name));
    Ok(())
}

/// A party as one of the two states.
fn state(pack: &Pack, role: Role) -> State {
    let party = pack.party(role);
    let office = party.authorities.first().map_or("ministry", |authority| authority.key.as_str());
    State {
        name: party.country.clone(),
        trust_domain: format!("{}.example", party.id),
        node: format!("node.{}.example", party.id),
        organisation: office.to_owned(),
        posts: Vec::new(),
        id: party.id.clone(),
    }
}
