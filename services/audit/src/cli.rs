//! The command line: one command, one answer on stdout, one exit code.

mod ask;
mod journal;
mod progress;
mod prove;
mod report;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use convenio_audit::{Audit, Options, Unusable, keys, load_trust, text};

/// Exit code: integrity holds, no finding.
pub const HOLDS: u8 = 0;
/// Exit code: integrity does not hold, a receipt or a verdict does not stand.
pub const BROKEN: u8 = 1;
/// Exit code: the input cannot be used.
pub const UNUSABLE: u8 = 2;
/// Exit code: a report with findings.
pub const FINDINGS: u8 = 3;

/// Audits the exchange of signed records between states from exported bundles. Exit codes: 0 integrity holds (and no
/// finding), 1 it does not, 2 unusable input, 3 a report with findings.
#[derive(Parser)]
#[command(name = "convenio-audit", version)]
pub struct Cli {
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
    /// What happened: the questions A1 to A20 with the log entries that answer them; optionally a signed verdict.
    Report(report::Args),
    /// Every mirrored record at one point of the logs: counts by state, and one subject.
    Replay(ask::ReplayArgs),
    /// One placement's, job order's or agency's history from both logs.
    Show(ask::ShowArgs),
    /// Are the registry's rows as the journal left them, or who read whom?
    Journal(journal::Args),
    /// A receipt of one record, or the check of one.
    Prove(prove::Args),
    /// Checks a signed verdict.
    Verdict {
        #[command(subcommand)]
        command: report::VerdictCommand,
    },
    /// Makes an auditor's key: FILE.sk.pem, which is secret, and FILE.pub, which is published.
    Key {
        /// Path without its endings.
        file: PathBuf,
    },
    /// What to trust.
    Trust {
        #[command(subcommand)]
        command: ask::TrustCommand,
    },
    /// Heads of logs.
    Checkpoint {
        #[command(subcommand)]
        command: ask::CheckpointCommand,
    },
    /// The keys that the logs themselves authorise, one a line: `<origin> <use> <key>`.
    Keys {
        /// Folder of the bundle.
        bundle: PathBuf,
    },
}

/// What every question about bundles is asked with.
#[derive(Args)]
struct With {
    /// Trust file: agreement digests, root keys, pinned checkpoints.
    #[arg(long)]
    trust: PathBuf,
    /// Form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    work: Work,
}

/// How the work is done.
#[derive(Args)]
struct Work {
    /// No progress bar.
    #[arg(long)]
    quiet: bool,
    /// Folder for temporary files; needed to continue what was interrupted.
    #[arg(long)]
    work: Option<PathBuf>,
    /// Continue from what an interrupted run left in the folder of `--work`.
    #[arg(long, requires = "work")]
    resume: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs one command; the exit code.
pub fn run(cli: Cli) -> Result<u8, Unusable> {
    match cli.command {
        Command::Verify { bundle, with } => {
            let audit = with.audit(&[bundle])?;
            audit.verifications().for_each(|found| with.output.show(found, text::verification));
            Ok(held(audit.holds()))
        }
        Command::Compare { bundle_a, bundle_b, with } => {
            let audit = with.audit(&[bundle_a, bundle_b])?;
            audit.comparison().into_iter().for_each(|found| with.output.show(found, text::comparison));
            Ok(held(audit.holds()))
        }
        Command::Report(args) => report::run(args),
        Command::Replay(args) => ask::replay(args),
        Command::Show(args) => ask::show(args),
        Command::Journal(args) => journal::run(args),
        Command::Prove(args) => prove::run(args),
        Command::Verdict { command } => report::verdict(command),
        Command::Key { file } => report::key(&file),
        Command::Trust { command } => ask::trust(command),
        Command::Checkpoint { command } => ask::checkpoint(command),
        Command::Keys { bundle } => {
            let lines = keys::listed(&bundle)?;
            lines.iter().for_each(|line| put(line));
            Ok(held(!lines.is_empty()))
        }
    }
}

fn held(holds: bool) -> u8 {
    if holds { HOLDS } else { BROKEN }
}

impl Work {
    fn options(&self) -> Options {
        let progress = (!self.quiet).then(progress::bar).flatten();
        Options { work: self.work.clone(), resume: self.resume, progress }
    }
}

impl With {
    /// Opens one or two bundles.
    fn audit(&self, bundles: &[PathBuf]) -> Result<Audit, Unusable> {
        let trust = load_trust(&self.trust)?;
        Audit::open(&bundles[0], bundles.get(1).map(PathBuf::as_path), &trust, &self.work.options())
    }

    /// Likewise; tells on stderr if their integrity does not hold.
    fn open(&self, bundles: &[PathBuf]) -> Result<Audit, Unusable> {
        let audit = self.audit(bundles)?;
        if !audit.holds() {
            eprintln!("convenio-audit: the integrity does not hold: `verify` and `compare` tell where");
        }
        Ok(audit)
    }
}

impl Output {
    fn show<T: serde::Serialize + ?Sized>(self, found: &T, text: impl Fn(&T) -> String) {
        match self {
            Self::Text => put(text(found).trim_end()),
            Self::Json => put(&serde_json::to_string(found).unwrap_or_default()),
        }
    }
}

/// A line on stdout; a reader that went away is no error of the audit.
fn put(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
