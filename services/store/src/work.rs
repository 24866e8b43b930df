//! A group of jobs in one transaction.

mod layer;
mod log_reads;
mod note;
mod reads;
mod writes;

use std::collections::{BTreeMap, HashMap};

use convenio_model::{RecordId, Ref};

use self::layer::Layer;
pub use self::note::{Deed, LogRange, Note};
pub use self::reads::Reads;
use crate::ports::{StoreError, Tx};
use crate::rows::*;

/// A sealed part to be stored with a staged entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedPart {
    /// Data key.
    pub key_id: [u8; 16],
    /// Nonce, ciphertext, tag.
    pub sealed: Vec<u8>,
}

/// A signed entry that waits for its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Own log that it goes to.
    pub log: LogId,
    /// Record id.
    pub record_id: RecordId,
    /// True for a RECORD.
    pub is_record: bool,
    /// Subject.
    pub subject: Option<Subject>,
    /// Encoded `Entry`.
    pub bytes: Vec<u8>,
    /// Its parts, in order.
    pub parts: Vec<StagedPart>,
}

/// What a commit left behind: the next group starts from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// All log heads, ascending by id.
    pub logs: Vec<LogRow>,
    /// The largest `change` of any view.
    pub last_change: u64,
}

/// The jobs of one group. Reads go: this job's changes, earlier jobs' changes, rows loaded, the database.
///
/// Between [`Work::begin_job`] and [`Work::keep_job`] every write belongs to that job, and [`Work::drop_job`] undoes all
/// of it. Writes while no job is open (the sequencer's) belong to the group itself. What was read stays cached for the
/// whole group, absence included, for nobody else writes while the transaction is open.
pub struct Work {
    tx: Box<dyn Tx>,
    cache: Cache,
    /// What earlier jobs of the group changed.
    group: Layer,
    /// What the open job changed.
    job: Option<Layer>,
    last_change: u64,
}

/// Rows as the database has them; `None` is known to be absent.
#[derive(Default)]
struct Cache {
    resources: HashMap<ResourceKey, Option<ResourceRow>>,
    externals: HashMap<ExternalKey, Option<Ref>>,
    externals_of: HashMap<ResourceKey, Vec<ExternalKey>>,
    requests: HashMap<RequestKey, Option<RequestRow>>,
    views: HashMap<ViewKey, Option<ViewRow>>,
    subject_keys: HashMap<Ref, Option<[u8; 16]>>,
    states: HashMap<String, Option<StateRow>>,
    tiles: HashMap<(LogId, u8, u64), Option<TileRow>>,
    logs: BTreeMap<LogId, LogRow>,
}

/// The value of the newest layer that has the key.
macro_rules! layered {
    ($self:ident . $field:ident, $key:expr) => {
        $self.layers_newest_first().find_map(|layer| layer.$field.value($key))
    };
}

/// Loads the keys of which neither a layer nor the cache knows anything, in one call of the port.
macro_rules! load_missing {
    ($self:ident . $field:ident . $port:ident, $keys:expr, $row:ident => ($key_of:expr, $value_of:expr)) => {{
        let mut missing: Vec<_> = Vec::new();
        for key in $keys {
            if layered!($self.$field, key).is_none() && !$self.cache.$field.contains_key(key) {
                // Inserted at once, so that a key asked for twice is loaded once.
                $self.cache.$field.insert(key.clone(), None);
                missing.push(key.clone());
            }
        }
        if !missing.is_empty() {
            match $self.tx.$port(&missing).await {
                Ok(rows) => $self.cache.$field.extend(rows.into_iter().map(|$row| ($key_of, Some($value_of)))),
                Err(error) => {
                    // Not known to be absent after all.
                    $self.cache.$field.retain(|key, _| !missing.contains(key));
                    return Err(error);
                }
            }
        }
    }};
}

impl Work {
    /// Starts a group in `tx`, with the committed log heads and the largest committed `change` of a view.
    #[must_use]
    pub fn new(tx: Box<dyn Tx>, logs: Vec<LogRow>, last_change: u64) -> Self {
        let cache = Cache { logs: logs.into_iter().map(|log| (log.id, log)).collect(), ..Cache::default() };
        Self { tx, cache, group: Layer::default(), job: None, last_change }
    }

    /// Opens a job. A job that is still open is dropped.
    pub fn begin_job(&mut self) {
        self.job = Some(Layer::default());
    }

    /// The open job succeeded: its changes join the group's.
    pub fn keep_job(&mut self) {
        if let Some(job) = self.job.take() {
            self.group.absorb(job);
        }
    }

    /// The open job failed: it leaves no trace.
    pub fn drop_job(&mut self) {
        self.job = None;
    }

    /// One registry record.
    ///
    /// # Errors
    /// From the database, as for every read here.
    pub async fn resource(&mut self, key: ResourceKey) -> Result<Option<ResourceRow>, StoreError> {
        self.load_resources(&[key]).await?;
        Ok(layered!(self.resources, &key).cloned().or_else(|| self.cache.resources.get(&key).cloned().flatten()))
    }

    /// Loads many records in one statement, for reads that follow.
    ///
    /// # Errors
    /// From the database.
    pub async fn load_resources(&mut self, keys: &[ResourceKey]) -> Result<(), StoreError> {
        load_missing!(self.resources.resources, keys, row => ((row.kind, row.id), row));
        Ok(())
    }

