//! Loses a node's disk and recovers it from its partner: `cargo xtask recover --records 100000`.

use std::path::PathBuf;
use std::process::ExitCode;

use convenio_testkit::drill::{Figures, Plan, run};

const USAGE: &str = "usage: recover [--records N] [--seed S] [--convenio PATH]";

struct Options {
    records: u32,
    seed: u64,
    convenio: Option<PathBuf>,
}

fn options() -> Option<Options> {
    let mut options = Options { records: 3_000, seed: 1, convenio: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--records" => options.records = value.parse().ok().filter(|records| (1..=10_000_000).contains(records))?,
            "--seed" => options.seed = value.parse().ok()?,
            "--convenio" => options.convenio = Some(value.into()),
            _ => return None,
        }
    }
    Some(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(Options { records, seed, convenio }) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let Some(convenio) = convenio.or_else(convenio_testkit::process::built_beside) else {
        eprintln!("error: no binary `convenio`: build it, or give --convenio PATH");
        return ExitCode::FAILURE;
    };
    match run(Plan { convenio, records, seed }).await {
        Ok(figures) => {
            tell(&figures);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tell(figures: &Figures) {
    let Figures { records, entries, filled, recovered, peak_mib, partner_mib, said } = figures;
    print!("{said}");
    println!("{records} records in {entries} entries; both nodes were filled in {filled:.1} s");
    println!(
        "recovered in {recovered:.1} s, {:.0} records/s, {:.0} entries/s; peak memory {peak_mib} MiB, {partner_mib} MiB at the partner",
        *records as f64 / recovered,
        *entries as f64 / recovered
    );
    println!("both nodes went on, and both bundles verify and compare");
}
