//! The operational keys of a node: its key files, and the manifest that its roots sign.

use std::path::Path;

use convenio_model::Entropy;
use convenio_wire::exchange::v1::{Key, KeyManifest};

use crate::canonical::{self, NotCanonical};
use crate::key::{KeyError, PublicKey, SigningKey};
use crate::name::{is_node, is_party};

/// File beside the key files that holds the encoded, unsigned manifest.
pub const MANIFEST_FILE: &str = "manifest.binpb";
/// Largest encoded manifest, bytes.
pub const MAX_MANIFEST: usize = 8 * 1024;

const ALGORITHM: &str = "ed25519";
pub(crate) const USES: [&str; 4] = ["record", "log", "mirror", "witness"];
/// Uses that a manifest may also name, at most once each; nothing here reads their keys.
const OTHER_USES: [&str; 2] = ["encryption", "tls-ca"];

/// What is wrong with a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than [`MAX_MANIFEST`].
    #[error("a key manifest is longer than 8 KiB")]
    TooLarge,
    /// Not canonical.
    #[error("key manifest: {0}")]
    Encoding(#[from] NotCanonical),
    /// A field does not have its form.
    #[error("field `{0}` of a key manifest is malformed")]
    Field(&'static str),
    /// A use that is not known.
    #[error("a key manifest names an unknown use")]
    UnknownUse,
    /// Two keys for one use, or one key for two.
    #[error("a key manifest names a use or a key twice")]
    Repeated,
    /// No key for a use.
    #[error("a key manifest has no `{0}` key")]
    Missing(&'static str),
}

/// The private keys with which a node acts.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs entries.
    pub record: SigningKey,
    /// Signs checkpoints of the node's own logs.
    pub log: SigningKey,
    /// Cosigns what the node has mirrored durably.
    pub mirror: SigningKey,
    /// Cosigns consistent checkpoints.
    pub witness: SigningKey,
}

impl NodeKeys {
    /// Four new keys.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let key = || SigningKey::generate(entropy);
        Self { record: key(), log: key(), mirror: key(), witness: key() }
    }

    /// Reads `{record,log,mirror,witness}.sk.pem` of `dir`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        let key = |of: &str| SigningKey::load(&key_file(dir, of));
        Ok(Self { record: key("record")?, log: key("log")?, mirror: key("mirror")?, witness: key("witness")? })
    }

    /// Writes the four key files into `dir`, which must exist.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if one is there already (then none is written), [`KeyError::Io`].
    pub fn store(&self, dir: &Path) -> Result<(), KeyError> {
        if USES.iter().any(|of| key_file(dir, of).exists()) {
            return Err(KeyError::Exists);
        }
        self.each().into_iter().try_for_each(|(of, key)| key.store(&key_file(dir, of)))
    }

    /// The manifest of these keys.
    #[must_use]
    pub fn manifest(&self, party: &str, node: &str, version: u64) -> KeyManifest {
        let key = |(of, key): (&str, &SigningKey)| Key {
            r#use: of.into(),
            alg: ALGORITHM.into(),
            spki: key.public().spki_der().to_vec(),
        };
        let keys = self.each().into_iter().map(key).collect();
        KeyManifest { party: party.into(), node: node.into(), version, keys }
    }

    /// Whether these are the private halves of `manifest`.
    #[must_use]
    pub fn matches(&self, manifest: &ManifestKeys) -> bool {
        self.record.public() == manifest.record
            && self.log.public() == manifest.log
            && self.mirror.public() == manifest.mirror
            && self.witness.public() == manifest.witness
    }

    fn each(&self) -> [(&'static str, &SigningKey); 4] {
        [("record", &self.record), ("log", &self.log), ("mirror", &self.mirror), ("witness", &self.witness)]
    }
}

fn key_file(dir: &Path, of: &str) -> std::path::PathBuf {
    dir.join(format!("{of}{}", crate::key::KEY_FILE_SUFFIX))
}

/// The public keys of a node, read from a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestKeys {
    /// Party, for example `sv`.
    pub party: String,
    /// Node, for example `node.sv.example`.
    pub node: String,
    /// Version, from 1.
    pub version: u64,
    /// Verifies entries.
    pub record: PublicKey,
    /// Verifies checkpoints of the node's logs.
    pub log: PublicKey,
    /// Verifies cosignatures of the node's mirror.
    pub mirror: PublicKey,
    /// Verifies cosignatures of the node's witness.
    pub witness: PublicKey,
}

impl ManifestKeys {
    /// Reads an encoded manifest: canonical, `record`, `log`, `mirror` and `witness` once each with different Ed25519
    /// keys (a cosignature by Ed25519 does not commit to the cosigner's name).
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLarge);
        }
        let manifest: KeyManifest = canonical::decode(bytes)?;
        if !is_party(&manifest.party) {
            return Err(ManifestError::Field("party"));
        }
        if !is_node(&manifest.node) {
            return Err(ManifestError::Field("node"));
        }
        if manifest.version == 0 || manifest.version > i64::MAX as u64 {
            return Err(ManifestError::Field("version"));
        }
        let [record, log, mirror, witness] = read_keys(&manifest.keys)?;
        let KeyManifest { party, node, version, .. } = manifest;
        Ok(Self { party, node, version, record, log, mirror, witness })
    }
}

/// The keys of [`USES`], in that order.
fn read_keys(keys: &[Key]) -> Result<[PublicKey; 4], ManifestError> {
    let mut found: [Option<PublicKey>; 4] = [None; 4];
    for (at, key) in keys.iter().enumerate() {
        if keys[..at].iter().any(|earlier| earlier.r#use == key.r#use || earlier.spki == key.spki) {
            return Err(ManifestError::Repeated);
        }
        let Some(slot) = USES.iter().position(|of| *of == key.r#use) else {
            if OTHER_USES.contains(&&*key.r#use) {
                continue;
            }
            return Err(ManifestError::UnknownUse);
        };
        if key.alg != ALGORITHM {
            return Err(ManifestError::Field("keys.alg"));
        }
        found[slot] = Some(PublicKey::from_spki_der(&key.spki).map_err(|_| ManifestError::Field("keys.spki"))?);
    }
    let take = |slot: usize| found[slot].ok_or(ManifestError::Missing(USES[slot]));
    Ok([take(0)?, take(1)?, take(2)?, take(3)?])
}

#[cfg(test)]
mod tests;
