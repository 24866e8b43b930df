//! Asking a witness for cosignatures of the own logs (C2SP tlog-witness, the client's side): each committed head soon after
//! it changed, and again, unchanged, once in [`HEARTBEAT`]. The last head of a closed epoch is asked for until it is covered
//! once. Nothing waits for a witness: what it does not cosign is counted, told, and asked again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convenio_log::tile::consistency_tiles;
use convenio_log::witness::{AddCheckpoint, Answer, apply};
use convenio_log::{SignatureType, SignedCheckpoint, VerifierKey, cosignature};
use convenio_store::{LogRow, StoreError};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::deadline::MAX_SKEW;
use super::{is_journal, note_of};
use crate::core::Core;
use crate::publish::{folder, signed};
use crate::signer::{log_key, witness_name};
use crate::tiles;

/// Most witnesses whose cosignatures of one log are kept.
pub const MAX_WITNESSES: u32 = 64;
/// After which an unchanged head is cosigned again: twice in the day that is promised.
pub const HEARTBEAT: Duration = Duration::from_secs(12 * 3600);
/// Shortest and longest wait after a failure.
const FIRST_RETRY: Duration = Duration::from_secs(10);
const LAST_RETRY: Duration = Duration::from_secs(600);
/// Submissions of one head at most: a witness that answers with ever new sizes is not followed for ever.
const ATTEMPTS: usize = 3;
/// Answers of which a closed log is not submitted again: it has no other head to offer, now or ever.
const FINAL: [&str; 2] = ["WITNESS_AHEAD", "WITNESS_INCONSISTENT"];

/// An HTTP answer, bounded by whoever received it.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Status.
    pub status: u16,
    /// Content type.
    pub content_type: Option<String>,
    /// Body.
    pub body: Vec<u8>,
}

/// The way to a witness.
pub trait Post: Send + Sync + 'static {
    /// Posts a body to the witness's `add-checkpoint`; on failure says why, without addresses or names.
    fn post(&self, body: String) -> BoxFuture<'_, Result<Posted, String>>;
}

/// A witness's key.
#[derive(Debug, Clone)]
pub enum WitnessKey {
    /// Of the configuration.
    Fixed(VerifierKey),
    /// A partner's witness, by its node: the key is in the manifest of its log.
    Partner(String),
}

/// What a witness is asked to cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every own log, and the journal.
    All,
    /// The journal alone.
    Journal,
}

/// A witness of the own logs.
#[derive(Clone)]
pub struct Target {
    /// Short name, for status and log.
    pub name: String,
    /// Its key.
    pub key: WitnessKey,
    /// What it is asked to cosign.
    pub scope: Scope,
    /// Shortest time between two rounds of submissions.
    pub interval: Duration,
    /// The way to it.
    pub post: Arc<dyn Post>,
}

/// How a witness fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Heads that it cosigned since the node started.
    pub cosigned: u64,
    /// Submissions that failed since the node started.
    pub failed: u64,
    /// Empty, or why the last submission failed; a stable reason.
    pub problem: String,
}

/// How every witness fares.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<String, Standing>>);

impl Board {
    /// By the witnesses' names.
    #[must_use]
    pub fn standings(&self) -> BTreeMap<String, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts; true if the problem is another than before.
    fn note(&self, name: &str, outcome: Result<bool, &str>) -> bool {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = board.entry(name.to_owned()).or_default();
        let problem = outcome.err().unwrap_or_default();
        match outcome {
            Ok(cosigned) => standing.cosigned += u64::from(cosigned),
            Err(_) => standing.failed += 1,
        }
        let changed = standing.problem != problem;
        standing.problem = problem.to_owned();
        changed
    }
}

/// Where the states of the cosignatures of one log begin.
pub(super) fn prefix(origin: &str) -> String {
    format!("cosigned/{}/", folder(origin))
}

