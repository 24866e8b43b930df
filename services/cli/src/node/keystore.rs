//! `convenio node keystore`: backups of the data keys, which expire.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use convenio_model::{Clock, SystemClock};
use convenio_node::Config;
use convenio_seal::vault;

use crate::output::{say, write_file};

/// Arguments of `convenio node keystore`.
#[derive(Args, Debug)]
pub(super) struct KeystoreArgs {
    #[command(subcommand)]
    command: KeystoreCommand,
}

#[derive(Subcommand, Debug)]
enum KeystoreCommand {
    /// Write a backup of the data keys; it can be restored for some days only, so that a destroyed key is gone for good
    Backup(BackupArgs),
    /// Bring a backup back where the file of data keys is lost; what the ledger beside it calls destroyed stays destroyed
    Restore(RestoreArgs),
}

#[derive(Args, Debug)]
struct BackupArgs {
    /// The node's configuration, node.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Days for which it can be restored, at most 90
    #[arg(long, default_value_t = 30)]
    days: u64,
}

#[derive(Args, Debug)]
struct RestoreArgs {
    /// The node's configuration, node.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

/// Runs `convenio node keystore`.
pub(super) fn run(args: KeystoreArgs) -> anyhow::Result<()> {
    let now_ms = SystemClock.now_ms();
    match args.command {
        KeystoreCommand::Backup(args) => {
            let config = Config::load(&args.config)?;
            let shown = config.data_keys.display();
            let bytes = vault::backup(&config.data_keys, now_ms, args.days).with_context(|| shown.to_string())?;
            write_file(&args.out, &bytes)?;
            say(args.out.display())
        }
        KeystoreCommand::Restore(args) => {
            let config = Config::load(&args.config)?;
            let shown = args.from.display();
            let bytes = fs::read(&args.from).with_context(|| shown.to_string())?;
            let gone = vault::restore(&bytes, &config.data_keys, now_ms).with_context(|| shown.to_string())?;
            say(format_args!("{}: restored; {gone} keys were destroyed since", config.data_keys.display()))
        }
    }
}
