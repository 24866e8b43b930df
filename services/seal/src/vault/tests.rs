use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use convenio_model::SeededEntropy;

use super::*;

struct Place {
    dir: tempfile::TempDir,
    entropy: SeededEntropy,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), entropy: SeededEntropy::new(3) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("data.keys")
    }

    fn open(&self) -> Vault {
        Vault::open_beside(&self.path(), &self.entropy).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    /// A closed vault with `count` durable keys, and what each sealed.
    fn filled(&self, count: usize) -> Vec<(DataKeyId, Vec<u8>)> {
        let vault = self.open();
        let sealed = (0..count).map(|_| {
            let id = vault.create(&self.entropy).unwrap();
            (id, vault.seal(id, b"aad", b"text", &self.entropy).unwrap())
        });
        let sealed = sealed.collect();
        vault.flush().unwrap();
        sealed
    }
}

#[test]
fn seals_and_opens_also_after_reopening() {
    let place = Place::new();
    let sealed = place.filled(3);
    let vault = place.open();
    for (id, sealed) in &sealed {
        assert_eq!(sealed.len(), 4 + SEAL_OVERHEAD);
        assert_eq!(vault.unseal(*id, b"aad", sealed).unwrap(), b"text");
        assert!(matches!(vault.unseal(*id, b"other", sealed), Err(VaultError::Sealed)));
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(matches!(vault.unseal(*id, b"aad", &bad), Err(VaultError::Sealed)));
        }
        for end in 0..sealed.len() {
            assert!(matches!(vault.unseal(*id, b"aad", &sealed[..end]), Err(VaultError::Sealed)));
        }
    }
    let crossed = vault.unseal(sealed[0].0, b"aad", &sealed[1].1);
    assert!(matches!(crossed, Err(VaultError::Sealed)));
    assert!(matches!(vault.available(DataKeyId([0; 16])), Err(VaultError::UnknownKey)));
}

#[test]
fn files_are_private_and_hold_no_key_in_clear() {
    let place = Place::new();
    let kek = place.dir.path().join("data.keys.kek");
    let vault = place.open();
    let id = vault.create(&place.entropy).unwrap();
    vault.flush().unwrap();
    let key = vault.slot(id).unwrap().key().unwrap();
    assert!(!place.bytes().windows(32).any(|window| window == key.as_slice()));
    for file in [&place.path(), &kek] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(place.dir.path()).unwrap().count(), 2, "no draft is left");
}

#[test]
fn what_was_not_flushed_is_gone() {
    let place = Place::new();
    let vault = place.open();
    let id = vault.create(&place.entropy).unwrap();
    vault.available(id).unwrap();
    drop(vault);
    assert!(matches!(place.open().available(id), Err(VaultError::UnknownKey)));
}

#[test]
fn a_destroyed_key_opens_nothing() {
    let place = Place::new();
    let sealed = place.filled(3);
    let before = place.bytes();
    let vault = place.open();
    let (id, text) = &sealed[1];
    vault.destroy(*id).unwrap();
    vault.destroy(*id).unwrap();
    assert!(matches!(vault.unseal(*id, b"aad", text), Err(VaultError::Destroyed)));
    assert!(matches!(vault.seal(*id, b"", b"", &place.entropy), Err(VaultError::Destroyed)));
    drop(vault);

    let wrapped = &before[2 * record::LEN + 16..2 * record::LEN + 76];
    assert!(!place.bytes().windows(8).any(|window| wrapped.windows(8).any(|old| old == window)));
    let vault = place.open();
    assert!(matches!(vault.unseal(*id, b"aad", text), Err(VaultError::Destroyed)));
    for (other, text) in [&sealed[0], &sealed[2]] {
        assert_eq!(vault.unseal(*other, b"aad", text).unwrap(), b"text");
    }
}

#[test]
fn a_key_destroyed_before_its_flush_never_reaches_the_disk() {
    let place = Place::new();
    let vault = place.open();
    let [gone, kept] = [vault.create(&place.entropy).unwrap(), vault.create(&place.entropy).unwrap()];
    vault.destroy(gone).unwrap();
    vault.flush().unwrap();
    assert!(matches!(vault.available(gone), Err(VaultError::Destroyed)));
    // The offset of the one that was kept is right: it can be destroyed in place.
    vault.destroy(kept).unwrap();
    drop(vault);
    assert_eq!(place.bytes().len(), 2 * record::LEN);
    assert!(matches!(place.open().available(kept), Err(VaultError::Destroyed)));
}

