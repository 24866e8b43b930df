//! The season to be played, whole, before anything is started: orders with their terms, agencies, and which worker
//! goes to which seat.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use convenio_agreement::Pack;
use convenio_script::{Day, Draw, id};
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;

use super::orders::Row;
use super::scenario::{Planted, Scenario, Violation};

/// Everything that will be played.
pub struct Season {
    pub seed: u64,
    pub scenario: Scenario,
    pub pack: Pack,
    /// Employers by name, with their resource names.
    pub employers: BTreeMap<String, String>,
    pub orders: Vec<Order>,
    /// Resource names of the scenario's agencies, in its order.
    pub agencies: Vec<String>,
    /// Workers of the command line: those with a seat first.
    pub workers: Vec<Job>,
    /// Workers of the planted violations.
    pub victims: BTreeMap<Violation, Vec<Job>>,
    /// Rows of the file, and their seats.
    pub csv_orders: usize,
    pub csv_seats: u64,
}

/// A job order.
#[derive(Clone, Debug)]
pub struct Order {
    /// `jobOrders/{uuid}`.
    pub name: String,
    pub employer: String,
    pub title: String,
    pub subdivision: String,
    pub locality: String,
    pub noc_list: &'static str,
    pub noc: String,
    pub seats: u32,
    /// Key in the system that it comes from.
    pub key: String,
    pub first_day: Day,
    pub last_day: Day,
    /// Synthetic: the source file has none.
    pub terms: registry::EmploymentTerms,
}

/// One worker's way through the season.
#[derive(Clone, Debug)]
pub struct Job {
    /// Label of the worker: what it and its records are drawn from.
    pub label: String,
    /// `placements/{uuid}`.
    pub placement: String,
    /// Index of the order; `None` for a worker without a seat.
    pub order: Option<usize>,
    pub recruiter: value::RecruiterKind,
    /// Index of the agency that recruits.
    pub agency: Option<usize>,
    /// Minute of the day at which this worker's events happen.
    pub minute: i64,
}

impl Season {
    /// Plans the season of `seed`.
    ///
    /// # Errors
    /// The scenario names what the agreement does not have.
    pub fn plan(
        scenario: Scenario,
        pack: Pack,
        rows: &[Row],
        workers: u32,
        seed: u64,
        planted: &BTreeSet<Violation>,
    ) -> anyhow::Result<Self> {
        let csv_seats = rows.iter().map(|row| u64::from(row.seats)).sum();
        let agencies = (0..scenario.agencies.len()).map(|n| format!("agencies/{}", id(seed, &format!("agency/{n}"))));
        let mut season = Self {
            seed,
            pack,
            employers: BTreeMap::new(),
            orders: rows.iter().map(|row| Order::from_row(row, &scenario, seed)).collect(),
            agencies: agencies.collect(),
            workers: Vec::new(),
            victims: BTreeMap::new(),
            csv_orders: rows.len(),
            csv_seats,
            scenario,
        };
        season.workers = season.assign(workers);
        for violation in planted {
            season.plant(*violation)?;
        }
        for order in &season.orders {
            let name = || format!("employers/{}", id(seed, &format!("employer/{}", order.employer)));
            season.employers.entry(order.employer.clone()).or_insert_with(name);
        }
        if let Some(order) = season.orders.first() {
            season.extension(order).context("the scenario's orders.extension does not fit the agreement")?;
        }
        Ok(season)
    }

    /// Victims of `violation`; none if it is not planted.
    pub fn victims(&self, violation: Violation) -> &[Job] {
        self.victims.get(&violation).map_or(&[], Vec::as_slice)
    }

    /// How `violation` is planted; `None` if it is not.
    pub fn planted(&self, violation: Violation) -> Option<&Planted> {
        self.victims.contains_key(&violation).then(|| self.scenario.violations.get(&violation))?
    }

    /// The order of a job.
    pub fn order(&self, job: &Job) -> anyhow::Result<&Order> {
        job.order.and_then(|index| self.orders.get(index)).context("a job without an order is not played")
    }

