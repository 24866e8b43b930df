//! The composition: from a checked configuration to a running node, and back.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use convenio_exchange::witness::submit::run as submit_run;
use convenio_exchange::witness::{HeadsError, HeadsFile, Witness, watch_deadlines};
use convenio_exchange::{Core, CoreParts, OpenError};
use convenio_model::{Clock, Entropy};
use convenio_registry::{Registry, RegistryError};
use convenio_rpc::{Negotiating, Principals, PrincipalsError, Rpc, Witnessing};
use convenio_seal::vault::{Vault, VaultError};
use convenio_store::{Store, StoreError};
use convenio_store_sqlite::SqliteStore;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::{Config, PartnerConfig};
use crate::dial::{Peer, keep_connected};
use crate::export::NodeBundles;
use crate::reload::{Reload, ReloadError, keep_current};
use crate::submit;
use crate::tls::{self, LiveTls, ServeLimits};

/// Longest wait for tasks that were told to stop to let go of the node's files.
const RELEASE: Duration = Duration::from_secs(5);

/// File of what the node's witness cosigned, beside the data keys.
pub const WITNESS_HEADS: &str = "witness.heads";

/// A running node. Dropping it ends nothing in order: [`Node::stop`] does.
pub struct Node {
    addr: SocketAddr,
    registry: Arc<Registry>,
    rpc: Rpc,
    store: Arc<SqliteStore>,
    vault: Weak<Vault>,
    stop: CancellationToken,
    tasks: TaskTracker,
    reload: Arc<Reload>,
    ask: mpsc::Sender<()>,
}

/// A node does not start. One message, which names the file or address.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or not this user's to take.
    #[error("cannot listen at {addr}: {source}")]
    Listen {
        /// The address of the configuration.
        addr: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// The database cannot be used; the text names its file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of data keys cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Vault {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VaultError,
    },
    /// The logs cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The use cases cannot be set up.
    #[error("registry: {0}")]
    Registry(#[from] RegistryError),
    /// The table of principals does not hold.
    #[error(transparent)]
    Principals(#[from] PrincipalsError),
    /// The file of the witness's heads cannot be used.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The TLS configuration cannot be made.
    #[error(transparent)]
    Tls(#[from] tls::ConfigError),
    /// The file for the address cannot be written.
    #[error("{path}: cannot be written: {source}", path = path.display())]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Node {
    /// Binds the port, opens the files, serves, and dials the partners that have an address. Where this fails nothing
    /// goes on running, and a port that is taken shows before any file is made.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, StartError> {
        let principals = principals(&config)?;
        let live = LiveTls::new(config.tls.clone())?;
        let peers = peers(&config, &live);
        let listen = |source| StartError::Listen { addr: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;

        let store = SqliteStore::open(&config.database, &config.node).await?;
        let vault = vault(&config.data_keys, &entropy)?;
        let (store_of_node, vault_of_node) = (store.clone(), Arc::downgrade(&vault));
        let address_file = config.address_file.clone();
        let (watched, targets) = (config.watched.clone(), submit::targets(&config, &live));
        let path = watched.last().cloned().unwrap_or_default();
        let witnessed = config.witnessed.clone();
        let heads = config.data_keys.with_file_name(WITNESS_HEADS);
        let negotiating = negotiating(&config);
        // Asked before the logs are opened: a new node has none.
        let past = store.logs().await?.iter().any(|log| log.size > 0);
        if !past && heads.exists() {
            return Err(OpenError::LostDatabase.into());
        }
        let core = Core::open(parts(config, clock, entropy, store, vault)).await?;
        let registry = Arc::new(Registry::new(core.clone())?);
        let key = &core.cosigner_keys(None).keys.witness;
        let heads = HeadsFile::open(&heads, core.store().as_ref(), past, key).await?;
        let witness = Arc::new(Witness::new(core.clone(), heads, witnessed.logs));
        let witnessing = Witnessing { witness, callers: witnessed.callers };
        let bundles = Arc::new(NodeBundles { config: path.clone() });
        let rpc =
            convenio_rpc::routes(registry.clone(), principals, Some(witnessing), Some(bundles), negotiating).await;

        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        core.start(&stop);
        peers.iter().for_each(|peer| core.will_dial(&peer.node));
        let (service, known) = (rpc.service.clone(), rpc.known());
        tasks.spawn(tls::serve(listener, live.clone(), known, service, ServeLimits::default(), stop.clone()));
        for peer in peers {
            tasks.spawn(keep_connected(core.clone(), peer, stop.clone()));
        }
        let until = |task: BoxFuture<'static, ()>| {
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(task).await });
        };
        for target in targets {
            until(submit_run(core.clone(), target).boxed());
        }
        until(watch_deadlines(core.clone()).boxed());
        let reload = Arc::new(Reload::new(path, live, &rpc, core.clone()));
        let (ask, asked) = mpsc::channel(1);
        until(keep_current(reload.clone(), watched, core.clock().clone(), asked).boxed());
        let node = Self { addr, registry, rpc, store: store_of_node, vault: vault_of_node, stop, tasks, reload, ask };
        if let Some(path) = address_file
            && let Err(source) = write_address(&path, addr)
        {
            node.stop().await;
            return Err(StartError::AddressFile { path, source });
        }
        info!(%addr, node = core.node_name(), "serving");
        Ok(node)
    }

    /// The address that it listens at, with the actual port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its exchange.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        self.registry.core()
    }

    /// Its registry.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Reads certificates, keys, authorities, revocation lists and principals again, and cuts the connections that are no
    /// longer believed. What is in force stays where anything of it cannot be used.
    ///
    /// # Errors
    /// [`ReloadError`].
    pub async fn reload(&self) -> Result<(), ReloadError> {
        self.reload.reload().await.map(drop)
    }

    /// As [`Node::reload`] in the background, for a signal's handler; the outcome is logged.
    pub fn ask_to_reload(&self) {
        // One that waits already reads everything.
        let _ = self.ask.try_send(());
    }

    /// Stops in order: accepts nothing more, gives calls in progress five seconds, closes the database. Once this
    /// returns another node can open the same files, unless the caller itself still holds the core.
    pub async fn stop(self) {
        self.rpc.report(false).await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
        drop((self.registry, self.rpc, self.reload));
        let store = Arc::downgrade(&self.store);
        drop(self.store);
        let held = async {
            while store.strong_count() + self.vault.strong_count() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        match timeout(RELEASE, held).await {
            Ok(()) => info!("stopped"),
            Err(_) => warn!("stopped; the node's files are still held within this process"),
        }
    }
}

