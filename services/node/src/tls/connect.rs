//! Dialling a node: the name that is checked and the address that is dialled are two things, so
//! that a tunnel, a proxy or a port forward changes only the address.

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::verify;

/// Longest time for name resolution, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// As the server's: a partition that heals without a reset must not leave the client waiting.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a node could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name to check is not a DNS name.
    #[error("{0:?} is not a DNS name")]
    ServerName(String),
    /// The connection or the handshake failed.
    #[error("cannot reach {server_name} at {address}: {cause}")]
    Failed {
        /// The address dialled.
        address: String,
        /// The name the server had to prove.
        server_name: String,
        /// The innermost cause, in words.
        cause: String,
    },
}

/// Opens a channel to `address` (`host:port` or `ip:port`), whose certificate must carry
/// `server_name` as DNS name, e.g. `node.ca.example`. The channel connects again by itself.
///
/// In TLS 1.3 the client finishes first: that the *server* refuses the certificate shows only in
/// the first call on the channel.
///
/// # Errors
/// [`ConnectError`] if nothing answers within 5 s or what answers is not the node that was meant.
pub async fn connect(address: &str, server_name: &str, tls: Arc<ClientConfig>) -> Result<Channel, ConnectError> {
    let (endpoint, name) = endpoint(server_name)?;
    let dial = dialler(address.to_owned(), name, tls);
    endpoint.connect_with_connector(dial).await.map_err(|error| ConnectError::Failed {
        address: address.to_owned(),
        server_name: server_name.to_owned(),
        cause: cause(&error),
    })
}

/// A channel, and who was at its other end when it was opened.
pub struct Connected {
    /// The channel.
    pub channel: Channel,
    /// The server's chain, leaf first, for [`super::LiveTls::judge_node`].
    pub chain: Vec<CertificateDer<'static>>,
    /// The name that it proved.
    pub name: ServerName<'static>,
}

/// As [`connect`], with the chain that the server showed, so that it can be judged again.
///
/// # Errors
/// As [`connect`].
pub async fn connect_judged(
    address: &str,
    server_name: &str,
    tls: Arc<ClientConfig>,
) -> Result<Connected, ConnectError> {
    let (endpoint, name) = endpoint(server_name)?;
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (seen, to, dialled) = (shown.clone(), address.to_owned(), name.clone());
    let dial = tower::service_fn(move |_: Uri| {
        let (address, name, tls, seen) = (to.clone(), dialled.clone(), tls.clone(), seen.clone());
        async move {
            let stream = connect_stream(&address, name, tls).await?;
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            *seen.lock().unwrap_or_else(PoisonError::into_inner) =
                chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    let channel = endpoint.connect_with_connector(dial).await.map_err(|error| ConnectError::Failed {
        address: address.to_owned(),
        server_name: server_name.to_owned(),
        cause: cause(&error),
    })?;
    let chain = std::mem::take(&mut *shown.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Connected { channel, chain, name })
}

/// As [`connect`], but dials at the first call.
///
/// # Errors
/// [`ConnectError::ServerName`].
pub fn connect_lazy(address: &str, server_name: &str, tls: Arc<ClientConfig>) -> Result<Channel, ConnectError> {
    let (endpoint, name) = endpoint(server_name)?;
    Ok(endpoint.connect_with_connector_lazy(dialler(address.to_owned(), name, tls)))
}

/// The bare TLS stream below [`connect`].
///
/// # Errors
/// The connection's error, or `TimedOut` after 5 s.
pub async fn connect_stream(
    address: &str,
    server_name: ServerName<'static>,
    tls: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let dial = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(tls).connect(server_name, stream).await
    };
    timeout(CONNECT_TIMEOUT, dial).await.unwrap_or_else(|_| {
        let seconds = CONNECT_TIMEOUT.as_secs();
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {seconds} s")))
    })
}

fn endpoint(server_name: &str) -> Result<(Endpoint, ServerName<'static>), ConnectError> {
    let wrong = || ConnectError::ServerName(server_name.to_owned());
    let name = match ServerName::try_from(server_name.to_owned()) {
        Ok(name @ ServerName::DnsName(_)) => name,
        _ => return Err(wrong()),
    };
    let uri = Uri::builder().scheme("https").authority(server_name).path_and_query("/").build().map_err(|_| wrong())?;
    let endpoint = Endpoint::from(uri)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok((endpoint, name))
}

type Dialled = TokioIo<TlsStream<TcpStream>>;

fn dialler(
    address: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
) -> impl tower::Service<
    Uri,
    Response = Dialled,
    Error = io::Error,
    Future: Future<Output = io::Result<Dialled>> + Send + 'static,
> + Send
+ 'static {
    tower::service_fn(move |_: Uri| {
        let (address, name, tls) = (address.clone(), name.clone(), tls.clone());
        async move { connect_stream(&address, name, tls).await.map(TokioIo::new) }
    })
}

/// The innermost cause: the layers above it all say "transport error".
fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost
        .downcast_ref::<io::Error>()
        .and_then(|error| error.get_ref())
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .map_or_else(|| innermost.to_string(), verify::problem)
}
