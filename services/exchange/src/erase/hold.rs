//! Holds (retenciones): what an audit or a dispute needs is not erased while one stands. Each has a copy in the ledger
//! beside the vault, off the database.

use std::sync::Arc;

use convenio_agreement::retention::months_after;
use convenio_model::Ref;
use convenio_store::{Deed, Kind, Store, StoreError, ViewKind, Work};
use futures::FutureExt;
use prost::Message;

use super::{restore, shred};
use crate::core::{Core, Exchange};
use crate::journal::Actor;

/// Path of the holds: `hold/<agreement>/<placement>`.
const HOLDS: &str = "hold/";
/// Holds of one placement at most.
const MAX_HOLDS: usize = 64;

/// A hold on a placement's parts.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hold {
    /// Identifier, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Retention class; empty for all.
    #[prost(string, tag = "2")]
    pub class: String,
    /// Ground, a code of the pack.
    #[prost(string, tag = "3")]
    pub ground: String,
    /// When it was placed, Unix ms.
    #[prost(uint64, tag = "4")]
    pub created_ms: u64,
    /// When it ends by itself, Unix ms.
    #[prost(uint64, tag = "5")]
    pub expires_ms: u64,
    /// When it was released, Unix ms; 0 while it was not.
    #[prost(uint64, tag = "6")]
    pub released_ms: u64,
}

impl Hold {
    /// Whether it keeps a part of `class` at `now_ms`.
    #[must_use]
    pub fn keeps(&self, class: &str, now_ms: u64) -> bool {
        self.stands(now_ms) && (self.class.is_empty() || self.class == class || class.is_empty())
    }

    /// Whether it stands at `now_ms`.
    #[must_use]
    pub fn stands(&self, now_ms: u64) -> bool {
        self.released_ms == 0 && now_ms < self.expires_ms
    }
}

/// The holds of one placement.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Holds {
    #[prost(message, repeated, tag = "1")]
    pub holds: Vec<Hold>,
}

impl Holds {
    /// The hold of this id that stands there already, if one does.
    fn room_for(&self, hold: &Hold) -> Result<Option<Hold>, HoldError> {
        match self.holds.iter().find(|known| known.id == hold.id) {
            None if self.holds.len() >= MAX_HOLDS => Err(HoldError::TooMany),
            known => Ok(known.cloned()),
        }
    }
}

/// A hold was not placed or released; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The placement, or its hold, is not known.
    #[error("no such placement or hold")]
    NotFound,
    /// Not a ground of the pack.
    #[error("not a ground for a hold under this agreement")]
    Ground,
    /// Not a class of the pack.
    #[error("not a retention class of this agreement")]
    Class,
    /// In the past, or later than the pack lets a hold last.
    #[error("a hold must end after now and within the agreement's longest")]
    Expiry,
    /// The placement has too many.
    #[error("too many holds on this placement")]
    TooMany,
    /// The database or the ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the holds of a placement are kept.
pub(crate) fn path(agreement: &str, placement: Ref) -> String {
    format!("{HOLDS}{agreement}/{placement}")
}

/// Places a hold; `hold.id`, class, ground and expiry are the caller's. The same id again gives what is kept.
///
/// # Errors
/// [`HoldError`].
pub async fn place(
    core: &Arc<Core>,
    actor: Actor,
    exchange: &Arc<Exchange>,
    placement: Ref,
    hold: Hold,
) -> Result<Hold, HoldError> {
    let now_ms = core.sealer.clock.now_ms();
    let hold = Hold { created_ms: now_ms, released_ms: 0, ..hold };
    check(exchange, &hold)?;
    let view = (exchange.pack().id().to_owned(), ViewKind::Placement, placement);
    core.store.view(&view).await?.ok_or(HoldError::NotFound)?;
    let known = Holds { holds: of(core.store.as_ref(), exchange.pack().id(), placement).await? };
    if let Some(known) = known.room_for(&hold)? {
        return Ok(known);
    }
    // In the ledger first: one hold too many is safe, one too few is not.
    append(core, restore::hold_line(exchange, placement, &hold)).await?;
    let (path, id, asked) =
        (path(exchange.pack().id(), placement), Ref::from_slice(&hold.id).unwrap_or_default(), hold);
    let placed = core.write_as(actor, move |work| {
        async move {
            work.note(Deed::Held, [(Kind::Placement, placement)]);
            let mut all = load(work, &path).await?;
            // Another may have come between.
            if let Some(known) = all.room_for(&asked)? {
                return Ok(known);
            }
            all.holds.push(asked.clone());
            work.put_state(&path, Some(all.encode_to_vec()));
            Ok(asked)
        }
        .boxed()
    });
    let placed = placed.await;
    match &placed {
        Ok(_) => restore::mark(core).await?,
        Err(HoldError::TooMany) => append(core, restore::release_line(exchange, placement, id, now_ms)).await?,
        // Whether it stands is not known; the ledger says that it does.
        Err(_) => {}
    }
    placed
}