    /// Record that another system's key points to.
    ///
    /// # Errors
    /// From the database.
    pub async fn external(&mut self, key: &ExternalKey) -> Result<Option<Ref>, StoreError> {
        self.load_externals(std::slice::from_ref(key)).await?;
        Ok(match layered!(self.externals, key) {
            Some(change) => change.to,
            None => self.cache.externals.get(key).copied().flatten(),
        })
    }

    /// Loads many external keys in one statement.
    ///
    /// # Errors
    /// From the database.
    pub async fn load_externals(&mut self, keys: &[ExternalKey]) -> Result<(), StoreError> {
        load_missing!(self.externals.externals, keys, row => (row.0, row.1));
        Ok(())
    }

    /// External keys that point to a record (of the same kind), ascending.
    ///
    /// # Errors
    /// From the database.
    pub async fn externals_of(&mut self, key: ResourceKey) -> Result<Vec<ExternalKey>, StoreError> {
        if !self.cache.externals_of.contains_key(&key) {
            let stored = self.tx.externals_of(key).await?;
            self.cache.externals_of.insert(key, stored);
        }
        let mut keys = self.cache.externals_of.get(&key).cloned().unwrap_or_default();
        for layer in std::iter::once(&self.group).chain(&self.job) {
            for (external, change) in layer.externals.iter() {
                keys.retain(|known| known != external);
                if external.0 == key.0 && change.to == Some(key.1) {
                    keys.push(external.clone());
                }
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// An answered request.
    ///
    /// # Errors
    /// From the database.
    pub async fn request(&mut self, key: &RequestKey) -> Result<Option<RequestRow>, StoreError> {
        self.load_requests(std::slice::from_ref(key)).await?;
        Ok(layered!(self.requests, key).cloned().or_else(|| self.cache.requests.get(key).cloned().flatten()))
    }

    /// Loads many requests in one statement.
    ///
    /// # Errors
    /// From the database.
    pub async fn load_requests(&mut self, keys: &[RequestKey]) -> Result<(), StoreError> {
        load_missing!(self.requests.requests, keys, row => (row.key.clone(), row));
        Ok(())
    }

    /// One view. Its `change` is the committed one until the next commit.
    ///
    /// # Errors
    /// From the database.
    pub async fn view(&mut self, key: &ViewKey) -> Result<Option<ViewRow>, StoreError> {
        self.load_views(std::slice::from_ref(key)).await?;
        Ok(layered!(self.views, key).cloned().or_else(|| self.cache.views.get(key).cloned().flatten()))
    }

    /// Loads many views in one statement.
    ///
    /// # Errors
    /// From the database.
    pub async fn load_views(&mut self, keys: &[ViewKey]) -> Result<(), StoreError> {
        load_missing!(self.views.views, keys, row => (row.key.clone(), row));
        Ok(())
    }

    /// Data key of a subject.
    ///
    /// # Errors
    /// From the database.
    pub async fn subject_key(&mut self, subject: Ref) -> Result<Option<[u8; 16]>, StoreError> {
        self.load_subject_keys(&[subject]).await?;
        Ok(match layered!(self.subject_keys, &subject) {
            Some(change) => change.to,
            None => self.cache.subject_keys.get(&subject).copied().flatten(),
        })
    }

    /// One state.
    ///
    /// # Errors
    /// From the database.
    pub async fn state(&mut self, key: &str) -> Result<Option<StateRow>, StoreError> {
        let key = key.to_owned();
        load_missing!(self.states.states, std::slice::from_ref(&key), row => (row.key.clone(), row));
        Ok(match layered!(self.states, &key) {
            Some(changed) => changed.clone(),
            None => self.cache.states.get(&key).cloned().flatten(),
        })
    }

    /// Loads many subjects' data keys in one statement.
    ///
    /// # Errors
    /// From the database.
    pub async fn load_subject_keys(&mut self, subjects: &[Ref]) -> Result<(), StoreError> {
        load_missing!(self.subject_keys.subject_keys, subjects, row => (row.subject, row.key_id));
        Ok(())
    }

    /// Entries that wait for an index, in commit order: those of kept jobs, then the open job's.
    pub fn staged(&self) -> impl Iterator<Item = &Staged> {
        self.layers_oldest_first().flat_map(|layer| &layer.staged)
    }

    /// Takes the kept jobs' staged entries, in commit order. The sequencer answers with `push_entry` and the others.
    #[must_use]
    pub fn take_staged(&mut self) -> Vec<Staged> {
        std::mem::take(&mut self.group.staged)
    }

    /// The transaction and what is to be written in it: one row for each key, whatever the number of changes. An open
    /// job is dropped.
    #[must_use]
    pub fn into_parts(self) -> (Box<dyn Tx>, Writes) {
        (self.tx, self.group.into_writes(self.last_change))
    }

    /// Stores the kept jobs durably, or nothing. An open job is dropped. Writes nothing if nothing changed.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if entries are staged that nobody sequenced; from the database.
    pub async fn commit(mut self) -> Result<Committed, StoreError> {
        self.drop_job();
        if !self.group.staged.is_empty() {
            return Err(StoreError::Failed("entries were staged and not sequenced".to_owned()));
        }
        let logs = self.logs().cloned().collect();
        let (tx, writes) = (self.tx, self.group.into_writes(self.last_change));
        let last_change = writes.views.last().map_or(self.last_change, |view| view.change);
        if !writes.is_empty() {
            tx.commit(writes).await?;
        }
        Ok(Committed { logs, last_change })
    }

    fn layers_newest_first(&self) -> impl Iterator<Item = &Layer> {
        self.job.iter().chain(std::iter::once(&self.group))
    }

    fn layers_oldest_first(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.group).chain(&self.job)
    }
}
