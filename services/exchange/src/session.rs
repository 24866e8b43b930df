//! A session between two nodes over one stream: HELLO each way, then each side delivers its own logs and mirrors the
//! other's. The transport is somebody else's: messages come as a stream and leave through a bounded channel.

mod hello;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convenio_seal::origin::LogOrigin;
use convenio_wire::exchange::v1::{Batch, Cosigned, Hello, Stop};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::{Core, Exchange};
use crate::inbound::mirror::Mirror;
use crate::outbound::deliver;

/// How long a side waits for HELLO or for the answer to a batch.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// Messages that may wait to be sent.
pub const OUTBOUND: usize = 4;

/// A message of the exchange, whichever side dialled.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Opens the session.
    Hello(Hello),
    /// Entries of one of the sender's logs.
    Batch(Batch),
    /// The sender's mirror holds everything below a checkpoint.
    Cosigned(Cosigned),
    /// The sender stops a log or the session.
    Stop(Stop),
}

/// Why a session ended. Only stable reasons, nothing of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// The stream ended or failed.
    #[error("the connection ended")]
    Disconnected,
    /// A newer session of the same partner took over.
    #[error("a newer session took over")]
    Fenced,
    /// This node stops.
    #[error("this node stops")]
    Closing,
    /// No HELLO or no answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The partner said STOP.
    #[error("the partner stopped: {0}")]
    Stopped(String),
    /// What the partner sent stops a log.
    #[error("{reason} in {origin}")]
    Refused {
        /// Log.
        origin: String,
        /// Stable reason, for example BAD_CHECKPOINT.
        reason: &'static str,
    },
    /// This node failed.
    #[error("local failure: {0}")]
    Local(String),
}

impl From<convenio_store::StoreError> for SessionEnd {
    fn from(error: convenio_store::StoreError) -> Self {
        Self::Local(error.to_string())
    }
}

/// Sessions that are open, by partner.
#[derive(Default)]
pub struct Sessions {
    open: Mutex<HashMap<(String, bool), (u64, CancellationToken)>>,
    dialled: Mutex<std::collections::HashSet<String>>,
    /// Ends every session: an open stream would hold up the node's shutdown.
    pub(crate) closing: CancellationToken,
}

impl Sessions {
    /// Whether a session with this node is open.
    pub(crate) fn connected(&self, node: &str) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.keys().any(|(name, _)| name == node)
    }

    /// This node dials `node`: it delivers over its own connection only.
    pub(crate) fn dials(&self, node: &str) {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned());
    }

    fn dialling(&self, node: &str) -> bool {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner).contains(node)
    }

    /// Enters a session; an older one of the same partner and direction is fenced.
    fn enter(&self, node: &str, dialled: bool) -> (u64, CancellationToken) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.to_owned(), dialled);
        let number = open.get(&key).map_or(0, |(n, _)| *n) + 1;
        let token = CancellationToken::new();
        if let Some((_, old)) = open.insert(key, (number, token.clone())) {
            old.cancel();
        }
        (number, token)
    }

    /// Ends every session with this node.
    pub(crate) fn fence(&self, node: &str) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter(|((name, _), _)| name == node).for_each(|(_, (_, token))| token.cancel());
    }

    fn leave(&self, node: &str, dialled: bool, number: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (node.to_owned(), dialled);
        if open.get(&key).is_some_and(|(n, _)| *n == number) {
            open.remove(&key);
        }
    }
}

impl Core {
    /// Says that this node dials `partner`, so that connections it accepts carry the partner's logs only.
    pub fn will_dial(&self, partner: &str) {
        self.sessions.dials(partner);
    }
}

/// Runs a session that this node dialled.
pub async fn dial<S, E>(core: Arc<Core>, partner: String, inbound: S, outbound: mpsc::Sender<Message>) -> SessionEnd
where
    S: Stream<Item = Result<Message, E>> + Send + Unpin,
{
    run(core, partner, true, inbound, outbound).await
}

/// Runs a session that the partner dialled.
pub async fn accept<S, E>(core: Arc<Core>, partner: String, inbound: S, outbound: mpsc::Sender<Message>) -> SessionEnd
where
    S: Stream<Item = Result<Message, E>> + Send + Unpin,
{
    run(core, partner, false, inbound, outbound).await
}

