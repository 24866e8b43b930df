//! What the policy rests on (`[policy_basis]`): diagnosis, consultations, plans; what is missing stays visible.

use serde::Deserialize;

use super::check::text;
use super::{Day, Origin};
use crate::pack::PackError;

/// `[policy_basis]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyBasis {
    /// A diagnosis of the labour markets was made.
    pub diagnosis: Basis,
    /// Employers were consulted.
    pub employers_consulted: Basis,
    /// Workers and their unions were consulted.
    pub workers_consulted: Basis,
    /// Civil society was consulted.
    pub civil_society_consulted: Basis,
    /// Academia was consulted.
    pub academia_consulted: Basis,
    /// It fits the plans of development.
    pub development_plan: Basis,
    /// It was held against the law that is in force.
    pub legal_consistency: Basis,
}

/// One point of the policy's basis.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Whether it was done.
    pub status: BasisStatus,
    /// When.
    pub date: Option<Day>,
    /// Why not, or what is not known; demanded unless it was done.
    #[serde(default)]
    pub reason: String,
}

/// Whether a point of the policy's basis was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BasisStatus {
    /// Done.
    Done,
    /// Not done.
    Missing,
    /// Not known.
    Uncertain,
}

impl BasisStatus {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Missing => "missing",
            Self::Uncertain => "uncertain",
        }
    }
}

impl PolicyBasis {
    /// Every point with its key, in the order of the file's documentation.
    #[must_use]
    pub fn points(&self) -> [(&'static str, &Basis); 7] {
        [
            ("diagnosis", &self.diagnosis),
            ("employers_consulted", &self.employers_consulted),
            ("workers_consulted", &self.workers_consulted),
            ("civil_society_consulted", &self.civil_society_consulted),
            ("academia_consulted", &self.academia_consulted),
            ("development_plan", &self.development_plan),
            ("legal_consistency", &self.legal_consistency),
        ]
    }

    pub(super) fn check(&self, at: Origin<'_>) -> Result<(), PackError> {
        for (name, basis) in self.points() {
            let needed = usize::from(basis.status != BasisStatus::Done);
            text(at, &format!("policy_basis.{name}.reason"), &basis.reason, needed, 1000)?;
        }
        Ok(())
    }
}
