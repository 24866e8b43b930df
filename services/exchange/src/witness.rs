//! The witness, C2SP tlog-witness: cosigns, on a consistency proof alone, heads of logs that others keep, under a key of its
//! own that never makes a receipt. What it cosigned last stands in the database, in the same commit as the decision, and
//! before an answer leaves also in a file beside the data keys: a database that was restored from a backup would otherwise
//! cosign a fork of what it cosigned before.
//!
//! The other direction, asking witnesses for cosignatures of the own logs, is in [`submit`].

mod deadline;
mod heads;
pub mod submit;

use std::sync::Arc;

use convenio_log::witness::{AddCheckpoint, Decision, Head, decide, lines};
use convenio_log::{SignatureType, SignedCheckpoint, VerifierKey, cosignature};
use convenio_store::{Store, StoreError};
use futures::FutureExt;

use crate::core::{Core, Exchange};
use crate::fork;
use crate::publish::folder;
use crate::signer::{Named, log_key, witness_name};
use crate::tiles::head_at;

pub(crate) use deadline::mirror_time;
pub use deadline::{Coverage, HeldBetween, MAX_SKEW, coverage, held_between, quorum_met, watch_deadlines};
pub use heads::{HeadsError, HeadsFile};

/// Alarm of a witness whose database is older than what it cosigned.
pub const ROLLED_BACK: &str = "WITNESS_ROLLED_BACK";
/// Most logs whose heads are kept.
const MAX_LOGS: u32 = 4096;
/// Most journals of one partner whose heads are kept: it numbers their epochs freely.
const MAX_JOURNALS: usize = 64;
/// Highest epoch of a journal that is believed.
const MAX_JOURNAL: u64 = 1024;

/// Who submits a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Submitter<'a> {
    /// A partner's node: its own logs for this node, and its journal.
    pub partner: Option<&'a str>,
    /// A caller of the configuration: the logs named there.
    pub configured: bool,
}

/// An answer as it goes over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Content type of the body.
    pub content_type: &'static str,
    /// Body; empty for most refusals.
    pub body: String,
}

/// The node's witness.
pub struct Witness {
    core: Arc<Core>,
    heads: HeadsFile,
    outside: Vec<VerifierKey>,
}

impl Witness {
    /// The witness of `core`, with the file that [`HeadsFile::open`] compared with the database, and verifier keys of outside
    /// logs.
    #[must_use]
    pub fn new(core: Arc<Core>, heads: HeadsFile, outside: Vec<VerifierKey>) -> Self {
        Self { core, heads, outside }
    }

    /// Name of its key.
    #[must_use]
    pub fn name(&self) -> String {
        witness_name(self.core.node_name(), self.core.manifest_version())
    }

