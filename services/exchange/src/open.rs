//! Opening: who is the partner, what both ratified, the logs and their first entries.

use std::sync::{Arc, RwLock};

use convenio_agreement::pack::Pack;
use convenio_seal::dsse::Envelope;
use convenio_seal::epoch::{epoch_open_from, verify_epoch_open};
use convenio_seal::origin::log_origin;
use convenio_seal::root::RootSet;
use convenio_seal::vault::Vault;
use convenio_store::{LogId, LogRow, StoreError, Tx, Writes};
use convenio_wire::exchange::v1::{Activate, EpochOpen, statement::Body};
use futures::FutureExt;

use crate::amend::{self, By, ratify_bodies};
use crate::bundle::Envelopes;
use crate::core::{Core, CoreParts, Exchange, Partner};
use crate::error::{IssueError, OpenError};
use crate::lane::{Lane, Lanes};
use crate::outbound::seal::{fresh_record_id, stage_statement};
use crate::version::Versions;

/// The epoch of a log that has none before it.
const FIRST: u64 = 1;

/// Whether the data keys or the ledger tell that there were entries.
pub(crate) fn has_past(vault: &Vault) -> Result<bool, OpenError> {
    let ledger =
        vault.ledger().size().map_err(|error| OpenError::Database(format!("the ledger of erasures: {error}")))?;
    Ok(!vault.is_empty() || ledger > 0)
}

/// Finds or makes the logs of every agreement.
pub(crate) async fn exchanges(parts: &CoreParts) -> Result<Vec<Arc<Exchange>>, OpenError> {
    let mut tx = parts.store.begin().await?;
    let mut logs = tx.logs().await?;
    let known = logs.len();
    let mut exchanges = Vec::new();
    for (pack, partner) in &parts.agreements {
        let ratifications = ratified(parts, pack, partner)?;
        let role = pack.role_of(&parts.party);
        let me = role.ok_or_else(|| OpenError::Database(format!("{} is no party of {}", parts.party, pack.id())))?;
        let exchange = Arc::new(Exchange {
            me,
            own_party: parts.party.clone(),
            partner_party: partner.party.clone(),
            own_node: parts.node.clone(),
            partner_node: partner.node.clone(),
            own_lanes: lanes(&mut logs, &parts.node, pack.id(), partner, true),
            peer_lanes: lanes(&mut logs, &parts.node, pack.id(), partner, false),
            partner_roots: partner_roots(parts, pack, &partner.party)?,
            own_roots: roots(parts, pack.id(), &parts.party)?.clone(),
            learned: RwLock::default(),
            own_keys: RwLock::default(),
            own_revoked: RwLock::default(),
            partner_revoked: RwLock::default(),
            versions: Versions::new(pack.clone(), ratifications),
        });
        exchange.hold_amendments(&parts.amendments, &parts.ratifications, parts.clock.now_ms())?;
        exchanges.push(exchange);
    }
    let new = logs.split_off(known);
    create(tx, new).await?;
    Ok(exchanges)
}

async fn create(tx: Box<dyn Tx>, logs: Vec<LogRow>) -> Result<(), StoreError> {
    if logs.is_empty() {
        return Ok(());
    }
    tx.commit(Writes { logs, ..Writes::default() }).await
}

/// The lanes of one direction; one of the first epoch is made if there is none.
fn lanes(logs: &mut Vec<LogRow>, node: &str, agreement: &str, partner: &Partner, own: bool) -> Lanes {
    let mine = |l: &&LogRow| l.agreement == agreement && l.partner == partner.node && l.own == own;
    if !logs.iter().any(|l| mine(&l)) {
        let id = logs.iter().map(|l| l.id).max().unwrap_or(0) + 1;
        logs.push(new_log(id, node, agreement, &partner.node, own, FIRST));
    }
    Lanes::new(logs.iter().filter(mine).map(Lane::from))
}

/// The empty log of an epoch.
pub(crate) fn new_log(id: LogId, node: &str, agreement: &str, partner: &str, own: bool, epoch: u64) -> LogRow {
    let origin =
        if own { log_origin(node, agreement, partner, epoch) } else { log_origin(partner, agreement, node, epoch) };
    LogRow {
        id,
        origin,
        agreement: agreement.to_owned(),
        partner: partner.to_owned(),
        epoch,
        own,
        size: 0,
        peaks: Vec::new(),
        settled: 0,
        records: 0,
        decided: 0,
        rejected: 0,
        settled_records: 0,
        cosigned: Vec::new(),
        cosigned_size: 0,
        entangled: 0,
        alarm: String::new(),
        closed: false,
        time_ms: 0,
    }
}

