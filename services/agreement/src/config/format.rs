//! What format 2 demands, and what format 1 may not use.

use super::check::{codes, count, distinct};
use super::{Config, FeeRule, Instrument, Origin, Profile, Recruiter};
use crate::pack::PackError;

/// Most languages of an agreement.
const MAX_LANGUAGES: usize = 32;

impl Config {
    /// The kind of legal instrument; None for a free code of format 1.
    #[must_use]
    pub fn instrument_kind(&self) -> Option<Instrument> {
        Instrument::ALL.into_iter().find(|kind| kind.as_str() == self.instrument)
    }

    /// Digest of the version that this one replaces; None for the first.
    #[must_use]
    pub fn amended(&self) -> Option<[u8; 32]> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&self.amends, &mut digest).ok()?;
        Some(digest)
    }

    /// A file of format 1 uses nothing of format 2, so that a program of that time would read it alike.
    pub(super) fn check_format_1(&self, at: Origin<'_>) -> Result<(), PackError> {
        let used = [
            ("hypothetical", self.hypothetical),
            ("frameworks", !self.frameworks.is_empty()),
            ("waive", !self.waive.is_empty()),
            ("languages", !self.languages.is_empty()),
            ("contract_languages", !self.contract_languages.is_empty()),
            ("packages", !self.packages.is_empty()),
            ("amends", !self.amends.is_empty()),
            ("legal", !self.legal.is_empty()),
            ("validity", self.validity.is_some()),
            ("stay", self.stay.is_some()),
            ("sectors", !self.sectors.is_empty()),
            ("quotas", !self.quotas.is_empty()),
            ("fees", self.fees.is_some()),
            ("data", self.data.is_some()),
            ("joint_committee", self.joint_committee.is_some()),
            ("policy_basis", self.policy_basis.is_some()),
            ("sign_off", !self.sign_off.is_empty()),
            ("suspension", self.suspension.is_some()),
            ("code_lists", !self.code_lists.is_empty()),
            ("gates", !self.gates.is_empty()),
            ("deadlines", !self.deadlines.is_empty()),
            ("profile", self.profile != Profile::NorthSouth),
            ("recruiters", self.recruiters.iter().any(|r| matches!(r, Recruiter::Contractor | Recruiter::SelfFound))),
        ];
        if let Some((key, _)) = used.iter().find(|(_, used)| *used) {
            at.note(at.error(key, "needs format = 2"))?;
        }
        match self.fee_rule {
            Some(FeeRule::None) => Ok(()),
            None => Err(at.error("fee_rule", "is missing")),
        }
    }

    pub(super) fn check_format_2(&self, at: Origin<'_>) -> Result<(), PackError> {
        if self.fee_rule.is_some() {
            at.note(at.error("fee_rule", "is of format 1; write [fees]"))?;
        }
        if self.instrument_kind().is_none() {
            let known = Instrument::ALL.map(Instrument::as_str).join(", ");
            at.note(at.error("instrument", format!("must be one of {known}")))?;
        }
        if !self.amends.is_empty() && (self.amended().is_none() || self.amends.bytes().any(|b| b.is_ascii_uppercase()))
        {
            at.note(at.error("amends", "must be the hex digest of the version that it replaces, or empty"))?;
        }
        self.check_languages(at)?;
        super::legal::check(at, self)?;
        super::waive::check(at, self)?;
        super::sectors::check(at, self)?;
        super::quotas::check(at, self)?;
        super::sign_off::check(at, self)?;
        super::code_lists::check(at, self)?;
        super::gates::check_gates(at, self)?;
        super::gates::check_deadlines(at, self)?;
        demanded(at, "validity", self.validity.as_ref())?.check(at)?;
        demanded(at, "stay", self.stay.as_ref())?.check(at)?;
        demanded(at, "fees", self.fees.as_ref())?.check(at, self)?;
        demanded(at, "data", self.data.as_ref())?.check(at, self)?;
        demanded(at, "policy_basis", self.policy_basis.as_ref())?.check(at)?;
        demanded(at, "suspension", self.suspension.as_ref())?.check(at, self)?;
        self.joint_committee.as_ref().map_or(Ok(()), |committee| committee.check(at))
    }

    fn check_languages(&self, at: Origin<'_>) -> Result<(), PackError> {
        for (index, framework) in self.frameworks.iter().enumerate() {
            if self.frameworks.iter().take(index).any(|earlier| earlier == framework) {
                let key = format!("frameworks[{index}]");
                at.note(at.error(&key, format!("`{}` is named twice", framework.as_str())))?;
            }
        }
        codes(at, "languages", &self.languages, 1, MAX_LANGUAGES)?;
        for (index, language) in self.languages.iter().enumerate() {
            if language.len() != 3 || !language.bytes().all(|b| b.is_ascii_lowercase()) {
                let key = format!("languages[{index}]");
                at.note(at.error(&key, "must be an ISO 639-3 code: three lower-case letters"))?;
            }
        }
        count(at, "contract_languages", self.contract_languages.len(), 1, MAX_LANGUAGES)?;
        distinct(at, "contract_languages", &self.contract_languages)?;
        match self.contract_languages.iter().position(|language| !self.languages.contains(language)) {
            None => Ok(()),
            Some(index) => Err(at.error(&format!("contract_languages[{index}]"), "is not among `languages`")),
        }
    }
}

/// A table that format 2 demands.
fn demanded<'a, T>(at: Origin<'_>, key: &str, table: Option<&'a T>) -> Result<&'a T, PackError> {
    table.ok_or_else(|| at.error(key, "is missing"))
}
