//! `deploy/demo/<agreement>/scenario.toml`: what one agreement's demonstration is made of, apart from the job orders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use convenio_script::Day;
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 1;
const MAX_SCENARIO: u64 = 1024 * 1024;
/// Most fictitious workers of one violation.
const MAX_VICTIMS: u32 = 50;

/// A violation that the demonstration plants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Violation {
    /// The origin suspends an agency; its further nominations fail there.
    SuspendedAtHome,
    /// The destination suspends an agency while the link is cut; nominations come back rejected.
    SuspendedByPartner,
    /// A contract with a lower wage than its order is refused.
    LowWage,
    /// A worse contract is presented to a worker who is employed.
    Substitution,
    /// More nominations than seats.
    OverSubscription,
}

impl Violation {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 5] =
        [Self::OverSubscription, Self::LowWage, Self::SuspendedAtHome, Self::SuspendedByPartner, Self::Substitution];

    /// Name as `--without` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SuspendedAtHome => "suspended-at-home",
            Self::SuspendedByPartner => "suspended-by-partner",
            Self::LowWage => "low-wage",
            Self::Substitution => "substitution",
            Self::OverSubscription => "over-subscription",
        }
    }
}

/// The whole file. Its comments say what each key means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    format: u32,
    pub agreement: String,
    pub first_line: String,
    pub job_orders: PathBuf,
    pub origin: State,
    pub destination: State,
    pub orders: Orders,
    pub terms: Terms,
    pub timeline: Timeline,
    pub workers: Workers,
    pub agencies: Vec<Agency>,
    pub interruptions: Interruptions,
    pub violations: BTreeMap<Violation, Planted>,
}

/// One of the two states.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub id: String,
    pub name: String,
    pub trust_domain: String,
    pub node: String,
    pub organisation: String,
    #[serde(default)]
    pub posts: Vec<Post>,
}

/// A consular post.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    pub post: String,
    pub organisation: String,
    pub districts: Vec<String>,
}

/// A code with its list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    pub list: String,
    pub value: String,
}

/// How rows of the file become job orders.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    pub external_system: String,
    pub extension: String,
    pub extension_json: String,
    pub labour_test_prefix: String,
    pub provinces: BTreeMap<String, String>,
    pub industry: Code,
    pub languages: Vec<String>,
    occupations: BTreeMap<String, String>,
}

/// Ranges of the synthetic terms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    pub currency: String,
    pub weekly_hours: [i64; 2],
    pub guaranteed_hours: [i64; 2],
    pub housing_weekly_cents: [i64; 2],
    pub persons_per_room: [i64; 2],
    pub first_start: Day,
    pub last_start: Day,
    pub weeks: [i64; 2],
    hourly_cents: BTreeMap<String, [i64; 2]>,
}

/// Days from the first or the last day of work.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeline {
    pub approved: i64,
    pub registered: i64,
    pub preselected: i64,
    pub nominated: i64,
    pub offered: i64,
    pub identified: i64,
    pub authored: i64,
    pub countersigned: i64,
    pub documented: i64,
    pub oriented: i64,
    pub permitted: i64,
    pub ready: i64,
    pub departed: i64,
    pub admitted: i64,
    pub employed: i64,
    pub confirmed: i64,
    pub ended: i64,
    pub exited: i64,
    pub returned: i64,
    pub closed: i64,
    pub permit_margin: i64,
}

/// What synthetic workers are drawn from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    pub nationality: String,
    pub occupation_list: String,
    pub external_system: String,
    pub public_employment_service: u64,
    pub licensed_agency: u64,
    pub birth_years: [i64; 2],
    pub women_of_hundred: u64,
    pub experience_years: [i64; 2],
    pub language: String,
    pub other_languages: Vec<(String, u64)>,
    pub national_id_prefix: String,
    pub passport_prefix: String,
    pub passport_country: String,
    pub passport_expiry: Day,
    pub acceptance_method: String,
    pub interviewer_notes: String,
    pub municipalities: Vec<(String, String)>,
    pub women: Vec<String>,
    pub men: Vec<String>,
    pub families: Vec<String>,
}

/// A fictitious agency.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agency {
    pub legal_name: String,
    pub district: String,
    pub origin_licence: String,
    pub destination_licence: String,
}

/// What is interrupted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interruptions {
    pub kill: String,
    pub cut_post: String,
}

/// One planted violation, with its fictitious order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planted {
    pub employer: String,
    pub locality: String,
    /// Whether an agency recruits.
    #[serde(default)]
    pub agency: bool,
    /// Seats of the order; as many as workers if absent.
    #[serde(default)]
    pub seats: Option<u32>,
    /// Least and most.
    pub workers: [u32; 2],
    /// Code of the finding that the audit must make of it.
    pub finding: String,
    pub reason_code: String,
    #[serde(default)]
    pub below_cents: Option<[i64; 2]>,
}

