//! A bundle as one file that only its auditor can open: a tar archive of the folder, encrypted with age (age-encryption.org/v1)
//! to an X25519 key. `age` itself opens it too.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use tar::{Archive, Builder, HeaderMode};

/// Most files of a bundle that are opened.
const MAX_FILES: usize = 10_000_000;

/// A bundle was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// The text is no X25519 recipient (`age1…`).
    #[error("is not an age X25519 recipient (age1…)")]
    Recipient,
    /// The file holds no X25519 identity (`AGE-SECRET-KEY-1…`).
    #[error("holds no age X25519 identity (AGE-SECRET-KEY-1…)")]
    Identity,
    /// The file is not encrypted to this identity, or was changed.
    #[error("cannot be decrypted with this identity: {0}")]
    Decrypt(String),
    /// The archive holds something that a bundle does not.
    #[error("holds what is no bundle: {0}")]
    Archive(&'static str),
    /// A folder of an earlier run, or of somebody else, stands where it is opened first.
    #[error("{} stands in the way: remove it if nobody needs it", .0.display())]
    InTheWay(PathBuf),
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Whom a bundle is encrypted to.
#[derive(Debug, Clone)]
pub struct Recipient(age::x25519::Recipient);

impl FromStr for Recipient {
    type Err = SealedError;

    fn from_str(text: &str) -> Result<Self, SealedError> {
        text.trim().parse().map(Self).map_err(|_| SealedError::Recipient)
    }
}

/// A new key of an auditor: the file with the identity, and the recipient to tell.
#[must_use]
pub fn new_key() -> (String, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    (format!("# public key: {recipient}\n{}\n", identity.to_string().expose_secret()), recipient)
}

/// Writes the folder of a bundle to `out`, encrypted.
///
/// # Errors
/// [`SealedError::Io`].
pub fn seal(folder: &Path, recipient: &Recipient, out: &mut File) -> Result<(), SealedError> {
    let recipients: [&dyn age::Recipient; 1] = [&recipient.0];
    let encryptor = age::Encryptor::with_recipients(recipients.into_iter()).map_err(io::Error::other)?;
    let sealing = encryptor.wrap_output(BufWriter::new(out))?;
    let mut archive = Builder::new(sealing);
    // Neither who exported nor when stands in it.
    archive.mode(HeaderMode::Deterministic);
    archive.follow_symlinks(false);
    archive.append_dir_all(".", folder)?;
    archive.into_inner()?.finish()?.flush()?;
    Ok(())
}

/// Opens what [`seal`] wrote into `out`, which must be absent or an empty folder. `identity` is the text of the identity's
/// file. On an error nothing is left there.
///
/// # Errors
/// [`SealedError`].
pub fn open(sealed: impl Read, identity: &str, out: &Path) -> Result<usize, SealedError> {
    let line = identity.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let identity: age::x25519::Identity = line.and_then(|line| line.parse().ok()).ok_or(SealedError::Identity)?;
    if out.is_file() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(SealedError::Archive("the folder for it is not empty"));
    }
    let refused = |error: age::DecryptError| SealedError::Decrypt(error.to_string());
    let decryptor = age::Decryptor::new_buffered(io::BufReader::new(sealed)).map_err(refused)?;
    let opened = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(refused)?;
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if let Some(parent) = partial.parent() {
        fs::create_dir_all(parent)?;
    }
    // What stands there already is not of this run: neither opened into nor removed.
    match fs::create_dir(&partial) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(SealedError::InTheWay(partial)),
        made => made?,
    }
    match unpack(opened, &partial) {
        Ok(files) => {
            if out.exists() {
                fs::remove_dir(out)?;
            }
            fs::rename(&partial, out)?;
            Ok(files)
        }
        Err(error) => {
            // Best effort: the folder never had its name.
            let _ = fs::remove_dir_all(&partial);
            Err(error)
        }
    }
}

/// Unpacks files and folders, and nothing else; the tar reader keeps them below `out`.
fn unpack(opened: impl Read, out: &Path) -> Result<usize, SealedError> {
    let mut archive = Archive::new(opened);
    archive.set_preserve_permissions(false);
    let mut files = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if !(kind.is_file() || kind.is_dir()) {
            return Err(SealedError::Archive("neither a file nor a folder"));
        }
        if !entry.unpack_in(out)? {
            return Err(SealedError::Archive("a path that leads out of it"));
        }
        files += usize::from(kind.is_file());
        if files > MAX_FILES {
            return Err(SealedError::Archive("too many files"));
        }
    }
    // What follows the archive is read too: only at its end does age tell whether the file is whole.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Seek, SeekFrom};

    use super::*;

    fn sealed(recipient: &str) -> (tempfile::TempDir, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("bundle");
        fs::create_dir_all(folder.join("logs/00")).unwrap();
        fs::write(folder.join("manifest"), "convenio-bundle/v1\n").unwrap();
        fs::write(folder.join("logs/00/checkpoint"), vec![7; 200_000]).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        seal(&folder, &recipient.parse().unwrap(), &mut file).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        (dir, bytes)
    }

    #[test]
    fn only_the_recipient_opens_it_and_no_byte_can_be_changed() {
        let ((identity, recipient), (stranger, _)) = (new_key(), new_key());
        let (dir, bytes) = sealed(&recipient);
        let out = dir.path().join("out");
        assert_eq!(open(&*bytes, &identity, &out).unwrap(), 2);
        assert_eq!(fs::read(out.join("logs/00/checkpoint")).unwrap(), vec![7; 200_000]);
        assert!(matches!(open(&*bytes, &identity, &out), Err(SealedError::Archive(_))), "the folder is taken");
        let gone = dir.path().join("gone");
        assert!(matches!(open(&*bytes, &stranger, &gone), Err(SealedError::Decrypt(_))));
        assert!(matches!(open(&*bytes, "nonsense", &gone), Err(SealedError::Identity)));
        for at in (0..bytes.len()).step_by(bytes.len() / 40) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(open(&*changed, &identity, &gone).is_err(), "byte {at}");
            assert!(open(&bytes[..at], &identity, &gone).is_err(), "cut at {at}");
        }
        assert!(!gone.exists() && !dir.path().join("gone.partial").exists());
        // What an earlier run left, or what is not ours, is neither part of the bundle nor removed.
        let left = dir.path().join("gone.partial");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("extra"), "x").unwrap();
        assert!(matches!(open(&*bytes, &identity, &gone), Err(SealedError::InTheWay(_))));
        assert!(!gone.exists() && left.join("extra").exists());
    }

    #[test]
    fn what_is_no_file_or_leads_out_is_not_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        let mut archive = Builder::new(Vec::new());
        archive.append_link(&mut link, "manifest", "/etc/passwd").unwrap();
        assert!(matches!(unpack(&*archive.into_inner().unwrap(), dir.path()), Err(SealedError::Archive(_))));

        let mut up = tar::Header::new_gnu();
        up.set_size(1);
        let name = b"../up";
        up.as_old_mut().name[..name.len()].copy_from_slice(name);
        up.set_cksum();
        let mut archive = Builder::new(Vec::new());
        archive.append(&up, &b"x"[..]).unwrap();
        assert!(matches!(unpack(&*archive.into_inner().unwrap(), dir.path()), Err(SealedError::Archive(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
