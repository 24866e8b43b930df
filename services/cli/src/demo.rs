//! `convenio demo`: two states, a season of synthetic workers, an audit at the end.
//!
//! sv-ca plays a scenario of its own with real job orders: `orders` and `season` say what will be played, `setup` and `pair`
//! make the folder, `processes` and `side` run the nodes, `register`, `play`, `planted` and `consulate` play, `finish`
//! audits and tells. Every other agreement plays its example of a season: `corridor`.

mod client;
mod consulate;
mod corridor;
mod finish;
mod judge;
mod orders;
mod pair;
mod people;
mod planted;
mod play;
mod processes;
mod progress;
mod ratify;
mod register;
mod scenario;
mod season;
mod setup;
mod side;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use convenio_agreement::Pack;
use convenio_faultproxy::FaultProxy;
use tokio::signal::unix::{SignalKind, signal};

use client::Caller;
use consulate::Consulate;
use corridor::Corridor;
use pair::Pair;
use planted::Happened;
use play::Play;
use progress::Progress;
use scenario::{Scenario, Violation};
use season::{Job, Season};
use setup::Layout;

/// More would not be a demonstration on one machine.
const MAX_WORKERS: i64 = 100_000;
/// Workers of the scenario, unless the command line says otherwise.
const WORKERS: u32 = 2000;
/// Exit code after an interruption from outside, as shells have it.
const INTERRUPTED: u8 = 130;

/// Arguments of `convenio demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Job orders to load, with the columns of deploy/demo/job-orders.csv [default: that file]
    #[arg(long, value_name = "CSV")]
    job_orders: Option<PathBuf>,
    /// Synthetic workers [default: 2000 under sv-ca, each for whom there is a seat is placed; 100 under every other]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_WORKERS))]
    workers: Option<u32>,
    /// Folder for the two nodes; must not be there or be empty [default: a new one below the temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Agreement to play: the scenario deploy/demo/<ID>/scenario.toml if there is one, else its examples/season.toml
    #[arg(long, value_name = "ID", default_value = "sv-ca")]
    agreement: String,
    /// Folder of agreement packs
    #[arg(long, value_name = "DIR", default_value = "proto/agreements")]
    agreements: PathBuf,
    /// Where everything synthetic is drawn from
    #[arg(long, value_name = "S", default_value_t = 2024)]
    seed: u64,
    /// Leave out one planted violation, and with it its finding; may be repeated
    #[arg(long, value_name = "NAME")]
    without: Vec<Violation>,
    /// Keep both nodes up at the end, until Ctrl-C
    #[arg(long, conflicts_with = "exit")]
    stay: bool,
    /// End after the audit; the default
    #[arg(long)]
    exit: bool,
    /// `json`: the last line of standard output is one JSON object
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    Text,
    /// The table, then one JSON object on the last line.
    Json,
}

