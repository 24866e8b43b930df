//! Every example of every agreement, played on real nodes: what the states agreed is what their nodes do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_agreement::pack::list as agreements;
use convenio_model::ManualClock;
use convenio_script::{Day, Player, Script, Stage, list as examples};
use convenio_testkit::States;
use convenio_testkit::treaty::agreements_dir;

/// Workers of each example.
const WORKERS: u32 = 2;
const SEED: u64 = 2026;
/// Day of all clocks: inside the validity of every agreement of the repository.
const TODAY: (i64, i64, i64) = (2026, 11, 23);

/// Plays one example on nodes of its own, and audits what they did.
async fn replay(id: &str, path: &Path) -> Result<(), String> {
    let script = Script::load(path).map_err(|error| error.to_string())?;
    let ids = std::iter::once(id.to_owned()).chain(script.siblings());
    let packs: Result<Vec<_>, _> = ids.map(|id| Pack::load(&agreements_dir(), &id).map(Arc::new)).collect();
    let packs = packs.map_err(|error| error.to_string())?;
    let stage: Vec<Pack> = packs.iter().map(|pack| pack.as_ref().clone()).collect();
    let stage = Stage::new(&stage).map_err(|error| error.to_string())?;
    let today = Day::civil(TODAY.0, TODAY.1, TODAY.2);
    let clock = ManualClock::new(today.at_minute(720).cast_unsigned());
    let states = States::start(SEED, clock, packs).await;
    let played = play(&script, id, &stage, &states, today).await;
    let judged = match played {
        Ok(()) => judge(&script, id, &states).await,
        failed => failed,
    };
    states.stop().await;
    judged
}

async fn play(script: &Script, id: &str, stage: &Stage, states: &States, today: Day) -> Result<(), String> {
    let mut player = Player::new(script, id, stage, states, SEED, today).map_err(|error| error.to_string())?;
    player.once().await.map_err(|error| error.to_string())?;
    player.workers(WORKERS, WORKERS as usize, &|| ()).await.map_err(|error| error.to_string())?;
    player.finally().await.map(drop).map_err(|error| error.to_string())
}

/// What the invariants and the audit say; a finding that the example does not announce is a failure.
async fn judge(script: &Script, id: &str, states: &States) -> Result<(), String> {
    states.check().await;
    for (agreement, _) in states.exchanges() {
        let report = states.report(&agreement).await;
        let problems: Vec<_> = report.bundles.iter().flat_map(|bundle| &bundle.problems).collect();
        if !report.integrity {
            return Err(format!("{agreement}: integrity does not hold: {problems:?} {:?}", report.comparison));
        }
        let unannounced = report.findings.iter().filter(|found| !script.findings.contains(found.code));
        let unannounced: Vec<_> = unannounced.map(|found| format!("{} {}", found.code, found.condition)).collect();
        if agreement.starts_with(id) && !unannounced.is_empty() {
            return Err(format!("the audit finds what the example does not announce: {unannounced:?}"));
        }
    }
    Ok(())
}

/// `CONVENIO_EXAMPLE=gt-mx` or `CONVENIO_EXAMPLE=gt-mx/season` narrows this to an agreement or a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_every_agreement_plays_and_its_audit_is_clean() {
    let only = std::env::var("CONVENIO_EXAMPLE").unwrap_or_default();
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for id in agreements(&agreements_dir()).unwrap() {
        files.extend(examples(&agreements_dir(), &id).unwrap().into_iter().map(|path| (id.clone(), path)));
    }
    let shown = |id: &str, path: &Path| format!("{id}/{}", path.file_stem().unwrap().to_string_lossy());
    files.retain(|(id, path)| shown(id, path).starts_with(&only));
    assert!(!files.is_empty(), "no example {only}");
    let mut failures = Vec::new();
    for (id, path) in files {
        let path = fs::canonicalize(path).unwrap();
        if let Err(failure) = replay(&id, &path).await {
            failures.push(format!("{}: {failure}", shown(&id, &path)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
