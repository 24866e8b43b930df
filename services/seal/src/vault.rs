//! The vault: a data key for each subject, in a file outside the database.
//!
//! The database holds ciphertexts only. To erase a subject its data key is destroyed here, which also takes the meaning
//! from every copy of the ciphertexts in backups of the database. What overwriting in place cannot reach: copies of this
//! file in its own backups, and blocks that a solid-state disk or a copy-on-write file system keeps.
//!
//! Creating a key has two phases: [`Vault::create`] makes it in memory, [`Vault::flush`] makes all new ones durable with
//! one `fdatasync`. Flush *before* the database commit that refers to them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use convenio_model::Entropy;
use zeroize::Zeroizing;

mod backup;
mod cipher;
mod ledger;
mod record;
mod wrapping;

pub use backup::{BackupError, backup, restore};
pub use ledger::Ledger;
pub use wrapping::WrappingKey;

use record::{KeyFile, Record};

/// Bytes that sealing adds: a nonce of 12 before the ciphertext, a tag of 16 behind it.
pub const SEAL_OVERHEAD: usize = cipher::NONCE + cipher::TAG;

/// Names a data key. Random, so that it tells nothing of its subject.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKeyId(pub [u8; 16]);

impl fmt::Debug for DataKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKeyId({})", hex::encode(self.0))
    }
}

/// What went wrong with the vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No key has that id.
    #[error("no data key has this id")]
    UnknownKey,
    /// The key was destroyed: what it sealed is erased.
    #[error("the data key was destroyed")]
    Destroyed,
    /// The record of the key is damaged (or its destruction was cut off): what it sealed cannot be read.
    #[error("the data key's record is damaged")]
    Damaged,
    /// The ciphertext is not one of this key with this associated data.
    #[error("a ciphertext does not open under its data key")]
    Sealed,
    /// The file is no vault.
    #[error("the file is not a vault of data keys")]
    NotAVault,
    /// The vault is wrapped by another key, or the file of its wrapping key is missing.
    #[error("the wrapping key is missing, malformed or not the one of this vault")]
    WrappingKey,
    /// Another process has the vault open.
    #[error("another process has the vault open")]
    Locked,
    /// An earlier write failed, so nobody knows what the disk holds; open the vault anew.
    #[error("an earlier write to the vault failed; it must be opened anew")]
    Broken,
    /// The file could not be read or written.
    #[error("vault: {0}")]
    Io(#[from] io::Error),
}

/// A key in memory, and where its record is.
#[derive(Clone)]
enum Slot {
    Fresh(Zeroizing<[u8; 32]>),
    Stored(Zeroizing<[u8; 32]>, u64),
    Destroyed,
    Damaged(u64),
}

impl Slot {
    fn key(&self) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        match self {
            Self::Fresh(key) | Self::Stored(key, _) => Ok(key.clone()),
            Self::Destroyed => Err(VaultError::Destroyed),
            Self::Damaged(_) => Err(VaultError::Damaged),
        }
    }
}

/// Data keys of subjects. Share it as `Arc<Vault>`.
pub struct Vault {
    // Locks are taken in this order wherever several are.
    file: Mutex<KeyFile>,
    /// Apart from the file, so that creating never waits for a disk.
    staged: Mutex<Staged>,
    slots: RwLock<HashMap<DataKeyId, Slot>>,
    kek: WrappingKey,
    ledger: Ledger,
}

/// What the file does not hold yet.
#[derive(Default)]
struct Staged {
    /// Created, and not yet taken by a flush.
    fresh: Vec<(DataKeyId, Record)>,
    /// How many keys are created and not yet durable, those of a running flush among them.
    undurable: usize,
    /// A write failed: what the end of the file holds is unknown.
    broken: bool,
}