    /// Why it cosigns nothing, if so: [`ROLLED_BACK`].
    #[must_use]
    pub fn alarm(&self) -> Option<&'static str> {
        let keys = self.core.cosigner_keys(None);
        self.heads.rolled_back(&keys.keys.witness).then_some(ROLLED_BACK)
    }

    /// Answers a submission (tlog-witness §add-checkpoint): decides and persists in one transaction, then answers.
    ///
    /// # Errors
    /// The database's, or that of the file of heads; nothing was answered then, and the same request can come again.
    pub async fn add_checkpoint(&self, by: Submitter<'_>, body: &[u8]) -> Result<Answer, StoreError> {
        if let Some(alarm) = self.alarm() {
            return Ok(plain(503, alarm));
        }
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return Ok(plain(error.status(), &error.to_string())),
        };
        let keys = self.keys_of(by, request.origin());
        // Most that is refused is refused here, without the writer. What passes is decided once more where it is persisted.
        let held = self.core.store.state(&state_key(request.origin())).await?.map(|row| row.body);
        let first = decide(head_of(held.as_deref())?, &request, &keys);
        if !matches!(first, Decision::Cosign(_) | Decision::OtherRoot) {
            return Ok(refused(&first));
        }
        if self.other_than_mirrored(request.checkpoint()).await? {
            return Ok(refused(&Decision::OtherRoot));
        }
        if held.is_none() && self.is_full_for(request.origin()).await? {
            return Ok(refused(&Decision::UnknownOrigin));
        }
        let (decision, note) = self.persist(request, keys).await?;
        let (Decision::Cosign(head), Some(note)) = (decision, note) else { return Ok(refused(&decision)) };
        let keys = self.core.cosigner_keys(None);
        self.heads.record(note.checkpoint().origin(), head, &keys.keys.witness).await?;
        let prefix = format!("{}/witness/", self.core.node_name());
        let ours = note.note().signatures().iter().filter(|line| line.name().starts_with(&prefix));
        Ok(Answer { status: 200, content_type: TEXT, body: lines(ours) })
    }

    /// The last checkpoint cosigned of the log with this folder, with the cosignature.
    ///
    /// # Errors
    /// The database's.
    pub async fn checkpoint(&self, folder: &str) -> Result<Option<SignedCheckpoint>, StoreError> {
        let state = self.core.store.state(&format!("{STATES}{folder}")).await?;
        state.map(|row| note_of(&row.body)).transpose()
    }

    /// Whether a head that its log signed contradicts this node's mirror of that log. Where a signed note of that very size is
    /// held, both are kept as evidence, and the direction freezes.
    async fn other_than_mirrored(&self, shown: &SignedCheckpoint) -> Result<bool, StoreError> {
        let (origin, size) = (shown.checkpoint().origin(), shown.checkpoint().size());
        let mut exchanges = self.core.exchanges().iter();
        let found = exchanges.find_map(|exchange| {
            let lane = exchange.peer_lanes().iter().find(|lane| lane.origin == origin).cloned();
            lane.map(|lane| (exchange, lane))
        });
        let Some((exchange, lane)) = found else { return Ok(false) };
        let logs = self.core.store.logs().await?;
        let mirrored = logs.iter().find(|log| log.id == lane.log).map_or(0, |log| log.size);
        if size == 0 || size > mirrored {
            return Ok(false);
        }
        let head = head_at(self.core.store.as_ref(), lane.log, size).await?;
        if head.root == *shown.checkpoint().root().as_bytes() {
            return Ok(false);
        }
        fork::compare(&self.core, exchange, &lane, shown).await?;
        Ok(true)
    }

    /// Whether no more logs are kept, of anybody or of the node whose journal this is.
    async fn is_full_for(&self, origin: &str) -> Result<bool, StoreError> {
        let rows = self.core.store.states(STATES, "", MAX_LOGS).await?;
        if rows.len() >= MAX_LOGS as usize {
            return Ok(true);
        }
        let Some((node, _)) = origin.split_once("/journal/") else { return Ok(false) };
        let notes = rows.iter().map(|row| note_of(&row.body)).collect::<Result<Vec<_>, _>>()?;
        Ok(notes.iter().filter(|note| is_journal(note.checkpoint().origin(), node)).count() >= MAX_JOURNALS)
    }

    async fn persist(
        &self,
        request: AddCheckpoint,
        keys: Vec<VerifierKey>,
    ) -> Result<(Decision, Option<SignedCheckpoint>), StoreError> {
        let (core, name) = (self.core.clone(), self.name());
        self.core
            .write::<_, StoreError, _>(move |work| {
                async move {
                    let key = state_key(request.origin());
                    let held = work.state(&key).await?.map(|row| row.body);
                    let decision = decide(head_of(held.as_deref())?, &request, &keys);
                    match (decision, held) {
                        (Decision::Cosign(_), held) => {
                            let note = cosigned_now(&core, &name, &request, &keys, held.as_deref())?;
                            work.put_state(&key, Some(note.to_string().into_bytes()));
                            Ok((decision, Some(note)))
                        }
                        (Decision::OtherRoot, Some(held)) => {
                            fork::keep(work, &note_of(&held)?, &request.checkpoint().only_by(&keys));
                            Ok((decision, None))
                        }
                        _ => Ok((decision, None)),
                    }
                }
                .boxed()
            })
            .await
    }

    /// Keys that sign the log of that origin, if whoever asks may have it cosigned.
    fn keys_of(&self, by: Submitter<'_>, origin: &str) -> Vec<VerifierKey> {
        let outside = self.outside.iter().filter(|key| by.configured && key.name() == origin);
        let mut keys: Vec<_> = outside.cloned().collect();
        let Some(node) = by.partner else { return keys };
        let exchanges = self.core.exchanges().iter().filter(|exchange| exchange.partner_node == node);
        // Of the partner's logs those of epochs that were granted.
        let own = |exchange: &Exchange| {
            is_journal(origin, node) || exchange.peer_lanes().iter().any(|lane| lane.origin == origin)
        };
        let learned = exchanges.filter(|exchange| own(exchange)).flat_map(|exchange| exchange.partner_manifests());
        keys.extend(learned.filter_map(|keys| log_key(origin, &keys.log)));
        keys.dedup();
        keys
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
/// States of what the witness cosigned last, by the folder of the log.
const STATES: &str = "witness/";

fn state_key(origin: &str) -> String {
    format!("{STATES}{}", folder(origin))
}

fn plain(status: u16, text: &str) -> Answer {
    Answer { status, content_type: TEXT, body: format!("{text}\n") }
}

fn refused(decision: &Decision) -> Answer {
    let (content_type, body) = decision.refusal().unwrap_or((TEXT, String::new()));
    Answer { status: decision.status(), content_type, body }
}

/// Whether an origin is that of a journal of this node.
pub(crate) fn is_journal(origin: &str, node: &str) -> bool {
    let epoch = origin.strip_prefix(node).and_then(|rest| rest.strip_prefix("/journal/"));
    let number = epoch.and_then(|epoch| epoch.parse::<u64>().ok().filter(|number| number.to_string() == epoch));
    number.is_some_and(|number| (1..=MAX_JOURNAL).contains(&number))
}

fn note_of(body: &[u8]) -> Result<SignedCheckpoint, StoreError> {
    SignedCheckpoint::parse(body).map_err(|_| StoreError::Corrupt("state"))
}

fn head_of(body: Option<&[u8]>) -> Result<Option<Head>, StoreError> {
    let note = body.map(note_of).transpose()?;
    Ok(note.map(|note| Head { size: note.checkpoint().size(), root: note.checkpoint().root() }))
}

/// The submitted head with its log's signature and this witness's, whose time never goes back.
fn cosigned_now(
    core: &Core,
    name: &str,
    request: &AddCheckpoint,
    keys: &[VerifierKey],
    held: Option<&[u8]>,
) -> Result<SignedCheckpoint, StoreError> {
    let own = core.cosigner_keys(None);
    let signer = Named { name, key: &own.keys.witness };
    let failed = || StoreError::Failed("a checkpoint cannot be cosigned".to_owned());
    let key = VerifierKey::of(&signer, SignatureType::CosignatureV1).map_err(|_| failed())?;
    let held = held.map(note_of).transpose()?;
    let before = held.and_then(|note| cosignature::verify(&note, &key).ok()).unwrap_or(0);
    let time = before.max(core.sealer.clock.now_ms() / 1000);
    let mut note = request.checkpoint().only_by(keys);
    cosignature::append(&mut note, &signer, time).map_err(|_| failed())?;
    Ok(note)
}

/// What this node's witness cosigned last, of each log that is not its own: the log's folder, and the note.
///
/// # Errors
/// The database's.
pub async fn witnessed(store: &dyn Store) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let states = store.states(STATES, "", MAX_LOGS).await?;
    let named = |key: &str| key.strip_prefix(STATES).unwrap_or(key).to_owned();
    Ok(states.into_iter().map(|row| (named(&row.key), row.body)).collect())
}
/// Checkpoints of an own log as third witnesses have cosigned them, one of each witness.
///
/// # Errors
/// The database's.
pub async fn cosigned(store: &dyn Store, origin: &str) -> Result<Vec<SignedCheckpoint>, StoreError> {
    let states = store.states(&submit::prefix(origin), "", submit::MAX_WITNESSES).await?;
    states.iter().map(|row| note_of(&row.body)).collect()
}