impl Scenario {
    /// Reads and checks the scenario of `agreement` that belongs to a folder of packs.
    ///
    /// # Errors
    /// What is wrong, naming the file.
    pub fn load(file: &Path, agreement: &str) -> anyhow::Result<Self> {
        let shown = file.display();
        let size = std::fs::metadata(file).with_context(|| format!("{shown}: no scenario for this agreement"))?.len();
        ensure!(size <= MAX_SCENARIO, "{shown}: larger than {MAX_SCENARIO} bytes");
        let text = std::fs::read_to_string(file).with_context(|| format!("{shown}: cannot be read"))?;
        let scenario: Self = toml::from_str(&text).with_context(|| format!("{shown}: not a scenario"))?;
        scenario.check(agreement).with_context(|| format!("{shown}: not a scenario of {agreement}"))?;
        Ok(scenario)
    }

    fn check(&self, agreement: &str) -> anyhow::Result<()> {
        ensure!(self.format == FORMAT, "format: must be {FORMAT}");
        ensure!(self.agreement == agreement, "agreement: is {}", self.agreement);
        ensure!(self.orders.occupations.contains_key("default"), "orders.occupations: no `default`");
        ensure!(self.terms.hourly_cents.contains_key("default"), "terms.hourly_cents: no `default`");
        ensure!(self.terms.first_start <= self.terms.last_start, "terms.last_start: before terms.first_start");
        let workers = &self.workers;
        let shares = workers.public_employment_service.saturating_add(workers.licensed_agency);
        ensure!(shares <= 100, "workers: shares are more than a hundred");
        for (key, empty) in [
            ("women", workers.women.is_empty()),
            ("men", workers.men.is_empty()),
            ("families", workers.families.is_empty()),
            ("municipalities", workers.municipalities.is_empty()),
        ] {
            ensure!(!empty, "workers.{key}: must not be empty");
        }
        // Each of the two suspensions has its own.
        ensure!(self.agencies.len() >= 2, "agencies: must be at least two");
        for (index, agency) in self.agencies.iter().enumerate() {
            let known = self.orders.provinces.values().any(|code| *code == agency.district);
            ensure!(known, "agencies[{index}].district: {} is not in orders.provinces", agency.district);
        }
        let killed = &self.interruptions.kill;
        ensure!([&self.origin.id, &self.destination.id].contains(&killed), "interruptions.kill: no party {killed}");
        let cut = &self.interruptions.cut_post;
        ensure!(self.origin.posts.iter().any(|p| p.post == *cut), "interruptions.cut_post: no post {cut}");
        self.check_planted()
    }

    fn check_planted(&self) -> anyhow::Result<()> {
        for violation in Violation::ALL {
            let name = violation.name();
            let planted = self.violations.get(&violation).with_context(|| format!("violations.{name}: missing"))?;
            let [least, most] = planted.workers;
            let bounded = 1 <= least && least <= most && most <= MAX_VICTIMS;
            ensure!(bounded, "violations.{name}.workers: must be [least, most], from 1 to {MAX_VICTIMS}");
            let suspends = matches!(violation, Violation::SuspendedAtHome | Violation::SuspendedByPartner);
            ensure!(planted.agency == suspends, "violations.{name}.agency: must be {suspends}");
            let presents = matches!(violation, Violation::LowWage | Violation::Substitution);
            let below = planted.below_cents.is_some_and(|[least, most]| 0 < least && least <= most);
            ensure!(below == presents, "violations.{name}.below_cents: must be [least, most] above 0, or absent");
        }
        Ok(())
    }
}

impl Orders {
    /// Occupation of the agreement's list for a national code.
    pub fn occupation(&self, national: &str) -> &str {
        entry(&self.occupations, national).map_or("", String::as_str)
    }
}

impl Terms {
    /// Range of the hourly wage for a national code, in minor units.
    pub fn hourly(&self, national: &str) -> [i64; 2] {
        entry(&self.hourly_cents, national).copied().unwrap_or_default()
    }
}

fn entry<'a, V>(map: &'a BTreeMap<String, V>, key: &str) -> Option<&'a V> {
    map.get(key).or_else(|| map.get("default"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/demo/sv-ca/scenario.toml");
        std::fs::read_to_string(file).expect("the shipped scenario")
    }

    #[test]
    fn the_shipped_scenario_is_one() {
        let scenario: Scenario = toml::from_str(&shipped()).expect("parses");
        scenario.check("sv-ca").expect("is checked");
        // Every party of a violation is labelled.
        assert!(scenario.violations.values().all(|v| v.employer.contains("fictitious")));
        assert!(scenario.agencies.iter().all(|a| a.legal_name.contains("fictitious")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, named) in [
            ("format = 1", "format = 2", "format"),
            ("kill = \"ca\"", "kill = \"mx\"", "interruptions.kill"),
            ("workers = [2, 6]", "workers = [6, 2]", "suspended-by-partner.workers"),
            ("agency = true\nworkers = [2, 5]", "workers = [2, 5]", "suspended-at-home.agency"),
            ("district = \"CA-BC\"", "district = \"CA-YT\"", "agencies[1].district"),
            ("below_cents = [150, 400]", "below_cents = [0, 400]", "substitution.below_cents"),
            ("last_start = \"2024-06-01\"", "last_start = \"2023-06-01\"", "terms.last_start"),
        ] {
            let scenario: Scenario = toml::from_str(&shipped().replace(from, to)).expect(named);
            let error = scenario.check("sv-ca").expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
