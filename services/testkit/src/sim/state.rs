//! One state of a run: a real core and registry over a real database and vault, which can end and start again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_exchange::{Core, CoreParts, Partner};
use convenio_model::{ManualClock, Ref, SeededEntropy};
use convenio_registry::Registry;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::vault::Vault;
use convenio_store_sqlite::SqliteStore;

use super::accord::Accord;
use super::faulty::{Faults, FaultyStore};
use super::keys::keys_of;
use crate::ledger::Books;
use crate::treaty::Party;

/// Turns of the runtime that an ending process may take; each is a task that sees that nobody needs it any more.
const TURNS: usize = 10_000;

/// A state.
pub struct State {
    /// Place in the accord.
    pub at: usize,
    /// Folder.
    pub dir: PathBuf,
    /// Faults of its database.
    pub faults: Arc<Faults>,
    /// Its process, while it runs.
    up: Option<Up>,
    /// Its files while a process has them open.
    files: Option<Files>,
    /// How often it was started: each process draws randomness of its own.
    lives: u32,
    seed: u64,
    clock: ManualClock,
    /// Root-signed manifests after the first, by version.
    pub manifests: BTreeMap<u64, Vec<u8>>,
    /// Root-signed revocations.
    pub revocations: Vec<Vec<u8>>,
    /// Root-signed authorisations of later epochs.
    pub openings: Vec<Vec<u8>>,
    /// What stood in its own logs when its last backup was made; none without one.
    pub saved: Option<BTreeSet<Ref>>,
    /// How often its disk was lost.
    pub losses: u32,
    /// Root-signed orders about its agreements, ascending.
    pub orders: Vec<Vec<u8>>,
    /// Number of the last one.
    pub ordered: u64,
    /// The second versions of its agreements were placed.
    pub amended: bool,
}

struct Up {
    core: Arc<Core>,
    registry: Registry,
}

struct Files {
    vault: Arc<Vault>,
    store: Arc<SqliteStore>,
}

impl State {
    /// A state in `dir`, not started.
    #[must_use]
    pub fn new(at: usize, dir: &Path, seed: u64, clock: &ManualClock) -> Self {
        let (dir, clock) = (dir.to_owned(), clock.clone());
        Self {
            at,
            dir,
            faults: Arc::default(),
            up: None,
            files: None,
            lives: 0,
            seed,
            clock,
            manifests: BTreeMap::new(),
            revocations: Vec::new(),
            openings: Vec::new(),
            saved: None,
            losses: 0,
            orders: Vec::new(),
            ordered: 0,
            amended: false,
        }
    }

    /// Opens its files for a process that is about to begin.
    ///
    /// # Errors
    /// Why they cannot be opened.
    pub async fn opened(&mut self, accord: &Accord) -> Result<CoreParts, String> {
        self.lives += 1;
        let own = &accord.parties[self.at];
        let label = format!("{}/{}", own.party, self.lives);
        let entropy = Arc::new(SeededEntropy::labelled(self.seed, &label));
        let vault = Vault::open_beside(&self.dir.join("data.keys"), &*entropy).map_err(|e| e.to_string())?;
        let vault = Arc::new(vault);
        let store = SqliteStore::open(&self.dir.join("node.db"), &own.node).await.map_err(|e| e.to_string())?;
        self.files = Some(Files { vault: vault.clone(), store: store.clone() });
        let agreements = accord.links_of(self.at).map(|(link, origin)| {
            let other = &accord.parties[accord.partner(link, origin)];
            (accord.links[link].0.clone(), Partner { party: other.party.clone(), node: other.node.clone() })
        });
        Ok(CoreParts {
            node: own.node.clone(),
            party: own.party.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy,
            store: Arc::new(FaultyStore::new(store, self.faults.clone())),
            vault,
            keys: own.keys.clone(),
            other_keys: self.manifests.keys().map(|version| keys_of(&own.party, *version)).collect(),
            key_changes: self.manifests.values().chain(&self.revocations).cloned().collect(),
            agreements: agreements.collect(),
            amendments: if self.amended { accord.amendments(self.at).collect() } else { Vec::new() },
            orders: self.orders.clone(),
            roots: accord.roots(),
            ratifications: accord.ratifications(self.at),
            epochs: accord.epochs(self.at).into_iter().chain(self.openings.iter().cloned()).collect(),
        })
    }

    /// Version and private halves of the keys that its roots signed last.
    #[must_use]
    pub fn latest_keys(&self, own: &Party) -> (u64, Arc<NodeKeys>) {
        let last = self.manifests.keys().next_back();
        last.map_or((1, own.keys.clone()), |version| (*version, keys_of(&own.party, *version)))
    }

    /// Starts its process.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn start(&mut self, accord: &Accord) -> Result<(), String> {
        let parts = self.opened(accord).await?;
        let core = Core::open(parts).await.map_err(|e| e.to_string())?;
        let registry = Registry::new(core.clone()).map_err(|e| e.to_string())?;
        self.up = Some(Up { core, registry });
        Ok(())
    }

    /// Ends its process: what is not in its files is gone.
    ///
    /// # Panics
    /// If something still holds its database.
    pub async fn end(&mut self) {
        self.up = None;
        let Some(Files { store, vault }) = self.files.take() else { return };
        drop(vault);
        for _ in 0..TURNS {
            if Arc::strong_count(&store) == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&store), 1, "the database of an ended process is still in use");
        store.close().await;
    }

    fn files(&self) -> &Files {
        self.files.as_ref().expect("a state runs between two operations")
    }

    fn up(&self) -> &Up {
        self.up.as_ref().expect("a state runs between two operations")
    }

    /// Its exchange.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.up().core
    }

    /// Its registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.up().registry
    }

    /// Its books.
    #[must_use]
    pub fn books(&self) -> Books {
        Books { core: self.up().core.clone(), vault: self.files().vault.clone() }
    }

    /// Its database, without faults.
    #[must_use]
    pub fn store(&self) -> &Arc<SqliteStore> {
        &self.files().store
    }
}