#[test]
fn a_tail_cut_off_anywhere_is_truncated() {
    for cut in 1..record::LEN {
        let place = Place::new();
        let sealed = place.filled(3);
        let whole = place.bytes();
        std::fs::write(place.path(), &whole[..whole.len() - cut]).unwrap();
        let vault = place.open();
        assert_eq!(place.bytes(), whole[..3 * record::LEN], "cut {cut}");
        assert!(matches!(vault.available(sealed[2].0), Err(VaultError::UnknownKey)));
        let added = vault.create(&place.entropy).unwrap();
        vault.flush().unwrap();
        drop(vault);
        let vault = place.open();
        vault.available(added).unwrap();
        for (id, text) in &sealed[..2] {
            assert_eq!(vault.unseal(*id, b"aad", text).unwrap(), b"text");
        }
    }
}

#[test]
fn room_never_filled_is_truncated() {
    let place = Place::new();
    let sealed = place.filled(1);
    let whole = place.bytes();
    std::fs::write(place.path(), [&whole[..], &[0; 3 * record::LEN + 7]].concat()).unwrap();
    let vault = place.open();
    assert_eq!(place.bytes(), whole);
    vault.available(sealed[0].0).unwrap();
}

#[test]
fn a_destruction_that_was_cut_off_can_be_repeated() {
    let place = Place::new();
    let sealed = place.filled(2);
    let (id, _) = sealed[1];
    let at = 2 * record::LEN as u64;
    let file = OpenOptions::new().write(true).open(place.path()).unwrap();
    file.write_all_at(&[0; 30], at + 46).unwrap();
    let vault = place.open();
    assert!(matches!(vault.available(id), Err(VaultError::Damaged)));
    vault.available(sealed[0].0).unwrap();
    vault.destroy(id).unwrap();
    assert_eq!(place.bytes()[at as usize..], record::destroyed(id));
}

#[test]
fn foreign_files_wrong_keys_and_second_processes_are_refused() {
    let place = Place::new();
    place.filled(1);
    let before = place.bytes();
    let open = |kek: &[u8; 32]| Vault::open(&place.path(), WrappingKey::from_bytes(kek), &place.entropy);
    assert!(matches!(open(&[0; 32]), Err(VaultError::WrappingKey)));

    let held = place.open();
    assert!(matches!(Vault::open_beside(&place.path(), &place.entropy), Err(VaultError::Locked)));
    drop(held);

    std::fs::remove_file(place.dir.path().join("data.keys.kek")).unwrap();
    assert!(matches!(Vault::open_beside(&place.path(), &place.entropy), Err(VaultError::WrappingKey)));
    assert!(!place.dir.path().join("data.keys.kek").exists(), "no new key for an old vault");
    assert_eq!(place.bytes(), before);

    for foreign in [&b""[..], b"short", &[7; 200]] {
        std::fs::write(place.path(), foreign).unwrap();
        assert!(matches!(open(&[0; 32]), Err(VaultError::NotAVault)));
        assert_eq!(place.bytes(), foreign);
    }
}

#[test]
fn threads_share_a_vault() {
    let place = Place::new();
    let vault = Arc::new(place.open());
    let work = |seed: u64| {
        let vault = Arc::clone(&vault);
        std::thread::spawn(move || {
            let entropy = SeededEntropy::labelled(seed, "thread");
            let made = (0..20).map(|_| {
                let id = vault.create(&entropy).unwrap();
                vault.flush().unwrap();
                id
            });
            let made: Vec<_> = made.collect();
            for id in made.iter().step_by(2) {
                vault.destroy(*id).unwrap();
            }
            made
        })
    };
    let threads: Vec<_> = (0..4).map(work).collect();
    let made: Vec<Vec<DataKeyId>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    drop(vault);
    let vault = place.open();
    for ids in made {
        for (nth, id) in ids.into_iter().enumerate() {
            assert_eq!(vault.available(id).is_ok(), nth % 2 == 1);
        }
    }
}

#[test]
fn after_a_failed_write_nothing_more_is_promised() {
    let place = Place::new();
    let vault = place.open();
    let stored = vault.create(&place.entropy).unwrap();
    assert!(vault.has_unflushed());
    vault.flush().unwrap();
    assert!(!vault.has_unflushed());
    let lost = vault.create(&place.entropy).unwrap();
    // A file opened for reading alone: the next write fails in the kernel.
    vault.file.lock().unwrap().file = std::fs::File::open(place.path()).unwrap();
    assert!(matches!(vault.flush(), Err(VaultError::Io(_))));
    assert!(vault.has_unflushed(), "who asks must not commit what refers to the lost key");
    assert!(matches!(vault.flush(), Err(VaultError::Broken)));
    assert!(matches!(vault.create(&place.entropy), Err(VaultError::Broken)));
    assert!(matches!(vault.destroy(stored), Err(VaultError::Broken)));
    vault.available(stored).unwrap();
    drop(vault);
    let vault = place.open();
    vault.available(stored).unwrap();
    assert!(matches!(vault.available(lost), Err(VaultError::UnknownKey)));
}
