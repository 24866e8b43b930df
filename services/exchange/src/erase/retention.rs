//! What the node does by itself: orders the erasure of what is due, carries out what a hold or minimum retention put off.

use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::config::GROUND_ENDED;
use convenio_agreement::pack::Pack;
use convenio_agreement::view::PlacementView;
use convenio_model::{RecordId, Ref};
use convenio_seal::JOURNAL_CLASS;
use convenio_store::{Deed, Kind, Store, StoreError, ViewKind};
use convenio_wire::registry::v1::PlacementEvent;
use futures::FutureExt;
use prost::Message;

use super::order::{EraseError, Which, carried_out, order, own_record};
use super::{hold, journalled, shred};
use crate::core::{Core, Exchange};
use crate::inbound::erase::settle_due;

/// How often the node looks.
const EVERY: Duration = Duration::from_secs(3_600);
/// Placements of one page, events of another.
const PAGE: u32 = 256;
/// Path of what was ordered because it was due: `retained/<agreement>/<class>/<placement>`, with the end that counted.
const DONE: &str = "retained/";

/// A class of one placement that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Agreement.
    pub agreement: String,
    /// Placement.
    pub placement: Ref,
    /// Retention class; `journal` for what the node's journal tells of it.
    pub class: String,
    /// Since when, Unix ms.
    pub due_ms: u64,
    /// A hold keeps it.
    pub held: bool,
}

/// Looks every hour until the node stops.
pub(crate) async fn run(core: Arc<Core>) {
    loop {
        if let Err(error) = pass(&core).await {
            tracing::error!(reason = %error, "retention rules were not all carried out");
        }
        core.sealer.clock.sleep(EVERY).await;
    }
}

/// Carries out all that is due now.
///
/// # Errors
/// The database's; what was done before stands.
pub async fn pass(core: &Arc<Core>) -> Result<(), StoreError> {
    shred::run(core).await?;
    for exchange in core.exchanges() {
        settle_due(core, exchange).await?;
        for due in due(core, exchange).await? {
            if !due.held {
                enforce(core, exchange, &due).await?;
            }
        }
    }
    journalled::periods(core).await?;
    shred::run(core).await
}

/// What of an agreement's placements is due and not yet ordered. References only.
///
/// # Errors
/// The database's.
pub async fn due(core: &Core, exchange: &Exchange) -> Result<Vec<Due>, StoreError> {
    due_in(core.store.as_ref(), exchange.pack(), core.sealer.clock.now_ms()).await
}

/// As [`due`], from a database that no node need have open.
///
/// # Errors
/// The database's.
pub async fn due_in(store: &dyn Store, pack: &Pack, now_ms: u64) -> Result<Vec<Due>, StoreError> {
    let mut found = Vec::new();
    for state in &pack.retention().ended {
        let mut after = None;
        loop {
            let rows = store.views(ViewKind::Placement, pack.id(), state, after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.key.2);
            for row in rows {
                let view = PlacementView::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("view"))?;
                found.extend(of_placement(store, pack, row.key.2, &view, now_ms).await?);
            }
        }
    }
    Ok(found)
}

async fn of_placement(
    store: &dyn Store,
    pack: &Pack,
    placement: Ref,
    view: &PlacementView,
    now_ms: u64,
) -> Result<Vec<Due>, StoreError> {
    let (mut due, mut open) = (Vec::new(), false);
    for (class, due_ms) in ending(pack, view) {
        if due_ms > now_ms {
            open = true;
        } else if !is_done(store, pack, class, placement, due_ms).await? {
            due.push((class, due_ms));
        }
    }
    // What the journal tells goes when nothing else is left to go.
    if let (true, Some(last)) = (!open && due.is_empty(), last_ms(pack, view))
        && !is_done(store, pack, JOURNAL_CLASS, placement, last).await?
    {
        due.push((JOURNAL_CLASS, last));
    }
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let holds = hold::of(store, pack.id(), placement).await?;
    let held = |class: &str| {
        let of = if class == JOURNAL_CLASS { "" } else { class }; // whatever is held, its journal is
        holds.iter().any(|hold| hold.keeps(of, now_ms))
    };
    let of = |(class, due_ms): (&str, u64)| Due {
        agreement: pack.id().to_owned(),
        placement,
        class: class.to_owned(),
        due_ms,
        held: held(class),
    };
    Ok(due.into_iter().map(of).collect())
}

