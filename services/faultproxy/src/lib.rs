//! A TCP proxy on loopback that breaks the link on demand: cut, black-holed, slow, truncated, or
//! with every answer lost. It knows nothing of what it carries, so it works below TLS.
//!
//! Modes are changed while it runs and hold for the connections that are open as well as for later
//! ones; [`FaultProxy::heal`] ends them all.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

mod link;

use link::Link;

/// The way a byte goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client that connected to the proxy to the upstream server.
    ToServer,
    /// From the upstream server back.
    ToClient,
}

/// A running proxy; dropping it closes its port and its connections.
pub struct FaultProxy {
    addr: SocketAddr,
    link: Arc<Link>,
    upstream: watch::Sender<SocketAddr>,
    _running: DropGuard,
}

impl FaultProxy {
    /// Starts a healthy proxy on a free loopback port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (sender, receiver) = watch::channel(upstream);
        let link = Arc::new(Link::default());
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, receiver, link.clone(), stop.clone()));
        Ok(Self { addr, link, upstream: sender, _running: stop.drop_guard() })
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sends later connections to another upstream; open ones stay where they are.
    pub fn retarget(&self, upstream: SocketAddr) {
        self.upstream.send_replace(upstream);
    }

    /// Closes all connections now and each new one at once, until [`Self::heal`].
    pub fn cut(&self) {
        self.link.cut();
    }

    /// Stops every byte both ways; connections stay open and bytes wait, until [`Self::heal`].
    pub fn pause(&self) {
        self.link.change(|mode| mode.paused = true);
    }

    /// Holds each chunk of bytes back by `delay`, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.link.change(|mode| mode.delay = delay);
    }

    /// Forwards exactly `bytes` more bytes of one direction, all connections together, then cuts as
    /// [`Self::cut`] does.
    pub fn drop_after(&self, bytes: u64, direction: Direction) {
        self.link.limit(bytes, direction);
    }

    /// Lets requests through and throws every answer away, until [`Self::heal`]. What was thrown
    /// away is missing for good, so connections open by then are closed when the link heals.
    pub fn lose_answers(&self) {
        self.link.change(|mode| mode.lose_answers = true);
    }

    /// Ends every mode. Bytes that waited in a pause flow on.
    pub fn heal(&self) {
        self.link.heal();
    }

    /// Bytes forwarded so far in one direction, over all connections; lost ones do not count.
    pub fn forwarded(&self, direction: Direction) -> u64 {
        self.link.forwarded(direction)
    }

    /// Whether new connections are refused: after [`Self::cut`], or when the bytes of
    /// [`Self::drop_after`] have passed.
    pub fn is_cut(&self) -> bool {
        self.link.mode().cut
    }
}

async fn accept(
    listener: TcpListener,
    upstream: watch::Receiver<SocketAddr>,
    link: Arc<Link>,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((client, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Some(epoch) = link.open_epoch() else { continue };
        let (upstream, link, stop) = (*upstream.borrow(), link.clone(), stop.clone());
        tokio::spawn(async move {
            let connection = stop.run_until_cancelled(relay(client, upstream, &link));
            epoch.run_until_cancelled(connection).await;
        });
    }
}

async fn relay(client: TcpStream, upstream: SocketAddr, link: &Link) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    // The proxy's own buffering must not look like a slow link.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // An error of either way ends both, as a reset does; an end of stream is passed on alone.
    let _ = tokio::try_join!(
        link.pump(from_client, to_server, Direction::ToServer),
        link.pump(from_server, to_client, Direction::ToClient),
    );
}

#[cfg(test)]
mod tests;
