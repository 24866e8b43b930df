//! Suspensions: a state's roots suspend its agreements, and withdraw that. What follows is held to what its issuer knew.

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::{ActDef, Subject};
use convenio_seal::order::sign_order;
use convenio_wire::exchange::v1::agreement_order::Order;
use convenio_wire::exchange::v1::{AgreementOrder, ResumptionOrder, SuspensionOrder};

use super::watch::{Violation, need};
use super::world::World;

/// Whether an act goes on while its agreement is suspended; both versions say the same.
pub(super) fn goes_on(pack: &Pack, act: &str) -> bool {
    match pack.lifecycle().act(act) {
        Some(ActDef::Notice(notice)) => notice.subject == Subject::Agencies,
        Some(ActDef::Transition(act)) => pack.config().suspension.as_ref().is_some_and(|s| s.still.contains(&act.name)),
        Some(ActDef::Fact(_)) | None => true,
    }
}

impl World {
    /// The roots of a state suspend its agreements, or withdraw their last suspension; its node takes the order.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) async fn suspend(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
        let (party, at) = (&self.accord.parties[state], &mut self.states[state]);
        let last = at.ordered;
        at.ordered += 1;
        let order = match last % 2 {
            0 => Order::Suspend(SuspensionOrder::default()),
            _ => Order::Resume(ResumptionOrder { of: last }),
        };
        for (link, _) in self.accord.links_of(state) {
            let said = AgreementOrder {
                agreement: self.accord.links[link].0.id().to_owned(),
                party: party.party.clone(),
                number: at.ordered,
                reason_code: "test".to_owned(),
                order: Some(order.clone()),
            };
            let file = sign_order(&said, &party.signers()).map_err(|e| e.to_string())?;
            at.orders.push(file.to_json().into_bytes());
        }
        // As a node does: all that is placed, ascending.
        for file in &at.orders {
            let taken = at.core().order(file).await;
            need(met || taken.is_ok(), || format!("an order is not taken: {taken:?}"))?;
        }
        Ok(vec![state])
    }
}