/// Looks at the configured database without changing it; that there is none yet is fine.
///
/// # Errors
/// [`StoreError::Unusable`], which names the file.
pub async fn check_database(config: &Config) -> Result<(), StoreError> {
    match fs::metadata(&config.database) {
        Ok(found) if found.len() > 0 => {
            SqliteStore::open_read_only(&config.database).await?.close().await;
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(crate) fn principals(config: &Config) -> Result<Principals, PrincipalsError> {
    let mut table = Principals::new(config.trust_domain.as_str());
    for partner in &config.partners {
        table = table.partner(partner.trust_domain.as_str(), partner.node.as_str())?;
    }
    for post in &config.posts {
        table = table.post(
            format!("{}/{}", post.organisation, post.post),
            post.districts.clone(),
            post.agreements.clone(),
        )?;
    }
    Ok(table)
}

fn negotiating(config: &Config) -> Negotiating {
    let partner = |partner: &PartnerConfig| (partner.node.clone(), partner.party.clone());
    Negotiating {
        offices: config.offices.clone(),
        roots: config.roots.clone(),
        partners: config.partners.iter().map(partner).collect(),
    }
}

fn peers(config: &Config, live: &Arc<LiveTls>) -> Vec<Peer> {
    let dialled = config.partners.iter().filter_map(|partner| partner.address.as_ref().map(|to| (partner, to)));
    dialled
        .map(|(partner, address)| Peer {
            node: partner.node.clone(),
            address: address.clone(),
            trust_domain: partner.trust_domain.clone(),
            tls: live.clone(),
        })
        .collect()
}

pub(crate) fn vault(path: &Path, entropy: &Arc<dyn Entropy>) -> Result<Arc<Vault>, StartError> {
    let refused = |source| StartError::Vault { path: path.to_owned(), source };
    Vault::open_beside(path, entropy.as_ref()).map(Arc::new).map_err(refused)
}

pub(crate) fn parts(
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    store: Arc<SqliteStore>,
    vault: Arc<Vault>,
) -> CoreParts {
    CoreParts {
        node: config.node,
        party: config.party,
        clock,
        entropy,
        store,
        vault,
        keys: config.keys,
        other_keys: config.other_keys,
        key_changes: config.key_changes,
        agreements: config.agreements,
        amendments: config.amendments,
        orders: config.orders,
        roots: config.roots,
        ratifications: config.ratifications,
        epochs: config.epochs,
    }
}

/// Whole or not at all: whoever waits for the file never reads a part of the address.
fn write_address(path: &Path, addr: SocketAddr) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, format!("{addr}\n"))?;
    fs::rename(&partial, path)
}
