//! Kills two nodes' processes at random moments while a season is played: `cargo xtask kills --count 100`.

use std::path::PathBuf;
use std::process::ExitCode;

use convenio_testkit::kills::{Plan, run};

const USAGE: &str = "usage: kills [--count N] [--seed S] [--convenio PATH] [--keep DIR]";

struct Options {
    count: u32,
    seed: u64,
    convenio: Option<PathBuf>,
    keep: Option<PathBuf>,
}

fn options() -> Option<Options> {
    let mut options = Options { count: 6, seed: 1, convenio: None, keep: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--count" => options.count = value.parse().ok()?,
            "--seed" => options.seed = value.parse().ok()?,
            "--convenio" => options.convenio = Some(value.into()),
            "--keep" => options.keep = Some(value.into()),
            _ => return None,
        }
    }
    Some(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match play(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(options: Options) -> anyhow::Result<()> {
    let Options { count, seed, .. } = options;
    let beside = convenio_testkit::process::built_beside();
    let convenio = options.convenio.or(beside);
    let convenio =
        convenio.ok_or_else(|| anyhow::anyhow!("no binary `convenio`: build it, or give --convenio PATH"))?;
    let own = tempfile::tempdir()?;
    let dir = match options.keep {
        Some(dir) => {
            std::fs::create_dir_all(&dir)?;
            dir
        }
        None => own.path().to_owned(),
    };
    println!("{count} kills; to replay: cargo xtask kills --count {count} --seed {seed} --keep DIR");
    let summary = run(Plan { convenio, count, seed, dir }).await?;
    println!("killed: sv {} times, ca {} times", summary.kills[0], summary.kills[1]);
    println!(
        "{} acts on {} placements acknowledged, {} records: none lost, none applied twice; both sides agree on every \
         placement; both bundles verify and compare",
        summary.acknowledged, summary.placements, summary.records
    );
    Ok(())
}
