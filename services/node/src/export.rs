//! The bundle for an auditor, read from a node's files while the node runs or after it has ended.

use std::fs::File;
use std::io::Seek;
use std::path::{Path, PathBuf};

use convenio_exchange::bundle::{self, BundleKind, Export, ExportError, Exported};
use convenio_registry::refusal::NotedRefusal;
use convenio_rpc::{BundleRefused, Bundles};
use convenio_seal::dsse::Envelope;
use convenio_seal::root::RatifiedBy;
use convenio_seal::vault::{Vault, VaultError};
use convenio_store::{Kind, Store, StoreError};
use convenio_store_sqlite::SqliteStore;
use futures::FutureExt;
use futures::future::BoxFuture;
use prost::Message;
use serde::Serialize;

use crate::config::Config;
use crate::sealed::{Recipient, SealedError, seal};

/// Refusals read at a time.
const PAGE: u32 = 1000;

/// No bundle was written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The database cannot be read; the text names its file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of data keys cannot be read.
    #[error("{path}: {source}")]
    Vault {
        /// The file.
        path: String,
        /// Why.
        source: VaultError,
    },
    /// The folder cannot be written, or the logs are not there.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Writes the bundle of the configured node to `out`, which must be absent or an empty folder.
///
/// # Errors
/// [`BundleError`]; nothing is left in `out` then.
pub async fn export(config: &Config, kind: BundleKind, out: &Path) -> Result<Exported, BundleError> {
    export_under(config, kind, None, out).await
}

/// As [`export`], of one agreement alone if `only` names it: for an auditor whom nothing else concerns.
///
/// # Errors
/// [`BundleError`]; nothing is left in `out` then.
pub async fn export_under(
    config: &Config,
    kind: BundleKind,
    only: Option<&str>,
    out: &Path,
) -> Result<Exported, BundleError> {
    let store = SqliteStore::open_snapshot(&config.database).await?;
    let exported = write(config, &store, kind, only, out).await;
    store.close().await;
    exported
}

async fn write(
    config: &Config,
    store: &SqliteStore,
    kind: BundleKind,
    only: Option<&str>,
    out: &Path,
) -> Result<Exported, BundleError> {
    let refused = |source| BundleError::Vault { path: config.data_keys.display().to_string(), source };
    let vault = Vault::open_read_only(&config.data_keys).map_err(refused)?;
    let active = bundle::activated(store).await?;
    let later = config.amendments.iter().filter(|pack| active.contains(&pack.digest()));
    let packs = config.agreements.iter().map(|(pack, _)| pack).chain(later);
    let packs = packs.filter(|pack| only.is_none_or(|only| pack.id() == only));
    let packs = packs.map(|pack| (pack.as_ref().clone(), ratifications(config, &pack.digest())));
    let held = [std::slice::from_ref(&config.keys), config.other_keys.as_slice()].concat();
    let keys = bundle::keys_in_force(store, &held).await?.unwrap_or_else(|| config.keys.clone());
    let export = Export {
        kind,
        store,
        vault: &vault,
        keys: &keys,
        node: &config.node,
        party: &config.party,
        packs: packs.collect(),
        refusals: refusals(store, only).await?,
        only,
    };
    Ok(bundle::export(&export, out).await?)
}

/// Makes bundles for auditors who ask a running node: from the files that its configuration names at that moment.
pub(crate) struct NodeBundles {
    /// The node's configuration.
    pub config: PathBuf,
}

impl Bundles for NodeBundles {
    fn bundle(&self, kind: BundleKind, recipient: String) -> BoxFuture<'_, Result<File, BundleRefused>> {
        async move { self.made(kind, &recipient).await }.boxed()
    }
}

impl NodeBundles {
    async fn made(&self, kind: BundleKind, recipient: &str) -> Result<File, BundleRefused> {
        let recipient: Recipient = recipient.parse().map_err(|_| BundleRefused::Recipient)?;
        let path = self.config.clone();
        let config = tokio::task::spawn_blocking(move || Config::load(&path)).await.map_err(failed)?.map_err(failed)?;
        let beside = config.database.parent().unwrap_or(Path::new(".")).to_owned();
        // Nobody else can open the folder, and it is gone with the call.
        let scratch = tempfile::Builder::new().prefix("bundle-").tempdir_in(&beside).map_err(failed)?;
        let folder = scratch.path().join("bundle");
        export(&config, kind, &folder).await.map_err(failed)?;
        let sealed = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile_in(&beside)?;
            seal(&folder, &recipient, &mut file)?;
            file.rewind()?;
            drop(scratch);
            Ok::<_, SealedError>(file)
        });
        sealed.await.map_err(failed)?.map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> BundleRefused {
    BundleRefused::Failed(error.to_string())
}

/// Each party's ratification of a digest, as the configuration has verified them.
fn ratifications(config: &Config, digest: &[u8; 32]) -> Vec<(String, Vec<u8>)> {
    let said = |bytes: &Vec<u8>| {
        let envelope = Envelope::parse(bytes).ok()?;
        let said = RatifiedBy::parse(&envelope.payload).ok()?;
        (said.digest == *digest).then(|| (said.party().to_owned(), bytes.clone()))
    };
    config.ratifications.iter().filter_map(said).collect()
}

/// A line of `evidence/refusals`, keys in this order.
#[derive(Serialize)]
struct Line<'a> {
    agreement: &'a str,
    act: &'a str,
    gate: &'a str,
    subject: &'a str,
    field_paths: &'a [String],
    count: u64,
    first_ms: u64,
    last_ms: u64,
}

async fn refusals(store: &SqliteStore, only: Option<&str>) -> Result<Vec<String>, StoreError> {
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let rows = store.resources(Kind::Refusal, after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(lines) };
        after = Some(last.id);
        for row in &rows {
            let noted = NotedRefusal::decode(&*row.body).map_err(|_| StoreError::Corrupt("refusal"))?;
            if only.is_none_or(|only| noted.agreement == only) {
                lines.push(line(&noted)?);
            }
        }
    }
}

fn line(noted: &NotedRefusal) -> Result<String, StoreError> {
    let line = Line {
        agreement: &noted.agreement,
        act: &noted.act,
        gate: &noted.gate,
        subject: &noted.subject,
        field_paths: &noted.field_paths,
        count: noted.count,
        first_ms: noted.first_ms,
        last_ms: noted.last_ms,
    };
    serde_json::to_string(&line).map(|json| json + "\n").map_err(|_| StoreError::Corrupt("refusal"))
}
