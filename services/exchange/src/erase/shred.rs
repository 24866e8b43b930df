//! Destroying data keys, after the commit that made them useless.

use std::sync::Arc;

use convenio_seal::vault::{DataKeyId, VaultError};
use convenio_store::{StateRow, StoreError};
use futures::FutureExt;
use prost::Message;

use super::restore;
use super::state::Shred;
use crate::core::Core;

/// Path of the keys that are to be destroyed.
const SHRED: &str = "shred/";
/// Keys of one pass.
const PASS: u32 = 256;

/// Path of one key.
pub(crate) fn path(key: [u8; 16]) -> String {
    format!("{SHRED}{}", hex::encode(key))
}

/// Destroys every key that is to be destroyed, with a line in the ledger first. Repeating it does no harm.
pub(crate) async fn run(core: &Arc<Core>) -> Result<(), StoreError> {
    while *core.controls.shred.borrow() {
        let rows = core.store.states(SHRED, "", PASS).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let ready = rekeyed(core, rows).await?;
        if ready.is_empty() {
            return Ok(()); // what still waits does so for a commit under way; the next pass finds it
        }
        destroy(core, &ready).await?;
        let applied = restore::applied(core)?;
        core.write::<_, StoreError, _>(move |work| {
            async move {
                ready.iter().for_each(|(key, _)| work.put_state(&path(*key), None));
                applied.put(work);
                Ok(())
            }
            .boxed()
        })
        .await?;
    }
    Ok(())
}

/// Seals anew what still has to be; returns the keys that nothing needs any more.
async fn rekeyed(core: &Arc<Core>, rows: Vec<StateRow>) -> Result<Vec<([u8; 16], Shred)>, StoreError> {
    let mut ready = Vec::with_capacity(rows.len());
    for row in rows {
        let key = key_of(&row)?;
        let shred = Shred::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("state"))?;
        if shred.rekeyed || finish(core, key, shred.clone()).await? {
            ready.push((key, shred));
        }
    }
    Ok(ready)
}

async fn finish(core: &Arc<Core>, key: [u8; 16], shred: Shred) -> Result<bool, StoreError> {
    let sealer = core.sealer.clone();
    core.write(move |work| {
        async move {
            let done = super::rekey(work, &sealer, key, &shred).await?;
            if done {
                work.put_state(&path(key), Some(Shred { rekeyed: true, ..shred }.encode_to_vec()));
            }
            Ok(done)
        }
        .boxed()
    })
    .await
}

async fn destroy(core: &Arc<Core>, keys: &[([u8; 16], Shred)]) -> Result<(), StoreError> {
    let vault = core.sealer.vault.clone();
    let lines: Vec<_> = keys
        .iter()
        .flat_map(|(key, shred)| shred.lines.iter().cloned().chain([restore::shredded_line(*key)]))
        .collect();
    let keys: Vec<_> = keys.iter().map(|(key, _)| DataKeyId(*key)).collect();
    let work = move || {
        vault.ledger().append(&lines).map_err(|error| format!("the ledger of erasures: {error}"))?;
        for key in keys {
            match vault.destroy(key) {
                // A key that is not there seals nothing.
                Ok(()) | Err(VaultError::UnknownKey) => {}
                Err(error) => return Err(format!("data keys: {error}")),
            }
        }
        Ok(())
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| "a key was not destroyed".to_owned());
    done.and_then(|done| done).map_err(StoreError::Failed)
}

fn key_of(row: &StateRow) -> Result<[u8; 16], StoreError> {
    let mut key = [0; 16];
    let digits = row.key.strip_prefix(SHRED).unwrap_or_default();
    hex::decode_to_slice(digits, &mut key).map_err(|_| StoreError::Corrupt("state"))?;
    Ok(key)
}
