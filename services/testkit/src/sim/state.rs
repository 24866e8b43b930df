//! One state of a run: a real core and registry over a real database and vault, which can end and start again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_exchange::{Core, CoreParts, Partner};
use convenio_model::{ManualClock, SeededEntropy};
use convenio_registry::Registry;
use convenio_seal::vault::Vault;
use convenio_store_sqlite::SqliteStore;

use super::accord::Accord;
use super::faulty::{Faults, FaultyStore};
use crate::ledger::Books;

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
    /// How often it was started: each process draws randomness of its own.
    lives: u32,
    seed: u64,
    clock: ManualClock,
}

struct Up {
    core: Arc<Core>,
    registry: Registry,
    vault: Arc<Vault>,
    store: Arc<SqliteStore>,
}

impl State {
    /// A state in `dir`, not started.
    #[must_use]
    pub fn new(at: usize, dir: &Path, seed: u64, clock: &ManualClock) -> Self {
        let (dir, clock) = (dir.to_owned(), clock.clone());
        Self { at, dir, faults: Arc::default(), up: None, lives: 0, seed, clock }
    }

    /// Starts its process.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn start(&mut self, accord: &Accord) -> Result<(), String> {
        self.lives += 1;
        let own = &accord.parties[self.at];
        let label = format!("{}/{}", own.party, self.lives);
        let entropy = Arc::new(SeededEntropy::labelled(self.seed, &label));
        let vault = Vault::open_beside(&self.dir.join("data.keys"), &*entropy).map_err(|e| e.to_string())?;
        let vault = Arc::new(vault);
        let store = SqliteStore::open(&self.dir.join("node.db"), &own.node).await.map_err(|e| e.to_string())?;
        let agreements = accord.links_of(self.at).map(|(link, origin)| {
            let other = &accord.parties[accord.partner(link, origin)];
            (accord.links[link].0.clone(), Partner { party: other.party.clone(), node: other.node.clone() })
        });
        let parts = CoreParts {
            node: own.node.clone(),
            party: own.party.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy,
            store: Arc::new(FaultyStore::new(store.clone(), self.faults.clone())),
            vault: vault.clone(),
            other_keys: Vec::new(),
            key_changes: Vec::new(),
            keys: own.keys.clone(),
            agreements: agreements.collect(),
            roots: accord.roots(),
            ratifications: accord.ratifications(self.at),
            epochs: accord.epochs(self.at),
        };
        let core = Core::open(parts).await.map_err(|e| e.to_string())?;
        let registry = Registry::new(core.clone()).map_err(|e| e.to_string())?;
        self.up = Some(Up { core, registry, vault, store });
        Ok(())
    }

    /// Ends its process: what is not in its files is gone.
    ///
    /// # Panics
    /// If something still holds its database.
    pub async fn end(&mut self) {
        let Some(Up { core, registry, vault, store }) = self.up.take() else { return };
        drop((registry, core, vault));
        for _ in 0..TURNS {
            if Arc::strong_count(&store) == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&store), 1, "the database of an ended process is still in use");
        store.close().await;
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
        Books { core: self.up().core.clone(), vault: self.up().vault.clone() }
    }

    /// Its database, without faults.
    #[must_use]
    pub fn store(&self) -> &Arc<SqliteStore> {
        &self.up().store
    }
}
