//! Receipts: an inclusion proof under a checkpoint that the partner's mirror cosigned. Derived on demand, never stored.

use convenio_log::tile::inclusion_tiles;
use convenio_log::{SignedCheckpoint, TlogProof};
use convenio_model::RecordId;
use convenio_store::StoreError;

use crate::core::Core;
use crate::tiles;

/// The receipt (C2SP tlog-proof) of an own record; None until it is delivered.
///
/// # Errors
/// The database's.
pub async fn receipt(core: &Core, record: RecordId) -> Result<Option<String>, StoreError> {
    let places = core.store.record(record).await?;
    let logs = core.store.logs().await?;
    let own = places
        .into_iter()
        .find_map(|(log, index)| Some((logs.iter().find(|l| l.id == log && l.own && index < l.size)?, index)));
    let Some((log, index)) = own.filter(|(log, index)| *index < log.cosigned_size) else { return Ok(None) };
    let corrupt = |_| StoreError::Corrupt("checkpoint");
    let checkpoint = SignedCheckpoint::parse(&log.cosigned).map_err(corrupt)?;
    let needed = inclusion_tiles(index, log.cosigned_size).map_err(|_| StoreError::Corrupt("tile"))?;
    let loaded = tiles::load(core.store.as_ref(), log.id, needed).await?;
    let reader = tiles::reader(&loaded, log.cosigned_size);
    let proof = TlogProof::new(&reader, index, checkpoint).map_err(|_| StoreError::Corrupt("tile"))?;
    Ok(Some(proof.to_string()))
}
