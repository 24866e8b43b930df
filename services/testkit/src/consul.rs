//! A consulate's device: its own certificate and line to its state's node, the caseload that it keeps, and what it captured.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use convenio_faultproxy::FaultProxy;
use convenio_model::Clock;
use convenio_node::tls::LoadedTls;
use convenio_rpc::client::ConsularServiceClient;
use convenio_wire::consular::v1::capture::Kind;
use convenio_wire::consular::v1::sync_request::Message as Up;
use convenio_wire::consular::v1::sync_response::Message as Down;
use convenio_wire::consular::v1::{
    Capture, CaptureResult, CaseloadItem, Confirmation, ObservedContract, SyncFinish, SyncRequest, SyncResponse,
    SyncStart, WelfareContact,
};
use convenio_wire::registry::v1 as registry;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use crate::acts::reference;
use crate::calls::{Caller, with_purpose};
use crate::nodes::Nodes;
use crate::records;

/// Messages that wait for the line at most.
const QUEUE: usize = 8;

/// The device of a post of El Salvador.
pub struct Consulate {
    /// Its calls.
    pub calls: Caller,
    /// On the way to its node.
    pub line: FaultProxy,
    /// Cursor that it kept.
    pub cursor: u64,
    /// Caseload that it keeps.
    pub caseload: BTreeMap<String, CaseloadItem>,
    /// Captured and not answered; in the order of their ids.
    pub waiting: BTreeMap<String, Capture>,
}

/// What one sync brought, be it whole or not.
#[derive(Debug, Default)]
pub struct Synced {
    /// Items, in their order.
    pub items: Vec<CaseloadItem>,
    /// Answers to captures, in their order.
    pub results: Vec<CaptureResult>,
}

/// An open sync.
pub struct Open {
    /// Upward; dropping it ends that half.
    pub up: mpsc::Sender<SyncRequest>,
    /// Downward.
    pub down: Streaming<SyncResponse>,
}

impl Consulate {
    /// The device of `post`, for example `mre/toronto`.
    pub async fn new(nodes: &Nodes, post: &str) -> Self {
        let issued = nodes.site.certificate("sv", &format!("spiffe://sv.example/consulate/{post}"));
        Self::dialling("sv", nodes.origin.node.addr(), &nodes.site.client("sv", &issued)).await
    }

    /// A device of `party`'s that dials its node at `address` with the certificate in `tls`.
    pub async fn dialling(party: &str, address: SocketAddr, tls: &LoadedTls) -> Self {
        let line = FaultProxy::start(address).await.unwrap();
        let calls = Caller::new(party, line.addr(), tls);
        Self { calls, line, cursor: 0, caseload: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// Opens a sync from `cursor`.
    ///
    /// # Errors
    /// The node's.
    pub async fn open(&self, cursor: u64) -> Result<Open, Status> {
        let (up, messages) = mpsc::channel(QUEUE);
        let mut client = ConsularServiceClient::new(self.calls.channel.clone());
        up.try_send(message(Up::Start(SyncStart { cursor }))).expect("an empty queue has room");
        let down = client.sync(with_purpose(ReceiverStream::new(messages))).await?.into_inner();
        Ok(Open { up, down })
    }

    /// Opens a sync as someone who does not say what for.
    ///
    /// # Errors
    /// The node's.
    pub async fn open_without_purpose(&self) -> Result<(), Status> {
        let start = tokio_stream::once(message(Up::Start(SyncStart { cursor: 0 })));
        ConsularServiceClient::new(self.calls.channel.clone()).sync(Request::new(start)).await.map(drop)
    }

    /// A sync from the kept cursor that sends what waits. What arrives is kept as it arrives, so that another one goes on
    /// from there; an answered capture waits no longer.
    ///
    /// # Errors
    /// With what came before the line failed.
    ///
    /// # Panics
    /// If the cursor ever stands still or goes back, or a capture is answered that does not wait.
    pub async fn sync(&mut self) -> Result<Synced, (Synced, Status)> {
        let mut synced = Synced::default();
        match self.take(&mut synced).await {
            Ok(()) => Ok(synced),
            Err(status) => Err((synced, status)),
        }
    }

    async fn take(&mut self, synced: &mut Synced) -> Result<(), Status> {
        let Open { up, mut down } = self.open(self.cursor).await?;
        let captures: Vec<_> = self.waiting.values().cloned().collect();
        tokio::spawn(async move {
            let captures = captures.into_iter().map(Up::Capture);
            for next in captures.chain([Up::Finish(SyncFinish {})]) {
                // Nobody receives once the line is cut.
                if up.send(message(next)).await.is_err() {
                    return;
                }
            }
        });
        while let Some(SyncResponse { message }) = down.message().await? {
            match message.unwrap() {
                Down::Item(item) => {
                    self.keep(item.clone());
                    synced.items.push(item);
                }
                Down::Result(result) => {
                    assert!(self.waiting.remove(&result.capture_id).is_some(), "{} does not wait", result.capture_id);
                    synced.results.push(result);
                }
                Down::End(end) => {
                    assert!(end.cursor >= self.cursor, "the end goes back from {} to {}", self.cursor, end.cursor);
                    self.cursor = end.cursor;
                    return Ok(());
                }
            }
        }
        Err(Status::unavailable("the stream ended before its end"))
    }

    /// Keeps an item and its cursor.
    ///
    /// # Panics
    /// If the cursor stands still or goes back.
    pub fn keep(&mut self, item: CaseloadItem) {
        assert!(item.cursor > self.cursor, "{} after {}", item.cursor, self.cursor);
        self.cursor = item.cursor;
        self.caseload.insert(item.placement.as_ref().unwrap().name.clone(), item);
    }

    /// Lets captures wait for the next sync.
    pub fn capture(&mut self, captures: impl IntoIterator<Item = Capture>) {
        self.waiting.extend(captures.into_iter().map(|capture| (capture.capture_id.clone(), capture)));
    }
}

/// A message upward.
#[must_use]
pub fn message(message: Up) -> SyncRequest {
    SyncRequest { message: Some(message) }
}

/// Something captured now; `label` decides its id.
#[must_use]
pub fn captured(nodes: &Nodes, label: &str, placement: &str, kind: Kind) -> Capture {
    Capture {
        capture_id: reference(&format!("capture {label}")).to_string(),
        placement: placement.to_owned(),
        event: Some(registry::Event { all_modules: false, ..records::event(nodes.clock.now_ms()) }),
        kind: Some(kind),
    }
}

/// The worker is at work as agreed.
#[must_use]
pub fn confirmation() -> Kind {
    Kind::Confirmation(Confirmation {})
}

/// The post spoke with the worker, who is well.
#[must_use]
pub fn welfare() -> Kind {
    Kind::WelfareContact(WelfareContact { well: true })
}

/// A contract of `placement` with these terms.
#[must_use]
pub fn observed(placement: &str, terms: registry::EmploymentTerms) -> Kind {
    let contract = registry::Contract {
        placement: placement.to_owned(),
        origin: registry::ContractOrigin::Observed.into(),
        terms: Some(terms),
        ..Default::default()
    };
    Kind::ObservedContract(ObservedContract { contract: Some(contract) })
}