fn roots<'p>(parts: &'p CoreParts, agreement: &str, party: &str) -> Result<&'p RootSet, OpenError> {
    parts.roots.iter().find(|r| r.party() == party).ok_or_else(|| OpenError::NotRatified {
        agreement: agreement.to_owned(),
        party: party.to_owned(),
        why: "its root keys are not in the trust file".to_owned(),
    })
}

/// The partner's roots; nobody's while it has not joined.
fn partner_roots(parts: &CoreParts, pack: &Pack, party: &str) -> Result<RootSet, OpenError> {
    match roots(parts, pack.id(), party) {
        Err(_) if !pack.is_connected(party) => {
            RootSet::none(party).map_err(|error| OpenError::Database(error.to_string()))
        }
        found => found.cloned(),
    }
}

/// The ratifications of this very digest by both parties; without them nothing is sent or accepted. A party that has not
/// joined has none, and nothing is sent to it.
fn ratified(parts: &CoreParts, pack: &Pack, partner: &Partner) -> Result<Envelopes, OpenError> {
    let mut all = vec![By { node: &parts.node, roots: roots(parts, pack.id(), &parts.party)? }];
    match roots(parts, pack.id(), &partner.party) {
        Ok(roots) => all.push(By { node: &partner.node, roots }),
        Err(_) if !pack.is_connected(&partner.party) => {}
        Err(error) => return Err(error),
    }
    let found = amend::ratified(&parts.ratifications, pack, &all, parts.clock.now_ms());
    found.map_err(|(party, why)| OpenError::NotRatified { agreement: pack.id().to_owned(), party, why })
}

/// EPOCH_OPEN, RATIFY of each party, ACTIVATE: the first entries of a new log, in one transaction.
pub(crate) async fn first_entries(
    core: &Arc<Core>,
    exchange: &Arc<Exchange>,
    epochs: &[Vec<u8>],
) -> Result<(), OpenError> {
    if core.store.logs().await?.iter().any(|l| l.id == exchange.own().log && l.size > 0) {
        return Ok(());
    }
    let opening = authorised(core, exchange, epochs)?;
    let mut bodies = vec![Body::EpochOpen(opening)];
    bodies.extend(ratify_bodies(exchange.ratifications()));
    bodies.push(Body::Activate(Activate { digest: exchange.pack().digest().to_vec() }));
    let (job_core, job_exchange) = (core.clone(), exchange.clone());
    let staged = core
        .write::<_, IssueError, _>(move |work| {
            async move {
                if work.log(job_exchange.own().log)?.size > 0 {
                    return Ok(());
                }
                for body in bodies {
                    let id = fresh_record_id(&job_core.sealer);
                    stage_statement(work, &job_core.sealer, &job_exchange, id, body, None, Vec::new())?;
                }
                Ok(())
            }
            .boxed()
        })
        .await;
    staged.map_err(|error| OpenError::Database(error.to_string()))
}

/// The authorisation of this log's epoch, for the very keys that this node holds.
fn authorised(core: &Core, exchange: &Exchange, epochs: &[Vec<u8>]) -> Result<EpochOpen, OpenError> {
    let own = exchange.own();
    let missing = |why: &str| OpenError::NotAuthorised {
        agreement: exchange.pack().id().to_owned(),
        origin: own.origin.clone(),
        why: why.to_owned(),
    };
    let parsed = epochs.iter().filter_map(|file| epoch_open_from(&Envelope::parse(file).ok()?).ok());
    let mut fitting = parsed.filter(|(origin, _)| origin.to_string() == own.origin);
    let (_, opening) = fitting.next().ok_or_else(|| missing("no file names this log"))?;
    let keys =
        verify_epoch_open(&opening, &own.origin, &exchange.own_roots).map_err(|error| missing(&error.to_string()))?;
    // Where another log is open already, its keys are those of this node.
    if core.own_keys().version > keys.version {
        return Err(missing("it names older keys than this node uses"));
    }
    if !core.sealer.keys.use_manifest(&keys) {
        return Err(missing("it names other keys than this node holds"));
    }
    Ok(opening)
}
