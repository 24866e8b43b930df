//! What may be charged, deducted and deposited (`[fees]`, regla de cobro).

use serde::Deserialize;

use super::check::{codes, count, currency};
use super::{Config, Origin};
use crate::pack::PackError;

/// Largest amount in minor units.
const MAX_AMOUNT: i64 = 1_000_000_000_000;

/// `[fees]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fees {
    /// Kinds of fee that a worker may be charged, codes; empty for none of any kind.
    pub worker_may_pay: Vec<String>,
    /// Kinds that no worker may ever be charged, codes.
    pub never: Vec<String>,
    /// Most that may be deducted for housing in a week; absent: no deduction for housing.
    pub housing_weekly_max: Option<Amount>,
    /// Deposits that others than the worker place.
    #[serde(default)]
    pub deposits: Vec<Deposit>,
}

/// An amount of money in minor units (cents).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Minor units.
    pub minor_units: i64,
    /// ISO 4217 currency.
    pub currency: String,
}

/// A refundable deposit (fianza), for each worker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deposit {
    /// What for, a code.
    pub kind: String,
    /// Who places it; never the worker.
    pub payer: Payer,
    /// Minor units.
    pub minor_units: i64,
    /// ISO 4217 currency.
    pub currency: String,
    /// Fact on which it is given back.
    pub refunded_on: String,
    /// Legal key of the clause; empty for none.
    #[serde(default)]
    pub clause: String,
}

/// Who places a deposit. A worker's is not among them: such an agreement cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payer {
    /// The employer.
    Employer,
    /// The agency or contractor.
    Recruiter,
    /// The state that workers leave.
    Origin,
    /// The state that they come to.
    Destination,
}

impl Payer {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Employer => "employer",
            Self::Recruiter => "recruiter",
            Self::Origin => "origin",
            Self::Destination => "destination",
        }
    }
}

impl Fees {
    pub(super) fn check(&self, at: Origin<'_>, config: &Config) -> Result<(), PackError> {
        codes(at, "fees.worker_may_pay", &self.worker_may_pay, 0, 32)?;
        codes(at, "fees.never", &self.never, 0, 32)?;
        if let Some(index) = self.worker_may_pay.iter().position(|kind| self.never.contains(kind)) {
            let problem = "stands in `never` as well";
            at.note(at.error(&format!("fees.worker_may_pay[{index}]"), problem))?;
        }
        if let Some(most) = &self.housing_weekly_max {
            amount(at, "fees.housing_weekly_max", most.minor_units, &most.currency)?;
        }
        count(at, "fees.deposits", self.deposits.len(), 0, 16)?;
        for (index, deposit) in self.deposits.iter().enumerate() {
            let key = format!("fees.deposits[{index}]");
            super::check::code(at, &format!("{key}.kind"), &deposit.kind, b"-_", 1)?;
            amount(at, &key, deposit.minor_units, &deposit.currency)?;
            config.known_fact(at, &format!("{key}.refunded_on"), &deposit.refunded_on)?;
            config.known_clause(at, &format!("{key}.clause"), &deposit.clause)?;
        }
        Ok(())
    }
}

fn amount(at: Origin<'_>, key: &str, minor_units: i64, code: &str) -> Result<(), PackError> {
    if !(0..=MAX_AMOUNT).contains(&minor_units) {
        at.note(at.error(&format!("{key}.minor_units"), format!("must be 0 to {MAX_AMOUNT}")))?;
    }
    currency(at, &format!("{key}.currency"), code)
}
