//! What a gate looks at.

use convenio_model::Ref;

use super::{Engine, Knows};
use crate::act::{Content, Local};
use crate::config::OnlyIf;
use crate::lifecycle::{FactGate, Must, Role};
use crate::plan::{Doc, Term};
use crate::view::{FactView, OrderView, PlacementView, TermsView, World};

/// One day, ms.
pub(super) const DAY_MS: u64 = 86_400_000;
/// Registry paths of a contract's first and last day, and of an order's.
const DAYS: [[&str; 2]; 2] = [
    ["contract.terms.start_date", "contract.terms.end_date"],
    ["job_order.terms.start_date", "job_order.terms.end_date"],
];

/// Why a gate refuses, besides its name.
#[derive(Debug, Default)]
pub(super) struct Miss {
    /// Clause that it names instead of the gate's own.
    pub(super) clause: Option<String>,
    /// Fact that is missing, or must not stand.
    pub(super) fact: String,
    /// Fields concerned.
    pub(super) paths: Vec<String>,
}

impl Miss {
    pub(super) fn at(path: impl Into<String>) -> Self {
        Self { paths: vec![path.into()], ..Self::default() }
    }
}

/// The act with all that is known around it.
pub(super) struct Look<'a> {
    pub(super) world: &'a World,
    pub(super) view: Option<&'a PlacementView>,
    pub(super) act: &'a str,
    pub(super) at_ms: u64,
    pub(super) content: &'a [Content],
    pub(super) knows: Knows,
    pub(super) local: Option<&'a Local>,
}

impl Look<'_> {
    pub(super) fn sees(&self, owner: Role) -> bool {
        match self.knows {
            Knows::All => true,
            Knows::OwnedBy(role) => role == owner,
        }
    }

    pub(super) fn local(&self, holds: impl Fn(&Local) -> bool, path: &str) -> Result<(), Miss> {
        ensure(self.local.is_none_or(holds), path)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.content.iter().find_map(|c| c.doc.text(path))
    }

    pub(super) fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.content.iter().find_map(|c| c.doc.bytes(path))
    }

    /// The job order that it names, else the placement's.
    pub(super) fn order_ref(&self) -> Option<Ref> {
        let named = self.text("placement.job_order").and_then(|n| n.strip_prefix("jobOrders/")?.parse().ok());
        named.or_else(|| self.view?.order_ref())
    }

    pub(super) fn order(&self) -> Option<&OrderView> {
        self.world.order(self.order_ref()?)
    }

    pub(super) fn agency(&self) -> Option<Ref> {
        match self.text("placement.agency") {
            Some(name) => name.strip_prefix("agencies/")?.parse().ok(),
            None => self.view?.agency_ref(),
        }
    }

    pub(super) fn recruiter(&self) -> i64 {
        let stated = self.content.iter().find_map(|c| c.doc.enum_number("placement.recruiter_kind").map(i64::from));
        stated.or_else(|| self.view.map(|v| i64::from(v.recruiter))).unwrap_or_default()
    }

    /// Facts of this name that count: whose owner is seen, and not too long before the act.
    fn standing<'l>(&'l self, gate: &'l FactGate) -> impl Iterator<Item = &'l FactView> {
        let owner = |fact: &FactView| if fact.by_origin { Role::Origin } else { Role::Destination };
        let oldest = gate.within_days.map_or(0, |days| self.at_ms.saturating_sub(u64::from(days) * DAY_MS));
        let facts = self.view.map(|view| view.facts.as_slice()).unwrap_or_default();
        facts.iter().filter(move |f| f.name == gate.fact && self.sees(owner(f)) && f.event_time_ms >= oldest)
    }
}

