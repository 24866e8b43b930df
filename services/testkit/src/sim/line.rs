//! What is under way between two states: sessions, batches and cosignatures, which may be lost, late, doubled and turned.

use std::collections::VecDeque;

use convenio_exchange::session::SessionEnd;
use convenio_exchange::step::{self, Receiving};
use convenio_wire::exchange::v1::{Batch, Cosigned};

use super::state::State;

/// Messages of a kind that are under way at most; an older one is lost.
const UNDER_WAY: usize = 3;

/// Why a message about the log of another epoch ends its session.
pub(super) const NOT_MIRRORED: &str = "EPOCH_CLOSED";

/// One direction of a link.
#[derive(Default)]
pub struct Line {
    /// Where the issuer goes on in the present session; none before a HELLO.
    at: Option<u64>,
    /// The holder's sessions, each with the log that it mirrors: the present one last, the one before it first.
    sessions: VecDeque<(String, Receiving)>,
    batches: VecDeque<Batch>,
    answers: VecDeque<Cosigned>,
}

/// How a step on a line ended.
pub type Ended = Result<(), SessionEnd>;

impl Line {
    /// A new session: the holder opens its mirror, its HELLO reaches the issuer.
    ///
    /// # Errors
    /// Why it does not open.
    pub async fn greet(&mut self, agreement: &str, from: &State, to: &State) -> Ended {
        let (issuer, holder) = (from.core(), to.core());
        let (out, into) = (exchange(from, agreement), exchange(to, agreement));
        self.at = None;
        self.sessions.push_back((into.peer().origin.clone(), Receiving::open(holder, into).await?));
        if self.sessions.len() > 2 {
            self.sessions.pop_front();
        }
        // A holder that does not know the last epoch yet takes it from its beginning.
        let theirs = Some(step::mirrored(holder, into).await?).filter(|m| m.origin == out.own().origin);
        let theirs = theirs.unwrap_or_default();
        self.at = Some(step::resume(issuer, out, &theirs).await?);
        Ok(())
    }

    /// The issuer's next batch leaves.
    ///
    /// # Errors
    /// Why the session ends.
    pub async fn send(&mut self, agreement: &str, from: &State) -> Ended {
        let Some(at) = self.at else { return Ok(()) };
        if let Some(batch) = step::next_batch(from.core(), exchange(from, agreement), at).await? {
            keep_last(&mut self.batches, batch);
        }
        Ok(())
    }

    /// The holder takes a batch in its present session, or in the one before.
    ///
    /// # Errors
    /// Why that session ends; it is gone then.
    pub async fn take(&mut self, which: u8, old: bool, keep: bool) -> Ended {
        let Some(batch) = chosen(&mut self.batches, which, keep) else { return Ok(()) };
        let session = if old { self.sessions.front_mut() } else { self.sessions.back_mut() };
        let Some((origin, session)) = session else { return Ok(()) };
        let taken = match batch.origin == *origin {
            true => session.take(batch).await,
            // Of an epoch that was closed or opened meanwhile.
            false => Err(SessionEnd::Refused { origin: batch.origin, reason: NOT_MIRRORED }),
        };
        match taken {
            Ok(cosigned) => {
                keep_last(&mut self.answers, cosigned);
                Ok(())
            }
            Err(end) => {
                let _ = if old { self.sessions.pop_front() } else { self.sessions.pop_back() };
                Err(end)
            }
        }
    }

    /// The issuer takes a cosignature.
    ///
    /// # Errors
    /// Why the session ends.
    pub async fn settle(&mut self, agreement: &str, from: &State, which: u8, keep: bool) -> Ended {
        let Some(cosigned) = chosen(&mut self.answers, which, keep) else { return Ok(()) };
        let out = exchange(from, agreement);
        if cosigned.origin != out.own().origin {
            return Err(SessionEnd::Refused { origin: cosigned.origin, reason: NOT_MIRRORED });
        }
        let size = step::settle(from.core(), out, cosigned.checkpoint).await?;
        self.at = self.at.map(|at| at.max(size));
        Ok(())
    }

    /// Whether there is a session.
    #[must_use]
    pub fn open(&self) -> bool {
        self.at.is_some() && !self.sessions.is_empty()
    }

    /// Everything under way is lost, and the sessions end.
    pub fn cut(&mut self) {
        *self = Self::default();
    }

    /// The issuer's process ended: what it sent is still under way.
    pub fn issuer_ended(&mut self) {
        self.at = None;
    }

    /// The holder's process ended: what it answered is still under way.
    pub fn holder_ended(&mut self) {
        self.sessions.clear();
    }
}

fn exchange<'s>(state: &'s State, agreement: &str) -> &'s std::sync::Arc<convenio_exchange::Exchange> {
    state.core().exchange(agreement).expect("a state has its agreements")
}

fn keep_last<T>(queue: &mut VecDeque<T>, item: T) {
    queue.push_back(item);
    if queue.len() > UNDER_WAY {
        queue.pop_front();
    }
}

fn chosen<T: Clone>(queue: &mut VecDeque<T>, which: u8, keep: bool) -> Option<T> {
    let at = usize::from(which).checked_rem(queue.len())?;
    if keep { queue.get(at).cloned() } else { queue.remove(at) }
}