async fn run<S, E>(
    core: Arc<Core>,
    partner: String,
    dialled: bool,
    inbound: S,
    outbound: mpsc::Sender<Message>,
) -> SessionEnd
where
    S: Stream<Item = Result<Message, E>> + Send + Unpin,
{
    let exchanges: Vec<_> = core.exchanges().iter().filter(|ex| ex.partner_node == partner).cloned().collect();
    let mut session = Session { core: core.clone(), exchanges, inbound: inbound.map(Result::ok), outbound };
    // The older session is fenced before this one says how far its mirrors reach.
    let (number, fence) = core.sessions.enter(&partner, dialled);
    let talk = async {
        let theirs = match session.greet(&partner, dialled).await {
            Ok(theirs) => theirs,
            Err(end) => return end,
        };
        let deliver_here = dialled || theirs.deliver_here || !core.sessions.dialling(&partner);
        session.exchange(&theirs, deliver_here).await
    };
    let end = tokio::select! {
        end = talk => end,
        () = fence.cancelled() => SessionEnd::Fenced,
        () = core.sessions.closing.cancelled() => SessionEnd::Closing,
    };
    core.sessions.leave(&partner, dialled, number);
    end
}

struct Session<S> {
    core: Arc<Core>,
    exchanges: Vec<Arc<Exchange>>,
    inbound: S,
    outbound: mpsc::Sender<Message>,
}

impl<S: Stream<Item = Option<Message>> + Send + Unpin> Session<S> {
    async fn greet(&mut self, partner: &str, dialled: bool) -> Result<Hello, SessionEnd> {
        let ours = hello::ours(&self.core, &self.exchanges).await?;
        if dialled {
            self.say(Message::Hello(ours.clone())).await?;
        }
        let first = tokio::time::timeout(ANSWER, self.inbound.next()).await.map_err(|_| SessionEnd::TimedOut)?;
        let theirs = match first.flatten() {
            Some(Message::Hello(hello)) => hello,
            Some(Message::Stop(stop)) => return Err(SessionEnd::Stopped(hello::bounded(&stop.reason))),
            Some(_) => return Err(SessionEnd::Refused { origin: String::new(), reason: "HELLO_EXPECTED" }),
            None => return Err(SessionEnd::Disconnected),
        };
        if let Err(reason) = hello::acceptable(&theirs, partner) {
            self.stop("", reason).await;
            return Err(SessionEnd::Refused { origin: String::new(), reason });
        }
        if !dialled {
            self.say(Message::Hello(ours)).await?;
        }
        Ok(theirs)
    }

    async fn exchange(&mut self, theirs: &Hello, deliver_here: bool) -> SessionEnd {
        let mut answers = HashMap::new();
        let mut mirrors = HashMap::new();
        let mut deliveries = Vec::new();
        for exchange in &self.exchanges {
            match Mirror::open(&self.core, exchange).await {
                Ok(mirror) => mirrors.insert(exchange.peer().origin.clone(), mirror),
                Err(error) => return error.into(),
            };
            if deliver_here {
                if closed_there(exchange, theirs) {
                    let origin = exchange.own().origin.clone();
                    return SessionEnd::Refused { origin, reason: "EPOCH_CLOSED" };
                }
                let (answer, answered) = mpsc::channel(1);
                answers.insert(exchange.own().origin.clone(), answer);
                let theirs = theirs.mirrored.iter().find(|m| m.origin == exchange.own().origin).cloned();
                let (core, exchange) = (self.core.clone(), exchange.clone());
                deliveries.push(deliver::run(core, exchange, theirs, self.outbound.clone(), answered));
            }
        }
        let deliver = async {
            if deliveries.is_empty() {
                return std::future::pending().await;
            }
            futures::future::select_all(deliveries.into_iter().map(Box::pin)).await.0
        };
        tokio::select! {
            end = deliver => end,
            end = read(&self.exchanges, &mut self.inbound, &self.outbound, &mut mirrors, &answers) => {
                if let SessionEnd::Refused { origin, reason } = &end {
                    self.stop(origin, reason).await;
                }
                end
            }
        }
    }

