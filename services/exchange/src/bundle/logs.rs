//! One log in a bundle: head, kept checkpoints, tiles of every level, entries, parts. Read a tile's width at a time.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use convenio_log::tile::{encode_bundle, entry_tiles, tiles};
use convenio_log::{Checkpoint, Hash, SignedCheckpoint};
use convenio_store::{EntryRow, LogRow, Store, StoreError};
use prost::Message;

use super::folder::Folder;
use super::{BundleKind, Export, ExportError};
use crate::publish::merge;
use crate::reading::parts_of;
use crate::signer::Named;
use crate::tiles::{bytes, head_at};
use crate::witness::cosigned;

/// A log as it was exported.
pub(super) struct ExportedLog {
    pub origin: String,
    pub own: bool,
    pub size: u64,
    pub root: String,
}

pub(super) async fn write(source: &Export<'_>, folder: &mut Folder, log: &LogRow) -> Result<ExportedLog, ExportError> {
    let base = format!("logs/{}", crate::publish::folder(&log.origin));
    let size = crate::publish::extent(log);
    let head = head_at(source.store, log.id, size).await?;
    write_heads(source, folder, &base, log, size, head.root).await?;
    write_tiles(source.store, folder, &base, log, size).await?;
    for tile in entry_tiles(size) {
        let end = (tile.first_entry() + u64::from(tile.width())).min(size);
        let rows = source.store.entries(log.id, tile.first_entry(), end).await?;
        let bundle = encode_bundle(rows.iter().map(|row| row.bytes.as_slice()));
        let bundle = bundle.map_err(|_| ExportError::Logs(format!("{}: an entry is too long", log.origin)))?;
        folder.write(&format!("{base}/{tile}"), &bundle)?;
        let parts = match source.kind {
            BundleKind::Full => parts(source, log, &rows).await?,
            BundleKind::Commitments => Vec::new(),
        };
        if !parts.is_empty() {
            let number = tile_number(tile.index());
            folder.write(&format!("{base}/parts/{number}"), &parts)?;
        }
    }
    Ok(ExportedLog { origin: log.origin.clone(), own: log.own, size, root: STANDARD.encode(head.root) })
}

/// The head with every cosignature of it that is held, as cosigned if it is, else signed now; and what the partner or a
/// witness cosigned before.
async fn write_heads(
    source: &Export<'_>,
    folder: &mut Folder,
    base: &str,
    log: &LogRow,
    size: u64,
    root: [u8; 32],
) -> Result<(), ExportError> {
    let corrupt = |_| StoreError::Corrupt("checkpoint");
    let mut kept: BTreeMap<u64, SignedCheckpoint> = BTreeMap::new();
    if !log.cosigned.is_empty() {
        kept.insert(log.cosigned_size, SignedCheckpoint::parse(&log.cosigned).map_err(corrupt)?);
    }
    if log.own && !kept.contains_key(&size) {
        kept.insert(size, signed(source, log, size, root)?);
    }
    for other in cosigned(source.store, &log.origin).await? {
        let note = kept.entry(other.checkpoint().size()).or_insert_with(|| other.clone());
        merge(note, &other);
    }
    for (of, note) in kept.range(..=size) {
        let path = if *of == size { format!("{base}/checkpoint") } else { format!("{base}/checkpoints/{of}") };
        folder.write(&path, note.to_string().as_bytes())?;
    }
    Ok(())
}

fn signed(source: &Export<'_>, log: &LogRow, size: u64, root: [u8; 32]) -> Result<SignedCheckpoint, ExportError> {
    let failed = || ExportError::Logs(format!("{}: its head cannot be signed", log.origin));
    let checkpoint = Checkpoint::new(log.origin.as_str(), size, Hash::from(root)).map_err(|_| failed())?;
    checkpoint.sign(&Named { name: &log.origin, key: &source.keys.log }).map_err(|_| failed())
}

async fn write_tiles(
    store: &dyn Store,
    folder: &mut Folder,
    base: &str,
    log: &LogRow,
    size: u64,
) -> Result<(), ExportError> {
    for tile in tiles(size) {
        folder.write(&format!("{base}/{tile}"), &bytes(store, log.id, tile).await?)?;
    }
    Ok(())
}

/// Salts and parts of these entries, each entry behind its length.
async fn parts(source: &Export<'_>, log: &LogRow, rows: &[EntryRow]) -> Result<Vec<u8>, ExportError> {
    let mut bytes = Vec::new();
    for entry in parts_of(source.store, source.vault, log.id, rows).await? {
        let encoded = entry.encode_to_vec();
        bytes.extend_from_slice(&u32::try_from(encoded.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&encoded);
    }
    Ok(bytes)
}

/// A number as tile paths spell it: groups of three digits, all but the last prefixed `x`.
fn tile_number(number: u64) -> String {
    let mut text = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}
