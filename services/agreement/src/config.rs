//! `agreement.toml`, as its authors write it: parsed strictly, bounded, not yet cross-checked.

mod check;
mod origin;
mod retention;
mod witness;

use convenio_wire::r#type::v1::RecruiterKind;
use serde::Deserialize;

use crate::lifecycle::{Role, Subject, Terms};
use crate::pack::PackError;

pub(crate) use origin::Origin;
pub use retention::{GROUND_ENDED, Retention, RetentionClass};
pub use witness::{Independent, Witness, WitnessConfig, WitnessKeyConfig, WitnessPolicy};

/// Largest `agreement.toml`, bytes.
pub const MAX_CONFIG: usize = 1024 * 1024;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Format of the file; 1.
    pub format: u32,
    /// Identifier, the name of the pack's folder, for example `sv-ca`.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Kind of legal instrument, a code.
    pub instrument: String,
    /// Family of lifecycles it belongs to.
    pub profile: Profile,
    /// Import path of the file that declares its messages.
    pub proto: String,
    /// Protobuf package of those messages.
    pub package: String,
    /// Disclosure stages (etapas de divulgación) in total order.
    pub stages: Vec<String>,
    /// Lowest age of a worker, full years.
    pub minimum_age: u32,
    /// Who may recruit.
    pub recruiters: Vec<Recruiter>,
    /// Orientation modules that each worker must have had.
    pub mandatory_modules: Vec<String>,
    /// Which fees a worker may be charged (regla de cobro).
    pub fee_rule: FeeRule,
    /// How long a missing cosignature is tolerated before it is reported, hours.
    pub cosign_deadline_hours: u32,
    /// The parties.
    pub parties: Vec<Party>,
    /// How long what crossed is kept, and when it may be erased.
    pub retention: Retention,
    /// Whether independent witnesses are required.
    pub witness: WitnessConfig,
    /// States, transitions, facts and notices.
    pub lifecycle: LifecycleConfig,
}

/// Family of lifecycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A placement with one crossing out and one back.
    NorthSouth,
}

/// Which fees a worker may be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeeRule {
    /// None of any kind.
    None,
}

/// Who may recruit (reclutador).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recruiter {
    /// The state's own employment service.
    PublicEmploymentService,
    /// A licensed private agency.
    LicensedAgency,
    /// The employer itself.
    EmployerDirect,
}

impl From<Recruiter> for RecruiterKind {
    fn from(recruiter: Recruiter) -> Self {
        match recruiter {
            Recruiter::PublicEmploymentService => Self::PublicEmploymentService,
            Recruiter::LicensedAgency => Self::LicensedAgency,
            Recruiter::EmployerDirect => Self::EmployerDirect,
        }
    }
}

/// A party of the agreement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Short identifier, for example `sv`.
    pub id: String,
    /// ISO 3166-1 alpha-2 country.
    pub country: String,
    /// Whether workers leave it or come to it.
    pub role: Role,
}

/// The lifecycle, by names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecycleConfig {
    /// State of a new placement.
    pub initial: String,
    /// State in which a placement crosses for the first time.
    pub first_crossing: String,
    /// States that hold a seat.
    pub holds_seat: Vec<String>,
    /// Facts that free it.
    pub frees_seat: Vec<String>,
    /// Pairs of facts that cannot both be true.
    #[serde(default)]
    pub contradictions: Vec<[String; 2]>,
    /// States.
    pub states: Vec<StateConfig>,
    /// Transitions.
    pub transitions: Vec<TransitionConfig>,
    /// Facts.
    #[serde(default)]
    pub facts: Vec<FactConfig>,
    /// Notices.
    #[serde(default)]
    pub notices: Vec<NoticeConfig>,
}

/// A state and who governs while in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// Name.
    pub name: String,
    /// Who decides transitions out of it.
    pub governor: Role,
    /// Disclosure stage that it reaches.
    pub stage: String,
}

/// A transition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitionConfig {
    /// Name.
    pub name: String,
    /// States it leaves.
    pub from: Vec<String>,
    /// State it reaches.
    pub to: String,
    /// Who acts.
    pub by: Role,
    /// Messages of its record, the lead first; none for an act that stays at home.
    #[serde(default)]
    pub messages: Vec<String>,
    /// Named conditions.
    #[serde(default)]
    pub gates: Vec<String>,
}

/// A fact.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactConfig {
    /// Name.
    pub name: String,
    /// Who owns it.
    pub by: Role,
    /// Messages of its record, the lead first.
    pub messages: Vec<String>,
    /// Stage that must have been reached; binds the issuer only.
    pub needs_stage: Option<String>,
    /// Stage that it reaches.
    pub stage: Option<String>,
    /// Named conditions; bind the issuer only.
    #[serde(default)]
    pub gates: Vec<String>,
    /// Alert unless the placement is in one of these states.
    #[serde(default)]
    pub alert_unless: Vec<String>,
    /// Whether its lead message carries terms of employment.
    pub terms: Option<Terms>,
}

/// A notice: state of what is no placement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeConfig {
    /// Name.
    pub name: String,
    /// Who may issue it.
    pub by: Vec<Role>,
    /// Its message.
    pub message: String,
    /// Collection of the record it is about.
    pub subject: Subject,
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
}
