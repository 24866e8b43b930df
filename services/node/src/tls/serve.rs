//! The accept loop. tonic's own has neither reload nor a time limit for each handshake.

use std::error::Error as StdError;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use convenio_model::Identity;
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::{debug, warn};

use super::identity::from_certificate;
use super::verify;

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
            grace: Duration::from_secs(5),
        }
    }
}

/// Accepts mTLS connections until `shutdown` and gives each request to a clone of `service`, with
/// the caller's `Arc<Identity>` in its extensions. `tonic::service::Routes::into_axum_router()`
/// makes a fitting service.
///
/// A configuration stored into `tls` counts from the next handshake on. Returns when every
/// connection has ended, at the latest [`ServeLimits::grace`] after the shutdown. Refusals are
/// logged as warnings with a reason code and the peer's IP address, never with names out of the
/// certificate.
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Arc<ArcSwap<ServerConfig>>,
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
        let acceptor = TlsAcceptor::from(tls.load_full());
        let (service, limits) = (service.clone(), limits.clone());
        let (shutdown, streams) = (shutdown.clone(), tasks.clone());
        tasks.spawn(async move {
            let _permit = permit;
            let handshake = handshake(&acceptor, stream, limits.handshake_timeout);
            match shutdown.run_until_cancelled(handshake).await {
                Some(Ok((stream, identity))) => {
                    connection(stream, identity, service, &limits, &shutdown, streams).await;
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

async fn handshake(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> Result<(TlsStream<TcpStream>, Arc<Identity>), Refusal> {
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
    Ok((stream, Arc::new(identity)))
}

async fn connection<S, B>(
    stream: TlsStream<TcpStream>,
    identity: Arc<Identity>,
    service: S,
    limits: &ServeLimits,
    shutdown: &CancellationToken,
    tasks: TaskTracker,
) where
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
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(identity.clone());
        service.clone().oneshot(request)
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.grace, connection).await.ok()
        }
    };
    if let Some(Err(error)) = ended {
        debug!(%error, "connection ended");
    }
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
