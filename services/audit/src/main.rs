//! `convenio-audit`: verifies, compares and reports on exported bundles, without a node.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use convenio_audit::{Unusable, compare, keys, load_trust, report, text, verify};

/// Audits the exchange of signed records between states from exported bundles. Exit codes: 0 integrity holds (and no
/// finding), 1 it does not, 2 unusable input, 3 findings.
#[derive(Parser)]
#[command(name = "convenio-audit", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Is the bundle whole, and signed as the trust file demands?
    Verify {
        /// Folder of the bundle.
        bundle: PathBuf,
        #[command(flatten)]
        with: With,
    },
    /// Do two bundles tell the same story?
    Compare {
        /// Folder of one state's bundle.
        bundle_a: PathBuf,
        /// Folder of the other's.
        bundle_b: PathBuf,
        #[command(flatten)]
        with: With,
    },
    /// What happened: findings with the log entries that show them.
    Report {
        /// Folder of the bundle.
        bundle: PathBuf,
        /// Folder of the other state's bundle.
        bundle_b: Option<PathBuf>,
        #[command(flatten)]
        with: With,
    },
    /// The keys that the logs themselves authorise, one a line: `<origin> <use> <key>`.
    Keys {
        /// Folder of the bundle.
        bundle: PathBuf,
    },
}

#[derive(clap::Args)]
struct With {
    /// Trust file: agreement digests, root keys, pinned checkpoints.
    #[arg(long)]
    trust: PathBuf,
    /// Form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("convenio-audit: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<u8, Unusable> {
    let (holds, findings) = match command {
        Command::Verify { bundle, with } => {
            let found = verify(&bundle, &load_trust(&with.trust)?)?;
            show(with.output, &found, text::verification);
            (found.holds, 0)
        }
        Command::Compare { bundle_a, bundle_b, with } => {
            let found = compare(&bundle_a, &bundle_b, &load_trust(&with.trust)?)?;
            show(with.output, &found, text::comparison);
            (found.holds, 0)
        }
        Command::Report { bundle, bundle_b, with } => {
            let found = report(&bundle, bundle_b.as_deref(), &load_trust(&with.trust)?)?;
            show(with.output, &found, convenio_audit::Report::text);
            (found.integrity, usize::from(found.has_findings()))
        }
        Command::Keys { bundle } => {
            let lines = keys::listed(&bundle)?;
            lines.iter().for_each(|line| put(line));
            (!lines.is_empty(), 0)
        }
    };
    Ok(match (holds, findings) {
        (false, _) => 1,
        (true, 0) => 0,
        (true, _) => 3,
    })
}

fn show<T: serde::Serialize>(output: Output, found: &T, text: impl Fn(&T) -> String) {
    match output {
        Output::Text => put(text(found).trim_end()),
        Output::Json => put(&serde_json::to_string(found).unwrap_or_default()),
    }
}

/// A line on stdout; a reader that went away is no error of the audit.
fn put(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
