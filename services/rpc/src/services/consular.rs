//! The link of a consulate: captures upward, the post's caseload downward, both at once, over one stream.
//!
//! A link that is cut needs no care: whatever was answered is durable, and the client goes on from the last cursor it
//! kept and sends again what was not answered.

use std::sync::Arc;
use std::time::Duration;

use convenio_registry::{Caller, Registry};
use convenio_wire::consular::v1::sync_request::Message as Up;
use convenio_wire::consular::v1::sync_response::Message as Down;
use convenio_wire::consular::v1::{Capture, SyncEnd, SyncRequest, SyncResponse};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use crate::admission::{denied, open};
use crate::principals::Standing;
use crate::server::consular_service_server::ConsularService;
use crate::status;

/// Most syncs in progress.
const MAX_SYNCS: usize = 256;
/// Most captures in one stream.
const MAX_CAPTURES: u32 = 10_000;
/// Captures in progress at a time: enough for them to share commits.
const CAPTURES_AT_ONCE: usize = 16;
/// Items of the caseload read at a time.
const PAGE: u32 = 64;
/// Answers that wait for the link.
const QUEUE: usize = 32;
/// Longest silence of the consulate before its next message, and longest wait for it to take one.
const SILENCE: Duration = Duration::from_secs(300);

pub(crate) struct Consular {
    registry: Arc<Registry>,
    syncs: Arc<Semaphore>,
}

impl Consular {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, syncs: Arc::new(Semaphore::new(MAX_SYNCS)) }
    }
}

#[tonic::async_trait]
impl ConsularService for Consular {
    type SyncStream = ReceiverStream<Result<SyncResponse, Status>>;

    async fn sync(
        &self,
        request: Request<tonic::Streaming<SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let (admitted, inbound) = open(request)?;
        let Standing::Own { districts, agreements: Some(agreements) } = &admitted.standing else {
            return Err(denied("only a consulate in the table of principals has a caseload"));
        };
        let busy = |_| status::refusal(Code::Unavailable, "OVERLOADED", "too many syncs in progress");
        let permit = self.syncs.clone().try_acquire_owned().map_err(busy)?;
        let (down, answers) = mpsc::channel(QUEUE);
        let sync = Arc::new(Sync {
            registry: self.registry.clone(),
            caller: admitted.caller.clone(),
            districts: districts.clone(),
            agreements: agreements.clone(),
            down,
        });
        tokio::spawn(async move {
            let _permit = permit;
            if let Err(Ended::Told(status)) = sync.clone().run(inbound).await {
                // Fails only when the link is cut; then there is nobody to tell.
                let _ = sync.down.send_timeout(Err(status), SILENCE).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// Why a sync ends before its end.
enum Ended {
    /// The link is cut.
    Cut,
    /// The consulate is told why.
    Told(Status),
}

/// One sync.
struct Sync {
    registry: Arc<Registry>,
    caller: Caller,
    districts: Vec<String>,
    agreements: Vec<String>,
    down: mpsc::Sender<Result<SyncResponse, Status>>,
}

impl Sync {
    async fn run<S>(self: Arc<Self>, mut inbound: S) -> Result<(), Ended>
    where
        S: Stream<Item = Result<SyncRequest, Status>> + Send + Unpin,
    {
        let Up::Start(start) = next(&mut inbound).await? else {
            return Err(Ended::Told(status::bad_field("start", "must be the first message")));
        };
        let finished = watch::Sender::new(false);
        let finish = finished.subscribe();
        tokio::try_join!(self.upward(inbound, finished), self.downward(start.cursor, finish)).map(drop)
    }

    /// Takes captures, several at a time, and answers them in their order once they are durable.
    async fn upward<S>(&self, inbound: S, finished: watch::Sender<bool>) -> Result<(), Ended>
    where
        S: Stream<Item = Result<SyncRequest, Status>> + Send + Unpin,
    {
        captures(inbound)
            .map_ok(|capture| self.take(capture))
            .try_buffered(CAPTURES_AT_ONCE)
            .try_for_each(|result| self.send(result))
            .await?;
        finished.send_replace(true);
        Ok(())
    }

    async fn take(&self, capture: Capture) -> Result<Down, Ended> {
        let taken = self.registry.take_capture(&self.caller, &self.districts, &self.agreements, &capture).await;
        taken.map(Down::Result).map_err(|error| Ended::Told(status::from_registry(&error)))
    }

    /// Sends the caseload, then what captures and the partner changed in it, and ends once no capture is open.
    async fn downward(&self, cursor: u64, mut finish: watch::Receiver<bool>) -> Result<(), Ended> {
        let cursor = self.caseload(cursor).await?;
        finish.wait_for(|finished| *finished).await.map_err(|_| Ended::Cut)?;
        let cursor = self.caseload(cursor).await?;
        self.send(Down::End(SyncEnd { cursor })).await
    }

    /// Sends what changed after `cursor`; gives the cursor up to which it was sent.
    async fn caseload(&self, mut cursor: u64) -> Result<u64, Ended> {
        loop {
            let page =
                self.registry.caseload_since(&self.caller, cursor, &self.districts, &self.agreements, PAGE).await;
            let (items, reached) = page.map_err(|error| Ended::Told(status::from_registry(&error)))?;
            for item in items {
                self.send(Down::Item(item)).await?;
            }
            if reached <= cursor {
                return Ok(cursor);
            }
            cursor = reached;
        }
    }

    async fn send(&self, message: Down) -> Result<(), Ended> {
        let message = SyncResponse { message: Some(message) };
        self.down.send_timeout(Ok(message), SILENCE).await.map_err(|_| Ended::Cut)
    }
}

/// The captures up to the finish.
fn captures<S>(inbound: S) -> impl Stream<Item = Result<Capture, Ended>> + Send
where
    S: Stream<Item = Result<SyncRequest, Status>> + Send + Unpin,
{
    stream::try_unfold((inbound, 0), |(mut inbound, taken)| async move {
        match next(&mut inbound).await? {
            Up::Finish(_) => Ok(None),
            Up::Start(_) => Err(Ended::Told(status::bad_field("start", "must come once, first"))),
            Up::Capture(_) if taken == MAX_CAPTURES => {
                let message = "too many captures in one sync; finish it and begin another";
                Err(Ended::Told(status::refusal(Code::ResourceExhausted, "TOO_MANY_CAPTURES", message)))
            }
            Up::Capture(capture) => Ok(Some((capture, (inbound, taken + 1)))),
        }
    })
}

async fn next<S>(inbound: &mut S) -> Result<Up, Ended>
where
    S: Stream<Item = Result<SyncRequest, Status>> + Unpin,
{
    let silent = |_| Ended::Told(status::refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "nothing was sent"));
    let message = timeout(SILENCE, inbound.next()).await.map_err(silent)?;
    match message {
        Some(Ok(SyncRequest { message: Some(message) })) => Ok(message),
        Some(Ok(SyncRequest { message: None })) => {
            Err(Ended::Told(status::bad_field("message", "must be one that the contract knows")))
        }
        // A message too large or malformed is told; of a link that is cut nobody is left to hear.
        Some(Err(status)) => Err(Ended::Told(status)),
        None => Err(Ended::Cut),
    }
}
