//! The bundle that an auditor gets: both logs of every agreement and the node's journal, with their tiles and parts, the
//! packs and ratifications, digests of the registry's rows, and what this node refused locally. Written beside a running node; the format is strict, and
//! `convenio-audit` documents it (`services/audit/src/bundle.rs`).

mod folder;
mod logs;
mod rows;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_log::{Note, Policy, VerifierKey};
use convenio_seal::manifest::{ManifestKeys, NodeKeys};
use convenio_seal::origin::LogOrigin;
use convenio_seal::vault::Vault;
use convenio_store::{LogRow, Store, StoreError};

use crate::keys::rotation_states;
use crate::learn::MAX_CHANGES;
use crate::signer::{Named, log_key, mirror_key};
use crate::version::activation_states;
use crate::witness::witnessed;
use crate::{journal, publish};
use folder::Folder;
use logs::ExportedLog;

/// Ratifications: party and DSSE envelope.
pub type Envelopes = Vec<(String, Vec<u8>)>;

/// What a bundle holds beside the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    /// Every part that the node holds, and digests of its registry's rows.
    Full,
    /// No part.
    Commitments,
}

impl BundleKind {
    fn line(self) -> &'static str {
        match self {
            Self::Full => "kind full",
            Self::Commitments => "kind commitments only",
        }
    }
}

/// What is exported, and with which keys.
pub struct Export<'e> {
    /// What of it.
    pub kind: BundleKind,
    /// Database, for reading; of one moment, or the rows may be later than the journal.
    pub store: &'e dyn Store,
    /// Data keys of subjects.
    pub vault: &'e Vault,
    /// Operational keys; the log key signs heads and the manifest.
    pub keys: &'e NodeKeys,
    /// Name of the node.
    pub node: &'e str,
    /// Its party.
    pub party: &'e str,
    /// Packs in force with their ratifications: party and DSSE envelope.
    pub packs: Vec<(Pack, Envelopes)>,
    /// Lines of `evidence/refusals`.
    pub refusals: Vec<String>,
    /// The one agreement whose logs are exported, for an auditor of that agreement alone: without the journal and the
    /// rows, which tell of all. `None` for everything.
    pub only: Option<&'e str>,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Entries of all logs.
    pub entries: u64,
    /// Files, the manifest and its signature not counted.
    pub files: usize,
}

/// Nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder is there and not empty.
    #[error("{0}: is not an empty folder")]
    NotEmpty(String),
    /// A file or folder could not be written.
    #[error("{path}: {source}")]
    Io {
        /// Path.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The node has no log yet, or its logs cannot be what it wrote.
    #[error("{0}")]
    Logs(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Of the sets of keys that a node holds, the one that the last entries of its logs were signed with; none if its logs name
/// other keys, or there is no log yet.
///
/// # Errors
/// The database's.
pub async fn keys_in_force(store: &dyn Store, held: &[Arc<NodeKeys>]) -> Result<Option<Arc<NodeKeys>>, ExportError> {
    use convenio_wire::exchange::v1::statement::Body;
    let logs = store.logs().await?;
    let own = logs.iter().filter(|log| log.own && journal::epoch_of(log).is_none() && log.size > 0);
    let Some(last) = own.max_by_key(|log| log.epoch) else { return Ok(None) };
    let mut manifest = keys_of(store, last).await?;
    for state in store.states(&rotation_states(&last.origin), "", MAX_CHANGES).await? {
        let index = <[u8; 8]>::try_from(state.body).map_err(|_| StoreError::Corrupt("state"))?;
        let index = u64::from_be_bytes(index);
        let entry = store.entries(last.id, index, index + 1).await?.pop();
        let said = entry.and_then(|entry| convenio_seal::statement::claimed_statement(&entry.bytes));
        if let Some(Body::KeyRotate(rotate)) = said.and_then(|said| said.body)
            && let Ok(later) = ManifestKeys::parse(&rotate.key_manifest)
            && later.version > manifest.version
        {
            manifest = later;
        }
    }
    Ok(held.iter().find(|keys| keys.matches(&manifest)).cloned())
}

/// Digests of the versions that the logs put in force.
///
/// # Errors
/// The database's.
pub async fn activated(store: &dyn Store) -> Result<BTreeSet<[u8; 32]>, StoreError> {
    let mut found = BTreeSet::new();
    for log in store.logs().await? {
        for state in store.states(&activation_states(&log.origin), "", MAX_CHANGES).await? {
            found.insert(state.body.try_into().map_err(|_| StoreError::Corrupt("state"))?);
        }
    }
    Ok(found)
}

/// Writes the bundle to `out`, which must not exist or be empty; on an error nothing is left there.
///
/// # Errors
/// [`ExportError`].
pub async fn export(source: &Export<'_>, out: &Path) -> Result<Exported, ExportError> {
    let mut folder = Folder::create(out)?;
    let exported = write(source, &mut folder).await;
    match exported {
        Ok(entries) => Ok(Exported { entries, files: folder.publish()? }),
        Err(error) => {
            folder.discard();
            Err(error)
        }
    }
}

async fn write(source: &Export<'_>, folder: &mut Folder) -> Result<u64, ExportError> {
    let mut logs = source.store.logs().await?;
    logs.retain(|log| publish::extent(log) > 0 && source.only.is_none_or(|only| is_under(&log.origin, only)));
    logs.sort_by(|a, b| a.origin.cmp(&b.origin));
    let (journals, logs): (Vec<_>, Vec<_>) = logs.into_iter().partition(|log| journal::epoch_of(log).is_some());
    let (mut exported, mut kept, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for row in &logs {
        exported.push(logs::write(source, folder, row).await?);
        keys.push((row.origin.clone(), keys_of(source.store, row).await?));
    }
    for row in &journals {
        kept.push(logs::write(source, folder, row).await?);
    }
    for (pack, ratifications) in &source.packs {
        let digest = hex::encode(pack.digest());
        for (path, bytes) in pack.files().iter() {
            folder.write(&format!("packs/{digest}/{path}"), bytes)?;
        }
        for (party, envelope) in ratifications {
            folder.write(&format!("ratifications/{digest}/{party}.dsse.json"), envelope)?;
        }
    }
    folder.write("policy", policy(&keys)?.as_bytes())?;
    let mut refusals = source.refusals.clone();
    refusals.sort_unstable();
    folder.write("evidence/refusals", refusals.concat().as_bytes())?;
    // What the own witness cosigned for others is no agreement's.
    let notes = if source.only.is_none() { witnessed(source.store).await? } else { Vec::new() };
    for (log, note) in notes {
        folder.write(&format!("witnessed/{log}"), &note)?;
    }
    if source.kind == BundleKind::Full && !kept.is_empty() {
        rows::write(source.store, folder).await?;
    }
    sign(source, folder, &exported, &kept)?;
    Ok(exported.iter().chain(&kept).map(|log| log.size).sum())
}

/// Whether a log is one of `agreement`.
fn is_under(origin: &str, agreement: &str) -> bool {
    origin.parse::<LogOrigin>().is_ok_and(|origin| origin.agreement == agreement)
}

/// Keys that issue and cosign these logs, any one mirror being enough. A tlog-policy names a public key once: of the logs
/// that one key signs (epochs, partners) the first stands for all.
fn policy(logs: &[(String, ManifestKeys)]) -> Result<String, ExportError> {
    let unusable = || ExportError::Logs("the keys of a log cannot be named".to_owned());
    let mut text = String::new();
    for (at, (origin, keys)) in logs.iter().enumerate() {
        if logs[..at].iter().all(|(_, earlier)| earlier.log != keys.log) {
            let key = log_key(origin, &keys.log).ok_or_else(unusable)?;
            text.push_str(&format!("log {key}\n"));
        }
    }
    let mut mirrors: Vec<VerifierKey> = Vec::new();
    for (_, keys) in logs {
        let key = mirror_key(&keys.node, keys.version, &keys.mirror).ok_or_else(unusable)?;
        if !mirrors.iter().any(|known| known.public_key() == key.public_key()) {
            mirrors.push(key);
        }
    }
    for key in &mirrors {
        text.push_str(&format!("witness {} {key}\n", key.name()));
    }
    let names: Vec<_> = mirrors.iter().map(|key| key.name().to_owned()).collect();
    text.push_str(&format!("group mirrors any {}\nquorum mirrors\n", names.join(" ")));
    Policy::parse(text.as_bytes()).map_err(|_| unusable())?;
    Ok(text)
}

fn sign(
    source: &Export<'_>,
    folder: &mut Folder,
    logs: &[ExportedLog],
    journals: &[ExportedLog],
) -> Result<(), ExportError> {
    let own = logs.iter().find(|log| log.own).ok_or_else(|| ExportError::Logs("the node has no log yet".to_owned()))?;
    let (kind, node, party) = (source.kind.line(), source.node, source.party);
    let mut head = format!("convenio-bundle/v1\n{kind}\nexporter {node} {party}\n");
    let named = logs.iter().map(|log| ("log", log)).chain(journals.iter().map(|log| ("journal", log)));
    for (what, log) in named {
        head.push_str(&format!("{what} {} {} {}\n", log.origin, log.size, log.root));
    }
    let digest = folder.manifest(&head)?;
    let text = format!("convenio-bundle/v1\nsha256 {digest}\n");
    let unsigned = Note::new(text).and_then(|mut note| {
        note.sign(&Named { name: &own.origin, key: &source.keys.log })?;
        Ok(note)
    });
    let note = unsigned.map_err(|_| ExportError::Logs("the manifest cannot be signed".to_owned()))?;
    folder.signature(note.to_string().as_bytes())
}

/// Keys that the first entry of a log names. They were verified when it was mirrored or issued.
async fn keys_of(store: &dyn Store, log: &LogRow) -> Result<ManifestKeys, ExportError> {
    use convenio_wire::exchange::v1::statement::Body;
    let unusable = || ExportError::Logs(format!("{}: its first entry names no keys", log.origin));
    let first = store.entries(log.id, 0, 1).await?.pop().ok_or_else(unusable)?;
    let statement = convenio_seal::statement::claimed_statement(&first.bytes).ok_or_else(unusable)?;
    let Some(Body::EpochOpen(open)) = statement.body else { return Err(unusable()) };
    ManifestKeys::parse(&open.key_manifest).map_err(|_| unusable())
}

#[cfg(test)]
mod tests;