/// Submits until the node stops.
pub async fn run(core: Arc<Core>, target: Target) {
    let mut heads = core.heads();
    let mut retry = FIRST_RETRY;
    loop {
        heads.mark_unchanged();
        let failed = !round(&core, &target).await;
        if failed {
            core.clock().sleep(retry.max(target.interval)).await;
            retry = (retry * 2).min(LAST_RETRY);
            continue;
        }
        retry = FIRST_RETRY;
        core.clock().sleep(target.interval).await;
        tokio::select! {
            changed = heads.changed() => if changed.is_err() { return },
            () = core.clock().sleep(HEARTBEAT) => {}
        }
    }
}

/// Submits every head that changed or is due; true if nothing failed.
pub async fn round(core: &Arc<Core>, target: &Target) -> bool {
    let outcome = submit_all(core, target).await;
    if core.witnesses.note(&target.name, outcome) {
        match outcome {
            Ok(_) => tracing::info!(witness = target.name, "cosigns again"),
            Err(reason) => tracing::warn!(witness = target.name, reason, "a witness does not cosign"),
        }
    }
    outcome.is_ok()
}

/// Whether any head was cosigned. One log's failure does not keep the others back; the first one's reason is told.
async fn submit_all(core: &Arc<Core>, target: &Target) -> Result<bool, &'static str> {
    let Some(key) = key_of(core, &target.key) else { return Err("WITNESS_KEY_UNKNOWN") };
    let logs = core.store.logs().await.map_err(|_| "DATABASE")?;
    let mut outcome = Ok(false);
    for log in logs.iter().filter(|log| log.own && log.size > 0 && has_head(log)) {
        if target.scope == Scope::Journal && !is_journal(&log.origin, core.node_name()) {
            continue;
        }
        match submit(core, target, &key, log).await {
            Ok(cosigned) => outcome = outcome.map(|any| any || cosigned),
            Err(reason) => outcome = outcome.and(Err(reason)),
        }
    }
    outcome
}

/// What is frozen signs nothing. What is closed was verified where it ends, whatever had frozen it before.
fn has_head(log: &LogRow) -> bool {
    log.closed || log.alarm.is_empty()
}

fn key_of(core: &Core, key: &WitnessKey) -> Option<VerifierKey> {
    let node = match key {
        WitnessKey::Fixed(key) => return Some(key.clone()),
        WitnessKey::Partner(node) => node,
    };
    let of_node = core.exchanges().iter().filter(|exchange| exchange.partner_node == *node);
    let keys = of_node.filter_map(|exchange| exchange.partner_keys()).max_by_key(|keys| keys.version)?;
    let name = witness_name(node, keys.version);
    VerifierKey::new(name, SignatureType::CosignatureV1, keys.witness.raw()).ok()
}

/// Submits one head, if it is due; true if it was cosigned.
async fn submit(core: &Arc<Core>, target: &Target, key: &VerifierKey, log: &LogRow) -> Result<bool, &'static str> {
    let database = |_: StoreError| "DATABASE";
    let held = held(core, key, log).await.map_err(database)?;
    let now = core.clock().now_ms() / 1000;
    let mut old = 0;
    if let Some(held) = &held {
        old = held.checkpoint().size();
        let age = now.saturating_sub(cosignature::verify(held, key).unwrap_or(0));
        if old == log.size && (log.closed || age < HEARTBEAT.as_secs()) {
            return Ok(false);
        }
    }
    if log.closed && core.store.state(&refused_key(log, key)).await.map_err(database)?.is_some() {
        return Ok(false);
    }
    match ask(core, target, key, log, old).await {
        Err(reason) if log.closed && FINAL.contains(&reason) => {
            let (witness, origin) = (&target.name, &log.origin);
            tracing::warn!(witness, origin, reason, "a closed log ends where this witness will not cosign it");
            put(core, refused_key(log, key), reason.as_bytes().to_vec()).await.map(|()| false)
        }
        asked => asked.map(|()| true),
    }
}