    /// An event `days` after the first day of work.
    pub fn after_start(&self, job: &Job, days: i64) -> registry::Event {
        let first = self.order(job).map_or(self.scenario.terms.first_start, |order| order.first_day);
        happened(first.plus(days), job.minute)
    }

    /// An event `days` after the last day of work.
    pub fn after_end(&self, job: &Job, days: i64) -> registry::Event {
        let last = self.order(job).map_or(self.scenario.terms.last_start, |order| order.last_day);
        happened(last.plus(days), job.minute)
    }

    /// What the agreement adds to a job order.
    pub fn extension(&self, order: &Order) -> anyhow::Result<registry::AgreementData> {
        let orders = &self.scenario.orders;
        let descriptor = self.pack.pool().get_message_by_name(&orders.extension);
        let descriptor = descriptor.with_context(|| format!("the agreement has no message {}", orders.extension))?;
        let labour_test = format!("{}{:0>6}", orders.labour_test_prefix, order.key);
        let json = orders
            .extension_json
            .replace("{labour_test}", &labour_test)
            .replace("{noc_list}", order.noc_list)
            .replace("{noc}", &order.noc);
        let message = DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_str(&json))?;
        let value = prost_types::Any {
            type_url: format!("type.googleapis.com/{}", orders.extension),
            value: message.encode_to_vec(),
        };
        Ok(registry::AgreementData { agreement: self.scenario.agreement.clone(), value: Some(value) })
    }

    /// Seats in a random order, until workers or seats run out.
    fn assign(&self, workers: u32) -> Vec<Job> {
        let seats = self.orders.iter().enumerate();
        let mut seats: Vec<usize> = seats.flat_map(|(n, order)| std::iter::repeat_n(n, order.seats as usize)).collect();
        Draw::new(self.seed, "seats").shuffle(&mut seats);
        let mut seats = seats.into_iter();
        (0..workers).map(|n| self.job(format!("worker/{n}"), seats.next(), None)).collect()
    }

    fn job(&self, label: String, order: Option<usize>, fixed: Option<(value::RecruiterKind, Option<usize>)>) -> Job {
        let draw = Draw::new(self.seed, &format!("{label}/job"));
        let (recruiter, agency) = fixed.unwrap_or_else(|| self.recruiter(&draw, order));
        let placement = format!("placements/{}", id(self.seed, &format!("{label}/placement")));
        Job { placement, order, recruiter, agency, minute: draw.between(420, 1_080), label }
    }

    /// Who recruits; an agency only where it is licensed.
    fn recruiter(&self, draw: &Draw, order: Option<usize>) -> (value::RecruiterKind, Option<usize>) {
        let workers = &self.scenario.workers;
        let share = draw.below(100);
        let place = order.and_then(|n| self.orders.get(n)).map(|order| order.subdivision.as_str());
        let agency = self.scenario.agencies.iter().position(|a| Some(a.district.as_str()) == place);
        let direct_from = workers.public_employment_service + workers.licensed_agency;
        match agency {
            Some(_) if (workers.public_employment_service..direct_from).contains(&share) => {
                (value::RecruiterKind::LicensedAgency, agency)
            }
            _ if share >= direct_from && order.is_some() => (value::RecruiterKind::EmployerDirect, None),
            _ => (value::RecruiterKind::PublicEmploymentService, None),
        }
    }

    /// The agency that a suspension hits; which of them is drawn, and never the same for both.
    pub fn suspended(&self, violation: Violation) -> Option<usize> {
        let first = Draw::new(self.seed, "suspended").below(self.agencies.len() as u64);
        let other = match violation {
            Violation::SuspendedAtHome => 0,
            Violation::SuspendedByPartner => 1,
            Violation::LowWage | Violation::Substitution | Violation::OverSubscription => return None,
        };
        Some((usize::try_from(first).ok()? + other) % self.agencies.len())
    }

    /// An additional order of a fictitious employer, and its workers.
    fn plant(&mut self, violation: Violation) -> anyhow::Result<()> {
        let planted = self.scenario.violations.get(&violation).context("checked with the scenario")?;
        let draw = Draw::new(self.seed, &format!("victims/{}", violation.name()));
        let [least, most] = planted.workers.map(i64::from);
        let workers = u32::try_from(draw.between(least, most))?;
        let agency = self.suspended(violation);
        let of_agency = agency.and_then(|index| self.scenario.agencies.get(index)).map(|a| &a.district);
        let provinces: Vec<&String> = self.scenario.orders.provinces.values().collect();
        let subdivision = of_agency.or_else(|| draw.pick(&provinces).copied()).context("the scenario has provinces")?;
        let row = Row {
            number: self.orders.len() + 1,
            employer: planted.employer.clone(),
            locality: planted.locality.clone(),
            subdivision: subdivision.clone(),
            seats: planted.seats.unwrap_or(workers),
            noc_list: "NOC-2016",
            noc: "8431".to_owned(),
            title: "General farm workers (fictitious order)".to_owned(),
        };
        let by = match agency {
            Some(_) => (value::RecruiterKind::LicensedAgency, agency),
            None => (value::RecruiterKind::PublicEmploymentService, None),
        };
        let order = self.orders.len();
        let label = |n: u32| format!("victim/{}/{n}", violation.name());
        let victims = (0..workers).map(|n| self.job(label(n), Some(order), Some(by))).collect();
        self.orders.push(Order::from_row(&row, &self.scenario, self.seed));
        self.victims.insert(violation, victims);
        Ok(())
    }
}

