//! Floor rules that an agreement says it does not keep (`waive`); each stays visible in every report.

use serde::Deserialize;

use super::check::{count, text};
use super::{Config, Origin};
use crate::pack::PackError;

/// Most waivers of an agreement.
const MAX_WAIVERS: usize = 16;

/// One floor rule that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Id of the rule, for example `fee/worker-none`.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// Key of the `[[legal]]` text that allows it.
    pub clause: String,
}

pub(super) fn check(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    count(at, "waive", config.waive.len(), 0, MAX_WAIVERS)?;
    for (index, waiver) in config.waive.iter().enumerate() {
        let key = |field: &str| format!("waive[{index}].{field}");
        text(at, &key("reason"), &waiver.reason, 1, 1000)?;
        if waiver.clause.is_empty() {
            at.note(at.error(&key("clause"), "must be a key of [[legal]]"))?;
        }
        config.known_clause(at, &key("clause"), &waiver.clause)?;
        if !crate::floor::is_waivable(&waiver.rule) {
            at.note(at.error(&key("rule"), format!("no floor rule `{}` that may be waived", waiver.rule)))?;
        }
        if config.waive.iter().take(index).any(|earlier| earlier.rule == waiver.rule) {
            at.note(at.error(&key("rule"), format!("`{}` is waived twice", waiver.rule)))?;
        }
    }
    Ok(())
}
