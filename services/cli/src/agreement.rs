//! `convenio agreement`: packs, and their ratification by a party's roots.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use convenio_agreement::pack::{self, Pack};
use convenio_seal::name::is_node;
use convenio_seal::root::{RatifiedBy, sign_ratification};

use crate::output::{say, write_file};
use crate::root::Root;

/// Arguments of `convenio agreement`.
#[derive(Args, Debug)]
pub struct AgreementArgs {
    #[command(subcommand)]
    command: AgreementCommand,
}

#[derive(Subcommand, Debug)]
enum AgreementCommand {
    /// List the packs of a folder
    List(FolderArgs),
    /// Print the digest that both states ratify
    Digest(PackArgs),
    /// Check a pack whole: configuration, messages, lifecycle, disclosure
    Check(PackArgs),
    /// Ratify a pack for a party with its root keys
    Sign(SignArgs),
}

#[derive(Args, Debug)]
struct FolderArgs {
    /// Folder of the packs
    #[arg(long, default_value = "proto/agreements")]
    agreements: PathBuf,
}

#[derive(Args, Debug)]
struct PackArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// The agreement, e.g. sv-ca
    #[arg(long)]
    id: String,
}

#[derive(Args, Debug)]
struct SignArgs {
    #[command(flatten)]
    pack: PackArgs,
    /// Folder of the party's root keys; every key that is there signs
    #[arg(long)]
    root: PathBuf,
    /// The party's node, e.g. node.sv.example
    #[arg(long)]
    node: String,
    /// File to write, NAME.dsse.json
    #[arg(long)]
    out: PathBuf,
}

/// Runs `convenio agreement`.
///
/// # Errors
/// One message that names the file, line and key.
pub fn run(args: AgreementArgs) -> anyhow::Result<()> {
    match args.command {
        AgreementCommand::List(args) => list(&args),
        AgreementCommand::Digest(args) => say(hex::encode(args.load()?.digest())),
        AgreementCommand::Check(args) => check(&args.load()?),
        AgreementCommand::Sign(args) => sign(&args),
    }
}

impl PackArgs {
    fn load(&self) -> anyhow::Result<Pack> {
        Ok(Pack::load(&self.folder.agreements, &self.id)?)
    }
}

fn list(args: &FolderArgs) -> anyhow::Result<()> {
    let ids = pack::list(&args.agreements)?;
    if ids.is_empty() {
        bail!("{}: holds no pack", args.agreements.display());
    }
    for id in ids {
        let pack = Pack::load(&args.agreements, &id)?;
        say(format_args!("{id}  {}  {}", hex::encode(pack.digest()), pack.config().title))?;
    }
    Ok(())
}

fn check(pack: &Pack) -> anyhow::Result<()> {
    let parties: Vec<_> = pack.parties().iter().map(|party| party.id.as_str()).collect();
    say(format_args!("ok  {}  {}", pack.id(), pack.config().title))?;
    say(format_args!("ok  digest {}", hex::encode(pack.digest())))?;
    say(format_args!(
        "ok  parties {}, {} files, {} messages that may cross",
        parties.join(" and "),
        pack.files().iter().count(),
        pack.messages().count()
    ))
}

fn sign(args: &SignArgs) -> anyhow::Result<()> {
    let pack = args.pack.load()?;
    let root = Root::load(&args.root)?;
    let party = root.set.party();
    ensure!(pack.role_of(party).is_some(), "{party} is no party of {}", pack.id());
    ensure!(is_node(&args.node), "--node {:?} is not a lower-case host name", args.node);
    let said = RatifiedBy {
        agreement: pack.id().to_owned(),
        digest: pack.digest(),
        node: args.node.clone(),
        roots: root.set.clone(),
    };
    let envelope = sign_ratification(&said, &root.signers()).context("the ratification")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    say(format_args!("{}  {} {} by {party}", args.out.display(), pack.id(), hex::encode(pack.digest())))
}
