//! What the node does by itself: orders the erasure of what is due, carries out what a hold or minimum retention put off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::config::GROUND_ENDED;
use convenio_agreement::pack::Pack;
use convenio_agreement::view::PlacementView;
use convenio_model::{RecordId, Ref};
use convenio_store::{Deed, Kind, Store, StoreError, ViewKind};
use convenio_wire::registry::v1::PlacementEvent;
use futures::FutureExt;
use prost::Message;

use super::order::{EraseError, Which, carried_out, order, own_record};
use super::{hold, shred};
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
    /// Retention class.
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
    shred::run(core).await
}

/// What of an agreement's placements is due and not yet ordered. References only.
///
/// # Errors
/// The database's.
pub async fn due(core: &Core, exchange: &Exchange) -> Result<Vec<Due>, StoreError> {
    due_in(core.store.as_ref(), &exchange.pack, core.sealer.clock.now_ms()).await
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
    let ended = pack.ended_ms(view);
    let classes = pack.retention().classes.keys();
    let passed: BTreeMap<_, _> =
        classes.filter_map(|class| Some((class, pack.due_ms(class, ended)?))).filter(|(_, ms)| *ms <= now_ms).collect();
    let mut due = Vec::new();
    for (class, due_ms) in passed {
        let done = store.state(&done_path(pack, class, placement)).await?;
        if done.is_some_and(|row| row.body == due_ms.to_be_bytes()) {
            continue;
        }
        let holds = hold::of(store, pack.id(), placement).await?;
        let held = holds.iter().any(|hold| hold.keeps(class, now_ms));
        due.push(Due { agreement: pack.id().to_owned(), placement, class: class.clone(), due_ms, held });
    }
    Ok(due)
}

fn done_path(pack: &Pack, class: &str, placement: Ref) -> String {
    format!("{DONE}{}/{class}/{placement}", pack.id())
}

/// Orders one class of one placement.
async fn enforce(core: &Arc<Core>, exchange: &Arc<Exchange>, due: &Due) -> Result<(), StoreError> {
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
                let path = done_path(&job_exchange.pack, &due.class, due.placement);
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
        for row in rows.iter().filter(|row| row.agreement == exchange.pack.id()) {
            let event = PlacementEvent::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("event"))?;
            let own = event.party == exchange.own_party && event.act != "decision";
            let id = hex::decode(&event.record_id).ok().and_then(|id| Ref::from_slice(&id).ok());
            found.extend(id.filter(|_| own));
        }
    }
}
