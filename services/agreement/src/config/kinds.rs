//! Closed lists of `agreement.toml`: what kind of agreement it is, which floors it names, who may recruit.

use convenio_wire::r#type::v1::RecruiterKind;
use serde::Deserialize;

/// Family of lifecycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A placement with one crossing out and one back.
    NorthSouth,
    /// Neighbours: crews, carried cards, work found on the spot, several crossings a season.
    SouthSouth,
}

/// Kind of legal instrument (instrumento), demanded by format 2; format 1 has a free code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Instrument {
    /// A treaty between states (tratado).
    Treaty,
    /// A memorandum of understanding.
    Mou,
    /// An agreement between administrations (acuerdo administrativo).
    Administrative,
    /// The law or programme of one state alone.
    Unilateral,
    /// A contract of a ministry with a sector's employers.
    SectoralContract,
    /// Free movement within a region.
    RegionalFreeMovement,
    /// A regional integration system's own rule.
    RegionalIntegration,
}

impl Instrument {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Treaty,
        Self::Mou,
        Self::Administrative,
        Self::Unilateral,
        Self::SectoralContract,
        Self::RegionalFreeMovement,
        Self::RegionalIntegration,
    ];

    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Treaty => "treaty",
            Self::Mou => "mou",
            Self::Administrative => "administrative",
            Self::Unilateral => "unilateral",
            Self::SectoralContract => "sectoral-contract",
            Self::RegionalFreeMovement => "regional-free-movement",
            Self::RegionalIntegration => "regional-integration",
        }
    }
}

/// A framework (marco) whose floors the agreement says it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub enum Framework {
    /// International Convention on the Protection of the Rights of All Migrant Workers and Members of Their Families.
    #[serde(rename = "ICMW")]
    Icmw,
    /// ILO Convention 97, migration for employment.
    C97,
    /// ILO Convention 143, migrant workers.
    C143,
    /// ILO Convention 181, private employment agencies.
    C181,
    /// ILO Convention 189, domestic workers.
    C189,
    /// ILO general principles for fair recruitment and definition of fees and related costs.
    #[serde(rename = "fair-recruitment")]
    FairRecruitment,
}

impl Framework {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Icmw => "ICMW",
            Self::C97 => "C97",
            Self::C143 => "C143",
            Self::C181 => "C181",
            Self::C189 => "C189",
            Self::FairRecruitment => "fair-recruitment",
        }
    }
}

/// Which fees a worker may be charged, in format 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeeRule {
    /// None of any kind.
    None,
}

/// Who may recruit (reclutador).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recruiter {
    /// The state's own employment service.
    PublicEmploymentService,
    /// A licensed private agency.
    LicensedAgency,
    /// The employer itself.
    EmployerDirect,
    /// A contractor who brings crews (contratista).
    Contractor,
    /// Nobody: the worker found the work.
    SelfFound,
}

impl Recruiter {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PublicEmploymentService => "public-employment-service",
            Self::LicensedAgency => "licensed-agency",
            Self::EmployerDirect => "employer-direct",
            Self::Contractor => "contractor",
            Self::SelfFound => "self-found",
        }
    }
}

impl From<Recruiter> for RecruiterKind {
    fn from(recruiter: Recruiter) -> Self {
        match recruiter {
            Recruiter::PublicEmploymentService => Self::PublicEmploymentService,
            Recruiter::LicensedAgency => Self::LicensedAgency,
            Recruiter::EmployerDirect => Self::EmployerDirect,
            Recruiter::Contractor => Self::Contractor,
            Recruiter::SelfFound => Self::SelfFound,
        }
    }
}
