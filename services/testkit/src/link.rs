//! The line between two cores: sessions over channels, each message of which a test may see, lose, repeat, change or
//! answer with a cut. A cut line reconnects when it is healed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use convenio_exchange::Core;
use convenio_exchange::session::{self, Message, OUTBOUND, SessionEnd};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Pause before a lost connection is dialled again.
const REDIAL: Duration = Duration::from_millis(5);

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the origin, which dials.
    ToDestination,
    /// From the destination.
    ToOrigin,
}

/// What becomes of a message.
pub enum Relay {
    /// These are passed on in its place; none loses it.
    Pass(Vec<Message>),
    /// It is lost and the connection with it.
    Cut,
}

type Hook = Box<dyn FnMut(Direction, Message) -> Relay + Send>;

#[derive(Default)]
struct Shared {
    hook: Mutex<Option<Hook>>,
    ends: Mutex<Vec<SessionEnd>>,
}

/// Whether the line is up, and how often it was cut.
#[derive(Clone, Copy)]
struct State {
    up: bool,
    cuts: u64,
}

/// A line between the two sides of a pair. It is down until [`Link::heal`].
pub struct Link {
    up: watch::Sender<State>,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    /// A line from `dialler` to `acceptor`.
    #[must_use]
    pub fn new(dialler: &Arc<Core>, acceptor: &Arc<Core>) -> Self {
        let (up, shared) = (watch::Sender::new(State { up: false, cuts: 0 }), Arc::<Shared>::default());
        let task = tokio::spawn(keep_up(dialler.clone(), acceptor.clone(), up.subscribe(), shared.clone()));
        Self { up, shared, task }
    }

    /// Cuts the line; what is under way is lost.
    pub fn cut(&self) {
        self.up.send_modify(|state| *state = State { up: false, cuts: state.cuts + 1 });
    }

    /// Restores the line.
    pub fn heal(&self) {
        self.up.send_modify(|state| state.up = true);
    }

    /// Shows every message to `hook`, which says what becomes of it.
    pub fn intercept(&self, hook: impl FnMut(Direction, Message) -> Relay + Send + 'static) {
        *self.shared.hook.lock() = Some(Box::new(hook));
    }

    /// Passes everything again.
    pub fn release(&self) {
        *self.shared.hook.lock() = None;
    }

    /// Why sessions ended so far, on either side.
    #[must_use]
    pub fn ends(&self) -> Vec<SessionEnd> {
        self.shared.ends.lock().clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_up(dialler: Arc<Core>, acceptor: Arc<Core>, mut line: watch::Receiver<State>, shared: Arc<Shared>) {
    loop {
        let Ok(cuts) = line.wait_for(|line| line.up).await.map(|line| line.cuts) else { return };
        let (from_dialler, dialled) = mpsc::channel(OUTBOUND);
        let (from_acceptor, accepted) = mpsc::channel(OUTBOUND);
        let (to_acceptor, acceptor_in) = mpsc::channel(1);
        let (to_dialler, dialler_in) = mpsc::channel(1);
        let (partner, caller) = (acceptor.node_name().to_owned(), dialler.node_name().to_owned());
        noted(&shared, session::dial(dialler.clone(), partner, incoming(dialler_in), from_dialler));
        noted(&shared, session::accept(acceptor.clone(), caller, incoming(acceptor_in), from_acceptor));
        tokio::select! {
            () = relay(&shared, Direction::ToDestination, dialled, to_acceptor) => {}
            () = relay(&shared, Direction::ToOrigin, accepted, to_dialler) => {}
            _ = line.wait_for(|line| line.cuts != cuts) => {}
        }
        tokio::time::sleep(REDIAL).await;
    }
}

fn incoming(messages: mpsc::Receiver<Message>) -> impl futures::Stream<Item = Result<Message, Infallible>> + Unpin {
    ReceiverStream::new(messages).map(Ok)
}

/// Runs a session apart: one that is held does not keep the next from opening.
fn noted(shared: &Arc<Shared>, session: impl Future<Output = SessionEnd> + Send + 'static) {
    let shared = shared.clone();
    tokio::spawn(async move {
        let end = session.await;
        shared.ends.lock().push(end);
    });
}

async fn relay(shared: &Shared, way: Direction, mut from: mpsc::Receiver<Message>, to: mpsc::Sender<Message>) {
    while let Some(message) = from.recv().await {
        let relay = match shared.hook.lock().as_mut() {
            Some(hook) => hook(way, message),
            None => Relay::Pass(vec![message]),
        };
        let Relay::Pass(messages) = relay else { return };
        for message in messages {
            if to.send(message).await.is_err() {
                return;
            }
        }
    }
}
