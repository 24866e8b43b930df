//! The accept loop. tonic's own has neither reload nor a time limit for each handshake.

use std::error::Error as StdError;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use convenio_model::Identity;
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use super::identity::from_certificate;
use super::live::LiveTls;
use super::verify;

/// An open connection is judged again after so long at the latest, and at once when the material changes.
pub const RECHECK: Duration = Duration::from_secs(5);

/// Whether a caller is known beyond its certificate; asked again whenever its connection is judged.
pub type Known = Arc<dyn Fn(&Identity) -> bool + Send + Sync>;

/// Pause after a failed accept: the usual cause, no free file descriptor, does not end at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client may take of the server.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// Most connections at a time, unfinished handshakes included; one more is closed at once.
    pub max_connections: usize,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Silence after which an HTTP/2 connection is pinged.
    pub keep_alive_interval: Duration,
    /// Wait for the answer to a ping before the connection is dropped.
    pub keep_alive_timeout: Duration,
    /// Longest wait for the head of an HTTP/1.1 request.
    pub header_timeout: Duration,
    /// Most HTTP/2 streams at a time in one connection.
    pub max_concurrent_streams: u32,
    /// Longest life of a connection: then it takes no new requests, and the client connects again, with the certificate that
    /// it has by then.
    pub max_age: Duration,
    /// Time that requests in progress, streams among them, have when a connection is too old.
    pub age_grace: Duration,
    /// Time that requests in progress have at shutdown, before their connections are dropped.
    pub grace: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            handshake_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(20),
            header_timeout: Duration::from_secs(10),
            max_concurrent_streams: 256,
            max_age: Duration::from_secs(3600),
            age_grace: Duration::from_secs(60),
            grace: Duration::from_secs(5),
        }
    }
}

/// Accepts mTLS connections until `shutdown` and gives each request to a clone of `service`, with
/// the caller's `Arc<Identity>` in its extensions. `tonic::service::Routes::into_axum_router()`
/// makes a fitting service.
///
/// Material stored into `tls` counts from the next handshake on, and an open connection whose certificate it does not
/// believe, or whose caller is not `known` any more, is cut with every stream in it. Returns when every connection has ended,
/// at the latest [`ServeLimits::grace`] after the shutdown. Refusals are logged as warnings with a reason code and the
/// peer's IP address, never with names out of the certificate.
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Arc<LiveTls>,
    known: Known,
    service: S,
    limits: ServeLimits,
    shutdown: CancellationToken,
) where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let free = Arc::new(Semaphore::new(limits.max_connections));
    let tasks = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(reason = "ACCEPT_FAILED", kind = ?error.kind(), "cannot accept");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = free.clone().try_acquire_owned() else {
            warn!(reason = "TOO_MANY_CONNECTIONS", peer = %peer.ip(), "connection refused");
            continue;
        };
        let acceptor = TlsAcceptor::from(tls.server_config());
        let (service, limits) = (service.clone(), limits.clone());
        let (tls, known) = (tls.clone(), known.clone());
        let (shutdown, streams) = (shutdown.clone(), tasks.clone());
        tasks.spawn(async move {
            let _permit = permit;
            let handshake = handshake(&acceptor, stream, limits.handshake_timeout);
            match shutdown.run_until_cancelled(handshake).await {
                Some(Ok((stream, caller))) => {
                    let judge = Arc::new(Judge::new(tls, known, caller));
                    match connection(stream, judge, service, &limits, &shutdown, streams).await {
                        Ended::Cut(reason) => warn!(reason, peer = %peer.ip(), "connection cut"),
                        Ended::Done => {}
                    }
                }
                Some(Err(Refusal::Lost(kind))) => debug!(?kind, peer = %peer.ip(), "no handshake"),
                Some(Err(Refusal::Reason(reason))) => {
                    warn!(reason, peer = %peer.ip(), "connection refused");
                }
                None => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Why a handshake came to nothing.
enum Refusal {
    /// The peer went away: a port probe, or a link that broke.
    Lost(io::ErrorKind),
    /// This side, or the peer's, refused.
    Reason(&'static str),
}

/// Who is at the other end.
struct Caller {
    identity: Arc<Identity>,
    /// Leaf first.
    chain: Vec<CertificateDer<'static>>,
}

/// A request that got no answer; its stream is reset.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// How a connection came to its end.
enum Ended {
    Done,
    /// It is no longer believed.
    Cut(&'static str),
}

/// Judges one connection again and again.
struct Judge {
    tls: Arc<LiveTls>,
    known: Known,
    caller: Caller,
    /// Whoever was never known is told so, call by call, and need not be cut.
    was_known: bool,
    generation: watch::Receiver<u64>,
    /// Material by which it was believed last.
    believed: AtomicU64,
}

impl Judge {
    fn new(tls: Arc<LiveTls>, known: Known, caller: Caller) -> Self {
        let generation = tls.generation();
        let was_known = known(&caller.identity);
        // Nothing is believed of a handshake that may have begun under older material.
        Self { tls, known, caller, was_known, generation, believed: AtomicU64::new(u64::MAX) }
    }

    fn judge(&self) -> Result<(), &'static str> {
        let generation = *self.generation.borrow();
        self.tls.judge_client(&self.caller.chain)?;
        if self.was_known && !(self.known)(&self.caller.identity) {
            return Err("PRINCIPAL_UNKNOWN");
        }
        self.believed.store(generation, Ordering::Release);
        Ok(())
    }

    /// Before each request: by the material of this very moment.
    fn admit(&self) -> Result<(), &'static str> {
        if self.believed.load(Ordering::Acquire) == *self.generation.borrow() { Ok(()) } else { self.judge() }
    }

    /// Ends once the connection is no longer believed.
    async fn refused(&self) -> &'static str {
        let mut generation = self.generation.clone();
        loop {
            if let Err(reason) = self.judge() {
                return reason;
            }
            // A timeout is as good as a change: certificates and lists run out by themselves. The node itself holds the
            // sender, so that the wait fails only when all ends.
            let _ = timeout(RECHECK, generation.changed()).await;
        }
    }
}

async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> Result<(TlsStream<TcpStream>, Caller), Refusal> {
    // Records are small and answers are waited for.
    stream.set_nodelay(true).map_err(|error| Refusal::Lost(error.kind()))?;
    let stream = timeout(limit, acceptor.accept(stream))
        .await
        .map_err(|_| Refusal::Reason("HANDSHAKE_TIMEOUT"))?
        .map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            inner.map_or(Refusal::Lost(error.kind()), |tls| Refusal::Reason(verify::reason(tls)))
        })?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain.first().ok_or(Refusal::Reason("CERTIFICATE_MISSING"))?;
    let identity = from_certificate(leaf).map_err(|error| Refusal::Reason(error.reason()))?;
    let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
    Ok((stream, Caller { identity: Arc::new(identity), chain }))
}

