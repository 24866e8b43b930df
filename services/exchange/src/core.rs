//! What one node's exchange is made of.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use convenio_agreement::lifecycle::Role;
use convenio_agreement::pack::Pack;
use convenio_model::{Clock, Entropy};
use convenio_seal::manifest::{ManifestKeys, NodeKeys};
use convenio_seal::root::RootSet;
use convenio_seal::vault::Vault;
use convenio_store::{Store, StoreError, Work};
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::error::OpenError;
use crate::join;
use crate::journal::{self, Actor};
use crate::keys::{Keys, OwnKeys, Revocations, Timeline};
use crate::lane::Lanes;
use crate::learn;
use crate::open;
use crate::outbound::seal::Sealer;
use crate::recovery::RECOVERING;
use crate::version::{InForce, Versions};
use crate::writer::{Foreseen, Heads, Writer};

/// What a [`Core`] is opened with.
#[derive(Clone)]
pub struct CoreParts {
    /// Name of this node.
    pub node: String,
    /// Party of this node, the same in all its agreements.
    pub party: String,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Entropy.
    pub entropy: Arc<dyn Entropy>,
    /// Database.
    pub store: Arc<dyn Store>,
    /// Data keys of subjects, outside the database.
    pub vault: Arc<Vault>,
    /// Operational keys.
    pub keys: Arc<NodeKeys>,
    /// Other sets of keys that are held: earlier ones until their successors are cosigned, and later ones.
    pub other_keys: Vec<Arc<NodeKeys>>,
    /// Root-signed manifests that replace others, and revocations (DSSE JSON), in no order.
    pub key_changes: Vec<Vec<u8>>,
    /// Root-signed orders of the own party about its agreements (DSSE JSON), ascending by number.
    pub orders: Vec<Vec<u8>>,
    /// Agreements with the partner of each.
    pub agreements: Vec<(Arc<Pack>, Partner)>,
    /// Versions that amend these or each other, in no order; what no party has ratified waits.
    pub amendments: Vec<Arc<Pack>>,
    /// Root keys of every party, from the trust file.
    pub roots: Vec<RootSet>,
    /// Ratification envelopes (DSSE JSON), in no order.
    pub ratifications: Vec<Vec<u8>>,
    /// Root-signed authorisations of this node's epochs (DSSE JSON), in no order.
    pub epochs: Vec<Vec<u8>>,
}

/// The other side of an agreement.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Party.
    pub party: String,
    /// Node.
    pub node: String,
}

/// One agreement with one partner.
pub struct Exchange {
    pub(crate) versions: Versions,
    /// Role of this party in it.
    pub me: Role,
    /// This party.
    pub own_party: String,
    /// The other one.
    pub partner_party: String,
    /// This node.
    pub own_node: String,
    /// The other one.
    pub partner_node: String,
    pub(crate) own_lanes: Lanes,
    pub(crate) peer_lanes: Lanes,
    /// Root keys of the partner.
    pub partner_roots: RootSet,
    /// Root keys of this party.
    pub own_roots: RootSet,
    pub(crate) learned: RwLock<Learned>,
    pub(crate) own_keys: RwLock<BTreeMap<u64, Timeline>>,
    pub(crate) own_revoked: RwLock<Revocations>,
    pub(crate) partner_revoked: RwLock<Revocations>,
}

/// What the partner's logs say of themselves, by epoch.
pub(crate) type Learned = BTreeMap<u64, Known>;

/// What the partner's log of one epoch says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Keys of the partner, from its EPOCH_OPEN and each KEY_ROTATE.
    pub keys: Timeline,
    /// The versions that it ratifies and puts in force.
    pub force: InForce,
}

impl Exchange {
    /// The last keys of the partner, once its log's first entry is here.
    #[must_use]
    pub fn partner_keys(&self) -> Option<Arc<ManifestKeys>> {
        let learned = self.learned.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        learned.values().rev().find_map(|known| known.keys.last().cloned())
    }

    /// What the partner's log of an epoch says of itself.
    pub(crate) fn known(&self, epoch: u64) -> Known {
        let learned = self.learned.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        learned.get(&epoch).cloned().unwrap_or_default()
    }

