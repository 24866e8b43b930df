//! The journal: one entry for each job that changed rows of the registry, read personal data, erased, held or exported;
//! in the job's own transaction. The writer keeps it, so that no use case can leave it out.
//!
//! An entry is a salted commitment; its part says who, why and which rows. The part is sealed with the data key of the
//! worker (or placement) that the entry concerns, and is erased with it; what concerns several, or nobody, is sealed with
//! the key of its thirty days.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use convenio_model::{RecordId, Ref};
use convenio_seal::commitment::commit;
use convenio_seal::journal::{JOURNAL_CLASS, JournalOrigin, row_digest};
use convenio_seal::vault::DataKeyId;
use convenio_store::{
    Deed, Kind, LogId, LogRow, Note, ResourceKey, ResourceRow, Staged, StagedPart, Store, StoreError, Work, Writes,
};
use convenio_wire::exchange::v1::{JournalAction, JournalEntry, JournalPart, JournalRow, SaltedPart};
use futures::FutureExt;
use prost::Message;

use crate::core::Core;
use crate::erase::state::Shred;
use crate::erase::{Place, shred};
use crate::outbound::seal::{Sealer, at_rest, data_key_of, fresh_record_id, keyed};

/// Rows of one entry at most; a job that changed more gets several entries.
const MAX_ROWS: usize = 1000;
/// Subject of what was erased; it tells no more than identifiers of entries, and stays.
const ERASURES: Ref = Ref(*b"journal/erasures");
/// What concerns nobody alone is sealed for this long with one key, ms.
const PERIOD_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// On whose behalf a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// SPIFFE id; `system` for the node itself.
    pub caller: String,
    /// Organisation and post.
    pub office: String,
    /// Purpose that the caller gave; empty if none.
    pub purpose: String,
    /// Method, for example `WorkerService.GetWorker`.
    pub method: String,
}

impl Actor {
    /// The node itself.
    #[must_use]
    pub fn system() -> Self {
        Self { caller: "system".to_owned(), office: String::new(), purpose: String::new(), method: String::new() }
    }
}

/// Subject under which the data key stands that seals entries about one worker or placement: forgetting it erases them.
#[must_use]
pub fn key_subject(subject: Ref) -> Ref {
    keyed(subject, JOURNAL_CLASS)
}

/// Subject under which the data key stands that seals, at this time, entries about several or nobody.
#[must_use]
pub fn period_subject(time_ms: u64) -> Ref {
    let period = format!("journal/{}", period_of(time_ms));
    let mut out = [0; 16];
    out.copy_from_slice(&digest::digest(&digest::SHA256, period.as_bytes()).as_ref()[..16]);
    key_subject(Ref(out))
}

/// Opens epoch `epoch` of the journal in place of those before it, which are closed. A node that lost its journal, or
/// restored an older one, opens an epoch that it never used, before anything is journalled.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Unusable`] if a journal of this epoch or a later one exists.
pub async fn open(core: &Core, epoch: u64) -> Result<(), StoreError> {
    let node = core.node.clone();
    let open = move |work: &mut Work| match last(work) {
        Some(last) if last.epoch >= epoch => {
            Err(StoreError::Unusable(format!("the journal has reached epoch {epoch} already")))
        }
        _ => {
            begin(work, &node, epoch);
            Ok(())
        }
    };
    core.write(move |work| std::future::ready(open(work)).boxed()).await
}

/// Opens an epoch of the journal that was never used, `granted` or a later one, in the transaction that ends a recovery: what the
/// database holds of the journal may be older than what the partner's witness has seen. One without entries goes on.
pub(crate) fn recover(work: &mut Work, node: &str, granted: u64) {
    match last(work) {
        Some(last) if last.epoch >= granted && last.size == 0 && !last.closed => {}
        last => {
            let next = last.map_or(1, |last| last.epoch + 1);
            begin(work, node, granted.max(next));
        }
    }
}

fn last(work: &Work) -> Option<LogRow> {
    work.logs().filter(|log| epoch_of(log).is_some()).max_by_key(|log| log.epoch).cloned()
}

