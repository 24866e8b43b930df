//! What the agreement limits: how many may come, for how long, to which work, and what may be taken from them.

use super::Engine;
use super::look::{Look, Miss, codes, day, ensure};
use crate::config::{Amount, Quota};
use crate::lifecycle::Role;
use crate::plan::{Doc, Term};

/// Registry paths that the limits read.
const ORDER_START: &str = "job_order.terms.start_date";
const HOUSING: &str = "contract.terms.housing.weekly_cost";

/// Divisions of ISIC Rev. 4 in each section, the first and the last (United Nations, Statistical Papers M 4/Rev. 4).
const SECTIONS: [(&str, u8, u8); 21] = [
    ("A", 1, 3),
    ("B", 5, 9),
    ("C", 10, 33),
    ("D", 35, 35),
    ("E", 36, 39),
    ("F", 41, 43),
    ("G", 45, 47),
    ("H", 49, 53),
    ("I", 55, 56),
    ("J", 58, 63),
    ("K", 64, 66),
    ("L", 68, 68),
    ("M", 69, 75),
    ("N", 77, 82),
    ("O", 84, 84),
    ("P", 85, 85),
    ("Q", 86, 88),
    ("R", 90, 93),
    ("S", 94, 96),
    ("T", 97, 98),
    ("U", 99, 99),
];

impl Engine<'_> {
    /// Every quota that covers the order has room, or counts this placement already. The destination owns them.
    pub(super) fn quota_free(&self, look: &Look<'_>) -> Result<(), Miss> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        let order = look.order().ok_or_else(|| Miss::at("placement.job_order"))?;
        let seat = look.view.and_then(|view| convenio_model::Ref::from_slice(&view.seat_in).ok());
        let counted = seat.and_then(|seat| look.world.order(seat)).map(|order| order.quotas.as_slice());
        let counted = counted.unwrap_or_default();
        let full = |quota: &&Quota| {
            let held = look.world.quota(&quota.name).map_or(0, |view| view.held);
            order.quotas.contains(&quota.name) && !counted.contains(&quota.name) && held >= quota.limit
        };
        let Some(quota) = self.pack.config().quotas.iter().find(full) else { return Ok(()) };
        let paths = vec!["placement.job_order".to_owned(), format!("quotas.{}", quota.name)];
        Err(Miss { clause: Some(quota.clause.clone()), paths, ..Miss::default() })
    }

    /// The contract, or before it the order, names its days, and they are no more than the longest stay.
    pub(super) fn within_stay(&self, look: &Look<'_>) -> Result<(), Miss> {
        let Some(stay) = self.pack.config().stay.filter(|_| look.sees(Role::Destination)) else { return Ok(()) };
        ensure(self.days(look).is_some_and(|days| days <= i64::from(stay.max_days)), "contract.terms.end_date")
    }

    /// The order names a branch of activity, and the agreement is for it.
    pub(super) fn sector_allowed(&self, look: &Look<'_>) -> Result<(), Miss> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        let order = self.order_doc(look).ok_or_else(|| Miss::at("placement.job_order"))?;
        let branches = &self.pack.config().sectors;
        let allowed =
            isic(&order).any(|code| branches.iter().any(|sector| sector.isic.iter().any(|own| covers(own, code))));
        ensure(allowed, "employer.industry")
    }

    /// Nothing is deducted for housing beyond what the agreement allows, and no fee is charged that it does not name.
    pub(super) fn fees_lawful(&self, look: &Look<'_>) -> Result<(), Miss> {
        let Some(fees) = self.pack.config().fees.as_ref().filter(|_| look.sees(Role::Destination)) else {
            return Ok(());
        };
        let contract = self.contract_doc(look).ok_or_else(|| Miss::at("contract.terms"))?;
        let mut paths = Vec::new();
        if contract.money(HOUSING).is_some_and(|cost| !within(cost, fees.housing_weekly_max.as_ref())) {
            paths.push(HOUSING.to_owned());
        }
        let own = look.content.iter().flat_map(|content| content.doc.iter());
        let charged = contract.iter().chain(own).filter(|(_, term)| charges(term));
        let unlawful = charged.filter_map(|(path, _)| Some((path, fee_kind(path)?)));
        paths.extend(
            unlawful
                .filter(|(_, kind)| !fees.worker_may_pay.iter().any(|own| same(own, kind)))
                .map(|(path, _)| path.to_owned()),
        );
        paths.dedup();
        if paths.is_empty() { Ok(()) } else { Err(Miss { paths, ..Miss::default() }) }
    }

    /// Names of the quotas whose scope covers an order, by its notice. What the notice does not say does not take it out
    /// of a scope.
    pub(super) fn quotas_of(&self, notice: &Doc, area: &str) -> Vec<String> {
        let start = day(notice, ORDER_START);
        let covers = |quota: &&Quota| {
            let in_time = start.is_none_or(|day| (quota.from.number()..=quota.until.number()).contains(&day));
            let in_area = quota.areas.is_empty() || area.is_empty() || quota.areas.iter().any(|own| own == area);
            let mut occupations = codes(notice).filter(|(list, _)| !list.starts_with("ISIC")).peekable();
            let any = quota.occupations.is_empty() || occupations.peek().is_none();
            in_time && in_area && (any || occupations.any(|(_, code)| quota.occupations.iter().any(|own| own == code)))
        };
        self.pack.config().quotas.iter().filter(covers).map(|quota| quota.name.clone()).collect()
    }

    /// Lowest age for work under an order, full years.
    #[must_use]
    pub fn minimum_age(&self, order: Option<&crate::view::OrderView>) -> u32 {
        let config = self.pack.config();
        let doc = order.and_then(|order| self.pack.read_kept(&order.message_name, &order.message));
        let ages = doc.iter().flat_map(isic).filter_map(|code| {
            let of = |sector: &&crate::config::Sector| sector.isic.iter().any(|own| covers(own, code));
            config.sectors.iter().filter(of).filter_map(|sector| sector.minimum_age).max()
        });
        ages.max().unwrap_or(config.minimum_age).max(config.minimum_age)
    }
}

