//! The end of what the node's journal tells: of a placement once every class of it that ends was ordered to be erased, of a
//! worker once that is so of each of their placements, of several or nobody after the longest time of any class.

use std::sync::Arc;

use convenio_agreement::retention::months_after;
use convenio_agreement::view::PlacementView;
use convenio_model::Ref;
use convenio_seal::JOURNAL_CLASS;
use convenio_store::{Kind, StoreError, ViewKind};
use futures::FutureExt;
use prost::Message;

use super::order::carried_out;
use super::retention::{Due, done_path, is_done, last_ms};
use crate::core::{Core, Exchange};
use crate::journal;

/// The first period that is not erased yet, u64 BE.
const NEXT: &str = "journal/erased";
/// Placements of one worker that are looked at.
const MAX_PLACEMENTS: u32 = 1024;

/// Erases what the journal tells of a placement, and of its worker if nothing of theirs is kept any more.
pub(super) async fn of_placement(core: &Arc<Core>, exchange: &Arc<Exchange>, due: &Due) -> Result<(), StoreError> {
    let worker = worker(core, due.placement).await?;
    let (path, placement, due_ms) =
        (done_path(exchange.pack(), JOURNAL_CLASS, due.placement), due.placement, due.due_ms);
    let erased = core.write::<_, StoreError, _>(move |work| {
        async move {
            journal::erase(work, (Kind::Placement, placement)).await?;
            if let Some(worker) = worker {
                journal::erase(work, (Kind::Worker, worker)).await?;
            }
            work.put_state(&path, Some(due_ms.to_be_bytes().to_vec()));
            Ok(())
        }
        .boxed()
    });
    erased.await?;
    carried_out(core).await;
    Ok(())
}

/// The worker of a placement, if what the journal tells of each other placement of theirs is erased.
async fn worker(core: &Core, placement: Ref) -> Result<Option<Ref>, StoreError> {
    let row = core.store.resource((Kind::Placement, placement)).await?;
    let Some(worker) = row.and_then(|row| row.parent) else { return Ok(None) };
    let all = core.store.children(Kind::Placement, worker, MAX_PLACEMENTS).await?;
    if all.len() >= MAX_PLACEMENTS as usize {
        return Ok(None);
    }
    for other in all.iter().filter(|other| other.id != placement) {
        if !erased(core, other.id).await? {
            return Ok(None);
        }
    }
    Ok(Some(worker))
}

async fn erased(core: &Core, placement: Ref) -> Result<bool, StoreError> {
    for exchange in core.exchanges() {
        let key = (exchange.pack().id().to_owned(), ViewKind::Placement, placement);
        let Some(row) = core.store.view(&key).await? else { continue };
        let view = PlacementView::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("view"))?;
        return match last_ms(exchange.pack(), &view) {
            Some(last) => is_done(core.store.as_ref(), exchange.pack(), JOURNAL_CLASS, placement, last).await,
            None => Ok(false),
        };
    }
    Ok(false)
}

/// Erases the periods of the journal that are over for longer than any agreement keeps what ends.
pub(super) async fn periods(core: &Arc<Core>) -> Result<(), StoreError> {
    let rules = core.exchanges().iter().flat_map(|exchange| exchange.pack().retention().classes.values());
    let Some(months) = rules.map(|rule| rule.months).max().filter(|months| *months > 0) else { return Ok(()) };
    let now_ms = core.sealer.clock.now_ms();
    let Some(mut period) = next(core).await? else { return Ok(()) };
    while months_after(journal::period_end(period), months) <= now_ms {
        let erased = core.write::<_, StoreError, _>(move |work| {
            async move {
                journal::erase_period(work, period).await?;
                work.put_state(NEXT, Some((period + 1).to_be_bytes().to_vec()));
                Ok(())
            }
            .boxed()
        });
        erased.await?;
        period += 1;
    }
    Ok(())
}

async fn next(core: &Core) -> Result<Option<u64>, StoreError> {
    if let Some(row) = core.store.state(NEXT).await? {
        let next = <[u8; 8]>::try_from(row.body).map_err(|_| StoreError::Corrupt("state"))?;
        return Ok(Some(u64::from_be_bytes(next)));
    }
    Ok(journal::first_ms(core.store.as_ref()).await?.map(journal::period_of))
}
