//! One state: an exchange core over a real database and vault in a folder of its own.

use std::path::PathBuf;
use std::sync::Arc;

use convenio_exchange::{Core, CoreParts, Exchange, Partner};
use convenio_model::{ManualClock, SeededEntropy};
use convenio_seal::manifest::NodeKeys;
use convenio_seal::vault::Vault;
use convenio_store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::ledger::Books;
use crate::treaty::{Party, Treaty};

/// One state of a pair.
pub struct Side {
    /// Its exchange.
    pub core: Arc<Core>,
    /// Its data keys.
    pub vault: Arc<Vault>,
    /// Its operational keys.
    pub keys: Arc<NodeKeys>,
    /// Files of the node.
    pub dir: TempDir,
    /// File of data keys that a whole node has open; read again whenever the books are.
    keys_of_node: Option<PathBuf>,
    /// Database of a side that is no whole node.
    store: Option<Arc<SqliteStore>>,
    stop: CancellationToken,
}

impl Side {
    pub(crate) async fn open(treaty: &Treaty, own: &Party, other: &Party, clock: &ManualClock, seed: u64) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), treaty, own, other, clock, seed).await
    }

    /// Opens a state on the files of `dir`.
    pub(crate) async fn open_in(
        dir: TempDir,
        treaty: &Treaty,
        own: &Party,
        other: &Party,
        clock: &ManualClock,
        seed: u64,
    ) -> Self {
        let (parts, vault, store) = Self::parts(treaty, own, other, clock, seed, dir.path()).await;
        Self::start(parts, vault, store, own, dir).await
    }

    /// Serves what is in `dir`.
    pub(crate) async fn start(
        parts: CoreParts,
        vault: Arc<Vault>,
        store: Arc<SqliteStore>,
        own: &Party,
        dir: TempDir,
    ) -> Self {
        let core = Core::open(parts).await.unwrap();
        let stop = CancellationToken::new();
        core.start(&stop);
        Self { core, vault, keys: own.keys.clone(), dir, keys_of_node: None, store: Some(store), stop }
    }

    /// What a side opens with from the files in `dir`.
    pub(crate) async fn parts(
        treaty: &Treaty,
        own: &Party,
        other: &Party,
        clock: &ManualClock,
        seed: u64,
        dir: &std::path::Path,
    ) -> (CoreParts, Arc<Vault>, Arc<SqliteStore>) {
        let entropy = Arc::new(SeededEntropy::labelled(seed, &format!("{}/node", own.party)));
        let vault = Arc::new(Vault::open_beside(&dir.join("data.keys"), entropy.as_ref()).unwrap());
        let store = SqliteStore::open(&dir.join("node.db"), &own.node).await.unwrap();
        let partner = Partner { party: other.party.clone(), node: other.node.clone() };
        let parts = CoreParts {
            node: own.node.clone(),
            party: own.party.clone(),
            clock: Arc::new(clock.clone()),
            entropy,
            store: store.clone(),
            vault: vault.clone(),
            keys: own.keys.clone(),
            other_keys: Vec::new(),
            key_changes: Vec::new(),
            agreements: treaty.packs.iter().map(|pack| (pack.clone(), partner.clone())).collect(),
            amendments: treaty.amendments.clone(),
            orders: treaty.orders[usize::from(own.party == treaty.destination.party)].clone(),
            roots: vec![own.roots.clone(), other.roots.clone()],
            ratifications: treaty.ratifications(),
            epochs: treaty.epochs(own, other),
        };
        (parts, vault, store)
    }

    /// A side of a whole node, which its own books and the traces look into.
    pub(crate) fn of_node(books: Books, keys: Arc<NodeKeys>, data_keys: PathBuf) -> Self {
        let Books { core, vault } = books;
        let (dir, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
        Self { core, vault, keys, dir, keys_of_node: Some(data_keys), store: None, stop }
    }

    /// The exchange under an agreement.
    #[must_use]
    pub fn exchange(&self, agreement: &str) -> &Arc<Exchange> {
        self.core.exchange(agreement).unwrap()
    }

    /// What the node keeps, for reading.
    #[must_use]
    pub fn books(&self) -> Books {
        let reread = |path: &PathBuf| Arc::new(Vault::open_read_only(path).unwrap());
        let vault = self.keys_of_node.as_ref().map_or_else(|| self.vault.clone(), reread);
        Books { core: self.core.clone(), vault }
    }

    /// Holds or resumes the delivery of own entries.
    pub fn delivers(&self, on: bool) {
        self.core.controls.deliver.send_replace(on);
    }

    /// Holds or resumes judging.
    pub fn judges(&self, on: bool) {
        self.core.controls.judge.send_replace(on);
    }

    /// Ends the state as a process ends; its files stay.
    ///
    /// # Panics
    /// If something holds them for ten seconds.
    pub(crate) async fn end(mut self) -> TempDir {
        self.stop.cancel();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        let (store, vault) = (self.store.take().unwrap(), Arc::downgrade(&self.vault));
        drop(self);
        for _ in 0..10_000 {
            if Arc::strong_count(&store) == 1 && vault.strong_count() == 0 {
                store.close().await;
                return dir;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!("an ended state still holds its files");
    }

    /// Database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.dir.path().join("node.db")
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