impl Order {
    fn from_row(row: &Row, scenario: &Scenario, seed: u64) -> Self {
        let draw = Draw::new(seed, &format!("order/{}", row.number));
        let ranges = &scenario.terms;
        let span = ranges.first_start.until(ranges.last_start);
        let first_day = ranges.first_start.plus(draw.between(0, span));
        let last_day = first_day.plus(7 * draw.between(ranges.weeks[0], ranges.weeks[1]) - 1);
        Self {
            name: format!("jobOrders/{}", id(seed, &format!("order/{}/name", row.number))),
            employer: row.employer.clone(),
            title: row.title.clone(),
            subdivision: row.subdivision.clone(),
            locality: row.locality.clone(),
            noc_list: row.noc_list,
            noc: row.noc.clone(),
            seats: row.seats,
            key: row.number.to_string(),
            first_day,
            last_day,
            terms: terms(scenario, &draw, &row.noc, first_day, last_day),
        }
    }

    /// Where the work is.
    pub fn place(&self) -> value::Place {
        let country = self.subdivision.split('-').next().unwrap_or_default();
        value::Place {
            country_code: country.to_owned(),
            subdivision_code: self.subdivision.clone(),
            locality: self.locality.clone(),
        }
    }
}

fn terms(scenario: &Scenario, draw: &Draw, noc: &str, first: Day, last: Day) -> registry::EmploymentTerms {
    let ranges = &scenario.terms;
    let between = |[least, most]: [i64; 2]| draw.between(least, most);
    let small = |n: i64| i32::try_from(n).unwrap_or_default();
    let money = |cents| value::Money { minor_units: cents, currency_code: ranges.currency.clone() };
    registry::EmploymentTerms {
        wage_basis: value::WageBasis::Hour.into(),
        // Wages are stated to five cents.
        wage_rate: Some(money(between(ranges.hourly(noc)) / 5 * 5)),
        weekly_hours_tenths: small(10 * between(ranges.weekly_hours)),
        guaranteed_weekly_hours_tenths: small(10 * between(ranges.guaranteed_hours)),
        start_date: Some(first.wire()),
        end_date: Some(last.wire()),
        housing: Some(registry::Housing {
            provided: true,
            weekly_cost: Some(money(between(ranges.housing_weekly_cents) / 100 * 100)),
            persons_per_room: small(between(ranges.persons_per_room)),
        }),
        employer_pays_travel: true,
        ..registry::EmploymentTerms::default()
    }
}

/// Something of that season: recorded now, happened then.
fn happened(day: Day, minute: i64) -> registry::Event {
    registry::Event { time_ms: day.at_minute(minute), historical: true, ..registry::Event::default() }
}

#[cfg(test)]
mod tests;