/// The classes of a placement that end, each with when it is due; none while the placement has not ended.
fn ending<'p>(pack: &'p Pack, view: &PlacementView) -> Vec<(&'p str, u64)> {
    let ended = pack.ended_ms(view);
    pack.retention().classes.keys().filter_map(|class| Some((class.as_str(), pack.due_ms(class, ended)?))).collect()
}

/// When the last of them is due.
pub(super) fn last_ms(pack: &Pack, view: &PlacementView) -> Option<u64> {
    ending(pack, view).into_iter().map(|(_, due_ms)| due_ms).max()
}

/// Whether what was due at that time was carried out.
pub(super) async fn is_done(
    store: &dyn Store,
    pack: &Pack,
    class: &str,
    placement: Ref,
    due_ms: u64,
) -> Result<bool, StoreError> {
    let row = store.state(&done_path(pack, class, placement)).await?;
    Ok(row.is_some_and(|row| row.body == due_ms.to_be_bytes()))
}

pub(super) fn done_path(pack: &Pack, class: &str, placement: Ref) -> String {
    format!("{DONE}{}/{class}/{placement}", pack.id())
}

/// Orders one class of one placement.
async fn enforce(core: &Arc<Core>, exchange: &Arc<Exchange>, due: &Due) -> Result<(), StoreError> {
    if due.class == JOURNAL_CLASS {
        return journalled::of_placement(core, exchange, due).await;
    }
    let mut records = Vec::new();
    for id in own_records(core, exchange, due.placement).await? {
        match own_record(core, exchange, id).await {
            Ok(record) => records.push(record),
            Err(EraseError::Issue(crate::error::IssueError::Store(error))) => return Err(error),
            Err(_) => {}
        }
    }
    let (job_core, job_exchange, due) = (core.clone(), exchange.clone(), due.clone());
    let done = core
        .write::<_, EraseError, _>(move |work| {
            async move {
                let which = Which::Class(&due.class);
                match order(work, &job_core, &job_exchange, &records, which, GROUND_ENDED).await {
                    Ok(_) => work.note(Deed::Erased, [(Kind::Placement, due.placement)]),
                    // Nothing of that class was ever sent.
                    Err(EraseError::NotFound) => {}
                    Err(error) => return Err(error),
                }
                let path = done_path(job_exchange.pack(), &due.class, due.placement);
                work.put_state(&path, Some(due.due_ms.to_be_bytes().to_vec()));
                Ok(())
            }
            .boxed()
        })
        .await;
    match done {
        Ok(()) => carried_out(core).await,
        Err(EraseError::Issue(crate::error::IssueError::Store(error))) => return Err(error),
        // Tried again in an hour.
        Err(error) => tracing::warn!(reason = %error, "what is due was not erased"),
    }
    Ok(())
}

/// Records that this node issued about a placement, in the order in which it did.
///
/// # Errors
/// The database's.
pub async fn own_records(core: &Core, exchange: &Exchange, placement: Ref) -> Result<Vec<RecordId>, StoreError> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let rows = core.store.events(placement, after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = last.ordinal;
        for row in rows.iter().filter(|row| row.agreement == exchange.pack().id()) {
            let event = PlacementEvent::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("event"))?;
            let own = event.party == exchange.own_party && event.act != "decision";
            let id = hex::decode(&event.record_id).ok().and_then(|id| Ref::from_slice(&id).ok());
            found.extend(id.filter(|_| own));
        }
    }
}
