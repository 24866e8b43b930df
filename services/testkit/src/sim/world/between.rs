//! What goes between two states: one half of a session, step by step.

use convenio_exchange::session::SessionEnd;
use convenio_exchange::step;

use super::World;
use crate::sim::line::{Ended, NOT_MIRRORED};
use crate::sim::watch::Violation;

/// Reasons that end a session between honest states: a batch or a HELLO that is late or comes twice, or a version of the
/// agreement that was placed at one of them only.
const HARMLESS: [&str; 3] = ["BAD_FRAMING", NOT_MIRRORED, "UNKNOWN_VERSION"];

#[derive(Clone, Copy)]
pub(in crate::sim) enum Step {
    Greet,
    Send,
    Take(u8, bool, bool),
    Settle(u8, bool),
    Judge,
    Quiet,
}

impl World {
    pub(in crate::sim) async fn on_line(&mut self, at: usize, met: bool, step: Step) -> Result<Vec<usize>, Violation> {
        let (issuer, holder) = self.ends(at);
        let (from, to) = (&self.states[issuer], &self.states[holder]);
        let pack = self.accord.links[at / 2].0.clone();
        let (agreement, line) = (pack.id(), &mut self.lines[at]);
        let ended = match step {
            Step::Greet => line.greet(agreement, from, to).await,
            Step::Send => line.send(agreement, from).await,
            Step::Take(which, old, keep) => line.take(which, old, keep).await,
            Step::Settle(which, keep) => line.settle(agreement, from, which, keep).await,
            Step::Judge => {
                let exchange = to.core().exchange(agreement).expect("a state has its agreements");
                // Nothing can be judged before the first batch.
                match exchange.partner_keys() {
                    Some(_) => step::judge(to.core(), exchange).await.map_err(SessionEnd::from),
                    None => Ok(()),
                }
            }
            Step::Quiet => {
                let exchange = from.core().exchange(agreement).expect("a state has its agreements");
                step::quiet(from.core(), exchange).await.map_err(|e| SessionEnd::Local(e.to_string()))
            }
        };
        allowed(ended, met)?;
        Ok(vec![issuer, holder])
    }

    /// A fair round of one link: what can go its way goes it once.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn exchange(&mut self, link: usize, met: bool) -> Result<Vec<usize>, Violation> {
        for line in [2 * link, 2 * link + 1] {
            if !self.lines[line].open() {
                self.on_line(line, met, Step::Greet).await?;
            }
            for step in [Step::Send, Step::Take(u8::MAX, false, false), Step::Settle(u8::MAX, false), Step::Judge] {
                self.on_line(line, met, step).await?;
            }
        }
        let (_, from, to) = &self.accord.links[link];
        Ok(vec![*from, *to])
    }
}

/// A session may end by what was planned, or by what honest states do to each other.
fn allowed(ended: Ended, met: bool) -> Result<(), Violation> {
    match ended {
        Ok(()) | Err(SessionEnd::Fenced | SessionEnd::TimedOut) => Ok(()),
        Err(SessionEnd::Refused { reason, .. }) if HARMLESS.contains(&reason) => Ok(()),
        Err(SessionEnd::Local(_)) if met => Ok(()),
        Err(end) => Err(format!("a session ended: {end:?}")),
    }
}