/// Releases a hold and erases what it alone kept from being erased.
///
/// # Errors
/// [`HoldError`].
pub async fn release(
    core: &Arc<Core>,
    actor: Actor,
    exchange: &Arc<Exchange>,
    placement: Ref,
    id: Ref,
) -> Result<Hold, HoldError> {
    let now_ms = core.sealer.clock.now_ms();
    let path = path(exchange.pack().id(), placement);
    let released = core
        .write_as::<_, HoldError, _>(actor, move |work| {
            async move {
                work.note(Deed::Held, [(Kind::Placement, placement)]);
                let mut all = load(work, &path).await?;
                let hold = all.holds.iter_mut().find(|hold| hold.id == id.0).ok_or(HoldError::NotFound)?;
                if hold.released_ms == 0 {
                    hold.released_ms = now_ms;
                }
                let hold = hold.clone();
                work.put_state(&path, Some(all.encode_to_vec()));
                Ok(hold)
            }
            .boxed()
        })
        .await?;
    append(core, restore::release_line(exchange, placement, id, now_ms)).await?;
    restore::mark(core).await?;
    crate::inbound::erase::settle_due(core, exchange).await?;
    shred::run(core).await?;
    Ok(released)
}

/// The holds of a placement, oldest first, those that ended included.
///
/// # Errors
/// The database's.
pub async fn of(store: &dyn Store, agreement: &str, placement: Ref) -> Result<Vec<Hold>, StoreError> {
    let row = store.state(&path(agreement, placement)).await?;
    row.map_or(Ok(Vec::new()), |row| decode(&row.body).map(|all| all.holds))
}

/// Holds of an agreement, by placement, from `after` on; at most `limit` placements.
///
/// # Errors
/// The database's.
pub async fn list(
    core: &Core,
    exchange: &Exchange,
    after: Option<Ref>,
    limit: u32,
) -> Result<Vec<(Ref, Vec<Hold>)>, StoreError> {
    let prefix = format!("{HOLDS}{}/", exchange.pack().id());
    let after = after.map(|id| format!("{prefix}{id}")).unwrap_or_default();
    let mut found = Vec::new();
    for row in core.store.states(&prefix, &after, limit).await? {
        let id = row.key.strip_prefix(&prefix).and_then(|id| id.parse().ok()).ok_or(StoreError::Corrupt("state"))?;
        found.push((id, decode(&row.body)?.holds));
    }
    Ok(found)
}

/// Whether a hold keeps a part of `class` of a placement.
pub(crate) async fn stands(
    work: &mut Work,
    exchange: &Exchange,
    placement: Ref,
    class: &str,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let all = load(work, &path(exchange.pack().id(), placement)).await?;
    Ok(all.holds.iter().any(|hold| hold.keeps(class, now_ms)))
}

pub(crate) async fn load(work: &mut Work, path: &str) -> Result<Holds, StoreError> {
    let row = work.state(path).await?;
    row.map_or(Ok(Holds::default()), |row| decode(&row.body))
}

fn decode(body: &[u8]) -> Result<Holds, StoreError> {
    Holds::decode(body).map_err(|_| StoreError::Corrupt("state"))
}

fn check(exchange: &Exchange, hold: &Hold) -> Result<(), HoldError> {
    let rules = exchange.pack().retention();
    if !rules.is_hold_ground(&hold.ground) {
        return Err(HoldError::Ground);
    }
    if !hold.class.is_empty() && rules.class(&hold.class).is_none() {
        return Err(HoldError::Class);
    }
    let longest = months_after(hold.created_ms, rules.longest_hold_months);
    if hold.expires_ms <= hold.created_ms || hold.expires_ms > longest {
        return Err(HoldError::Expiry);
    }
    Ok(())
}

async fn append(core: &Core, line: String) -> Result<(), StoreError> {
    let vault = core.sealer.vault.clone();
    let written = tokio::task::spawn_blocking(move || vault.ledger().append(&[line])).await;
    match written {
        Ok(Ok(())) => Ok(()),
        _ => Err(StoreError::Failed("the ledger of erasures cannot be written".to_owned())),
    }
}
