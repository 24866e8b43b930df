//! What a pack demands of the ratification of a party.

use convenio_model::{RatificationRule, SignOffPolicy};

use super::Pack;
use crate::config::BasisStatus;

impl Pack {
    /// Who must sign off before `party` ratifies, what it must acknowledge, and what its ratification replaces. A pack
    /// without `[sign_off.<party>]` asks for no office, and for no acknowledgement.
    #[must_use]
    pub fn ratification_rule(&self, party: &str) -> RatificationRule {
        let config = self.config();
        let sign_off = config.sign_off.get(party).map(|rule| SignOffPolicy {
            offices: rule.offices.clone(),
            k: usize::try_from(rule.k).unwrap_or(usize::MAX),
            must: rule.must.clone(),
            missing: self.missing_basis(),
        });
        RatificationRule { sign_off, amends: config.amended() }
    }

    /// Whose ratifications put the agreement in force in the log of `issuer`: those of every party that takes part, and the
    /// issuer's. While a party has no node yet, the other ratifies alone; once it joins, its own log needs both.
    pub fn ratified_by(&self, issuer: &str) -> impl Iterator<Item = &str> {
        let needed = move |party: &&crate::config::Party| party.connected || party.id == issuer;
        self.parties().iter().filter(needed).map(|party| party.id.as_str())
    }

    /// Whether a party takes part from the beginning.
    #[must_use]
    pub fn is_connected(&self, party: &str) -> bool {
        self.parties().iter().all(|known| known.id != party || known.connected)
    }

    /// Keys of the points of `[policy_basis]` that are missing, sorted.
    #[must_use]
    pub fn missing_basis(&self) -> Vec<String> {
        let points = self.config().policy_basis.iter().flat_map(|basis| basis.points());
        let missing = points.filter(|(_, basis)| basis.status == BasisStatus::Missing);
        let mut missing: Vec<_> = missing.map(|(name, _)| name.to_owned()).collect();
        missing.sort_unstable();
        missing
    }
}
