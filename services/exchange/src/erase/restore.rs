//! Replaying erasures into a database that may be older than the ledger beside the vault: before anything is served, what
//! was erased is erased again, and every hold stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use convenio_agreement::view::World;
use convenio_model::{RecordId, Ref};
use convenio_store::{StoreError, Work};
use futures::FutureExt;
use prost::Message;

use super::hold::{self, Hold};
use super::{Found, Line, Place, erase, shred};
use crate::core::{Core, Exchange};
use crate::journal;
use crate::world::save_world;

/// Path of how far the ledger and the vault are applied to this database.
pub(crate) const APPLIED: &str = "erasures/applied";
/// Parts of one job.
const CHUNK: usize = 128;

/// How far the ledger and the vault are applied to a database.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Applied {
    /// Bytes of the ledger.
    #[prost(uint64, tag = "1")]
    ledger: u64,
    /// Keys that are destroyed in the vault.
    #[prost(uint64, tag = "2")]
    destroyed: u64,
}

impl Applied {
    pub fn put(self, work: &mut Work) {
        work.put_state(APPLIED, Some(self.encode_to_vec()));
    }
}

/// First words of the lines of erased parts: of an own record, of one of the partner's. A partner may give its record the id
/// of an own one.
const OWN: &str = "erased-own";
const PEER: &str = "erased-peer";

/// The line of an erased part; with the ground where this node ordered it, so that an order that was lost with the disk
/// before it was mirrored can be given again.
pub(crate) fn erased_line(
    exchange: &Exchange,
    place: Place,
    found: &Found,
    now_ms: u64,
    line: Line<'_>,
) -> Option<String> {
    let ground = match line {
        Line::None => return None,
        Line::Erased => String::new(),
        Line::Ordered(ground) => format!(" {ground}"),
    };
    let own = exchange.own_lanes().iter().any(|lane| lane.log == place.log);
    let (word, agreement) = (if own { OWN } else { PEER }, exchange.pack().id());
    let (record, name) = (hex::encode(found.head.record_id.0), found.message_name().unwrap_or("-"));
    Some(format!("{word} {agreement} {record} {} {name} {now_ms}{ground}", place.part))
}

/// The line of a key that is destroyed.
pub(crate) fn shredded_line(key: [u8; 16]) -> String {
    format!("shredded {}", hex::encode(key))
}

/// The line of a hold.
pub(crate) fn hold_line(exchange: &Exchange, placement: Ref, hold: &Hold) -> String {
    let class = if hold.class.is_empty() { "-" } else { &hold.class };
    let (agreement, id) = (exchange.pack().id(), hex::encode(&hold.id));
    format!("hold {agreement} {placement} {id} {class} {} {} {}", hold.ground, hold.created_ms, hold.expires_ms)
}

/// The line of a hold's release.
pub(crate) fn release_line(exchange: &Exchange, placement: Ref, id: Ref, now_ms: u64) -> String {
    format!("release {} {placement} {} {now_ms}", exchange.pack().id(), hex::encode(id.0))
}

/// Where the ledger and the vault stand now.
pub(crate) fn applied(core: &Core) -> Result<Applied, StoreError> {
    let vault = &core.sealer.vault;
    let ledger = vault.ledger().size().map_err(|error| unreadable(&error))?;
    Ok(Applied { ledger, destroyed: vault.destroyed().len() as u64 })
}

/// Notes that this database holds all that the ledger and the vault tell.
pub(crate) async fn mark(core: &Core) -> Result<(), StoreError> {
    let now = applied(core)?;
    core.write(move |work| {
        async move {
            now.put(work);
            Ok(())
        }
        .boxed()
    })
    .await
}

/// Brings the database to where the ledger and the vault are.
pub(crate) async fn run(core: &Arc<Core>) -> Result<(), StoreError> {
    shred::run(core).await?;
    let stored = core.store.state(APPLIED).await?.and_then(|row| Applied::decode(row.body.as_slice()).ok());
    if stored.unwrap_or_default() == applied(core)? {
        return Ok(());
    }
    let lines = core.sealer.vault.ledger().lines().map_err(|error| unreadable(&error))?;
    let told = Told::of(core, &lines)?;
    let mut gone = told.erased;
    for key in core.sealer.vault.destroyed() {
        let rows = core.store.parts_of_key(key.0).await?;
        gone.extend(rows.iter().map(|row| Place { log: row.log, index: row.index, part: row.part }).map(Gone::Place));
    }
    let (parts, holds) = (gone.len(), told.holds.len());
    for chunk in gone.chunks(CHUNK) {
        erase_again(core, chunk).await?;
    }
    for ((agreement, placement), holds) in told.holds {
        stand_again(core, &agreement, placement, holds).await?;
    }
    shred::run(core).await?;
    mark(core).await?;
    tracing::info!(parts, holds, "the ledger of erasures was replayed");
    Ok(())
}

/// An erasure that this node ordered, as the ledger tells it.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub agreement: String,
    pub record: RecordId,
    pub part: u32,
    pub ordered_ms: u64,
    pub ground: String,
}

/// The erasures that this node ordered under an agreement, as the ledger tells them.
pub(crate) fn orders(core: &Core, agreement: &str) -> Result<Vec<Order>, StoreError> {
    let lines = core.sealer.vault.ledger().lines().map_err(|error| unreadable(&error))?;
    let mut orders = Told::of(core, &lines)?.orders;
    orders.retain(|order| order.agreement == agreement);
    Ok(orders)
}

/// A part that must be gone.
#[derive(Debug, Clone)]
enum Gone {
    /// Of a record of one side of an agreement.
    Record { agreement: String, own: bool, record: RecordId, part: u32 },
    /// Where the data key of what stands there was destroyed.
    Place(Place),
}