async fn connection<S, B>(
    stream: TlsStream<TcpStream>,
    judge: Arc<Judge>,
    service: S,
    limits: &ServeLimits,
    shutdown: &CancellationToken,
    tasks: TaskTracker,
) -> Ended
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let gone = CancellationToken::new();
    let _streams_end_with_the_connection = gone.clone().drop_guard();
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let http = http(StreamExecutor { gone, tasks }, is_http2, limits);
    let (identity, admits) = (judge.caller.identity.clone(), judge.clone());
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(identity.clone());
        let (service, admitted) = (service.clone(), admits.admit());
        async move {
            // The connection is about to be cut: the request does not reach the service.
            admitted.map_err(|reason| Unanswered(reason.to_owned()))?;
            service.oneshot(request).await.map_err(|error| Unanswered(error.into().to_string()))
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        reason = judge.refused() => return Ended::Cut(reason),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.grace, connection).await.ok()
        }
        () = sleep(limits.max_age) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = timeout(limits.age_grace, connection) => ended.ok(),
                reason = judge.refused() => return Ended::Cut(reason),
                () = shutdown.cancelled() => None,
            }
        }
    };
    if let Some(Err(error)) = ended {
        debug!(%error, "connection ended");
    }
    Ended::Done
}

fn http(executor: StreamExecutor, is_http2: bool, limits: &ServeLimits) -> auto::Builder<StreamExecutor> {
    // ALPN has settled the version: guessing it from the first bytes could wait for ever.
    let builder = auto::Builder::new(executor);
    let mut builder = if is_http2 { builder.http2_only() } else { builder.http1_only() };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keep_alive_interval)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .max_concurrent_streams(limits.max_concurrent_streams);
    builder
}

/// Runs the streams of one connection and ends them with it: a handler that waits for ever must not
/// outlive the shutdown.
#[derive(Clone)]
struct StreamExecutor {
    gone: CancellationToken,
    tasks: TaskTracker,
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        let gone = self.gone.clone();
        self.tasks.spawn(async move {
            gone.run_until_cancelled(stream).await;
        });
    }
}