fn begin(work: &mut Work, node: &str, epoch: u64) {
    let logs: Vec<LogRow> = work.logs().cloned().collect();
    for log in logs.iter().filter(|log| epoch_of(log).is_some() && !log.closed) {
        work.put_log(LogRow { closed: true, ..log.clone() });
    }
    work.put_log(head(next_id(&logs), node, epoch));
}

/// Erases what the journal tells of one worker or placement, at the end of its retention: the parts go, and their data key is
/// to be destroyed once this is committed. Which entries lost their part stands in the journal. The number of those.
///
/// # Errors
/// The database's.
pub async fn erase(work: &mut Work, about: ResourceKey) -> Result<u64, StoreError> {
    let erased = erase_key(work, key_subject(about.1)).await?;
    if erased > 0 {
        work.note(Deed::Erased, [about]);
    }
    Ok(erased)
}

/// As [`erase`], of what the journal tells of several or nobody: that of one period.
///
/// # Errors
/// The database's.
pub async fn erase_period(work: &mut Work, period: u64) -> Result<u64, StoreError> {
    erase_key(work, period_subject(period * PERIOD_MS)).await
}

async fn erase_key(work: &mut Work, subject: Ref) -> Result<u64, StoreError> {
    let Some(key) = work.subject_key(subject).await? else { return Ok(0) };
    let parts = work.parts_of_key(key).await?;
    let places: Vec<_> = parts.iter().map(|row| Place { log: row.log, index: row.index, part: row.part }).collect();
    drop(parts);
    gone(work, &places).await?;
    work.drop_subject_key(subject);
    // What this group journals is sealed after its jobs, under other keys: nothing is left that this one seals.
    let shred = Shred { keyed: subject.0.to_vec(), rekeyed: true, lines: Vec::new() };
    work.put_state(&shred::path(key), Some(shred.encode_to_vec()));
    Ok(places.len() as u64)
}

/// Drops the parts of journal entries whose data key is destroyed, as a restored database may hold them, and says so.
pub(crate) async fn gone(work: &mut Work, places: &[Place]) -> Result<(), StoreError> {
    let mut erased = Vec::new();
    for place in places {
        if epoch_of(work.log(place.log)?).is_none() {
            continue;
        }
        let head = work.entry_heads(place.log, place.index, place.index + 1).await?.pop();
        work.drop_part(place.log, place.index, place.part);
        erased.push((place.index, head.ok_or(StoreError::Corrupt("part"))?.record_id));
    }
    if !erased.is_empty() {
        work.note_erased(erased);
    }
    Ok(())
}

/// The period in which a time lies: those of thirty days since 1970.
#[must_use]
pub fn period_of(time_ms: u64) -> u64 {
    time_ms / PERIOD_MS
}

/// When a period ends, Unix ms.
#[must_use]
pub fn period_end(period: u64) -> u64 {
    (period + 1).saturating_mul(PERIOD_MS)
}

/// The time of the first entry of the first journal; none while there is none.
pub(crate) async fn first_ms(store: &dyn Store) -> Result<Option<u64>, StoreError> {
    let logs = store.logs().await?;
    let journals = logs.iter().filter(|log| epoch_of(log).is_some() && log.size > 0);
    let Some(first) = journals.min_by_key(|log| log.epoch) else { return Ok(None) };
    let entry = store.entries(first.id, 0, 1).await?.pop().ok_or(StoreError::Corrupt("entry"))?;
    let entry = JournalEntry::decode(entry.bytes.as_slice()).map_err(|_| StoreError::Corrupt("entry"))?;
    Ok(Some(entry.time_ms))
}

/// Makes sure that there is a journal to write to: of a new node, epoch 1.
pub(crate) async fn ensure(store: &dyn Store, node: &str) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let logs = tx.logs().await?;
    if logs.iter().any(|log| epoch_of(log).is_some()) {
        return Ok(());
    }
    tx.commit(Writes { logs: vec![head(next_id(&logs), node, 1)], ..Writes::default() }).await
}

/// Epoch of a journal of this node; none for every other log.
#[must_use]
pub fn epoch_of(log: &LogRow) -> Option<u64> {
    let own = log.own && log.agreement.is_empty();
    own.then(|| log.origin.parse::<JournalOrigin>().ok()).flatten().map(|origin| origin.epoch)
}

