//! `convenio agreement status`, `draft` and `import`: to read a negotiation, and to take one from a stick.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use convenio_negotiation::SignedAct;
use convenio_negotiation::chain::MAX_ACTS;
use convenio_seal::dsse::Envelope;
use convenio_seal::trust::TrustFile;

use super::folder::{Folder, envelopes};
use super::office;
use crate::output::say;

/// Arguments of `convenio agreement status`.
#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// Folder of the negotiation
    #[arg(long)]
    dir: PathBuf,
    /// Trust file that names the keys of the offices of all parties
    #[arg(long)]
    trust: PathBuf,
}

/// Arguments of `convenio agreement draft`.
#[derive(Args, Debug)]
pub(super) struct DraftOutArgs {
    #[command(flatten)]
    of: StatusArgs,
    /// The draft that stands behind this act, by 8 or more digits of its hash; default the longest branch
    #[arg(long)]
    on: Option<String>,
    /// Folder to write the draft's files into; must be absent or empty
    #[arg(long)]
    out: PathBuf,
}

/// Arguments of `convenio agreement import`.
#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    of: StatusArgs,
    /// Folder of the negotiation as the other side gave it
    #[arg(long)]
    from: PathBuf,
}

/// Verifies a negotiation and prints its chain, its drafts and who agreed to what.
///
/// # Errors
/// What does not verify.
pub(super) fn run(args: &StatusArgs) -> anyhow::Result<()> {
    show(&args.dir, &office::trust(&args.trust)?)
}

/// As [`run`].
///
/// # Errors
/// What does not verify.
pub(super) fn show(dir: &Path, trust: &TrustFile) -> anyhow::Result<()> {
    let folder = Folder::begun(dir, trust)?;
    let negotiation = &folder.negotiation;
    let acts = negotiation.acts();
    let first = acts.first().context("a negotiation has a first act")?;
    say(format_args!("negotiation {}", hex::encode(negotiation.id())))?;
    say(format_args!("agreement   {} between {}", first.act.agreement, first.act.parties().join(", ")))?;
    say(format_args!("state       {}", negotiation.state().as_str()))?;
    for signed in &acts {
        let SignedAct { act, hash, .. } = signed;
        let hash = &hex::encode(hash)[..16];
        say(format_args!("{:>4}  {hash}  {}  {}  {}", act.step, act.from, act.office, act.deed.name()))?;
        if let Some(lines) = act.deed.draft() {
            let loads = match folder.pack(act, lines) {
                Ok(_) => "loads".to_owned(),
                Err(why) => why.to_string(),
            };
            say(format_args!("      digest {}  {loads}", hex::encode(lines.digest)))?;
        }
        // The words of the other side: quoted, so that no line of theirs looks like one of ours.
        act.note.lines().try_for_each(|line| say(format_args!("      > {line}")))?;
    }
    for step in negotiation.forks() {
        say(format_args!("FORK        several acts of step {step} follow the same act; all are kept"))?;
    }
    for head in negotiation.heads() {
        let initials: Vec<_> = head.initialled.iter().map(String::as_str).collect();
        let initials = if initials.is_empty() { "nobody".to_owned() } else { initials.join(", ") };
        let (hash, digest) = (&hex::encode(head.head)[..16], hex::encode(head.draft.digest));
        say(format_args!("standing    {digest} behind {hash}: initialled by {initials}, {}", head.state.as_str()))?;
    }
    for (party, (said, _)) in &folder.ratifications {
        say(format_args!("ratified    {} by {party}", hex::encode(said.digest)))?;
    }
    Ok(())
}

/// Writes the files of a standing draft, as a folder of packs.
///
/// # Errors
/// If the draft does not load, or the folder is not empty.
pub(super) fn draft(args: &DraftOutArgs) -> anyhow::Result<()> {
    let folder = Folder::begun(&args.of.dir, &office::trust(&args.of.trust)?)?;
    let head = match &args.on {
        Some(on) => folder.head(Some(on))?,
        None => folder.negotiation.heads().into_iter().next().context("a negotiation has an end")?,
    };
    let act = &folder.negotiation.act(&head.head).context("the end of the chain is in it")?.act;
    let pack = folder.pack(act, &head.draft)?;
    let shown = args.out.display();
    let empty = std::fs::read_dir(&args.out).map_or(true, |mut entries| entries.next().is_none());
    ensure!(empty, "{shown} is not empty");
    pack.files().write_to(&args.out).with_context(|| format!("{shown}: cannot be written"))?;
    say(format_args!("{}  {}", args.out.join("agreements").join(pack.id()).display(), hex::encode(pack.digest())))
}

/// Takes what is new of a negotiation that the other side gave, after every check.
///
/// # Errors
/// What does not verify; what came before it is taken.
pub(super) fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let trust = office::trust(&args.of.trust)?;
    let mut folder = Folder::load(&args.of.dir, &trust)?;
    let given = Folder::load(&args.from, &trust)?;
    let mut taken = 0;
    for signed in given.negotiation.acts() {
        let files = signed.act.deed.draft().map(|lines| given.files(lines)).unwrap_or_default();
        let told = || format!("step {} of {}", signed.act.step, args.from.display());
        taken += usize::from(folder.take(signed.clone(), &files).with_context(told)?);
    }
    for path in envelopes(&args.from.join("ratifications"), MAX_ACTS)? {
        let envelope = Envelope::load(&path).with_context(|| path.display().to_string())?;
        taken += usize::from(folder.take_ratification(envelope, &trust)?);
    }
    say(format_args!("{taken} new"))?;
    run(&args.of)
}
