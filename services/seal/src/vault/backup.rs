//! Backups of the vault that expire: a key that was destroyed must not live on in a copy of the file for longer than the
//! copy itself may be used.
//!
//! ```text
//! convenio-keystore/v1
//! created <Unix ms>
//! expires <Unix ms>
//! sha256 <of the vault's bytes>
//!
//! <the vault's bytes: keys wrapped by <vault>.kek, which is kept apart>
//! ```
//!
//! Restoring applies the ledger beside the vault: every key that it calls shredded is destroyed before the file has its
//! name. What this cannot reach: copies that somebody keeps past their expiry together with the wrapping key. Delete them.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::Ledger;
use super::record::{self, LEN};
use super::{DataKeyId, VaultError};
use crate::encoding::sha256;
use crate::file::{create_secret, sync_parent};

/// First line.
const MAGIC: &str = "convenio-keystore/v1";
/// Longest time that a backup may be used, days.
pub const MAX_DAYS: u64 = 90;
const DAY_MS: u64 = 86_400_000;

/// A backup was not made or not restored; no file has changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Not a backup of a vault, or damaged.
    #[error("not a backup of data keys, or a damaged one")]
    Malformed,
    /// Its time is over.
    #[error("the backup has expired; delete it")]
    Expired,
    /// It would last longer than a backup may.
    #[error("a backup lasts 1 to {MAX_DAYS} days")]
    TooLong,
    /// It is of a time that this clock has not reached.
    #[error("the backup is from the future; check the clock")]
    Future,
    /// There is a vault already.
    #[error("there is a file of data keys already; move it away first")]
    Exists,
    /// The ledger of erasures is older than the backup, or lost.
    #[error("the ledger of erasures beside the data keys is missing or older than the backup")]
    OldLedger,
    /// The vault or the ledger cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        Self::Vault(VaultError::Io(error))
    }
}

/// A backup of the vault `path` that can be restored for `days` from `now_ms` on. A node may have it open.
///
/// # Errors
/// [`BackupError`].
pub fn backup(path: &Path, now_ms: u64, days: u64) -> Result<Vec<u8>, BackupError> {
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(BackupError::TooLong);
    }
    let mut bytes = std::fs::read(path)?;
    bytes.truncate(bytes.len() / LEN * LEN);
    if bytes.get(..MAGIC_OF_VAULT.len()) != Some(&MAGIC_OF_VAULT[..]) {
        return Err(VaultError::NotAVault.into());
    }
    let expires = now_ms.saturating_add(days * DAY_MS);
    let digest = hex::encode(sha256(&bytes));
    let head = format!("{MAGIC}\ncreated {now_ms}\nexpires {expires}\nsha256 {digest}\n\n");
    Ok([head.as_bytes(), &bytes].concat())
}

/// The first bytes of every vault.
const MAGIC_OF_VAULT: [u8; 16] = record::MAGIC;

/// Restores a backup as the vault `path`, without the keys that the ledger beside it calls shredded. Returns how many of
/// the backup's keys were destroyed on the way.
///
/// # Errors
/// [`BackupError`].
pub fn restore(backup: &[u8], path: &Path, now_ms: u64) -> Result<usize, BackupError> {
    let mut records = checked(backup, now_ms)?;
    if path.try_exists()? {
        return Err(BackupError::Exists);
    }
    let shredded = shredded(&Ledger::beside(path))?;
    let mut destroyed = 0;
    for record in records.chunks_exact_mut(LEN).skip(1) {
        let mut id = DataKeyId([0; 16]);
        id.0.copy_from_slice(&record[..16]);
        let gone = record::destroyed(id);
        match (shredded.contains(&id), record == gone) {
            (true, false) => {
                record.copy_from_slice(&gone);
                destroyed += 1;
            }
            // The backup knows of a destruction that the ledger does not.
            (false, true) => return Err(BackupError::OldLedger),
            (true, true) | (false, false) => {}
        }
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".restored");
    let partial = Path::new(&partial);
    create_secret(partial, &records)?;
    let linked = std::fs::hard_link(partial, path);
    std::fs::remove_file(partial)?;
    linked?;
    sync_parent(path)?;
    Ok(destroyed)
}

