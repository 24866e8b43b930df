//! `convenio node`: run a node, check its configuration, make its keys.

mod keystore;
mod retention;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use convenio_model::{Clock, SystemClock, SystemEntropy};
use convenio_node::{Config, Node, logging};
use convenio_seal::manifest::{MANIFEST_FILE, ManifestKeys, NodeKeys};
use prost::Message;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::output::{say, write_file};

/// Threads that serve: a node waits for its disk more than it computes.
const WORKERS: usize = 2;

/// Arguments of `convenio node`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct NodeArgs {
    #[command(subcommand)]
    command: Option<NodeCommand>,
    /// The node's configuration, node.toml
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Check the configuration and every file that it names, and stop
    #[arg(long)]
    check: bool,
}

#[derive(Subcommand, Debug)]
enum NodeCommand {
    /// Make a node's operational keys, and the manifest that the party's roots sign
    Keys(KeysArgs),
    /// Back up the data keys, and bring them back
    Keystore(keystore::KeystoreArgs),
    /// See what is due to be erased
    Retention(retention::RetentionArgs),
    /// Refill the logs of a node that lost its disk from a partner, and open the epoch that it grants
    Recover(crate::recover::RecoverArgs),
}

#[derive(Args, Debug)]
struct KeysArgs {
    /// Folder to write
    #[arg(long)]
    dir: PathBuf,
    /// The party, e.g. sv
    #[arg(long)]
    party: String,
    /// The node, e.g. node.sv.example
    #[arg(long)]
    node: String,
    /// Version of the manifest; a later one goes to the folder DIR/v<VERSION>, which the running node reads
    #[arg(long, default_value_t = 1)]
    manifest_version: u64,
    /// Make only these keys anew and take the others from the version before: record, log, mirror, witness
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs `convenio node`.
///
/// # Errors
/// One message that names the file, line and key, the port, or the database.
pub fn run(args: NodeArgs) -> anyhow::Result<()> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    match args.command {
        Some(NodeCommand::Keys(args)) => return keys(&args),
        Some(NodeCommand::Recover(args)) => return crate::recover::run(&args),
        Some(NodeCommand::Keystore(args)) => return keystore::run(args),
        Some(NodeCommand::Retention(args)) => return runtime()?.block_on(retention::run(args)),
        None => {}
    }
    let path = args.config.context("--config is missing")?;
    let config = Config::load(&path)?;
    let runtime = runtime()?;
    if args.check {
        return runtime.block_on(check(&path, &config));
    }
    let directives = std::env::var("RUST_LOG").ok();
    logging::init(&config.log, directives.as_deref())?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    // Before the node serves, so that whoever waits for its address can end it in order.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let started = Node::start(config, Arc::new(SystemClock), Arc::new(SystemEntropy::default())).await;
    let node = started.inspect_err(|error| tracing::error!(reason = %error, "the node does not start"))?;
    tokio::select! {
        () = ended(&mut terminate, &mut interrupt) => {}
        () = reloads(&mut hangup, &node) => {}
    }
    node.stop().await;
    Ok(())
}

/// Each SIGHUP has certificates, revocation lists and principals read again.
async fn reloads(hangup: &mut Signal, node: &Node) {
    while hangup.recv().await.is_some() {
        node.ask_to_reload();
    }
    // No more signals can come: that is no reason to stop.
    std::future::pending().await
}

async fn ended(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn check(path: &Path, config: &Config) -> anyhow::Result<()> {
    convenio_node::check_database(config).await?;
    say(format_args!("ok  configuration  {}", path.display()))?;
    say(format_args!("ok  certificate    {}", config.tls.identity()))?;
    let lists = config.tls.crl_ends();
    for trust_domain in config.tls.trust_domains() {
        match lists.get(trust_domain) {
            Some(end) => {
                let hours = end.saturating_sub(SystemClock.now_ms() / 1000) / 3600;
                say(format_args!("ok  revocation     {trust_domain}, list for {hours} hours"))?;
            }
            None => {
                say(format_args!("--  revocation     {trust_domain}: no list, no certificate of it can be revoked"))?
            }
        }
    }
    for (pack, partner) in &config.agreements {
        let digest = hex::encode(pack.digest());
        say(format_args!("ok  agreement      {} {digest}", pack.id()))?;
        say(format_args!("ok  ratified       by {} and {}", config.party, partner.party))?;
        say(format_args!("ok  log            of {} for {}", config.node, partner.node))?;
    }
    for witness in &config.witnesses {
        say(format_args!("ok  witness        {} at {}", witness.name, witness.url.authority))?;
    }
    say(format_args!("ok  database       {}", config.database.display()))?;
    say(format_args!("ok  posts          {}", config.posts.len()))
}

fn keys(args: &KeysArgs) -> anyhow::Result<()> {
    let keys = new_keys(args)?;
    let manifest = keys.manifest(&args.party, &args.node, args.manifest_version).encode_to_vec();
    ManifestKeys::parse(&manifest).context("--party, --node or --manifest-version")?;
    let dir = version_dir(&args.dir, args.manifest_version);
    let shown = dir.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.with_context(|| format!("{shown}: cannot be made"))?;
    let manifest_file = dir.join(MANIFEST_FILE);
    let found = fs::symlink_metadata(&manifest_file).map(drop);
    ensure!(
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound),
        "{}: exists already, and keys are never overwritten",
        manifest_file.display()
    );
    keys.store(&dir).with_context(|| shown.to_string())?;
    write_file(&manifest_file, &manifest)?;
    say(manifest_file.display())
}

/// The folder of a version: the first has no folder of its own.
fn version_dir(dir: &Path, version: u64) -> PathBuf {
    if version == 1 { dir.to_owned() } else { dir.join(format!("v{version}")) }
}

/// New keys; those that stay are taken from the version before.
fn new_keys(args: &KeysArgs) -> anyhow::Result<NodeKeys> {
    let mut keys = NodeKeys::generate(&SystemEntropy::default());
    if args.only.is_empty() {
        return Ok(keys);
    }
    ensure!(args.manifest_version > 1, "--only needs a version before: --manifest-version 2 or later");
    let uses = ["record", "log", "mirror", "witness"];
    let unknown = args.only.iter().find(|name| !uses.contains(&name.as_str()));
    ensure!(unknown.is_none(), "--only: record, log, mirror, witness");
    let before = version_dir(&args.dir, args.manifest_version - 1);
    let old = NodeKeys::load(&before).with_context(|| before.display().to_string())?;
    let stays = |name: &str| !args.only.iter().any(|new| new == name);
    let NodeKeys { record, log, mirror, witness } = old;
    keys.record = if stays("record") { record } else { keys.record };
    keys.log = if stays("log") { log } else { keys.log };
    keys.mirror = if stays("mirror") { mirror } else { keys.mirror };
    keys.witness = if stays("witness") { witness } else { keys.witness };
    Ok(keys)
}
