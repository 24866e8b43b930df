//! `agreement.toml`, as its authors write it: parsed strictly, bounded, with its names resolved.
//!
//! Format 1 knows no more than the lifecycle, retention and witnesses; format 2 adds what the agreement rests on and
//! what it limits. Each table has a module of its own. A file of format 2 may import fragments; what is said here is of
//! the whole document that they make.

mod check;
mod code_lists;
mod committee;
mod data;
mod day;
mod effective;
mod fees;
mod format;
mod gates;
mod kinds;
mod legal;
mod lifecycle;
mod merge;
mod origin;
mod parties;
mod policy_basis;
mod quotas;
mod retention;
mod sectors;
mod sign_off;
mod stay;
mod suspension;
mod uses;
mod validity;
mod waive;
mod witness;

use std::collections::BTreeMap;

use convenio_wire::r#type::v1::RecruiterKind;
use serde::Deserialize;

use crate::pack::PackError;

pub use code_lists::CodeList;
pub use committee::JointCommittee;
pub use data::{Controller, DataProtection, EnforcementUse};
pub use day::{Day, NoDay};
pub use fees::{Amount, Deposit, Fees, Payer};
pub use gates::{DeadlineConfig, GateConfig, OnlyIf};
pub use kinds::{FeeRule, Framework, Instrument, Profile, Recruiter};
pub use legal::{Legal, LegalStatus};
pub use lifecycle::{FactConfig, LifecycleConfig, NoticeConfig, StateConfig, TransitionConfig};
pub(crate) use origin::{Origin, Sources};
pub use parties::{Authority, Party, PartyRole};
pub use policy_basis::{Basis, BasisStatus, PolicyBasis};
pub use quotas::Quota;
pub use retention::{GROUND_ENDED, Retention, RetentionClass};
pub use sectors::Sector;
pub use sign_off::SignOff;
pub use stay::{Stay, StayPer, StayRenewal};
pub use suspension::Suspension;
pub use validity::{Renewal, Validity};
pub use waive::Waiver;
pub use witness::{Independent, Witness, WitnessConfig, WitnessKeyConfig, WitnessPolicy};

/// Largest `agreement.toml`, bytes.
pub const MAX_CONFIG: usize = 1024 * 1024;
/// Largest fragment that it imports, bytes.
pub const MAX_FRAGMENT: usize = 256 * 1024;

/// The whole file. What is optional here and not said to be so is demanded in format 2 and refused in format 1.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Format of the file, 1 or 2.
    pub format: u32,
    /// Identifier, the name of the pack's folder, for example `sv-ca`.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Kind of legal instrument: a free code in format 1, one of [`Instrument`] in format 2.
    pub instrument: String,
    /// No such agreement exists: it is written to show one.
    #[serde(default)]
    pub hypothetical: bool,
    /// Family of lifecycles it belongs to.
    pub profile: Profile,
    /// Frameworks whose floors it keeps; may be empty.
    #[serde(default)]
    pub frameworks: Vec<Framework>,
    /// Floor rules that it says it does not keep, and why; may be empty.
    #[serde(default)]
    pub waive: Vec<Waiver>,
    /// Languages of workers and papers, ISO 639-3.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Languages of contracts; a subset of `languages`.
    #[serde(default)]
    pub contract_languages: Vec<String>,
    /// Import path of the file that declares its messages.
    pub proto: String,
    /// Protobuf package of those messages.
    pub package: String,
    /// Further packages whose messages are the agreement's; may be empty.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Hex digest of the version that this one replaces; empty for the first. See [`Self::amended`].
    #[serde(default)]
    pub amends: String,
    /// Disclosure stages (etapas de divulgación) in total order.
    pub stages: Vec<String>,
    /// Lowest age of a worker, full years.
    pub minimum_age: u32,
    /// Who may recruit.
    pub recruiters: Vec<Recruiter>,
    /// Orientation modules that each worker must have had.
    pub mandatory_modules: Vec<String>,
    /// Which fees a worker may be charged, in format 1; see `fees`.
    pub fee_rule: Option<FeeRule>,
    /// How long a missing cosignature is tolerated before it is reported, hours.
    pub cosign_deadline_hours: u32,
    /// What it rests on.
    #[serde(default)]
    pub legal: Vec<Legal>,
    /// The parties.
    pub parties: Vec<Party>,
    /// How long it is in force.
    pub validity: Option<Validity>,
    /// How long a worker may stay.
    pub stay: Option<Stay>,
    /// Where a worker may work.
    #[serde(default)]
    pub sectors: Vec<Sector>,
    /// How many may come; may be empty.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// What may be charged, deducted and deposited.
    pub fees: Option<Fees>,
    /// Protection of personal data.
    pub data: Option<DataProtection>,
    /// The joint committee; may be absent.
    pub joint_committee: Option<JointCommittee>,
    /// What the policy rests on.
    pub policy_basis: Option<PolicyBasis>,
    /// Offices that sign off before a party's root does, by party; may be empty.
    #[serde(default)]
    pub sign_off: BTreeMap<String, SignOff>,
    /// What goes on while the agreement is suspended or running off.
    pub suspension: Option<Suspension>,
    /// Closed lists of values for registry fields; may be empty.
    #[serde(default)]
    pub code_lists: Vec<CodeList>,
    /// Gates of its own; may be empty.
    #[serde(default)]
    pub gates: Vec<GateConfig>,
    /// Deadlines between acts and facts; may be empty.
    #[serde(default)]
    pub deadlines: Vec<DeadlineConfig>,
    /// How long what crossed is kept, and when it may be erased.
    pub retention: Retention,
    /// Whether independent witnesses are required.
    pub witness: WitnessConfig,
    /// States, transitions, facts and notices.
    pub lifecycle: LifecycleConfig,
}

impl Config {
    /// Parses and bounds the file of the agreement `id`.
    pub(crate) fn parse(origin: Origin<'_>, id: &str) -> Result<Self, PackError> {
        let config: Self = origin.parse()?;
        config.check(origin, id)?;
        Ok(config)
    }

    /// What the agreement says of independent witnesses.
    pub(crate) fn witness_policy(&self, origin: Origin<'_>) -> Result<WitnessPolicy, PackError> {
        self.witness.policy(origin)
    }

    /// Whether `kind` may recruit under the agreement.
    #[must_use]
    pub fn allows(&self, kind: RecruiterKind) -> bool {
        self.recruiters.iter().any(|&allowed| RecruiterKind::from(allowed) == kind)
    }

    /// The legal text of this key.
    #[must_use]
    pub fn legal_text(&self, key: &str) -> Option<&Legal> {
        self.legal.iter().find(|legal| legal.key == key)
    }

    /// Every package whose messages are the agreement's, its own first.
    pub fn own_packages(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.package.as_str()).chain(self.packages.iter().map(String::as_str))
    }
}