impl Vault {
    /// Opens the vault `path`, or makes an empty one. A record that a crash cut off at the end (never flushed, so nothing
    /// refers to it) is truncated. The file stays locked against other processes.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(path: &Path, kek: WrappingKey, entropy: &dyn Entropy) -> Result<Self, VaultError> {
        let (file, slots) = KeyFile::open(path, &kek, entropy)?;
        Ok(Self {
            file: Mutex::new(file),
            staged: Mutex::default(),
            slots: RwLock::new(slots),
            kek,
            ledger: Ledger::beside(path),
        })
    }

    /// Opens the vault `path` with the wrapping key of the file `<path>.kek`, which is made if the vault is new.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::WrappingKey`] where the vault exists without its wrapping key.
    pub fn open_beside(path: &Path, entropy: &dyn Entropy) -> Result<Self, VaultError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".kek");
        let beside = Path::new(&beside);
        let kek = if path.try_exists()? || beside.try_exists()? {
            WrappingKey::load(beside)?
        } else {
            WrappingKey::create(beside, entropy)?
        };
        Self::open(path, kek, entropy)
    }

    /// Opens an existing vault beside its wrapping key for reading alone, whether or not a node has it open.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open_read_only(path: &Path) -> Result<Self, VaultError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".kek");
        let kek = WrappingKey::load(Path::new(&beside))?;
        let (file, slots) = KeyFile::open_read_only(path, &kek)?;
        Ok(Self {
            file: Mutex::new(file),
            staged: Mutex::default(),
            slots: RwLock::new(slots),
            kek,
            ledger: Ledger::beside(path),
        })
    }

    /// Makes a data key in memory; it can seal at once. Only [`Self::flush`] makes it outlive the process.
    ///
    /// # Errors
    /// [`VaultError::Broken`].
    pub fn create(&self, entropy: &dyn Entropy) -> Result<DataKeyId, VaultError> {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let id = DataKeyId(id);
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut_slice());
        let record = record::wrap(&self.kek, id, &key, entropy);
        // Both under one lock: a flush in between would leave the slot without its offset.
        let mut staged = self.staged();
        if staged.broken {
            return Err(VaultError::Broken);
        }
        staged.fresh.push((id, record));
        staged.undurable += 1;
        self.slots.write().unwrap_or_else(PoisonError::into_inner).insert(id, Slot::Fresh(key));
        Ok(id)
    }

    /// Whether a created key is not durable yet: also while another thread's flush runs, and after one that failed.
    #[must_use]
    pub fn has_unflushed(&self) -> bool {
        self.staged().undurable > 0
    }

    /// Makes every created key durable. Costs nothing where none is new.
    ///
    /// # Errors
    /// [`VaultError::Io`], after which every write is [`VaultError::Broken`].
    pub fn flush(&self) -> Result<(), VaultError> {
        let mut file = self.file()?;
        let fresh = std::mem::take(&mut self.staged().fresh);
        if fresh.is_empty() {
            return Ok(());
        }
        let start = self.written(file.append(fresh.iter().map(|(_, record)| record)))?;
        self.staged().undurable -= fresh.len();
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        for (nth, (id, _)) in fresh.iter().enumerate() {
            if let Some(slot) = slots.get_mut(id)
                && let Slot::Fresh(key) = slot
            {
                *slot = Slot::Stored(key.clone(), start + (nth * record::LEN) as u64);
            }
        }
        Ok(())
    }

    /// Destroys a key: its record is overwritten in place and synced before this returns. Repeating it is no error.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`]; [`VaultError::Io`], after which every write is [`VaultError::Broken`].
    pub fn destroy(&self, id: DataKeyId) -> Result<(), VaultError> {
        let mut file = self.file()?;
        match self.slot(id)? {
            Slot::Destroyed => return Ok(()),
            // No flush runs, so it is among the staged.
            Slot::Fresh(_) => {
                let mut staged = self.staged();
                staged.fresh.retain(|(fresh, _)| *fresh != id);
                staged.undurable -= 1;
            }
            // Enough of a damaged record may be left to guess the rest.
            Slot::Stored(_, at) | Slot::Damaged(at) => self.written(file.overwrite(at, &record::destroyed(id)))?,
        }
        self.slots.write().unwrap_or_else(PoisonError::into_inner).insert(id, Slot::Destroyed);
        Ok(())
    }

    /// The ledger of erasures beside the vault.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether it never held a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Keys that were destroyed, ascending.
    #[must_use]
    pub fn destroyed(&self) -> Vec<DataKeyId> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let gone = slots.iter().filter(|(_, slot)| matches!(slot, Slot::Destroyed)).map(|(id, _)| *id);
        let mut gone: Vec<_> = gone.collect();
        gone.sort_unstable();
        gone
    }

    /// Whether the key is there to seal and open with.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Destroyed`], [`VaultError::Damaged`].
    pub fn available(&self, id: DataKeyId) -> Result<(), VaultError> {
        self.slot(id)?.key().map(drop)
    }

    /// Seals `plaintext` under the key: nonce (12 bytes) || ciphertext || tag (16). AES-256-GCM; `aad` is bound to it,
    /// not stored.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Destroyed`], [`VaultError::Damaged`].
    pub fn seal(
        &self,
        id: DataKeyId,
        aad: &[u8],
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, VaultError> {
        Ok(cipher::seal(&*self.slot(id)?.key()?, aad, plaintext, entropy))
    }

    /// Opens what [`Self::seal`] made with the same `aad`.
    ///
    /// # Errors
    /// As [`Self::seal`], and [`VaultError::Sealed`].
    pub fn unseal(&self, id: DataKeyId, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        cipher::open(&*self.slot(id)?.key()?, aad, sealed).ok_or(VaultError::Sealed)
    }

    fn slot(&self, id: DataKeyId) -> Result<Slot, VaultError> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(&id).cloned().ok_or(VaultError::UnknownKey)
    }

    fn staged(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> Result<MutexGuard<'_, KeyFile>, VaultError> {
        let file = self.file.lock().map_err(|_| VaultError::Broken)?;
        if self.staged().broken { Err(VaultError::Broken) } else { Ok(file) }
    }

    /// After a failed write or sync nobody knows what the disk holds, and trying again would tell nothing.
    fn written<T>(&self, outcome: io::Result<T>) -> Result<T, VaultError> {
        outcome.map_err(|error| {
            self.staged().broken = true;
            VaultError::Io(error)
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