    pub(crate) fn learn(&self, epoch: u64, change: impl FnOnce(&mut Known)) {
        let mut learned = self.learned.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(learned.entry(epoch).or_default());
    }
}

/// Steps that an operator, or a test that plays one interleaving, can hold. All run by default.
#[derive(Debug, Clone)]
pub struct Controls {
    /// Deliver own entries.
    pub deliver: watch::Sender<bool>,
    /// Judge what is mirrored.
    pub judge: watch::Sender<bool>,
    /// Answer with cosignatures.
    pub cosign: watch::Sender<bool>,
    /// Destroy the data keys of what was erased.
    pub shred: watch::Sender<bool>,
}

impl Default for Controls {
    fn default() -> Self {
        let on = || watch::Sender::new(true);
        Self { deliver: on(), judge: on(), cosign: on(), shred: on() }
    }
}

/// Waits until a held step runs again.
pub(crate) async fn released(control: &watch::Sender<bool>) {
    let mut running = control.subscribe();
    // Fails only when the node is gone.
    let _ = running.wait_for(|on| *on).await;
}

/// One node's exchange.
pub struct Core {
    pub(crate) node: String,
    pub(crate) party: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sealer: Arc<Sealer>,
    exchanges: Vec<Arc<Exchange>>,
    by_agreement: HashMap<String, Arc<Exchange>>,
    writer: Writer,
    /// Steps that can be held.
    pub controls: Controls,
    pub(crate) sessions: crate::session::Sessions,
    /// How the witnesses of the own logs fare.
    pub witnesses: crate::witness::submit::Board,
}

impl Core {
    /// Opens the logs of every agreement; a new log gets EPOCH_OPEN, RATIFY of each party and ACTIVATE.
    ///
    /// # Errors
    /// [`OpenError`]: not ratified by both, not authorised by the root, or a database of something else.
    pub async fn open(parts: CoreParts) -> Result<Arc<Self>, OpenError> {
        if !parts.store.states(RECOVERING, "", 1).await?.is_empty() {
            return Err(OpenError::Recovering);
        }
        if !parts.store.logs().await?.iter().any(|log| log.own && log.size > 0) && open::has_past(&parts.vault)? {
            return Err(OpenError::LostDatabase);
        }
        let (epochs, changes) = (parts.epochs.clone(), parts.key_changes.clone());
        let orders = parts.orders.clone();
        let (amendments, ratifications) = (parts.amendments.clone(), parts.ratifications.clone());
        let core = Self::assemble(parts).await?;
        for exchange in &core.exchanges {
            learn::held(&core.sealer.keys, exchange)?;
            open::first_entries(&core, exchange, &epochs).await?;
            join::run(&core, exchange).await?;
        }
        crate::erase::restore::run(&core).await?;
        crate::rotate::pending(&core, &changes).await?;
        learn::one_manifest(&core).await?;
        core.amend(&amendments, &ratifications).await?;
        for file in &orders {
            core.order(file).await.map_err(|error| OpenError::Database(format!("an order: {error}")))?;
        }
        Ok(core)
    }

    /// Opens what is stored; no entry is made.
    pub(crate) async fn assemble(parts: CoreParts) -> Result<Arc<Self>, OpenError> {
        let exchanges = open::exchanges(&parts).await?;
        journal::ensure(parts.store.as_ref(), &parts.node).await?;
        let sealer = Arc::new(Sealer {
            clock: parts.clock.clone(),
            entropy: parts.entropy.clone(),
            vault: parts.vault.clone(),
            keys: Keys::new(
                [std::slice::from_ref(&parts.keys), parts.other_keys.as_slice()].concat(),
                parts.keys.clone(),
            ),
        });
        let writer = Writer::start(parts.store.clone(), sealer.clone(), exchanges.clone()).await?;
        let by_agreement = exchanges.iter().map(|ex| (ex.pack().id().to_owned(), ex.clone())).collect();
        let core = Arc::new(Self {
            node: parts.node,
            party: parts.party,
            store: parts.store,
            sealer,
            exchanges,
            by_agreement,
            writer,
            controls: Controls::default(),
            sessions: crate::session::Sessions::default(),
            witnesses: crate::witness::submit::Board::default(),
        });
        Ok(core)
    }

