//! Gates: the conditions that an agreement lays on its acts. Some are built in; those about facts are data, of the
//! agreement or of a built-in name.

use std::fmt;
use std::str::FromStr;

use crate::config::{GateConfig, OnlyIf};

/// A gate that this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown gate")]
pub struct UnknownGate;

macro_rules! gates {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A condition that the engine itself carries out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Gate { $($(#[$doc])* $variant,)* }

        impl Gate {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As `agreement.toml` writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

gates! {
    /// The worker consents to the exchange under this agreement (consentimiento).
    Consent = "consent",
    /// The worker has reached the agreement's age.
    MinimumAge = "minimum_age",
    /// The agreement allows this kind of recruiter.
    RecruiterAllowed = "recruiter_allowed",
    /// An agency's licences of both states are active.
    AgencyTwoLicences = "agency_two_licences",
    /// The job order takes nominations.
    OrderOpen = "order_open",
    /// The job order has a free seat.
    SeatFree = "seat_free",
    /// The act says why.
    ReasonGiven = "reason_given",
    /// The destination authored a contract, and it is the one accepted.
    ContractAuthored = "contract_authored",
    /// The contract's terms are not worse than the order's.
    TermsNotWorse = "terms_not_worse",
    /// The return programme was shown to the worker (oferta de retorno).
    ReturnOfferShown = "return_offer_shown",
    /// All mandatory modules were taught.
    MandatoryModules = "mandatory_modules",
    /// Every quota whose scope covers the order has room (cupo).
    QuotaFree = "quota_free",
    /// The contract is no longer than the longest stay.
    WithinStay = "within_stay",
    /// The order's branch of activity is one of the agreement's sectors.
    SectorAllowed = "sector_allowed",
    /// What the contract deducts and charges is within the agreement's rule on fees.
    FeesLawful = "fees_lawful",
}

/// Built-in names of gates about one fact each: nothing but short forms of what `[[gates]]` would say.
const OF_FACTS: [(&str, &str, Must); 5] = [
    ("not_withdrawn", "withdrawn", Must::NotStand),
    ("not_contested", "end_contested", Must::NotStand),
    ("permitted", "permitted", Must::Stand),
    ("oriented", "oriented", Must::Stand),
    ("admitted", "admitted", Must::Stand),
];

/// A gate of an act, as the agreement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateDef {
    /// Name.
    pub name: String,
    /// Legal key of the clause that it carries out; empty for none.
    pub clause: String,
    /// What it asks.
    pub rule: GateRule,
}

/// What a gate asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateRule {
    /// What the engine knows by this name.
    BuiltIn(Gate),
    /// Something about a fact.
    Fact(FactGate),
}

/// A condition about one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactGate {
    /// The fact.
    pub fact: String,
    /// What it must do.
    pub must: Must,
    /// Only what happened at most so many days before the act counts.
    pub within_days: Option<u32>,
    /// When the gate asks at all; nothing given for always.
    pub only_if: OnlyIf,
}

/// What a fact must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// Stand.
    Stand,
    /// Not stand.
    NotStand,
    /// Stand no more than so many times, the act itself included if it states the fact.
    AtMost(u32),
}

impl GateDef {
    /// The built-in gate of this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let about = OF_FACTS.iter().find(|(own, ..)| *own == name).map(|(_, fact, must)| {
            let fact = (*fact).to_owned();
            GateRule::Fact(FactGate { fact, must: *must, within_days: None, only_if: OnlyIf::default() })
        });
        let rule = about.or_else(|| name.parse().ok().map(GateRule::BuiltIn))?;
        Some(Self { name: name.to_owned(), clause: String::new(), rule })
    }

    /// A gate of the agreement's own; its configuration names one fact.
    pub(super) fn declared(gate: &GateConfig) -> Self {
        let fact = gate.fact.as_ref().or(gate.absent.as_ref()).cloned().unwrap_or_default();
        let must = match (&gate.fact, gate.at_most) {
            (None, _) => Must::NotStand,
            (Some(_), Some(most)) => Must::AtMost(most),
            (Some(_), None) => Must::Stand,
        };
        let only_if = gate.only_if.clone().unwrap_or_default();
        let rule = GateRule::Fact(FactGate { fact, must, within_days: gate.within_days, only_if });
        Self { name: gate.name.clone(), clause: gate.clause.clone(), rule }
    }

    /// Whether it is this built-in gate.
    #[must_use]
    pub fn is(&self, gate: Gate) -> bool {
        self.rule == GateRule::BuiltIn(gate)
    }

    /// The fact that it asks for.
    #[must_use]
    pub fn fact(&self) -> Option<&FactGate> {
        match &self.rule {
            GateRule::Fact(gate) => Some(gate),
            GateRule::BuiltIn(_) => None,
        }
    }
}

/// Every built-in name.
pub fn built_in_gates() -> impl Iterator<Item = &'static str> {
    Gate::ALL.iter().map(|gate| gate.as_str()).chain(OF_FACTS.iter().map(|(name, ..)| *name))
}

impl FromStr for Gate {
    type Err = UnknownGate;

    fn from_str(text: &str) -> Result<Self, UnknownGate> {
        Self::ALL.iter().copied().find(|gate| gate.as_str() == text).ok_or(UnknownGate)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
