//! Orders of a party about an agreement (órdenes): suspension, resumption, notice of termination. Its roots sign them. They
//! stand in the log of its node, where they have their effect, and, once judged, in the partner's, so that one bundle tells
//! them. What this side issues is held to its own orders at once and to the partner's once they are judged; what arrives is
//! judged by the orders that its issuer knew.

use std::sync::Arc;

use convenio_agreement::lifecycle::ActDef;
use convenio_agreement::pack::Pack;
use convenio_agreement::standing::Given;
use convenio_seal::dsse::Envelope;
use convenio_seal::order::{order_by, order_from, signed, verify_order};
use convenio_seal::root::RootError;
use convenio_store::{StoreError, Work};
use convenio_wire::exchange::v1::agreement_order::Order;
use convenio_wire::exchange::v1::{AgreementOrder, Position, Statement, statement::Body};
use futures::FutureExt;

use crate::core::{Core, Exchange};
use crate::error::IssueError;
use crate::inbound::decide::too_large;
use crate::lane::Lane;
use crate::learn::revocation_state;
use crate::outbound::seal::{fresh_record_id, stage_statement};
use crate::publish::folder;

/// Path of an order that holds: `orders/<folder of the log>/<index>`.
pub(crate) fn order_state(origin: &str, index: u64) -> String {
    format!("{}{index:020}", order_states(origin))
}

/// Beginning of the paths of [`order_state`].
pub(crate) fn order_states(origin: &str) -> String {
    format!("orders/{}/", folder(origin))
}

/// An order was not taken; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The file is no order, or not by the roots of this party.
    #[error(transparent)]
    Root(#[from] RootError),
    /// This node has no such agreement.
    #[error("no agreement {0}")]
    UnknownAgreement(String),
    /// Its number does not grow: another order of the party has it, or a later one stands already.
    #[error("order {number}: the party's last order under {agreement} has number {last}")]
    Number {
        /// Agreement.
        agreement: String,
        /// Number of the order.
        number: u64,
        /// Number of the last one.
        last: u64,
    },
    /// It does not fit an entry, or the database failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// Orders of one log, each with its index.
pub(crate) type Orders = Vec<(u64, Given)>;

impl Core {
    /// Takes an order that the own roots signed: it stands in the log of its agreement and has its effect here at once. One
    /// that stands already changes nothing; a frozen log takes none.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn order(self: &Arc<Self>, file: &[u8]) -> Result<bool, OrderError> {
        let (body, said) = order_from(&Envelope::parse(file).map_err(RootError::from)?)?;
        let concerned = self.exchanges().iter().filter(|exchange| exchange.pack().agreement() == said.agreement);
        let concerned: Vec<_> = concerned.cloned().collect();
        if concerned.is_empty() {
            return Err(OrderError::UnknownAgreement(said.agreement));
        }
        let mut staged = false;
        for exchange in &concerned {
            verify_order(&body, &exchange.own_roots)?;
            staged |= self.stage_order(exchange, &body, &said).await?;
        }
        Ok(staged)
    }

    async fn stage_order(
        self: &Arc<Self>,
        exchange: &Arc<Exchange>,
        body: &Body,
        said: &AgreementOrder,
    ) -> Result<bool, OrderError> {
        let (core, of, body, said) = (self.clone(), exchange.clone(), body.clone(), said.clone());
        let staged = self.write::<_, OrderError, _>(move |work| {
            async move {
                let known = of.own_orders();
                if known.iter().any(|(_, given)| given.order == said) {
                    return Ok(false);
                }
                let last = known.iter().map(|(_, given)| given.order.number).max().unwrap_or(0);
                if said.number <= last {
                    return Err(OrderError::Number { agreement: said.agreement, number: said.number, last });
                }
                let own = work.log(of.own().log)?.clone();
                if !own.alarm.is_empty() || own.closed {
                    tracing::warn!(agreement = said.agreement, "an order waits for the next epoch");
                    return Ok(false);
                }
                if let Some(Order::Terminate(notice)) = &said.order {
                    tracing::warn!(agreement = said.agreement, effective_ms = notice.effective_ms, "notice was given");
                }
                let id = fresh_record_id(&core.sealer);
                stage_statement(work, &core.sealer, &of, id, body, None, Vec::new())?;
                // What is staged behind it in this group is held to it; if the group is not committed, the writer looks what
                // the logs say.
                let given = Given { order: said, time_ms: core.sealer.clock.now_ms() };
                of.own_order((own.epoch, own.size), given);
                Ok(true)
            }
            .boxed()
        });
        staged.await
    }
}

impl From<StoreError> for OrderError {
    fn from(error: StoreError) -> Self {
        Self::Issue(error.into())
    }
}

impl Exchange {
    /// An order as an entry of a log tells it, if its issuer's own roots gave it.
    pub(crate) fn order_in(&self, lane: &Lane, said: &Statement) -> Option<Given> {
        let own = self.own_lanes().iter().any(|known| known.origin == lane.origin);
        let roots = if own { &self.own_roots } else { &self.partner_roots };
        let order = verify_order(said.body.as_ref()?, roots).ok()??;
        (order.agreement == self.pack().agreement()).then_some(Given { order, time_ms: said.time_ms })
    }

    /// Why this side may not issue an act now, whatever its merits.
    pub(crate) fn halts_own(
        &self,
        work: &Work,
        act: ActDef<'_>,
        now_ms: u64,
    ) -> Result<Option<&'static str>, StoreError> {
        let judged = self.judged(work)?;
        let (own, theirs) = (self.own_orders(), self.peer_orders());
        let seen = theirs.iter().filter(|(at, _)| *at < (judged.epoch, judged.size));
        Ok(self.pack().halts(own.iter().chain(seen).map(|(_, given)| given), act, now_ms))
    }

    /// Why the partner could not issue an act, by the orders that it knew: its own before the entry, this side's below `peer`.
    pub(crate) fn halts_peer(
        &self,
        pack: &Pack,
        act: ActDef<'_>,
        at: (u64, u64),
        said: &Statement,
    ) -> Option<&'static str> {
        let Position { epoch, size } = said.peer.unwrap_or_default();
        let (own, theirs) = (self.own_orders(), self.peer_orders());
        let theirs = theirs.iter().filter(|(stands, _)| *stands < at);
        let own = own.iter().filter(|(stands, _)| *stands < (epoch, size));
        pack.halts(theirs.chain(own).map(|(_, given)| given), act, said.time_ms)
    }

    /// The partner's orders, each with epoch and index.
    fn peer_orders(&self) -> Vec<((u64, u64), Given)> {
        let lanes = self.peer_lanes();
        let of = |epoch: u64| self.known(epoch).force.orders.into_iter().map(move |(at, given)| ((epoch, at), given));
        lanes.iter().flat_map(|lane| of(lane.epoch)).collect()
    }
}

/// An order of the partner that counts stands in this side's log too, once.
pub(crate) async fn echo(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    (epoch, index): (u64, u64),
    body: &Body,
) -> Result<(), StoreError> {
    let counts = exchange.known(epoch).force.orders.iter().any(|(at, _)| *at == index);
    let (Some((payload, _)), Some(again), true) = (signed(body), order_by(body, &exchange.partner_roots), counts)
    else {
        return Ok(());
    };
    let state = revocation_state("echo", payload);
    if work.state(&state).await?.is_some() {
        return Ok(());
    }
    work.put_state(&state, Some(Vec::new()));
    let id = fresh_record_id(&core.sealer);
    stage_statement(work, &core.sealer, exchange, id, again, None, Vec::new()).map_err(too_large)
}