/// Runs `convenio demo`.
///
/// # Errors
/// Unusable input, before anything is started; or what went wrong on the way. An audit that is not ok is no error but
/// exit code 1.
pub fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let progress = Progress::new();
    let planned = plan(&args, &progress)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whatever ends this, dropping the play ends its processes.
        tokio::select! {
            code = demonstrate(&args, planned, progress) => code,
            _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
            _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

/// What will be played.
enum Planned {
    /// The scenario of one agreement.
    Season(Box<Season>),
    /// An agreement's own example.
    Corridor(Box<Corridor>),
}

/// Reads and checks every input; nothing is started or written.
fn plan(args: &DemoArgs, progress: &Progress) -> anyhow::Result<Planned> {
    let packs = &args.agreements;
    ensure!(
        packs.is_dir(),
        "{}: no folder of agreement packs here; run this in the project's folder, or name it with --agreements",
        packs.display()
    );
    let pack = Pack::load(packs, &args.agreement)?;
    let packs = packs.canonicalize().with_context(|| format!("{}", packs.display()))?;
    let root = packs.ancestors().nth(2).context("the folder of packs lies below the project's folder")?;
    let file = root.join("deploy/demo").join(&args.agreement).join("scenario.toml");
    if !file.exists() {
        let plain = args.job_orders.is_none() && args.without.is_empty() && !args.stay;
        ensure!(plain, "--job-orders, --without and --stay are for an agreement with a scenario of its own");
        return Corridor::plan(args, pack, &packs).map(|corridor| Planned::Corridor(Box::new(corridor)));
    }
    let scenario = Scenario::load(&file, &args.agreement)?;
    progress.line(&scenario.first_line);
    let shipped = || file.parent().unwrap_or(Path::new("")).join(&scenario.job_orders);
    let rows = orders::read(&args.job_orders.clone().unwrap_or_else(shipped), &scenario)?;
    let planted: BTreeSet<_> = Violation::ALL.into_iter().filter(|v| !args.without.contains(v)).collect();
    let workers = args.workers.unwrap_or(WORKERS);
    Season::plan(scenario, pack, &rows, workers, args.seed, &planted).map(|season| Planned::Season(Box::new(season)))
}

async fn demonstrate(args: &DemoArgs, planned: Planned, progress: Progress) -> anyhow::Result<ExitCode> {
    match planned {
        Planned::Season(season) => demonstrate_season(args, *season, progress).await,
        Planned::Corridor(corridor) => corridor.demonstrate(args, progress).await,
    }
}

async fn demonstrate_season(args: &DemoArgs, season: Season, progress: Progress) -> anyhow::Result<ExitCode> {
    let (layout, play) = start(args, season, progress).await?;
    let mut told = Vec::new();
    let placed = season_of(&play, &layout, &mut told).await?;
    let result = finish::finish(&play, &layout, placed, told).await?;
    play.progress.line(&result.table(&play, &layout));
    if args.stay {
        finish::restart(&play, &layout, &args.agreements).await?;
    }
    if args.output == Output::Json {
        play.progress.line(&serde_json::to_string(&result.json)?);
    }
    if args.stay {
        // Until the interruption that `run` waits for.
        std::future::pending::<()>().await;
    }
    Ok(if result.ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Makes the folder and starts both nodes, each reaching the other over a link that can be cut.
async fn start(args: &DemoArgs, season: Season, progress: Progress) -> anyhow::Result<(Layout, Play)> {
    let states = [&season.scenario.origin, &season.scenario.destination];
    let Pair { layout, origin, destination } = Pair::prepare(args, states, &season.pack, &progress).await?;
    tokio::try_join!(origin.start(), destination.start())?;
    let play = Play { season: Arc::new(season), origin, destination, progress };
    play.progress.line(&format!(
        "{} and {} serve, one process and one database each",
        play.origin.state.node, play.destination.state.node
    ));
    Ok((layout, play))
}

/// The whole season. Answers with how many of the command line's workers were employed.
async fn season_of(play: &Play, layout: &Layout, told: &mut Vec<Happened>) -> anyhow::Result<usize> {
    let season = play.season.clone();
    let victims = |violation| season.victims(violation).iter().cloned();
    let (seated, seatless): (Vec<Job>, Vec<Job>) = season.workers.iter().cloned().partition(|job| job.order.is_some());
    let suspended = victims(Violation::SuspendedAtHome).chain(victims(Violation::SuspendedByPartner));
    let not_yet: Vec<Job> = seatless.into_iter().chain(suspended).collect();
    let mut going: Vec<Job> = seated.iter().cloned().chain(victims(Violation::Substitution)).collect();
    let worse_off = victims(Violation::LowWage).chain(victims(Violation::OverSubscription));
    let nominated: Vec<Job> = going.iter().cloned().chain(worse_off).collect();
    let everyone: Vec<Job> = nominated.iter().chain(&not_yet).cloned().collect();

    play.register(&everyone).await?;
    play.nominate(&nominated, &not_yet).await?;
    let offered: Vec<Job> = going.iter().cloned().chain(victims(Violation::LowWage)).collect();
    play.offer(&offered).await?;
    going.extend(planted::over_subscription(play, told).await?);
    play.settle().await?;
    play.author(&going).await?;
    play.countersign(&going).await?;
    planted::low_wage(play, told).await?;
    planted::suspended_at_home(play, told).await?;
    planted::suspended_by_partner(play, told).await?;
    play.prepare(&going).await?;
    play.travel(&going).await?;
    let placed = play.agreed_in(&seated, "EMPLOYED").await?;
    confirm(play, layout, &going, told).await?;
    play.come_home(&going).await?;
    let closed = play.agreed_in(&going, "CLOSED").await?;
    ensure!(closed == going.len(), "{closed} of {} placements were closed", going.len());
    Ok(placed)
}

/// Every consulate syncs, each over its own link.
async fn confirm(play: &Play, layout: &Layout, jobs: &[Job], told: &mut Vec<Happened>) -> anyhow::Result<()> {
    let address = play.origin.address().await?;
    let mut working = Vec::new();
    for post in &play.origin.state.posts {
        let link = Arc::new(FaultProxy::start(address).await?);
        let tls = layout.origin.tls(&format!("consulate-{}", post.post))?;
        let caller = Caller::new(&play.origin.state.node, &play.origin.state.trust_domain, tls);
        let mut consulate = Consulate::new(post, caller, link)?;
        working.push(async move {
            let mut seen = Vec::new();
            consulate.work(play, jobs, &mut seen).await.map(|()| seen)
        });
    }
    told.extend(futures::future::try_join_all(working).await?.into_iter().flatten());
    play.settle().await
}
