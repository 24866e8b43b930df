//! A partner joins an agreement that this state began alone: what is past its retention is erased before anything is
//! delivered, so that of it only commitments cross; then the partner's RATIFY enters the own log.

use std::sync::Arc;

use convenio_wire::exchange::v1::statement::Body;
use futures::FutureExt;

use crate::amend::ratify_bodies;
use crate::core::{Core, Exchange};
use crate::erase::retention;
use crate::error::{IssueError, OpenError};
use crate::outbound::seal::{fresh_record_id, stage_statement};
use crate::version::ratification_state;

/// Does what a partner's joining asks for, once; nothing where the partner took part from the beginning, or has not joined.
/// It is over before any session begins.
///
/// # Errors
/// [`OpenError`]: the database's, or something past its retention that a hold keeps.
pub(crate) async fn run(core: &Arc<Core>, exchange: &Arc<Exchange>) -> Result<(), OpenError> {
    let (pack, partner) = (exchange.pack(), &exchange.partner_party);
    let theirs: Vec<_> = exchange.ratifications().iter().filter(|(party, _)| party == partner).cloned().collect();
    if pack.is_connected(partner) || theirs.is_empty() {
        return Ok(());
    }
    let own = exchange.own();
    let done = ratification_state(&own.origin, &pack.digest(), partner);
    if core.store.states(&done, "", 1).await?.iter().any(|state| state.key == done) {
        return Ok(());
    }
    retention::pass(core).await?;
    if let Some(left) = retention::due(core, exchange).await?.first() {
        return Err(OpenError::NotWithheld {
            agreement: left.agreement.clone(),
            party: partner.clone(),
            class: left.class.clone(),
        });
    }
    ratified(core, exchange, ratify_bodies(&theirs)).await
}

/// The partner's RATIFY: the last thing, so that what was interrupted is done again.
async fn ratified(core: &Arc<Core>, exchange: &Arc<Exchange>, bodies: Vec<Body>) -> Result<(), OpenError> {
    let (job_core, job_exchange) = (core.clone(), exchange.clone());
    let staged = core
        .write::<_, IssueError, _>(move |work| {
            async move {
                for body in bodies {
                    let id = fresh_record_id(&job_core.sealer);
                    stage_statement(work, &job_core.sealer, &job_exchange, id, body, None, Vec::new())?;
                }
                Ok(())
            }
            .boxed()
        })
        .await;
    staged.map_err(|error| OpenError::Database(error.to_string()))
}