fn isic(order: &Doc) -> impl Iterator<Item = &str> {
    codes(order).filter(|(list, _)| list.starts_with("ISIC")).map(|(_, code)| code)
}

/// Whether a section or a shorter code covers a code of ISIC.
fn covers(own: &str, code: &str) -> bool {
    let section = SECTIONS.iter().find(|(letter, ..)| *letter == own);
    match section {
        None => code.starts_with(own),
        Some((letter, first, last)) => {
            let division = code.get(..2).and_then(|digits| digits.parse::<u8>().ok());
            code == *letter || division.is_some_and(|division| (*first..=*last).contains(&division))
        }
    }
}

fn within((minor_units, currency): (i64, &str), most: Option<&Amount>) -> bool {
    minor_units == 0 || most.is_some_and(|most| minor_units <= most.minor_units && most.currency == currency)
}

fn charges(term: &Term) -> bool {
    match term {
        Term::Money { minor_units, .. } => *minor_units != 0,
        Term::Int(amount) => *amount != 0,
        Term::Bool(yes) => *yes,
        _ => false,
    }
}

/// What a fee is for, by the field that holds it: `recruitment` for `contract.agreement_data.recruitment_fee`.
fn fee_kind(path: &str) -> Option<String> {
    let leaf = path.rsplit('.').next()?;
    let is_fee = |word: &&str| matches!(*word, "fee" | "fees");
    leaf.split('_')
        .any(|word| is_fee(&word))
        .then(|| leaf.split('_').filter(|word| !is_fee(word)).collect::<Vec<_>>().join("_"))
}

/// Codes are written with dashes, fields with underscores.
fn same(code: &str, field: &str) -> bool {
    code.len() == field.len() && code.bytes().zip(field.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
}