impl Engine<'_> {
    /// A condition about a fact; a recipient who does not own the fact does not ask.
    pub(super) fn fact_gate(&self, gate: &FactGate, look: &Look<'_>) -> Result<(), Miss> {
        if !self.applies(&gate.only_if, look) {
            return Ok(());
        }
        let owned = self.pack.lifecycle().fact(&gate.fact).is_some_and(|fact| look.sees(fact.by));
        let holds = match gate.must {
            Must::Stand => !owned || look.standing(gate).next().is_some(),
            Must::NotStand => look.standing(gate).next().is_none(),
            Must::AtMost(most) => {
                let this = usize::from(look.act == gate.fact);
                look.standing(gate).count() + this <= usize::try_from(most).unwrap_or(usize::MAX)
            }
        };
        let miss = || Miss { fact: gate.fact.clone(), ..Miss::at("placement.facts") };
        if holds { Ok(()) } else { Err(miss()) }
    }

    /// Whether a gate asks at all. What is not known of the order, the contract or the recruiter is taken to be so, or
    /// leaving it out would be the way around the gate.
    fn applies(&self, only_if: &OnlyIf, look: &Look<'_>) -> bool {
        let area = look.order().map(|order| order.area.as_str()).filter(|area| !area.is_empty());
        let of_area = only_if.areas.is_empty() || area.is_none_or(|area| only_if.areas.iter().any(|own| own == area));
        let recruiter = look.recruiter();
        let kinds = &only_if.recruiters;
        let is = |kind| i64::from(i32::from(convenio_wire::r#type::v1::RecruiterKind::from(kind))) == recruiter;
        let of_kind = kinds.is_empty() || recruiter == 0 || kinds.iter().copied().any(is);
        let longer = |limit| self.days(look).is_none_or(|days| days > i64::from(limit));
        of_area && of_kind && only_if.longer_than_days.is_none_or(longer)
    }

    /// Days from the first to the last day of the contract, both counted; without a contract those of the order.
    pub(super) fn days(&self, look: &Look<'_>) -> Option<i64> {
        let of = |doc: &Doc, [first, last]: [&str; 2]| Some(day(doc, last)? - day(doc, first)? + 1);
        let [contract, order] = DAYS;
        let stated = look.content.iter().find_map(|content| of(&content.doc, contract));
        stated.or_else(|| of(&self.latest_terms(look)?, contract)).or_else(|| of(&self.order_doc(look)?, order))
    }

    /// The terms that were agreed, else the last that the destination authored.
    fn latest_terms(&self, look: &Look<'_>) -> Option<Doc> {
        let view = look.view?;
        self.doc(view.agreed.as_ref().or_else(|| view.authored.last())?)
    }

    /// The contract that the act is about: its own terms, or the last ones authored.
    pub(super) fn contract_doc(&self, look: &Look<'_>) -> Option<Doc> {
        match look.content.iter().find(|c| self.pack.carries_terms(&c.message_name)) {
            Some(own) => Some(own.doc.clone()),
            None => look.view.and_then(|v| v.authored.last()).and_then(|t| self.doc(t)),
        }
    }

    /// The notice of the act's order.
    pub(super) fn order_doc(&self, look: &Look<'_>) -> Option<Doc> {
        let order = look.order()?;
        self.pack.read_kept(&order.message_name, &order.message)
    }

    pub(super) fn doc(&self, terms: &TermsView) -> Option<Doc> {
        self.pack.read_kept(&terms.message_name, &terms.message)
    }
}

/// Number of the civil day that a document gives.
pub(super) fn day(doc: &Doc, path: &str) -> Option<i64> {
    let (year, month, day) = doc.date(path)?;
    let small = |n: i32| u8::try_from(n).ok();
    let day = crate::config::Day::new(u16::try_from(year).ok()?, small(month)?, small(day)?)?;
    Some(day.number())
}

/// Codes that a document gives, whatever field holds them: list and value.
pub(super) fn codes(doc: &Doc) -> impl Iterator<Item = (&str, &str)> {
    doc.iter().filter_map(|(_, term)| match term {
        Term::Code { list, value } => Some((list.as_str(), value.as_str())),
        _ => None,
    })
}

pub(super) fn ensure(holds: bool, path: &str) -> Result<(), Miss> {
    if holds { Ok(()) } else { Err(Miss::at(path)) }
}