/// What one job did.
pub(crate) struct Done {
    actor: Actor,
    note: Option<Note>,
    rows: Vec<Changed>,
}

struct Changed {
    row: JournalRow,
    about: Option<About>,
}

/// Whom a row is about.
enum About {
    Worker(Ref),
    /// A placement of which this row does not tell the worker.
    Placement(Ref),
}

/// What the open job did, if that is for the journal. To be asked before the job is kept.
pub(crate) fn done(work: &mut Work, actor: Actor) -> Option<Done> {
    let note = work.take_note();
    let rows: Vec<Changed> = work.changed_resources().into_iter().map(changed).collect();
    (note.is_some() || !rows.is_empty()).then_some(Done { actor, note, rows })
}

/// Stages the entries of a group's jobs, in their order. Where there is no journal to write to, nothing may be committed.
pub(crate) async fn stage(work: &mut Work, sealer: &Sealer, jobs: Vec<Done>) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let open = work.logs().find(|log| !log.closed && epoch_of(log).is_some());
    let no_journal = || StoreError::Unusable("the node has no open journal".to_owned());
    let (log, origin) = open.map(|log| (log.id, log.origin.clone())).ok_or_else(no_journal)?;
    let now_ms = sealer.clock.now_ms();
    let parts: Vec<(Ref, JournalPart)> = jobs.into_iter().flat_map(|job| parts(job, now_ms)).collect();
    let subjects: Vec<Ref> = parts.iter().map(|(subject, _)| *subject).collect();
    work.load_subject_keys(&subjects).await?;
    for (subject, part) in parts {
        let key = data_key_of(work, sealer, subject).await?;
        stage_one(work, sealer, log, &origin, key, &part, now_ms)?;
    }
    Ok(())
}

fn stage_one(
    work: &mut Work,
    sealer: &Sealer,
    log: LogId,
    origin: &str,
    key: DataKeyId,
    part: &JournalPart,
    now_ms: u64,
) -> Result<(), StoreError> {
    let record_id: RecordId = fresh_record_id(sealer);
    let mut salt = [0; 32];
    sealer.entropy.fill(&mut salt);
    let part = part.encode_to_vec();
    let entry = JournalEntry {
        version: 1,
        log_origin: origin.to_owned(),
        record_id: record_id.0.to_vec(),
        time_ms: now_ms,
        commitment: commit(&salt, &part).to_vec(),
    };
    let sealed: StagedPart = at_rest(sealer, key, record_id, 0, &SaltedPart { salt: salt.to_vec(), part })?;
    let (bytes, parts) = (entry.encode_to_vec(), vec![sealed]);
    work.stage(Staged { log, record_id, is_record: false, subject: None, bytes, parts });
    Ok(())
}

