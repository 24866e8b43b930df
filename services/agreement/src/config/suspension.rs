//! What goes on while the agreement is suspended or running off (`[suspension]`).

use serde::Deserialize;

use super::check::name_list;
use super::{Config, Origin};
use crate::pack::PackError;

/// `[suspension]`. Facts always go on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Transitions that go on.
    pub still: Vec<String>,
}

impl Suspension {
    pub(super) fn check(&self, at: Origin<'_>, config: &Config) -> Result<(), PackError> {
        name_list(at, "suspension.still", &self.still, 0, 128)?;
        for (index, name) in self.still.iter().enumerate() {
            if !config.lifecycle.transitions.iter().any(|act| act.name == *name) {
                at.note(at.error(&format!("suspension.still[{index}]"), format!("no transition `{name}`")))?;
            }
        }
        Ok(())
    }
}
