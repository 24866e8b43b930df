//! A record's part with state and number outlives its personal part, so that a replay still finds them.

use super::lint::Messages;
use super::{Config, PackError};
use crate::config::Origin;

/// Refuses an act whose lead message is kept for less time than another of its messages.
pub(super) fn check(messages: &Messages, config: &Config, at: Origin<'_>) -> Result<(), PackError> {
    let months = |short: &str| {
        // A short name is that of one part: the lifecycle was built before.
        let class = messages.parts.iter().find(|(m, _)| m.name() == short).map(|(_, class)| class);
        let rule = class.and_then(|class| config.retention.class(class));
        rule.map_or(0, |rule| if rule.for_ever() { u32::MAX } else { rule.months })
    };
    let transitions = config.lifecycle.transitions.iter().enumerate().map(|(n, t)| ("transitions", n, &t.messages));
    let facts = config.lifecycle.facts.iter().enumerate().map(|(n, f)| ("facts", n, &f.messages));
    for (list, index, messages) in transitions.chain(facts) {
        let Some((lead, others)) = messages.split_first() else { continue };
        if others.iter().any(|other| months(other) > months(lead)) {
            let key = format!("lifecycle.{list}[{index}].messages[0]");
            at.note(at.error(&key, format!("`{lead}` must be kept at least as long as what it leads")))?;
        }
    }
    Ok(())
}
