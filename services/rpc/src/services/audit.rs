//! The auditor who is connected: logs, entries from any index, proofs, and the bundle, encrypted to its key.

use std::fs::File;
use std::sync::Arc;

use convenio_exchange::auditing::{self, Page, Showing};
use convenio_exchange::bundle::BundleKind;
use convenio_exchange::journal::{Actor, epoch_of};
use convenio_exchange::{Core, Heads, publish};
use convenio_store::{Deed, LogRange, LogRow, StoreError};
use convenio_wire::audit::v1 as wire;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, try_unfold};
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::{Code, Request, Response, Status};

use crate::admission::{Admitted, open};
use crate::limit::{Limits, Rate};
use crate::server::audit_service_server::AuditService;
use crate::status;

/// Calls of one auditor.
const CALLS: Rate = Rate { burst: 60, every_ms: 1000 };
/// Calls of one auditor in progress, streams among them.
const AT_ONCE: usize = 4;
/// Bundles of one auditor: each reads every log.
const BUNDLES: Rate = Rate { burst: 4, every_ms: 15 * 60 * 1000 };
/// Bytes of a bundle in one message.
const CHUNK: usize = 64 * 1024;

/// No bundle was made.
#[derive(Debug, thiserror::Error)]
pub enum BundleRefused {
    /// The recipient is no key.
    #[error("is not an age X25519 recipient")]
    Recipient,
    /// It could not be made or kept.
    #[error("the bundle cannot be made: {0}")]
    Failed(String),
}

/// Makes bundles for auditors.
pub trait Bundles: Send + Sync + 'static {
    /// The node's bundle as it is now, encrypted to `recipient`; the file is nowhere else, and is read from its beginning.
    fn bundle(&self, kind: BundleKind, recipient: String) -> BoxFuture<'_, Result<File, BundleRefused>>;
}

pub(crate) struct Audit {
    core: Arc<Core>,
    bundles: Option<Arc<dyn Bundles>>,
    calls: Limits,
    exports: Limits,
    /// One bundle is made at a time.
    making: Arc<Semaphore>,
}

impl Audit {
    pub(crate) fn new(core: Arc<Core>, bundles: Option<Arc<dyn Bundles>>) -> Self {
        let (calls, exports) = (Limits::new(CALLS, AT_ONCE), Limits::new(BUNDLES, 1));
        Self { core, bundles, calls, exports, making: Arc::new(Semaphore::new(1)) }
    }

    /// Counts a call.
    fn limited(&self, limits: &Limits, actor: &Actor) -> Result<OwnedSemaphorePermit, Status> {
        let busy = || status::refusal(Code::ResourceExhausted, "RATE_LIMITED", "too many calls: ask again later");
        limits.take(&actor.caller, self.core.clock().now_ms()).ok_or_else(busy)
    }

    async fn journalled(&self, actor: &Actor, deed: Deed) -> Result<(), Status> {
        auditing::journalled(&self.core, actor.clone(), deed).await.map_err(|error| status::from_store(&error))
    }

    async fn journalled_range(&self, actor: &Actor, log: &LogRow, begin: u64, end: u64) -> Result<(), Status> {
        let range = LogRange { origin: log.origin.clone(), begin, end };
        let noted = auditing::journalled_range(&self.core, actor.clone(), range, Vec::new()).await;
        noted.map_err(|error| status::from_store(&error))
    }

