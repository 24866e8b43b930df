//! The vault's file: records of 80 bytes, `id[16] || nonce[12] || wrapped key[32] || tag[16] || check[4]`.
//!
//! The first record has the file's magic for id and wraps 32 zero bytes: it tells a foreign file and a wrong wrapping key.
//! A destroyed key's record keeps its id; nonce, key and tag are zero. The check (the first bytes of SHA-256 of the rest)
//! finds torn writes only; the tag is what protects the key.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use convenio_model::Entropy;
use zeroize::Zeroizing;

use super::{DataKeyId, Slot, VaultError, WrappingKey, cipher};
use crate::encoding::sha256;
use crate::file::{create_secret, sync_parent};

/// Length of a record.
pub(super) const LEN: usize = 80;
const BODY: std::ops::Range<usize> = 16..76;
pub(super) const MAGIC: [u8; 16] = *b"convenio-vault/1";

/// An encoded record.
pub(super) type Record = [u8; LEN];

/// The record of a key.
pub(super) fn wrap(kek: &WrappingKey, id: DataKeyId, key: &[u8; 32], entropy: &dyn Entropy) -> Record {
    let mut record = [0; LEN];
    record[..16].copy_from_slice(&id.0);
    record[BODY].copy_from_slice(&cipher::seal(&kek.0, &id.0, key, entropy));
    checked(record)
}

/// The record of a key that is no more.
pub(super) fn destroyed(id: DataKeyId) -> Record {
    let mut record = [0; LEN];
    record[..16].copy_from_slice(&id.0);
    checked(record)
}

/// The open file. Dropping it gives the lock back.
pub(super) struct KeyFile {
    pub(super) file: File,
    end: u64,
}

impl KeyFile {
    /// Opens or makes the file, and reads every key.
    pub(super) fn open(
        path: &Path,
        kek: &WrappingKey,
        entropy: &dyn Entropy,
    ) -> Result<(Self, HashMap<DataKeyId, Slot>), VaultError> {
        if !path.try_exists()? {
            make(path, kek, entropy)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => VaultError::Locked,
            TryLockError::Error(error) => VaultError::Io(error),
        })?;
        let (slots, end, length) = Self::read_all(&file, kek)?;
        if end < length {
            file.set_len(end)?;
            file.sync_all()?;
        }
        Ok((Self { file, end }, slots))
    }

    /// Reads every key of a file that another process may have open; nothing can be written through it.
    pub(super) fn open_read_only(
        path: &Path,
        kek: &WrappingKey,
    ) -> Result<(Self, HashMap<DataKeyId, Slot>), VaultError> {
        let file = File::open(path)?;
        let (slots, end, _) = Self::read_all(&file, kek)?;
        Ok((Self { file, end }, slots))
    }

    /// The keys, where their records end, and the file's length.
    fn read_all(mut file: &File, kek: &WrappingKey) -> Result<(HashMap<DataKeyId, Slot>, u64, u64), VaultError> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (records, _) = bytes.as_chunks::<LEN>();
        let (first, records) = records.split_first().ok_or(VaultError::NotAVault)?;
        check_first(first, kek)?;
        // A torn tail: part of a record, or room the file system gave and never filled. A record of full length that is
        // not whole stays, as damaged: it may be one whose destruction was cut off and will be asked for again.
        let filled = records.iter().rposition(|record| *record != [0; LEN]).map_or(0, |last| last + 1);
        let slots = (1u64..)
            .zip(&records[..filled])
            .map(|(nth, record)| (id_of(record), read(record, nth * LEN as u64, kek)))
            .collect();
        Ok((slots, ((filled + 1) * LEN) as u64, bytes.len() as u64))
    }

    /// Appends durably; gives the offset of the first.
    pub(super) fn append<'a>(&mut self, records: impl Iterator<Item = &'a Record>) -> io::Result<u64> {
        let bytes: Vec<u8> = records.flatten().copied().collect();
        let start = self.end;
        self.file.write_all_at(&bytes, start)?;
        self.file.sync_data()?;
        self.end += bytes.len() as u64;
        Ok(start)
    }

    /// Overwrites one record durably.
    pub(super) fn overwrite(&mut self, at: u64, record: &Record) -> io::Result<()> {
        self.file.write_all_at(record, at)?;
        self.file.sync_all()
    }
}

/// Makes an empty vault under another name first, so that a vault never lacks its first record; linking it into place
/// fails where another process was faster, and never replaces that one's vault.
fn make(path: &Path, kek: &WrappingKey, entropy: &dyn Entropy) -> Result<(), VaultError> {
    let mut salt = [0; 8];
    entropy.fill(&mut salt);
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", hex::encode(salt)));
    create_secret(Path::new(&draft), &wrap(kek, DataKeyId(MAGIC), &[0; 32], entropy))?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    linked?;
    Ok(sync_parent(path)?)
}

fn check_first(record: &Record, kek: &WrappingKey) -> Result<(), VaultError> {
    if record[..16] != MAGIC || !is_whole(record) {
        return Err(VaultError::NotAVault);
    }
    unwrap(record, kek).map(drop).ok_or(VaultError::WrappingKey)
}

fn read(record: &Record, at: u64, kek: &WrappingKey) -> Slot {
    if is_whole(record) && record[BODY].iter().all(|byte| *byte == 0) {
        return Slot::Destroyed;
    }
    unwrap(record, kek).map_or(Slot::Damaged(at), |key| Slot::Stored(key, at))
}

fn unwrap(record: &Record, kek: &WrappingKey) -> Option<Zeroizing<[u8; 32]>> {
    let key = Zeroizing::new(cipher::open(&kek.0, &record[..16], &record[BODY])?);
    Some(Zeroizing::new(key.as_slice().try_into().ok()?))
}

fn id_of(record: &Record) -> DataKeyId {
    let mut id = [0; 16];
    id.copy_from_slice(&record[..16]);
    DataKeyId(id)
}

fn checked(mut record: Record) -> Record {
    let check = sha256(&record[..BODY.end]);
    record[BODY.end..].copy_from_slice(&check[..LEN - BODY.end]);
    record
}

fn is_whole(record: &Record) -> bool {
    checked(*record) == *record
}
