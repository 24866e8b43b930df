//! Questions about verified bundles.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use convenio_audit::{At, Unusable, gazette, moment, show as shown, state};

use super::{BROKEN, HOLDS, With, held, put};

#[derive(Args)]
pub(super) struct ReplayArgs {
    /// Folders of one or two bundles.
    #[arg(required = true, num_args = 1..=2)]
    bundles: Vec<PathBuf>,
    /// After the first N entries of a log, `<origin>=<N>`, with what its issuer had judged of the partner's then.
    #[arg(long, value_name = "ORIGIN=N", conflicts_with = "at_time", value_parser = at_index)]
    at_index: Option<At>,
    /// Before the first entry of each log with a later log time: RFC 3339, or a day.
    #[arg(long, value_name = "TIME", value_parser = at_time)]
    at_time: Option<At>,
    /// Resource name of one subject to be told in full.
    #[arg(long)]
    subject: Option<String>,
    #[command(flatten)]
    with: With,
}

#[derive(Args)]
pub(super) struct ShowArgs {
    /// Folders of one or two bundles.
    #[arg(required = true, num_args = 1..=2)]
    bundles: Vec<PathBuf>,
    /// `placements/<uuid>`, `jobOrders/<uuid>` or `agencies/<uuid>`.
    #[arg(long)]
    subject: String,
    #[command(flatten)]
    with: With,
}

#[derive(Subcommand)]
pub(super) enum TrustCommand {
    /// A trust file of what a bundle says of itself: no trust before each line was compared with what was published.
    Export {
        /// Folder of the bundle.
        bundle: PathBuf,
    },
}

#[derive(Subcommand)]
pub(super) enum CheckpointCommand {
    /// The head of each log on one line, as the official gazette prints it and a trust file reads it.
    Print {
        /// Folders of one or two bundles.
        #[arg(required = true, num_args = 1..=2)]
        bundles: Vec<PathBuf>,
        /// Only of this log.
        #[arg(long)]
        origin: Option<String>,
        #[command(flatten)]
        with: With,
    },
}

pub(super) fn replay(args: ReplayArgs) -> Result<u8, Unusable> {
    let audit = args.with.open(&args.bundles)?;
    let at = args.at_index.or(args.at_time).unwrap_or_default();
    let found = state::state(&audit, &at, args.subject.as_deref())?;
    args.with.output.show(found.as_slice(), state::text);
    let missing = args.subject.is_some() && found.iter().all(|report| report.subject.is_none());
    if missing && audit.holds() {
        eprintln!("convenio-audit: no record at that point is about that subject");
    }
    Ok(held(audit.holds() && !missing))
}

pub(super) fn show(args: ShowArgs) -> Result<u8, Unusable> {
    let audit = args.with.open(&args.bundles)?;
    match shown::show(&audit, &args.subject)? {
        Some(found) => {
            args.with.output.show(&found, shown::text);
            Ok(HOLDS)
        }
        None => {
            eprintln!("convenio-audit: no record is about that subject");
            Ok(BROKEN)
        }
    }
}

pub(super) fn trust(command: TrustCommand) -> Result<u8, Unusable> {
    let TrustCommand::Export { bundle } = command;
    put(gazette::trust_export(&bundle)?.trim_end());
    Ok(HOLDS)
}

pub(super) fn checkpoint(command: CheckpointCommand) -> Result<u8, Unusable> {
    let CheckpointCommand::Print { bundles, origin, with } = command;
    let audit = with.open(&bundles)?;
    let lines = gazette::heads(&audit, origin.as_deref());
    with.output.show(lines.as_slice(), |lines| lines.join("\n"));
    Ok(held(!lines.is_empty()))
}

fn at_index(text: &str) -> Result<At, String> {
    let (origin, size) = text.rsplit_once('=').ok_or("must be <origin>=<number of entries>")?;
    let size = size.parse().map_err(|_| "must end in a number of entries")?;
    Ok(At::Index { origin: origin.to_owned(), size })
}

fn at_time(text: &str) -> Result<At, String> {
    let time = moment::parse(text).ok_or("must be RFC 3339, for example 2026-05-01T12:00:00Z, or a day")?;
    Ok(At::Time(time))
}