/// What the ledger tells.
#[derive(Default)]
struct Told {
    erased: Vec<Gone>,
    orders: Vec<Order>,
    holds: BTreeMap<(String, Ref), Vec<Hold>>,
}

impl Told {
    fn of(core: &Core, lines: &[String]) -> Result<Self, StoreError> {
        let mut told = Self::default();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            told.take(core, &words).ok_or(StoreError::Corrupt("the ledger of erasures"))?;
        }
        Ok(told)
    }

    fn take(&mut self, core: &Core, words: &[&str]) -> Option<()> {
        match *words {
            // Lines of before said `erased` of both sides: only an own order has a ground, and what has none is read as the
            // partner's record.
            [PEER | "erased", agreement, record, part, _, _] => self.erased(agreement, false, record, part)?,
            [OWN, agreement, record, part, _, _] => self.erased(agreement, true, record, part)?,
            [OWN | "erased", agreement, record, part, _, time, ground] => {
                self.erased(agreement, true, record, part)?;
                self.orders.push(Order {
                    agreement: agreement.to_owned(),
                    record: id_of(record)?,
                    part: part.parse().ok()?,
                    ordered_ms: time.parse().ok()?,
                    ground: ground.to_owned(),
                });
            }
            ["hold", agreement, placement, id, class, ground, created, expires] => {
                let hold = Hold {
                    id: id_of(id)?.0.to_vec(),
                    class: if class == "-" { String::new() } else { class.to_owned() },
                    ground: ground.to_owned(),
                    created_ms: created.parse().ok()?,
                    expires_ms: expires.parse().ok()?,
                    released_ms: 0,
                };
                // What is no longer exchanged here cannot be erased either.
                if core.exchange(agreement).is_some() {
                    self.holds.entry((agreement.to_owned(), placement.parse().ok()?)).or_default().push(hold);
                }
            }
            ["release", agreement, placement, id, time] => {
                let (id, time) = (id_of(id)?, time.parse().ok()?);
                let holds = self.holds.get_mut(&(agreement.to_owned(), placement.parse().ok()?));
                let hold = holds.and_then(|holds| holds.iter_mut().find(|hold| hold.id == id.0));
                hold.into_iter().for_each(|hold| hold.released_ms = time);
            }
            ["shredded", _] => {}
            _ => return None,
        }
        Some(())
    }

    fn erased(&mut self, agreement: &str, own: bool, record: &str, part: &str) -> Option<()> {
        let (agreement, record, part) = (agreement.to_owned(), id_of(record)?, part.parse().ok()?);
        self.erased.push(Gone::Record { agreement, own, record, part });
        Some(())
    }
}

/// Where a part that must be gone stands.
async fn places(core: &Core, gone: &Gone) -> Result<Vec<Place>, StoreError> {
    let (agreement, own, record, part) = match gone {
        Gone::Place(place) => return Ok(vec![*place]),
        Gone::Record { agreement, own, record, part } => (agreement, *own, *record, *part),
    };
    let Some(exchange) = core.exchange(agreement) else { return Ok(Vec::new()) };
    let lanes = if own { exchange.own_lanes() } else { exchange.peer_lanes() };
    let at = core.store.record(record).await?.into_iter();
    let at = at.filter(|(log, _)| lanes.iter().any(|lane| lane.log == *log));
    Ok(at.map(|(log, index)| Place { log, index, part }).collect())
}

/// Erases what must be gone and is still there. The ledger tells of it what it has to: a part that was lost with its key was
/// not ordered to be erased, and may come back with a refill.
async fn erase_again(core: &Arc<Core>, chunk: &[Gone]) -> Result<(), StoreError> {
    let mut found = BTreeMap::<String, (Arc<Exchange>, Vec<Place>)>::new();
    let mut others = Vec::new();
    for gone in chunk {
        for place in places(core, gone).await? {
            let exchange = core.exchanges().iter().find(|ex| ex.lane_of(place.log).is_some());
            let Some(exchange) = exchange else {
                others.push(place);
                continue;
            };
            let entry = found.entry(exchange.pack().id().to_owned());
            entry.or_insert_with(|| (exchange.clone(), Vec::new())).1.push(place);
        }
    }
    if !others.is_empty() {
        core.write::<_, StoreError, _>(move |work| async move { journal::gone(work, &others).await }.boxed()).await?;
    }
    for (exchange, places) in found.into_values() {
        let sealer = core.sealer.clone();
        core.write::<_, StoreError, _>(move |work| {
            async move {
                let mut world = World::default();
                erase(work, &sealer, &exchange, &mut world, &places, Line::None).await?;
                save_world(work, &exchange, &mut world);
                Ok(())
            }
            .boxed()
        })
        .await?;
    }
    Ok(())
}

/// Adds the holds that the database does not know; what it knows of a hold stands.
async fn stand_again(core: &Core, agreement: &str, placement: Ref, told: Vec<Hold>) -> Result<(), StoreError> {
    let path = hold::path(agreement, placement);
    core.write(move |work| {
        async move {
            let mut all = hold::load(work, &path).await?;
            for told in told {
                match all.holds.iter_mut().find(|known| known.id == told.id) {
                    Some(known) if known.released_ms == 0 => known.released_ms = told.released_ms,
                    Some(_) => {}
                    None => all.holds.push(told),
                }
            }
            work.put_state(&path, Some(all.encode_to_vec()));
            Ok(())
        }
        .boxed()
    })
    .await
}

fn id_of(digits: &str) -> Option<Ref> {
    Ref::from_slice(&hex::decode(digits).ok()?).ok()
}

fn unreadable(error: &std::io::Error) -> StoreError {
    StoreError::Failed(format!("the ledger of erasures: {error}"))
}
