//! Orders of the parties about the agreement: by whose roots, growing in number, and repeated by the partner who judged them.

use std::collections::BTreeMap;

use convenio_agreement::Pack;
use convenio_agreement::standing::Given;
use convenio_seal::TrustFile;
use convenio_seal::order::{claimed_order, verify_order};
use convenio_wire::exchange::v1::Statement;

use super::CheckedLog;
use super::sequence::Spoken;
use crate::problem::{Check, Problem, Problems};

/// What is wrong with an order.
pub(super) struct Wrong {
    pub(super) text: String,
    pub(super) reason: &'static str,
    /// It has no effect, and its recipient passes it over.
    pub(super) void: bool,
}

/// Reads the order of an entry into what its log says: one of the issuer's own party counts, the other's is repeated.
pub(super) fn read(
    log: &CheckedLog,
    index: u64,
    said: &Statement,
    (trust, packs): (&TrustFile, &BTreeMap<[u8; 32], Pack>),
    before: u64,
    spoken: &mut Spoken,
) -> Result<(), Wrong> {
    let wrong = |text: String| Wrong { text, reason: "ORDER", void: false };
    let Some(body) = &said.body else { return Ok(()) };
    let claimed = claimed_order(body).ok_or_else(|| wrong("an order that cannot be read".into()))?;
    let roots = trust.roots_of(&claimed.party);
    let roots = roots.ok_or_else(|| wrong("an order by a party whose roots the trust file does not name".into()))?;
    let order = verify_order(body, roots).map_err(|error| wrong(format!("an order: {error}")))?;
    let here = |pack: &Pack| pack.corridor(&log.line().origin.agreement).is_some();
    let about = |agreement: &str| packs.values().any(|pack| pack.agreement() == agreement && here(pack));
    let Some(order) = order.filter(|order| about(&order.agreement)) else {
        return Err(wrong("an order about another agreement".into()));
    };
    if order.party != log.opening.keys.party {
        spoken.echoes.push(order);
        return Ok(());
    }
    let last = spoken.orders.iter().map(|(_, given)| given.order.number).max().unwrap_or(0).max(before);
    if order.number <= last {
        let text = format!("an order with number {}, after one with number {last}", order.number);
        return Err(Wrong { text, reason: "ORDER_NUMBER", void: true });
    }
    spoken.orders.push((index, Given { order, time_ms: said.time_ms }));
    Ok(())
}

/// Whoever judged an order repeats it in its own log, and nobody repeats what was not ordered.
pub(super) fn echoed(logs: &[CheckedLog], problems: &mut Problems) {
    for log in logs {
        let others = || logs.iter().filter(|other| log.reverse_of(other));
        for (index, given) in log.orders.iter().filter(|(index, _)| *index < log.judged.min(log.effective)) {
            if !others().any(|other| other.echoes.contains(&given.order)) {
                let text = "the partner judged this order, and its own log does not repeat it";
                let problem = Problem::new(Check::Agreement, text).because("ORDER_NOT_ECHOED");
                problems.push(problem.of(&log.line().name).entry(*index));
            }
        }
    }
}