/// The vault's bytes, if the backup is whole and its time is not over.
fn checked(backup: &[u8], now_ms: u64) -> Result<Vec<u8>, BackupError> {
    let malformed = || BackupError::Malformed;
    let at = backup.windows(2).take(400).position(|w| w == b"\n\n").ok_or_else(malformed)?;
    let head = std::str::from_utf8(&backup[..at]).map_err(|_| malformed())?;
    let lines: Vec<&str> = head.split('\n').collect();
    let [MAGIC, created, expires, digest] = lines.as_slice() else { return Err(malformed()) };
    let number = |line: &str, name: &str| line.strip_prefix(name).and_then(|n| n.parse::<u64>().ok());
    let created = number(created, "created ").ok_or_else(malformed)?;
    let expires = number(expires, "expires ").ok_or_else(malformed)?;
    let bytes = &backup[at + 2..];
    let whole = bytes.len().is_multiple_of(LEN) && bytes.starts_with(&MAGIC_OF_VAULT);
    if !whole || *digest != format!("sha256 {}", hex::encode(sha256(bytes))) {
        return Err(malformed());
    }
    // Whatever the file says, no backup lasts longer than it may.
    if now_ms > expires || now_ms > created.saturating_add(MAX_DAYS * DAY_MS) {
        return Err(BackupError::Expired);
    }
    if created > now_ms.saturating_add(DAY_MS) {
        return Err(BackupError::Future);
    }
    Ok(bytes.to_vec())
}

fn shredded(ledger: &Ledger) -> Result<HashSet<DataKeyId>, BackupError> {
    let mut keys = HashSet::new();
    for line in ledger.lines()? {
        let Some(digits) = line.strip_prefix("shredded ") else { continue };
        let mut id = DataKeyId([0; 16]);
        hex::decode_to_slice(digits, &mut id.0).map_err(|_| BackupError::OldLedger)?;
        keys.insert(id);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use convenio_model::SeededEntropy;

    use super::*;
    use crate::vault::Vault;

    const NOW: u64 = 1_714_521_600_000;

    #[test]
    fn a_backup_brings_back_what_was_not_destroyed_and_expires() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.keys");
        let entropy = SeededEntropy::new(1);
        let vault = Vault::open_beside(&path, &entropy).unwrap();
        let (early, late, kept) =
            (vault.create(&entropy).unwrap(), vault.create(&entropy).unwrap(), vault.create(&entropy).unwrap());
        vault.flush().unwrap();
        let sealed = vault.seal(kept, b"", b"text", &entropy).unwrap();
        let destroy = |key: DataKeyId| {
            vault.ledger().append(&[format!("shredded {}", hex::encode(key.0))]).unwrap();
            vault.destroy(key).unwrap();
        };
        destroy(early);
        let saved = backup(&path, NOW, 30).unwrap();
        destroy(late);
        let ledger = vault.ledger().path().to_owned();
        drop(vault);

        assert!(matches!(restore(&saved, &path, NOW), Err(BackupError::Exists)));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(restore(&saved, &path, NOW + 31 * DAY_MS), Err(BackupError::Expired)));
        assert!(matches!(restore(&saved[..saved.len() - 1], &path, NOW), Err(BackupError::Malformed)));
        let mut longer = saved.clone();
        let at = longer.windows(7).position(|w| w == b"expires").unwrap();
        longer[at + 8] = b'9';
        assert!(matches!(restore(&longer, &path, NOW + 91 * DAY_MS), Err(BackupError::Expired)));
        let aside = std::fs::read(&ledger).unwrap();
        std::fs::remove_file(&ledger).unwrap();
        assert!(matches!(restore(&saved, &path, NOW), Err(BackupError::OldLedger)));
        std::fs::write(&ledger, aside).unwrap();

        assert_eq!(restore(&saved, &path, NOW + DAY_MS).unwrap(), 1);
        let vault = Vault::open_beside(&path, &entropy).unwrap();
        assert!(matches!(vault.available(early), Err(VaultError::Destroyed)));
        assert!(matches!(vault.available(late), Err(VaultError::Destroyed)));
        assert_eq!(vault.unseal(kept, b"", &sealed).unwrap(), b"text");
        assert!(matches!(backup(&path, NOW, 91), Err(BackupError::TooLong)));
    }
}
