//! `convenio bundle`: what an auditor gets.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use convenio_node::sealed::{self, Recipient};
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
    /// Open a bundle that was encrypted to an auditor's key
    Open(OpenArgs),
    /// Make an auditor's key; the recipient to tell is printed
    Key(KeyArgs),
}

/// What a bundle holds beside the entries.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum Kind {
    /// Every part that the node holds, and digests of its registry's rows
    Full,
    /// No part
    Commitments,
}

#[derive(Args, Debug)]
struct ExportArgs {
    /// The node's configuration, node.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder to write; must be absent or empty. With --recipient: file to write
    #[arg(long)]
    out: PathBuf,
    /// What it holds beside the entries
    #[arg(long, value_enum, default_value = "full")]
    kind: Kind,
    /// Only this agreement's logs, without the journal and the rows, which tell of all agreements
    #[arg(long, value_name = "ID")]
    agreement: Option<String>,
    /// Encrypt it to this age X25519 key, age1…
    #[arg(long, value_name = "KEY", value_parser = |text: &str| text.parse::<Recipient>())]
    recipient: Option<Recipient>,
}

#[derive(Args, Debug)]
struct OpenArgs {
    /// The encrypted bundle
    #[arg(long = "in", value_name = "FILE")]
    sealed: PathBuf,
    /// The auditor's key, as `convenio bundle key` or age-keygen wrote it
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Folder to write; must be absent or empty
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct KeyArgs {
    /// File to write; must be absent
    #[arg(long)]
    out: PathBuf,
}

/// Runs `convenio bundle`.
///
/// # Errors
/// One message that names the file or folder.
pub fn run(args: BundleArgs) -> anyhow::Result<()> {
    match args.command {
        BundleCommand::Export(args) => export(&args),
        BundleCommand::Open(args) => {
            let identity = fs::read_to_string(&args.identity).with_context(|| args.identity.display().to_string())?;
            let sealed = fs::File::open(&args.sealed).with_context(|| args.sealed.display().to_string())?;
            let files = sealed::open(sealed, &identity, &args.out);
            let files = files.with_context(|| args.sealed.display().to_string())?;
            say(format_args!("{}  {files} files", args.out.display()))
        }
        BundleCommand::Key(args) => {
            let (identity, recipient) = sealed::new_key();
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.out);
            let mut file = file.with_context(|| args.out.display().to_string())?;
            file.write_all(identity.as_bytes())?;
            say(format_args!("{recipient}"))
        }
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let kind = match args.kind {
        Kind::Full => BundleKind::Full,
        Kind::Commitments => BundleKind::Commitments,
    };
    let only = args.agreement.as_deref();
    let known = |id: &str| config.agreements.iter().any(|(pack, _)| pack.id() == id);
    ensure!(only.is_none_or(known), "--agreement: this node has no such agreement");
    let written = |folder: &Path| -> anyhow::Result<_> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(convenio_node::export_under(&config, kind, only, folder))?)
    };
    let exported = match &args.recipient {
        None => written(&args.out)?,
        Some(recipient) => {
            ensure!(!args.out.exists(), "{}: is there already", args.out.display());
            let beside = args.out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // What is not encrypted is nobody else's to open, and gone with the folder.
            let scratch = tempfile::Builder::new().prefix("bundle-").tempdir_in(beside)?;
            let folder = scratch.path().join("bundle");
            let exported = written(&folder)?;
            let mut file = tempfile::NamedTempFile::new_in(beside)?;
            sealed::seal(&folder, recipient, file.as_file_mut())?;
            file.persist_noclobber(&args.out)?;
            exported
        }
    };
    say(format_args!("{}  {} entries, {} files", args.out.display(), exported.entries, exported.files))
}