    /// Starts the judges and the quiet timers; they and all sessions end when `stop` is cancelled.
    pub fn start(self: &Arc<Self>, stop: &tokio_util::sync::CancellationToken) {
        let (stopped, closing) = (stop.clone(), self.sessions.closing.clone());
        tokio::spawn(async move {
            stopped.cancelled().await;
            closing.cancel();
        });
        let (retention, stopping) = (crate::erase::retention::run(self.clone()), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = retention => {}
                () = stopping.cancelled() => {}
            }
        });
        for exchange in &self.exchanges {
            let judge = crate::inbound::judge::run(self.clone(), exchange.clone());
            let quiet = crate::outbound::entangle::entangle_when_quiet(self.clone(), exchange.clone());
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = judge => {}
                    () = quiet => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }

    /// Clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.sealer.clock
    }

    /// Entropy.
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.sealer.entropy
    }

    /// Database, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Name of this node.
    #[must_use]
    pub fn node_name(&self) -> &str {
        &self.node
    }

    /// Party of this node.
    #[must_use]
    pub fn party(&self) -> &str {
        &self.party
    }

    /// The keys that sign statements now.
    #[must_use]
    pub fn own_keys(&self) -> Arc<OwnKeys> {
        self.sealer.keys.now()
    }

    /// The keys whose mirror and witness cosign for a partner: new ones only once it has cosigned the entry that names
    /// them. `None` asks for those that every partner knows.
    #[must_use]
    pub fn cosigner_keys(&self, partner: Option<&str>) -> Arc<OwnKeys> {
        let heads = self.heads();
        let heads = heads.borrow();
        let of = |exchange: &&Arc<Exchange>| partner.is_none_or(|node| exchange.partner_node == node);
        let settled = |exchange: &Exchange| heads.get(&exchange.own().log).map_or(0, |head| head.settled);
        let known = self.exchanges.iter().filter(of).filter_map(|exchange| exchange.cosigner(settled(exchange)));
        let oldest = known.min_by_key(|manifest| manifest.version);
        let held = oldest.and_then(|manifest| {
            let keys = self.sealer.keys.find(|keys| keys.matches(&manifest))?;
            Some(Arc::new(OwnKeys { version: manifest.version, keys }))
        });
        held.unwrap_or_else(|| self.own_keys())
    }

    /// Version of the key manifest that the names of this node's cosigners carry.
    #[must_use]
    pub fn manifest_version(&self) -> u64 {
        self.cosigner_keys(None).version
    }

    /// The exchange under one agreement.
    #[must_use]
    pub fn exchange(&self, agreement: &str) -> Option<&Arc<Exchange>> {
        self.by_agreement.get(agreement)
    }

    /// Every exchange.
    #[must_use]
    pub fn exchanges(&self) -> &[Arc<Exchange>] {
        &self.exchanges
    }

    /// Whether a session with `node` is open.
    #[must_use]
    pub fn connected(&self, node: &str) -> bool {
        self.sessions.connected(node)
    }

    /// Sizes of all logs after the last commit.
    #[must_use]
    pub fn heads(&self) -> watch::Receiver<Heads> {
        self.writer.heads()
    }

    /// Runs `job` in the writer's group transaction and answers after the commit. On an error the job leaves no trace.
    /// What it changes in the registry stands in the journal as the node's own doing.
    ///
    /// # Errors
    /// The job's own, or the database's.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Work) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write_as(Actor::system(), job).await
    }

    /// As [`Self::write`], on behalf of `actor`: what the job changes in the registry, or says that it read, stands in the
    /// journal with it.
    ///
    /// # Errors
    /// The job's own, or the database's; [`StoreError::Unusable`] where the journal cannot be written.
    pub async fn write_as<T, E, F>(&self, actor: Actor, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Work) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write_foreseen(actor, Foreseen::default(), job).await
    }

    /// As [`Self::write_as`], with what the job is going to read.
    ///
    /// # Errors
    /// As [`Self::write_as`].
    pub async fn write_foreseen<T, E, F>(&self, actor: Actor, foreseen: Foreseen, job: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Work) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.write(actor, foreseen, job).await
    }
}
