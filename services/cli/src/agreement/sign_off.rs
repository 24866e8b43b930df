//! `convenio agreement sign-off`: an office says whether a version may be ratified.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use convenio_model::{Clock, SystemClock};
use convenio_seal::signoff::{OfficeSaid, sign_off};

use super::PackArgs;
use super::office::Office;
use crate::output::{say, write_file};

/// Arguments of `convenio agreement sign-off`.
#[derive(Args, Debug)]
pub(super) struct SignOffArgs {
    #[command(flatten)]
    pack: PackArgs,
    /// The office's private key, as `convenio agreement office-key` wrote it
    #[arg(long)]
    key: PathBuf,
    /// Function of the officer who signs, e.g. "Director of Labour Migration"; never a name
    #[arg(long, default_value = "")]
    role: String,
    /// Object instead of agreeing, and why
    #[arg(long, value_name = "REASON")]
    object: Option<String>,
    /// A point of the policy basis that is missing, as the pack says; may be repeated
    #[arg(long = "acknowledge", value_name = "KEY")]
    acknowledged: Vec<String>,
    /// File to write, NAME.dsse.json
    #[arg(long)]
    out: PathBuf,
}

/// Writes the sign-off.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn run(args: &SignOffArgs) -> anyhow::Result<()> {
    let pack = args.pack.load()?;
    let Office { said: office, key } = Office::load(&args.key)?;
    ensure!(pack.role_of(&office.party).is_some(), "{} is no party of {}", office.party, pack.id());
    let rule = pack.ratification_rule(&office.party).sign_off;
    let rule = rule.with_context(|| format!("{} asks no office of {} to sign off", pack.id(), office.party))?;
    ensure!(
        rule.offices.contains(&office.office),
        "{} is none of the offices that sign off for {}: {}",
        office.office,
        office.party,
        rule.offices.join(", ")
    );
    let said = OfficeSaid {
        agreement: pack.id().to_owned(),
        digest: pack.digest(),
        party: office.party.clone(),
        office: office.office.clone(),
        officer_role: args.role.clone(),
        time_ms: SystemClock.now_ms(),
        objection: args.object.clone(),
        acknowledged: super::acknowledged(&pack, &args.acknowledged)?,
    };
    let envelope = sign_off(&said, &key).context("the sign-off")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    let says = if args.object.is_some() { "objects to" } else { "agrees to" };
    say(format_args!("{}  {} of {} {says} {}", args.out.display(), office.office, office.party, pack.id()))?;
    say(format_args!("digest {}", hex::encode(pack.digest())))
}
