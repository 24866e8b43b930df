//! `convenio bundle`: what an auditor gets.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use convenio_node::{BundleKind, Config};

use crate::output::say;

/// Arguments of `convenio bundle`.
#[derive(Args, Debug)]
pub struct BundleArgs {
    #[command(subcommand)]
    command: BundleCommand,
}

#[derive(Subcommand, Debug)]
enum BundleCommand {
    /// Write a node's logs, packs, ratifications and refusals as a folder; also while the node runs
    Export(ExportArgs),
}

#[derive(Args, Debug)]
struct ExportArgs {
    /// The node's configuration, node.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder to write; must be absent or empty
    #[arg(long)]
    out: PathBuf,
}

/// Runs `convenio bundle`.
///
/// # Errors
/// One message that names the file or folder.
pub fn run(args: BundleArgs) -> anyhow::Result<()> {
    let BundleCommand::Export(args) = args.command;
    let config = Config::load(&args.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exported = runtime.block_on(convenio_node::export(&config, BundleKind::Full, &args.out))?;
    say(format_args!("{}  {} entries, {} files", args.out.display(), exported.entries, exported.files))
}
