//! `convenio agreement sign`: a party's roots ratify a pack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use convenio_agreement::pack::Pack;
use convenio_model::{Clock, SystemClock};
use convenio_seal::dsse::Envelope;
use convenio_seal::name::is_node;
use convenio_seal::root::{Grounds, RatifiedBy, sign_ratification};
use convenio_seal::signoff::{SaidBy, check_counts, sign_off_from};
use convenio_seal::trust::TrustFile;

use super::{PackArgs, office};
use crate::output::{say, write_file};
use crate::root::Root;

/// Ending of the names of envelope files.
const ENVELOPE_SUFFIX: &str = ".dsse.json";
/// Most files in a folder of sign-offs.
const MAX_SIGN_OFFS: usize = 64;

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
    /// Folder of the sign-offs of the party's offices, *.dsse.json; where the pack has [sign_off.PARTY]
    #[arg(long, requires = "trust")]
    sign_offs: Option<PathBuf>,
    /// Trust file that names the keys of the offices
    #[arg(long)]
    trust: Option<PathBuf>,
    /// A point of the policy basis that is missing, and that the party ratifies without; may be repeated
    #[arg(long = "acknowledge", value_name = "KEY")]
    acknowledged: Vec<String>,
    /// File to write, NAME.dsse.json
    #[arg(long)]
    out: PathBuf,
}

/// Writes the ratification, if it would count.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn run(args: &SignArgs) -> anyhow::Result<()> {
    let pack = args.pack.load()?;
    let root = Root::load(&args.root)?;
    let party = root.set.party();
    ensure!(pack.role_of(party).is_some(), "{party} is no party of {}", pack.id());
    ensure!(is_node(&args.node), "--node {:?} is not a lower-case host name", args.node);
    let acknowledged = super::acknowledged(&pack, &args.acknowledged)?;
    if let Some(open) = pack.missing_basis().iter().find(|item| !acknowledged.contains(item)) {
        bail!(
            "policy_basis.{open} is missing: read its reason in the pack, and ratify with --acknowledge {open} or not at all"
        );
    }
    let trust = args.trust.as_deref().map(office::trust).transpose()?.unwrap_or_default();
    let rule = pack.ratification_rule(party);
    let sign_offs = args.sign_offs.as_deref().map(|dir| sign_offs(dir, &pack, party)).transpose()?.unwrap_or_default();
    let mut said = RatifiedBy::new(pack.id(), pack.digest(), &args.node, root.set.clone());
    // Otherwise the first form says all there is, and any earlier node reads it.
    if rule.sign_off.is_some() || rule.amends.is_some() || !acknowledged.is_empty() {
        let offices = keys(&sign_offs, &trust)?;
        let time_ms = SystemClock.now_ms();
        said.grounds = Grounds { amends: rule.amends, offices, sign_offs, acknowledged, time_ms, ..Grounds::default() };
    }
    if let Err(why) = check_counts(&said, &rule, &trust.offices, None) {
        bail!("{}: {} by {party} would not count: {why}", why.reason(), pack.id());
    }
    let envelope = sign_ratification(&said, &root.signers()).context("the ratification")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    say(format_args!("{}  {} {} by {party}", args.out.display(), pack.id(), hex::encode(pack.digest())))?;
    for by in &said.grounds.sign_offs {
        let says = if by.said.objection.is_some() { "objects" } else { "signed off" };
        say(format_args!("  {}  {says}", by.said.office))?;
    }
    said.grounds.acknowledged.iter().try_for_each(|item| say(format_args!("  {item}  acknowledged as missing")))
}

/// The sign-offs of a folder by offices of `party`, ascending by office; where an office has several, its last one.
fn sign_offs(dir: &Path, pack: &Pack, party: &str) -> anyhow::Result<Vec<SaidBy>> {
    let shown = dir.display();
    let entries = fs::read_dir(dir).with_context(|| format!("{shown}: cannot be read"))?;
    let mut found: Vec<SaidBy> = Vec::new();
    for (count, entry) in entries.enumerate() {
        ensure!(count < MAX_SIGN_OFFS, "{shown}: more than {MAX_SIGN_OFFS} files");
        let path = entry.with_context(|| format!("{shown}: cannot be read"))?.path();
        if !path.to_string_lossy().ends_with(ENVELOPE_SUFFIX) {
            continue;
        }
        let told = || path.display().to_string();
        let by = sign_off_from(&Envelope::load(&path).with_context(told)?).with_context(told)?;
        ensure!(by.said.digest == pack.digest(), "{}: is of another version of {}", told(), pack.id());
        ensure!(by.said.party == party, "{}: is of {}, not of {party}", told(), by.said.party);
        found.push(by);
    }
    found.sort_by(|a, b| (&a.said.office, b.said.time_ms).cmp(&(&b.said.office, a.said.time_ms)));
    found.dedup_by(|later, first| later.said.office == first.said.office);
    Ok(found)
}

/// The key that signed each of them, of those that the trust file names for the office.
fn keys(sign_offs: &[SaidBy], trust: &TrustFile) -> anyhow::Result<Vec<(String, convenio_seal::PublicKey)>> {
    let key = |by: &SaidBy| {
        let said = &by.said;
        let mut lines = trust.offices.iter().filter(|line| line.party == said.party && line.office == said.office);
        let line = lines.find(|line| by.is_by(&line.key)).with_context(|| {
            format!("the sign-off of {} is by no key that the trust file names for that office", said.office)
        })?;
        Ok((said.office.clone(), line.key))
    };
    sign_offs.iter().map(key).collect()
}
