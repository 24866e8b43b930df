//! `convenio agreement sign`: a party's roots ratify a pack.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use convenio_seal::name::is_node;
use convenio_seal::root::{RatifiedBy, sign_ratification};

use super::PackArgs;
use crate::output::{say, write_file};
use crate::root::Root;

/// Arguments of `convenio agreement sign`.
#[derive(Args, Debug)]
pub(super) struct SignArgs {
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

/// Writes the ratification.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn run(args: &SignArgs) -> anyhow::Result<()> {
    let pack = args.pack.load()?;
    let root = Root::load(&args.root)?;
    let party = root.set.party();
    ensure!(pack.role_of(party).is_some(), "{party} is no party of {}", pack.id());
    ensure!(is_node(&args.node), "--node {:?} is not a lower-case host name", args.node);
    let said = RatifiedBy::new(pack.id(), pack.digest(), &args.node, root.set.clone());
    let envelope = sign_ratification(&said, &root.signers()).context("the ratification")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    say(format_args!("{}  {} {} by {party}", args.out.display(), pack.id(), hex::encode(pack.digest())))
}