    async fn say(&self, message: Message) -> Result<(), SessionEnd> {
        self.outbound.send(message).await.map_err(|_| SessionEnd::Disconnected)
    }

    async fn stop(&self, origin: &str, reason: &str) {
        let stop = Stop { origin: origin.to_owned(), reason: reason.to_owned() };
        // Best effort: the session ends anyway.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.say(Message::Stop(stop))).await;
    }
}

/// Stops of one direction: its log waits for the next epoch, and the session goes on without it.
const OF_ONE_LOG: [&str; 2] = [crate::fork::EQUIVOCATION, "EPOCH_REFUSED"];

/// Whether the partner mirrors a later epoch of the own log: this process should be dead.
fn closed_there(exchange: &Exchange, theirs: &Hello) -> bool {
    let own = exchange.own();
    let Ok(origin) = own.origin.parse::<LogOrigin>() else { return false };
    let later =
        |shown: &LogOrigin| shown.epoch > origin.epoch && LogOrigin { epoch: origin.epoch, ..shown.clone() } == origin;
    theirs.mirrored.iter().filter_map(|mirrored| mirrored.origin.parse().ok()).any(|shown| later(&shown))
}

/// Why a batch of a log that is not mirrored now is refused. What is the name of no log here is not repeated.
fn not_mirrored(exchanges: &[Arc<Exchange>], origin: String) -> SessionEnd {
    let named = origin.parse::<LogOrigin>().ok();
    let of_lane = named.and_then(|named| {
        exchanges.iter().find_map(|exchange| {
            let now: LogOrigin = exchange.peer().origin.parse().ok()?;
            (LogOrigin { epoch: now.epoch, ..named.clone() } == now).then_some((named.epoch, now.epoch))
        })
    });
    match of_lane {
        Some((named, now)) if named < now => SessionEnd::Refused { origin, reason: "EPOCH_CLOSED" },
        Some(_) => SessionEnd::Refused { origin, reason: "EPOCH_REFUSED" },
        None => SessionEnd::Refused { origin: String::new(), reason: "UNKNOWN_ORIGIN" },
    }
}

async fn read<S: Stream<Item = Option<Message>> + Send + Unpin>(
    exchanges: &[Arc<Exchange>],
    inbound: &mut S,
    outbound: &mpsc::Sender<Message>,
    mirrors: &mut HashMap<String, Mirror>,
    answers: &HashMap<String, mpsc::Sender<Cosigned>>,
) -> SessionEnd {
    let unknown = |reason| SessionEnd::Refused { origin: String::new(), reason };
    loop {
        match inbound.next().await.flatten() {
            Some(Message::Batch(batch)) => {
                let Some(mirror) = mirrors.get_mut(&batch.origin) else { return not_mirrored(exchanges, batch.origin) };
                match mirror.take(batch).await {
                    Ok(cosigned) => {
                        if outbound.send(Message::Cosigned(cosigned)).await.is_err() {
                            return SessionEnd::Disconnected;
                        }
                    }
                    Err(SessionEnd::Refused { origin, reason }) if OF_ONE_LOG.contains(&reason) => {
                        let stop = Stop { origin, reason: reason.to_owned() };
                        if outbound.send(Message::Stop(stop)).await.is_err() {
                            return SessionEnd::Disconnected;
                        }
                    }
                    Err(end) => return end,
                }
            }
            Some(Message::Cosigned(cosigned)) => {
                let Some(answer) = answers.get(&cosigned.origin) else { return unknown("UNKNOWN_ORIGIN") };
                // An answer that nobody waits for is refused rather than queued.
                if answer.try_send(cosigned).is_err() {
                    return unknown("UNEXPECTED_ANSWER");
                }
            }
            Some(Message::Stop(stop))
                if answers.contains_key(&stop.origin) && OF_ONE_LOG.contains(&stop.reason.as_str()) =>
            {
                tracing::error!(origin = stop.origin, reason = stop.reason, "the partner takes this log no more");
            }
            Some(Message::Stop(stop)) => return SessionEnd::Stopped(hello::bounded(&stop.reason)),
            Some(Message::Hello(_)) => return unknown("HELLO_REPEATED"),
            None => return SessionEnd::Disconnected,
        }
    }
}
