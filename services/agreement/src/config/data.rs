//! Protection of personal data (`[data]`): why it may cross, who answers for it, by when.

use serde::Deserialize;

use super::check::{count, within};
use super::{Config, Origin};
use crate::pack::PackError;

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataProtection {
    /// Legal key of what lets personal data cross the border (base de la transferencia).
    pub transfer_basis: String,
    /// Who answers for the data, by party.
    pub controllers: Vec<Controller>,
    /// Hours within which a breach is told to the other parties.
    pub breach_notice_hours: u32,
    /// Whether data may be used to enforce migration law.
    pub enforcement_use: EnforcementUse,
    /// Days within which a person's request is answered.
    pub subject_rights_days: u32,
}

/// Who answers for a party's data (responsable del tratamiento).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    /// The party.
    pub party: String,
    /// Key of one of its authorities.
    pub office: String,
}

/// Whether data may be used to enforce migration law. There is one answer: an agreement with another cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnforcementUse {
    /// No.
    Forbidden,
}

impl DataProtection {
    pub(super) fn check(&self, at: Origin<'_>, config: &Config) -> Result<(), PackError> {
        if self.transfer_basis.is_empty() {
            at.note(at.error("data.transfer_basis", "must be a key of [[legal]]"))?;
        }
        config.known_clause(at, "data.transfer_basis", &self.transfer_basis)?;
        count(at, "data.controllers", self.controllers.len(), 1, 32)?;
        for (index, controller) in self.controllers.iter().enumerate() {
            let key = |field: &str| format!("data.controllers[{index}].{field}");
            let party = config.known_party(at, &key("party"), &controller.party)?;
            config.known_office(at, &key("office"), party, &controller.office)?;
            if self.controllers.iter().take(index).any(|earlier| earlier == controller) {
                at.note(at.error(&key("office"), "is named twice"))?;
            }
        }
        within(at, "data.breach_notice_hours", self.breach_notice_hours, 1, 720)?;
        within(at, "data.subject_rights_days", self.subject_rights_days, 1, 365)
    }
}
