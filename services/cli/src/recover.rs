//! `convenio node recover`: three steps with files between them, so that the roots stay offline.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use convenio_model::{SystemClock, SystemEntropy};
use convenio_node::{Config, NodeRecovery, Refilled};
use convenio_seal::dsse::Envelope;
use convenio_seal::epoch::authorise_epoch;
use convenio_seal::origin::LogOrigin;
use convenio_seal::recovery::{recovery_envelope, sign_recovery};
use convenio_wire::exchange::v1::EpochAuthorisation;

use crate::output::{say, write_file};
use crate::root::Root;

/// Arguments of `convenio node recover`.
#[derive(Args, Debug)]
pub struct RecoverArgs {
    /// The node's configuration, node.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The partner's node, e.g. node.ca.example
    #[arg(long)]
    from: String,
    /// The agreement, e.g. sv-ca, where the partner shares several
    #[arg(long, value_name = "ID")]
    agreement: Option<String>,
    /// Why
    #[arg(long, default_value = "lost disk")]
    reason: String,
    /// First step: write the request that the roots sign (`convenio root sign-recovery`)
    #[arg(long, value_name = "FILE", group = "step")]
    request_out: Option<PathBuf>,
    /// Second step: the signed request; the refill goes into the database
    #[arg(long, value_name = "FILE", group = "step")]
    authorisation: Option<PathBuf>,
    /// Third step: the authorisation of the granted epoch (`convenio root open-epoch`)
    #[arg(long, value_name = "FILE", group = "step")]
    open: Option<PathBuf>,
    /// All at once, with the root keys at hand: for drills and tests
    #[arg(long, value_name = "DIR", group = "step")]
    drill_root: Option<PathBuf>,
}

/// Runs `convenio node recover`.
///
/// # Errors
/// One message that names the file or what the partner refuses.
pub fn run(args: &RecoverArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(step(args, config))
}

async fn step(args: &RecoverArgs, config: Config) -> anyhow::Result<()> {
    let drill = args.drill_root.as_ref().map(|dir| drilled(&config, dir)).transpose()?;
    let own = config.node.clone();
    let entropy = Arc::new(SystemEntropy::default());
    let node =
        NodeRecovery::open(config, &args.from, args.agreement.as_deref(), Arc::new(SystemClock), entropy).await?;
    if let Some(path) = &args.request_out {
        let request = node.request(&args.reason).await?;
        write_file(path, recovery_envelope(&request)?.to_json().as_bytes())?;
        return say(format_args!("{}  closes {}", path.display(), request.log_origin));
    }
    if let Some(path) = &args.authorisation {
        let signed = Envelope::load(path).with_context(|| path.display().to_string())?;
        return told(&node.refill(&signed).await?);
    }
    if let Some(path) = &args.open {
        let file = fs::read(path).with_context(|| path.display().to_string())?;
        return opened(&node, &file).await;
    }
    let root = drill.context("--request-out, --authorisation, --open or --drill-root is missing")?;
    let request = node.request(&args.reason).await?;
    let refilled = node.refill(&sign_recovery(&recovery_envelope(&request)?, &root.signers())?).await?;
    told(&refilled)?;
    let epoch = refilled.epoch;
    let log_origin = LogOrigin::new(&own, node.agreement(), &args.from, epoch)?.to_string();
    let authorisation = EpochAuthorisation {
        log_origin,
        epoch,
        prev_size: refilled.prev_size,
        prev_root: refilled.prev_root,
        reason: args.reason.clone(),
        key_manifest: node.key_manifest(),
    };
    opened(&node, authorise_epoch(&authorisation, &root.signers())?.to_json().as_bytes()).await
}

fn drilled(config: &Config, dir: &Path) -> anyhow::Result<Root> {
    let root = Root::load(dir)?;
    ensure!(root.set.party() == config.party, "{}: is of {}", dir.display(), root.set.party());
    Ok(root)
}

fn told(refilled: &Refilled) -> anyhow::Result<()> {
    let Refilled { entries, tail, bare, epoch, prev_size, prev_root, .. } = refilled;
    say(format_args!("refilled   {entries} entries, verified and replayed"))?;
    say(format_args!("to reissue {tail} entries that were not mirrored"))?;
    say(format_args!("bare       {bare} own records whose parts are erased"))?;
    say(format_args!("open with  --epoch {epoch} --prev-size {prev_size} --prev-root {}", hex::encode(prev_root)))?;
    say("only in a backup: workers' and employers' records beyond what crossed, local states, requests, the journal")
}

async fn opened(node: &NodeRecovery, file: &[u8]) -> anyhow::Result<()> {
    let opened = node.open_epoch(file).await?;
    say(format_args!("open       {}  {} entries issued again; the node can start", opened.origin, opened.reissued))
}
