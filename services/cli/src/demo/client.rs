//! Calls of one state's own systems to its node, repeated until the node has answered.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use convenio_node::tls::{LoadedTls, connect_lazy};
use convenio_script::passes;
use parking_lot::RwLock;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

/// How long a node may be away before a call is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// Connections to one node: HTTP/2 carries many calls on each.
const CONNECTIONS: usize = 2;
/// Every call names why it is made.
const PURPOSE: (&str, &str) = ("convenio-purpose", "placement");

/// A call that was refused or never answered.
#[derive(Debug)]
pub struct CallError {
    /// The answer.
    pub status: Status,
    what: String,
}

/// A system of one state that calls its own node.
pub struct Caller {
    node_name: String,
    trust_domain: String,
    tls: LoadedTls,
    channels: RwLock<Vec<Channel>>,
    turn: AtomicUsize,
}

impl Caller {
    /// A caller with the certificate in `tls`; [`Caller::dial`] says where the node is.
    pub fn new(node_name: &str, trust_domain: &str, tls: LoadedTls) -> Self {
        Self {
            node_name: node_name.to_owned(),
            trust_domain: trust_domain.to_owned(),
            tls,
            channels: RwLock::default(),
            turn: AtomicUsize::default(),
        }
    }

    /// Sends later calls to `address`.
    ///
    /// # Errors
    /// The certificates make no configuration.
    pub fn dial(&self, address: &str) -> anyhow::Result<()> {
        let tls = std::sync::Arc::new(self.tls.client_config(&self.trust_domain)?);
        let dial = || connect_lazy(address, &self.node_name, tls.clone());
        let channels = (0..CONNECTIONS).map(|_| dial()).collect::<Result<_, _>>()?;
        *self.channels.write() = channels;
        Ok(())
    }

    /// A connection to the node as it is dialled now.
    pub fn channel(&self) -> Result<Channel, Status> {
        let channels = self.channels.read();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let none = || Status::unavailable("the node was not dialled yet");
        channels.get(turn % channels.len().max(1)).cloned().ok_or_else(none)
    }

    /// Calls `method`, again while the node is away or an earlier act is undecided: `request` carries a request id, so
    /// that a repeated call is the same call.
    ///
    /// # Errors
    /// The refusal, or the last failure after a minute.
    pub async fn call<Q, R, F, Fut>(&self, what: &str, request: &Q, method: F) -> Result<R, CallError>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut wait = FIRST_WAIT;
        loop {
            let status = match self.once(request, &method).await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            if !passes(&status) || tokio::time::Instant::now() >= until {
                return Err(CallError { status, what: what.to_owned() });
            }
            // Callers that failed together do not come back together.
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let spread = u32::try_from(turn % 8).unwrap_or_default();
            tokio::time::sleep(wait + wait * spread / 8).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn once<Q, R, F, Fut>(&self, request: &Q, method: &F) -> Result<R, Status>
    where
        Q: Clone,
        F: Fn(Channel, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let answer = method(self.channel()?, with_purpose(request.clone())).await?;
        Ok(answer.into_inner())
    }
}

/// The request with its purpose in the metadata.
pub fn with_purpose<Q>(message: Q) -> Request<Q> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(PURPOSE.0, MetadataValue::from_static(PURPOSE.1));
    request
}

impl CallError {
    /// Stable reason of the refusal; empty if there is none.
    pub fn reason(&self) -> String {
        self.status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
    }

    /// Gate that refused; empty if none did.
    pub fn gate(&self) -> String {
        let info = self.status.get_details_error_info();
        info.and_then(|info| info.metadata.get("gate").cloned()).unwrap_or_default()
    }

    /// Fields concerned.
    pub fn field_paths(&self) -> Vec<String> {
        let bad = self.status.get_details_bad_request();
        bad.map(|bad| bad.field_violations.into_iter().map(|v| v.field).collect()).unwrap_or_default()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}: {}", self.what, self.status.code(), self.status.message())?;
        for (name, value) in
            [("reason", self.reason()), ("gate", self.gate()), ("fields", self.field_paths().join(", "))]
        {
            if !value.is_empty() {
                write!(f, ", {name} {value}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}
