//! Views between the database and the engine.

use std::collections::BTreeSet;

use convenio_agreement::view::{AgencyView, CrewView, OrderView, PlacementView, QuotaView, Shared, World, quota_ref};
use convenio_model::Ref;
use convenio_store::{StoreError, ViewKey, ViewKind, ViewRow, Work};
use prost::Message;

use crate::core::Exchange;

/// Loads the views of these subjects, and the orders and agencies of the placements.
///
/// # Errors
/// The database's.
pub async fn load_world(
    work: &mut Work,
    exchange: &Exchange,
    placements: &[Ref],
    orders: &[Ref],
    agencies: &[Ref],
) -> Result<World, StoreError> {
    let mut world = World::default();
    load_more(work, exchange, &mut world, placements, orders, agencies).await?;
    Ok(world)
}

/// As [`load_world`], into a world that holds others already.
pub(crate) async fn load_more(
    work: &mut Work,
    exchange: &Exchange,
    world: &mut World,
    placements: &[Ref],
    orders: &[Ref],
    agencies: &[Ref],
) -> Result<(), StoreError> {
    let key = |kind, id: &Ref| -> ViewKey { (exchange.pack().id().to_owned(), kind, *id) };
    work.load_views(&placements.iter().map(|id| key(ViewKind::Placement, id)).collect::<Vec<_>>()).await?;
    let (mut orders, mut agencies) = (orders.to_vec(), agencies.to_vec());
    for id in placements {
        if let Some(row) = work.view(&key(ViewKind::Placement, id)).await? {
            let view: PlacementView = decode(&row)?;
            orders.extend(view.order_ref());
            orders.extend(Ref::from_slice(&view.seat_in).ok());
            agencies.extend(view.agency_ref());
            world.load_placement(*id, view);
        }
    }
    let keys = orders.iter().map(|id| key(ViewKind::Order, id));
    let quotas = quotas(exchange);
    let keys = keys.chain(agencies.iter().map(|id| key(ViewKind::Agency, id)));
    let keys = keys.chain(quotas.iter().map(|id| key(ViewKind::Quota, id))).collect::<Vec<_>>();
    work.load_views(&keys).await?;
    for id in orders {
        if let Some(row) = work.view(&key(ViewKind::Order, &id)).await? {
            world.load_order(id, decode::<OrderView>(&row)?);
        }
    }
    for id in agencies {
        if let Some(row) = work.view(&key(ViewKind::Agency, &id)).await? {
            world.load_agency(id, decode::<AgencyView>(&row)?);
        }
    }
    for id in quotas {
        if let Some(row) = work.view(&key(ViewKind::Quota, &id)).await? {
            world.load_quota(decode::<QuotaView>(&row)?);
        }
    }
    Ok(())
}

/// Loads the views of these crews into a world.
///
/// # Errors
/// The database's.
pub async fn load_crews(
    work: &mut Work,
    exchange: &Exchange,
    world: &mut World,
    crews: &[Ref],
) -> Result<(), StoreError> {
    let keys: Vec<ViewKey> = crews.iter().map(|id| (exchange.pack().id().to_owned(), ViewKind::Crew, *id)).collect();
    work.load_views(&keys).await?;
    for key in keys {
        if let Some(row) = work.view(&key).await? {
            world.load_crew(key.2, decode::<CrewView>(&row)?);
        }
    }
    Ok(())
}

/// Where the quotas of every version are counted; few.
fn quotas(exchange: &Exchange) -> BTreeSet<Ref> {
    exchange.versions().flat_map(|pack| &pack.config().quotas).map(|quota| quota_ref(&quota.name)).collect()
}

/// Writes the views that changed.
pub fn save_world(work: &mut Work, exchange: &Exchange, world: &mut World) {
    for (shared, id) in world.take_changed() {
        let (kind, label, area, body) = match shared {
            Shared::Placement => {
                let Some(view) = world.placement(id) else { continue };
                let area = view.order_ref().and_then(|order| world.order(order)).map(|o| o.area.clone());
                (ViewKind::Placement, view.state.clone(), area.unwrap_or_default(), view.encode_to_vec())
            }
            Shared::Order => {
                let Some(view) = world.order(id) else { continue };
                let label = if view.open { "OPEN" } else { "CLOSED" };
                (ViewKind::Order, label.to_owned(), view.area.clone(), view.encode_to_vec())
            }
            Shared::Agency => {
                let Some(view) = world.agency(id) else { continue };
                (ViewKind::Agency, String::new(), String::new(), view.encode_to_vec())
            }
            Shared::Crew => {
                let Some(view) = world.crew(id) else { continue };
                (ViewKind::Crew, String::new(), String::new(), view.encode_to_vec())
            }
            Shared::Quota => {
                let Some((_, view)) = world.quotas().find(|(own, _)| *own == id) else { continue };
                (ViewKind::Quota, view.name.clone(), String::new(), view.encode_to_vec())
            }
        };
        let key = (exchange.pack().id().to_owned(), kind, id);
        work.put_view(ViewRow { key, label, area, change: 0, body });
    }
}

fn decode<M: Message + Default>(row: &ViewRow) -> Result<M, StoreError> {
    M::decode(row.body.as_slice()).map_err(|_| StoreError::Corrupt("view"))
}