    /// A log that the caller reaches.
    async fn log(&self, admitted: &Admitted, origin: &str) -> Result<LogRow, Status> {
        let logs = publish::logs(&self.core).await.map_err(|error| status::from_store(&error))?;
        // What a caller may not read is not told from what is not there.
        let found = logs.into_iter().find(|log| log.origin == origin && reaches(admitted, log));
        found.ok_or_else(|| status::refusal(Code::NotFound, "NOT_FOUND", "this node holds no such log"))
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    type ListEntriesStream = BoxStream<'static, Result<wire::ListEntriesResponse, Status>>;
    type GetBundleStream = BoxStream<'static, Result<wire::GetBundleResponse, Status>>;

    async fn list_logs(
        &self,
        request: Request<wire::ListLogsRequest>,
    ) -> Result<Response<wire::ListLogsResponse>, Status> {
        let (admitted, wire::ListLogsRequest {}) = open(request)?;
        let actor = admitted.caller.acting("Audit", "ListLogs");
        let _permit = self.limited(&self.calls, &actor)?;
        self.journalled(&actor, Deed::Read).await?;
        let failed = |error: StoreError| status::from_store(&error);
        let mut logs = Vec::new();
        for log in publish::logs(&self.core).await.map_err(failed)? {
            if reaches(&admitted, &log) {
                let checkpoint = publish::checkpoint(&self.core, &log).await.map_err(failed)?.unwrap_or_default();
                let size = publish::extent(&log);
                logs.push(wire::Log { origin: log.origin, size, own: log.own, checkpoint });
            }
        }
        Ok(Response::new(wire::ListLogsResponse { logs }))
    }

    async fn list_entries(
        &self,
        request: Request<wire::ListEntriesRequest>,
    ) -> Result<Response<Self::ListEntriesStream>, Status> {
        let (admitted, request) = open(request)?;
        let actor = admitted.caller.acting("Audit", "ListEntries");
        let permit = self.limited(&self.calls, &actor)?;
        let log = self.log(&admitted, &request.log_origin).await?;
        let size = publish::extent(&log);
        if request.follow && (request.end != 0 || epoch_of(&log).is_some()) {
            return Err(status::bad_field("follow", "is not for a journal, nor with an end"));
        }
        let end = if request.end == 0 { size } else { request.end };
        if request.first > end || end > size {
            return Err(status::bad_field("first", "must be at most the end, and the end at most the log's size"));
        }
        self.journalled_range(&actor, &log, request.first, if request.follow { 0 } else { end }).await?;
        let (core, heads) = (self.core.clone(), self.core.heads());
        let reading = Reading { core, heads, actor, log, end, request, _permit: permit };
        let pages = try_unfold(reading, |reading| reading.next());
        Ok(Response::new(pages.boxed()))
    }

    async fn get_proof(
        &self,
        request: Request<wire::GetProofRequest>,
    ) -> Result<Response<wire::GetProofResponse>, Status> {
        let (admitted, request) = open(request)?;
        let actor = admitted.caller.acting("Audit", "GetProof");
        let _permit = self.limited(&self.calls, &actor)?;
        let log = self.log(&admitted, &request.log_origin).await?;
        self.journalled_range(&actor, &log, request.index, request.index.saturating_add(1)).await?;
        let proofs = auditing::proofs(&self.core, &log, request.index, request.old_size).await;
        let proofs = proofs.map_err(|error| status::from_store(&error))?;
        let proofs = proofs.ok_or_else(|| status::bad_field("index", "is past the latest checkpoint"))?;
        let bytes = |hashes: Vec<convenio_log::Hash>| hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect();
        Ok(Response::new(wire::GetProofResponse {
            checkpoint: proofs.checkpoint,
            leaf: proofs.leaf.to_vec(),
            inclusion: bytes(proofs.inclusion),
            consistency: bytes(proofs.consistency),
        }))
    }

    async fn get_bundle(
        &self,
        request: Request<wire::GetBundleRequest>,
    ) -> Result<Response<Self::GetBundleStream>, Status> {
        let (admitted, request) = open(request)?;
        let actor = admitted.caller.acting("Audit", "GetBundle");
        let kind = match request.kind() {
            wire::BundleKind::Full => BundleKind::Full,
            wire::BundleKind::Commitments => BundleKind::Commitments,
            wire::BundleKind::Unspecified => return Err(status::bad_field("kind", "must be said")),
        };
        let none = || status::refusal(Code::Unimplemented, "UNIMPLEMENTED", "this node exports no bundles");
        let bundles = self.bundles.clone().ok_or_else(none)?;
        let permit = self.limited(&self.exports, &actor)?;
        let busy = |_| status::refusal(Code::Unavailable, "OVERLOADED", "another bundle is being made");
        let making = self.making.clone().try_acquire_owned().map_err(busy)?;
        self.journalled(&actor, Deed::Exported).await?;
        let made = bundles.bundle(kind, request.recipient).await;
        drop(making);
        let file = made.map_err(|refused| match refused {
            BundleRefused::Recipient => status::bad_field("recipient", "is not an age X25519 recipient"),
            BundleRefused::Failed(reason) => {
                tracing::error!(reason, "a bundle cannot be made");
                status::refusal(Code::Unavailable, "UNAVAILABLE", "the bundle cannot be made now")
            }
        })?;
        let chunks = try_unfold((tokio::fs::File::from_std(file), permit), |(mut file, permit)| async move {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await;
            let read = read.map_err(|_| status::internal())?;
            Ok((read > 0).then_some((wire::GetBundleResponse { chunk }, (file, permit))))
        });
        Ok(Response::new(chunks.boxed()))
    }
}

/// A stream of entries under way.
struct Reading {
    core: Arc<Core>,
    heads: watch::Receiver<Heads>,
    actor: Actor,
    log: LogRow,
    end: u64,
    request: wire::ListEntriesRequest,
    _permit: OwnedSemaphorePermit,
}

impl Reading {
    /// The next page; none at the end.
    async fn next(mut self) -> Result<Option<(wire::ListEntriesResponse, Self)>, Status> {
        let failed = |error: StoreError| status::from_store(&error);
        while self.request.first >= self.end {
            if !self.request.follow || self.heads.changed().await.is_err() {
                return Ok(None);
            }
            self.heads.mark_unchanged();
            let logs = publish::logs(&self.core).await.map_err(failed)?;
            if let Some(log) = logs.into_iter().find(|log| log.id == self.log.id) {
                (self.end, self.log) = (publish::extent(&log), log);
            }
        }
        let first = self.request.first;
        let showing = Showing { with_parts: self.request.with_parts, follow: self.request.follow };
        let page = auditing::page(&self.core, &self.actor, &self.log, first, self.end, showing).await;
        let Page { rows, parts } = page.map_err(failed)?;
        if rows.is_empty() {
            return Err(status::internal());
        }
        self.request.first += rows.len() as u64;
        let entries = rows.into_iter().map(|row| row.bytes).collect();
        Ok(Some((wire::ListEntriesResponse { first, entries, parts }, self)))
    }
}

/// Whoever is limited to agreements reads their logs, and no journal.
fn reaches(admitted: &Admitted, log: &LogRow) -> bool {
    admitted.standing.agreements().is_none() || admitted.check_agreement(&log.agreement).is_ok()
}
