//! Keeps a session open with each partner that has an address.

use std::sync::Arc;
use std::time::Duration;

use convenio_exchange::{Core, session};
use convenio_model::Entropy;
use futures::StreamExt;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::tls::{Connected, LiveTls, RECHECK, connect_judged};

/// Highest wait after the first failure.
const FIRST: Duration = Duration::from_millis(100);
/// Highest wait ever. A session that lasted as long has shown that the link works.
const LONGEST: Duration = Duration::from_secs(30);

/// A partner's node, and how to reach it.
pub(crate) struct Peer {
    /// Name of the node.
    pub node: String,
    /// Where to dial.
    pub address: String,
    /// Trust domain of its state.
    pub trust_domain: String,
    /// Believes its node and no other there.
    pub tls: Arc<LiveTls>,
}

/// Dials, runs the session to its end, waits, dials again; until `stop`.
pub(crate) async fn keep_connected(core: Arc<Core>, peer: Peer, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    loop {
        let began = (Instant::now(), progress(&core, &peer.node));
        let Some(why) = stop.run_until_cancelled(attempt(&core, &peer)).await else { return };
        if progress(&core, &peer.node) != began.1 || began.0.elapsed() >= LONGEST {
            backoff = Backoff::default();
        }
        let wait = backoff.next(core.entropy().as_ref());
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        info!(partner = %peer.node, why, wait_ms, "not connected");
        // The wait belongs to the transport: it is real time, whatever clock the node lives by.
        if stop.run_until_cancelled(sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// One connection and its session; says why it ended.
async fn attempt(core: &Arc<Core>, peer: &Peer) -> String {
    let config = match peer.tls.client_config(&peer.trust_domain) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    let Connected { channel, chain, name } = match connect_judged(&peer.address, &peer.node, config).await {
        Ok(connected) => connected,
        Err(error) => return error.to_string(),
    };
    match convenio_rpc::dial(channel).await {
        Ok(link) => {
            debug!(partner = %peer.node, "connected");
            // A partner that is not believed any more is cut as if the line were: the session ends in order.
            let inbound = link.inbound.take_until(Box::pin(refused(peer, chain, name)));
            session::dial(core.clone(), peer.node.clone(), inbound, link.outbound).await.to_string()
        }
        // The partner's words stay out of the log: they are a stranger's text.
        Err(status) => format!("the partner refused the session: {:?}", status.code()),
    }
}

/// Ends once the partner's certificate is no longer believed.
async fn refused(peer: &Peer, chain: Vec<CertificateDer<'static>>, name: ServerName<'static>) {
    let mut generation = peer.tls.generation();
    loop {
        if let Err(reason) = peer.tls.judge_node(&chain, &peer.trust_domain, &name) {
            warn!(reason, partner = %peer.node, "connection cut");
            return;
        }
        let _ = timeout(RECHECK, generation.changed()).await;
    }
}

/// What was delivered to a partner and mirrored from it, as one number that only grows.
fn progress(core: &Core, node: &str) -> u64 {
    let heads = core.heads();
    let heads = heads.borrow();
    let exchanges = core.exchanges().iter().filter(|exchange| exchange.partner_node == node);
    exchanges
        .map(|exchange| {
            let delivered = heads.get(&exchange.own().log).map_or(0, |head| head.settled);
            delivered + heads.get(&exchange.peer().log).map_or(0, |head| head.size)
        })
        .sum()
}

/// Exponential backoff with full jitter: a random part of a bound that doubles, so that the clients of a node that comes
/// back do not all come at once.
struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: FIRST }
    }
}

impl Backoff {
    fn next(&mut self, entropy: &dyn Entropy) -> Duration {
        let mut random = [0; 4];
        entropy.fill(&mut random);
        let wait = self.bound.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX));
        self.bound = (self.bound * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use convenio_model::SeededEntropy;

    use super::*;

    #[test]
    fn waits_are_spread_below_a_bound_that_doubles_to_its_limit() {
        let entropy = SeededEntropy::new(1);
        let mut backoff = Backoff::default();
        let mut bound = FIRST;
        let mut shares = Vec::new();
        for _ in 0..200 {
            let wait = backoff.next(&entropy);
            assert!(wait <= bound, "{wait:?} > {bound:?}");
            shares.push(wait.as_secs_f64() / bound.as_secs_f64());
            bound = (bound * 2).min(LONGEST);
        }
        assert_eq!(bound, LONGEST);
        let mean = shares.iter().sum::<f64>() / 200.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
        assert!(shares.iter().any(|share| *share < 0.1) && shares.iter().any(|share| *share > 0.9));
    }
}
