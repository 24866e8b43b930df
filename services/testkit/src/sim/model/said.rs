//! An act as its parts tell it.

use convenio_agreement::Pack;
use convenio_agreement::act::Kind;
use convenio_model::Ref;
use convenio_wire::exchange::v1::{ActKind, Part};

/// An act in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Record.
    pub record: Ref,
    /// Transition, fact or notice.
    pub name: String,
    /// Kind.
    pub kind: Kind,
    /// Placement, order or agency.
    pub subject: Ref,
    /// Number.
    pub number: u64,
    /// Accepted state that the issuer knew.
    pub known: String,
    /// What its messages say.
    pub said: Said,
}

/// What messages say, as far as the rules look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Job order of a placement.
    pub order: Option<Ref>,
    /// Number of `RecruiterKind`.
    pub recruiter: Option<i32>,
    /// Agency, where a recruiter is named.
    pub agency: Option<Ref>,
    /// Contract's name.
    pub contract: String,
    /// Wage of an order or contract, minor units.
    pub wage: Option<i64>,
    /// A reason is given.
    pub reason: bool,
    /// Order: takes nominations.
    pub open: Option<bool>,
    /// Order: seats.
    pub seats: Option<u64>,
    /// Agency: number of `LicenceState`.
    pub licence: Option<i32>,
}

impl Act {
    /// Reads the parts of a record.
    #[must_use]
    pub fn read(pack: &Pack, record: Ref, parts: &[Part]) -> Option<Self> {
        let lead = parts.first()?;
        let name = pack.lifecycle().act_of_lead(&lead.message_name)?.name().to_owned();
        let kind = match lead.act_kind() {
            ActKind::Transition => Kind::Transition,
            ActKind::Proposal => Kind::Proposal,
            ActKind::Fact => Kind::Fact,
            ActKind::Notice => Kind::Notice,
            ActKind::Unspecified => return None,
        };
        let subject = named(&lead.subject_ref)?;
        let said = Said::read(pack, parts.iter().map(|p| (p.message_name.as_str(), p.message.as_slice())));
        let (number, known) = (lead.placement_sequence, lead.known_state.clone());
        Some(Self { record, name, kind, subject, number, known, said })
    }
}

impl Said {
    fn read<'p>(pack: &Pack, messages: impl Iterator<Item = (&'p str, &'p [u8])>) -> Self {
        let mut said = Self::default();
        for doc in messages.filter_map(|(name, bytes)| pack.read(name, bytes)) {
            let text = |path: &str| doc.text(path).filter(|t| !t.is_empty());
            said.order = text("placement.job_order").and_then(named).or(said.order);
            said.recruiter = doc.enum_number("placement.recruiter_kind").or(said.recruiter);
            said.agency = text("placement.agency").and_then(named).or(said.agency);
            said.contract = text("contract.name").map_or(said.contract, str::to_owned);
            let wage = doc.money("contract.terms.wage_rate").or_else(|| doc.money("job_order.terms.wage_rate"));
            said.wage = wage.map(|(amount, _)| amount).or(said.wage);
            said.reason |= text("event.reason_code").is_some();
            said.open = doc.enum_number("job_order.state").map(|state| state == 1).or(said.open);
            said.seats = doc.int("job_order.seats").and_then(|n| u64::try_from(n).ok()).or(said.seats);
            said.licence = doc.enum_number("licence.state").or(said.licence);
        }
        said
    }
}

/// The reference in `collection/<uuid>`.
pub(crate) fn named(name: &str) -> Option<Ref> {
    name.split_once('/')?.1.parse().ok()
}