/// The parts of a job's entries, each with the subject of its data key.
fn parts(job: Done, now_ms: u64) -> Vec<(Ref, JournalPart)> {
    let noted: Vec<_> = job.note.iter().flat_map(|note| &note.rows).map(|(kind, id)| read_row(*kind, *id)).collect();
    let count = job.note.as_ref().filter(|_| job.rows.is_empty()).map_or(0, |note| note.count);
    let action = match job.note.as_ref().map(|note| note.deed) {
        Some(Deed::Erased) => JournalAction::Erased,
        Some(Deed::Held) => JournalAction::Held,
        Some(Deed::Exported) => JournalAction::Exported,
        // Who changes a row reads it too: the change tells more.
        _ if !job.rows.is_empty() => JournalAction::Written,
        _ => JournalAction::Read,
    };
    let erased = job.note.as_ref().map(|note| note.erased.clone()).unwrap_or_default();
    let range = job.note.as_ref().and_then(|note| note.range.clone());
    let mut rows: Vec<Changed> = job.rows;
    let same = |a: &JournalRow, b: &JournalRow| (a.kind, &a.id) == (b.kind, &b.id);
    let unchanged: Vec<_> = noted.into_iter().filter(|n| !rows.iter().any(|r| same(&r.row, &n.row))).collect();
    rows.extend(unchanged);
    let part = |rows: &[Changed], count: u64| {
        let part = JournalPart {
            action: action.into(),
            caller: job.actor.caller.clone(),
            office: job.actor.office.clone(),
            purpose: job.actor.purpose.clone(),
            method: job.actor.method.clone(),
            rows: rows.iter().map(|changed| changed.row.clone()).collect(),
            count,
            log: range.as_ref().map(|range| range.origin.clone()).unwrap_or_default(),
            begin: range.as_ref().map_or(0, |range| range.begin),
            end: range.as_ref().map_or(0, |range| range.end),
        };
        // Of an erasure its own data key must not be the one that goes.
        let erasure = action == JournalAction::Erased;
        (if erasure { key_subject(ERASURES) } else { subject_of(rows, now_ms) }, part)
    };
    if rows.is_empty() && erased.is_empty() {
        return vec![part(&[], count)];
    }
    let mut parts: Vec<_> = rows.chunks(MAX_ROWS).map(|rows| part(rows, count)).collect();
    // Each names again about whom: the auditor has to know what an erased entry could have told.
    let about: Vec<JournalRow> = rows.into_iter().map(|changed| changed.row).take(1).collect();
    for entries in erased.chunks(MAX_ROWS) {
        let (subject, mut erasure) = part(&[], 0);
        erasure.rows = about.iter().cloned().chain(entries.iter().map(erased_row)).collect();
        parts.push((subject, erasure));
    }
    parts
}

/// The row that names a journal entry whose part is gone: of no kind, its record id, its index.
fn erased_row((index, record_id): &(u64, RecordId)) -> JournalRow {
    JournalRow { kind: 0, id: record_id.0.to_vec(), revision: *index, digest: Vec::new() }
}

/// The one worker that the rows are about, else the one placement, else the period.
fn subject_of(rows: &[Changed], now_ms: u64) -> Ref {
    let one = |wanted: fn(&About) -> Option<Ref>| {
        let found: BTreeSet<Ref> = rows.iter().filter_map(|changed| wanted(changed.about.as_ref()?)).collect();
        (found.len(), found.first().copied())
    };
    let workers = one(|about| if let About::Worker(id) = about { Some(*id) } else { None });
    let placements = one(|about| if let About::Placement(id) = about { Some(*id) } else { None });
    match (workers, placements) {
        ((1, Some(only)), _) | ((0, _), (1, Some(only))) => key_subject(only),
        _ => period_subject(now_ms),
    }
}

fn changed(row: &ResourceRow) -> Changed {
    let kind = row.kind as u8;
    let digest = row_digest(kind, &row.id.0, row.revision, &row.body).to_vec();
    let id = row.id.0.to_vec();
    let about = match row.kind {
        Kind::Worker => Some(About::Worker(row.id)),
        Kind::Placement => Some(row.parent.map_or(About::Placement(row.id), About::Worker)),
        Kind::Pairwise => row.parent.map(About::Worker),
        Kind::Contract | Kind::WelfareContact => row.parent.map(About::Placement),
        Kind::Agency | Kind::Employer | Kind::JobOrder | Kind::Refusal | Kind::Crew => None,
    };
    Changed { row: JournalRow { kind: kind.into(), id, revision: row.revision, digest }, about }
}

fn read_row(kind: Kind, id: Ref) -> Changed {
    let row = JournalRow { kind: (kind as u8).into(), id: id.0.to_vec(), revision: 0, digest: Vec::new() };
    let about = match kind {
        Kind::Worker => Some(About::Worker(id)),
        Kind::Placement => Some(About::Placement(id)),
        _ => None,
    };
    Changed { row, about }
}

fn next_id(logs: &[LogRow]) -> LogId {
    logs.iter().map(|log| log.id).max().unwrap_or(0) + 1
}

fn head(id: LogId, node: &str, epoch: u64) -> LogRow {
    LogRow {
        id,
        origin: JournalOrigin { node: node.to_owned(), epoch }.to_string(),
        agreement: String::new(),
        partner: String::new(),
        epoch,
        own: true,
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