/// Asks for a cosignature of the log's head, first as one who has cosigned `old` entries, and keeps it.
async fn ask(
    core: &Arc<Core>,
    target: &Target,
    key: &VerifierKey,
    log: &LogRow,
    mut old: u64,
) -> Result<(), &'static str> {
    let database = |_: StoreError| "DATABASE";
    // A refill can end a log before what a witness has cosigned.
    if old > log.size {
        return Err("WITNESS_AHEAD");
    }
    let head = signed(core, log, log.size).await.map_err(database)?;
    for _ in 0..ATTEMPTS {
        let body = request(core, log, old, head.clone()).await.map_err(database)?;
        let posted = target.post.post(body.to_string()).await.map_err(|_| "WITNESS_UNREACHABLE")?;
        let answer = Answer::parse(posted.status, posted.content_type.as_deref(), &posted.body);
        match answer.map_err(|_| "WITNESS_ANSWER")? {
            Answer::Cosigned(lines) => return keep(core, log, head, &lines, key).await,
            // The witness knows more than was ever committed here: this database is older than its log.
            Answer::Conflict { size } if size > log.size => return Err("WITNESS_AHEAD"),
            Answer::Conflict { size } if size != old => old = size,
            Answer::Conflict { .. } => return Err("WITNESS_ANSWER"),
            Answer::Malformed => return Err("WITNESS_MALFORMED"),
            Answer::BadSignature => return Err("WITNESS_BAD_SIGNATURE"),
            Answer::UnknownOrigin => return Err("WITNESS_UNKNOWN_ORIGIN"),
            Answer::Inconsistent => return Err("WITNESS_INCONSISTENT"),
        }
    }
    Err("WITNESS_CONFLICT")
}

async fn held(core: &Core, key: &VerifierKey, log: &LogRow) -> Result<Option<SignedCheckpoint>, StoreError> {
    let state = core.store.state(&state_key(log, key)).await?;
    state.map(|row| note_of(&row.body)).transpose()
}

fn state_key(log: &LogRow, key: &VerifierKey) -> String {
    format!("{}{}", prefix(&log.origin), key.name())
}

/// Where it stands that a witness will not cosign the end of a closed log, and why.
fn refused_key(log: &LogRow, key: &VerifierKey) -> String {
    format!("uncosigned/{}/{}", folder(&log.origin), key.name())
}

async fn request(core: &Core, log: &LogRow, old: u64, head: SignedCheckpoint) -> Result<AddCheckpoint, StoreError> {
    let corrupt = |_| StoreError::Corrupt("tile");
    let needed = consistency_tiles(old, log.size).map_err(|_| StoreError::Corrupt("tile"))?;
    let loaded = tiles::load(core.store.as_ref(), log.id, needed).await?;
    AddCheckpoint::prove(&tiles::reader(&loaded, log.size), old, head).map_err(|_| ()).map_err(corrupt)
}

/// Keeps the cosignature of this witness, with the log's own signature.
async fn keep(
    core: &Arc<Core>,
    log: &LogRow,
    mut head: SignedCheckpoint,
    lines: &[convenio_log::NoteSignature],
    key: &VerifierKey,
) -> Result<(), &'static str> {
    apply(&mut head, lines, std::slice::from_ref(key)).map_err(|_| "WITNESS_BAD_COSIGNATURE")?;
    let time = cosignature::verify(&head, key).map_err(|_| "WITNESS_BAD_COSIGNATURE")?;
    // By the clock when the answer is here: the witness read its own since the request left.
    if time > core.clock().now_ms() / 1000 + MAX_SKEW.as_secs() {
        return Err("COSIGNATURE_AHEAD");
    }
    let exchange = core.exchanges().iter().find(|exchange| exchange.lane_of(log.id).is_some());
    let mut own = match exchange {
        Some(exchange) => exchange.own_log_keys(log.epoch, &log.origin, head.checkpoint().size()),
        None => log_key(&log.origin, &core.own_keys().keys.log.public()).into_iter().collect(),
    };
    own.push(key.clone());
    put(core, state_key(log, key), head.only_by(&own).to_string().into_bytes()).await
}

async fn put(core: &Arc<Core>, state: String, body: Vec<u8>) -> Result<(), &'static str> {
    let kept = core.write::<_, StoreError, _>(move |work| {
        async move {
            work.put_state(&state, Some(body));
            Ok(())
        }
        .boxed()
    });
    kept.await.map_err(|_| "DATABASE")
}
