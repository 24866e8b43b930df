//! Gates: the named conditions that an agreement may lay on its acts.

use std::fmt;
use std::str::FromStr;

/// A gate that this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown gate")]
pub struct UnknownGate;

macro_rules! gates {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A named condition, implemented by the engine.
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
    /// No withdrawal stands (desistimiento).
    NotWithdrawn = "not_withdrawn",
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
    /// The permit stands.
    Permitted = "permitted",
    /// The orientation is done.
    Oriented = "oriented",
    /// The worker was admitted at the border.
    Admitted = "admitted",
    /// No consulate contests the end.
    NotContested = "not_contested",
    /// The return programme was shown to the worker (oferta de retorno).
    ReturnOfferShown = "return_offer_shown",
    /// All mandatory modules were taught.
    MandatoryModules = "mandatory_modules",
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
