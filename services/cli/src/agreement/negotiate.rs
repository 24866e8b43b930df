//! `convenio agreement propose`, `counter`, `comment`, `initial`, `reject`, `withdraw`: acts of a negotiation.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use convenio_model::{Clock, SystemClock};
use convenio_negotiation::chain::Standing;
use convenio_negotiation::{Act, Deed, SignedAct, draft, sha256};
use convenio_seal::trust::TrustFile;

use super::PackArgs;
use super::folder::Folder;
use super::office::{self, Office};
use crate::output::say;

/// What every act names.
#[derive(Args, Debug)]
pub(super) struct ActArgs {
    /// Folder of the negotiation
    #[arg(long)]
    dir: PathBuf,
    /// The office's private key, as `convenio agreement office-key` wrote it
    #[arg(long)]
    key: PathBuf,
    /// Trust file that names the keys of the offices of all parties
    #[arg(long)]
    trust: PathBuf,
    /// Words to the other side
    #[arg(long, default_value = "")]
    note: String,
    /// Where the chain forks: the act that this one follows, by 8 or more digits of its hash
    #[arg(long)]
    on: Option<String>,
}

/// Arguments of `convenio agreement propose` and `counter`.
#[derive(Args, Debug)]
pub(super) struct DraftArgs {
    #[command(flatten)]
    pack: PackArgs,
    #[command(flatten)]
    act: ActArgs,
}

/// An act that brings no draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    /// Words alone.
    Comment,
    /// The standing draft is to be ratified.
    Initial,
    /// The standing draft is not acceptable.
    Reject,
    /// The standing draft is taken back.
    Withdraw,
}

/// Begins a negotiation with a first draft.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn propose(args: &DraftArgs) -> anyhow::Result<()> {
    let trust = office::trust(&args.act.trust)?;
    let folder = Folder::load(&args.act.dir, &trust)?;
    ensure!(folder.negotiation.is_empty(), "{}: holds a negotiation already; counter it", args.act.dir.display());
    bring(args, &trust, folder, None)
}

/// Answers with another draft.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn counter(args: &DraftArgs) -> anyhow::Result<()> {
    let trust = office::trust(&args.act.trust)?;
    let folder = Folder::begun(&args.act.dir, &trust)?;
    let head = folder.head(args.act.on.as_deref())?;
    bring(args, &trust, folder, Some(&head))
}

fn bring(args: &DraftArgs, trust: &TrustFile, mut folder: Folder, head: Option<&Standing>) -> anyhow::Result<()> {
    let pack = args.pack.load()?;
    let Office { said: office, key } = Office::load(&args.act.key)?;
    let parties: Vec<_> = pack.parties().iter().map(|party| party.id.clone()).collect();
    ensure!(parties.contains(&office.party), "{} is no party of {}", office.party, pack.id());
    let mut to: Vec<_> = parties.into_iter().filter(|party| *party != office.party).collect();
    to.sort_unstable();
    let lines = draft::lines(&pack);
    let act = Act {
        agreement: pack.id().to_owned(),
        from: office.party,
        office: office.office,
        to,
        step: head.map_or(1, |head| head.step + 1),
        previous: head.map(|head| head.head),
        time_ms: SystemClock.now_ms(),
        note: args.act.note.clone(),
        deed: if head.is_some() { Deed::Counter(lines) } else { Deed::Propose(lines) },
    };
    let files = pack.files().iter().map(|(_, bytes)| (sha256(bytes), bytes.to_vec())).collect();
    let signed = sign(&act, &key, trust)?;
    folder.take(signed.clone(), &files)?;
    told(&folder, &signed)?;
    say(format_args!("digest {}", hex::encode(pack.digest())))
}

/// Makes an act that brings no draft.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn plain(args: &ActArgs, plain: Plain) -> anyhow::Result<()> {
    let trust = office::trust(&args.trust)?;
    let mut folder = Folder::begun(&args.dir, &trust)?;
    let Office { said: office, key } = Office::load(&args.key)?;
    let head = folder.head(args.on.as_deref())?;
    let before = folder.negotiation.act(&head.head).context("the end of the chain is in it")?.act.clone();
    let parties = before.parties();
    ensure!(parties.contains(&office.party), "{} is no party of this negotiation", office.party);
    let digest = head.draft.digest;
    let act = Act {
        agreement: before.agreement,
        to: parties.into_iter().filter(|party| *party != office.party).collect(),
        from: office.party,
        office: office.office,
        step: head.step + 1,
        previous: Some(head.head),
        time_ms: SystemClock.now_ms(),
        note: args.note.clone(),
        deed: match plain {
            Plain::Comment => Deed::Comment,
            Plain::Initial => Deed::Initial(digest),
            Plain::Reject => Deed::Reject(digest),
            Plain::Withdraw => Deed::Withdraw(digest),
        },
    };
    if plain == Plain::Initial {
        // What an officer accepts is what the node will load, not what somebody wrote about it.
        folder.pack(&act, &head.draft)?;
    }
    let signed = sign(&act, &key, &trust)?;
    folder.take(signed.clone(), &Default::default())?;
    told(&folder, &signed)?;
    match plain {
        Plain::Comment => Ok(()),
        _ => say(format_args!("digest {}", hex::encode(digest))),
    }
}

/// Signs an act; the trust file must know the key, or the other side would not.
fn sign(act: &Act, key: &convenio_seal::SigningKey, trust: &TrustFile) -> anyhow::Result<SignedAct> {
    let signed = SignedAct::sign(act, key).map_err(|refusal| anyhow::anyhow!("{}: {refusal}", refusal.reason()))?;
    let verified = SignedAct::verify(signed.envelope, &trust.offices);
    verified.map_err(|refusal| anyhow::anyhow!("{}: {refusal}", refusal.reason()))
}

fn told(folder: &Folder, signed: &SignedAct) -> anyhow::Result<()> {
    let act = &signed.act;
    say(format_args!("step {}  {}  {}  {}", act.step, act.from, act.deed.name(), hex::encode(signed.hash)))?;
    say(format_args!("negotiation {}  {}", hex::encode(folder.negotiation.id()), folder.negotiation.state().as_str()))
}
