//! Every mirrored record at one point of the logs: counts by state, and one subject as each side knew it then.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::{PlacementView, TermsView};
use convenio_agreement::{Pack, plan::Term};
use convenio_model::Ref;
use serde::Serialize;

use crate::audit::Audit;
use crate::history::{At, ErasedRecord, History, ReplaySummary, SubjectView, Visit};
use crate::problem::Unusable;

/// One exchange at a point. As JSON: these members by these names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StateReport {
    /// Agreement.
    pub agreement: String,
    /// Digest of the version in force at the end of the logs; what is older was judged by the version of its time.
    pub digest: String,
    /// Placements by state, as the origin knew them.
    pub origin: BTreeMap<String, u64>,
    /// Placements by state, as the destination knew them.
    pub destination: BTreeMap<String, u64>,
    /// Job orders: open ones.
    pub open_orders: u64,
    /// All job orders.
    pub orders: u64,
    /// Agencies.
    pub agencies: u64,
    /// Crew lists.
    pub crews: u64,
    /// Records replayed.
    pub records: u64,
    /// Records that could not be judged because a part is erased.
    pub indeterminate: u64,
    /// Placements on which the sides differ where they must not.
    pub disagreements: u64,
    /// One subject, if one was asked for and is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectReport>,
}

/// One subject as each side knew it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SubjectReport {
    /// Resource name.
    pub subject: String,
    /// As the origin knew it.
    pub origin: BTreeMap<String, String>,
    /// As the destination knew it.
    pub destination: BTreeMap<String, String>,
}

/// Replays every exchange up to `at`. Nothing if integrity does not hold.
///
/// # Errors
/// [`Unusable`].
pub fn state(audit: &Audit, at: &At, subject: Option<&str>) -> Result<Vec<StateReport>, Unusable> {
    let mut found = Vec::new();
    if !audit.holds() {
        return Ok(found);
    }
    for exchange in audit.exchanges() {
        let mut count = Count { pack: &exchange.pack, wanted: subject, report: StateReport::default(), erased: 0 };
        let ReplaySummary { records, indeterminate, disagreements, .. } = audit.replay(&exchange, at, &mut count)?;
        let report = count.report;
        found.push(StateReport {
            agreement: exchange.pack.id().to_owned(),
            digest: hex::encode(exchange.pack.digest()),
            records,
            indeterminate: indeterminate.max(count.erased),
            disagreements,
            ..report
        });
    }
    Ok(found)
}

struct Count<'c> {
    pack: &'c Pack,
    wanted: Option<&'c str>,
    report: StateReport,
    erased: u64,
}

impl Visit for Count<'_> {
    fn history(&mut self, history: History) {
        for (role, counts) in
            [(Role::Origin, &mut self.report.origin), (Role::Destination, &mut self.report.destination)]
        {
            if let Some(view) = history.placement(role) {
                *counts.entry(view.state.clone()).or_default() += 1;
            }
        }
        match history.side(Role::Destination).or(history.side(Role::Origin)) {
            Some(SubjectView::Order(view)) => {
                self.report.orders += 1;
                self.report.open_orders += u64::from(view.open);
            }
            Some(SubjectView::Agency(_)) => self.report.agencies += 1,
            Some(SubjectView::Crew(_)) => self.report.crews += 1,
            _ => {}
        }
        if self.wanted == Some(&*history.subject) {
            let side = |role| history.side(role).map(|view| members(self.pack, view)).unwrap_or_default();
            let (origin, destination) = (side(Role::Origin), side(Role::Destination));
            self.report.subject = Some(SubjectReport { subject: history.subject, origin, destination });
        }
    }

    fn erased(&mut self, _record: ErasedRecord) {
        self.erased += 1;
    }
}

/// What a side knows, in words: references, states and contract terms, no personal data.
fn members(pack: &Pack, view: &SubjectView) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            out.insert(name.to_owned(), value);
        }
    };
    match view {
        SubjectView::Placement(view) => placement(pack, view, &mut put),
        SubjectView::Order(view) => {
            put("open", view.open.to_string());
            put("seats", view.seats.to_string());
            put("held", view.held.to_string());
            put("area", view.area.clone());
        }
        SubjectView::Agency(view) => {
            put("legal_name", view.legal_name.clone());
            for licence in &view.licences {
                let owner = if licence.by_origin { "origin" } else { "destination" };
                put(&format!("licence.{owner}.{}", licence.jurisdiction), licence_state(licence.state));
            }
        }
        SubjectView::Crew(view) => {
            for said in &view.said {
                let owner = if said.by_origin { "origin" } else { "destination" };
                let doc = pack.read_kept(&said.message_name, &said.message).unwrap_or_default();
                let counts = doc.iter().filter(|(path, _)| COUNTED.contains(path));
                counts.for_each(|(path, term)| put(&format!("{owner}.{path}"), word(term)));
            }
        }
    }
    out
}

/// What of a crew list is told in words: counts and references, no name of a leader.
const COUNTED: [&str; 4] = ["crew.job_order", "crew.size", "crew.placed", "crew.season"];

fn licence_state(number: i32) -> String {
    let state = convenio_wire::r#type::v1::LicenceState::try_from(number);
    state.map_or_else(|_| number.to_string(), |state| state.as_str_name().to_owned())
}

fn placement(pack: &Pack, view: &PlacementView, put: &mut impl FnMut(&str, String)) {
    let reference = |bytes: &[u8]| Ref::from_slice(bytes).map(|id| id.to_string()).unwrap_or_default();
    put("state", view.state.clone());
    put("number", view.number.to_string());
    put("order", reference(&view.order));
    put("agency", reference(&view.agency));
    put("seat_in", reference(&view.seat_in));
    let pending = view.pending.iter().map(|pending| format!("{} → {}", pending.act, pending.to));
    put("pending", pending.collect::<Vec<_>>().join(", "));
    let facts = view.facts.iter().map(|fact| format!("{} ({})", fact.name, crate::moment::rfc3339(fact.event_time_ms)));
    put("facts", facts.collect::<Vec<_>>().join(", "));
    if let Some(rejected) = &view.rejected {
        put("rejected", format!("{} {} {}", rejected.act, rejected.reason, rejected.gate).trim_end().to_owned());
    }
    let agreed = view.agreed.iter().map(|terms| ("agreed", terms));
    for (kind, terms) in agreed.chain(view.observed.last().map(|terms| ("observed", terms))) {
        for (path, value) in terms_of(pack, terms) {
            put(&format!("{kind}.{path}"), value);
        }
    }
}

/// Terms of a contract; whatever else the message carries is left out.
fn terms_of(pack: &Pack, terms: &TermsView) -> Vec<(String, String)> {
    let doc = pack.read(&terms.message_name, &terms.message).unwrap_or_default();
    let of_terms = doc.iter().filter(|(path, _)| path.contains(".terms."));
    of_terms.map(|(path, term)| (path.to_owned(), word(term))).collect()
}

fn word(term: &Term) -> String {
    match term {
        Term::Int(value) => value.to_string(),
        Term::Bool(value) => value.to_string(),
        Term::Text(value) => value.clone(),
        Term::Bytes(value) => hex::encode(value),
        Term::Enum(value) => value.to_string(),
        Term::Money { minor_units, currency } => format!("{minor_units} × 0.01 {currency}"),
        Term::Date { year, month, day } => format!("{year:04}-{month:02}-{day:02}"),
        Term::Code { list, value } => format!("{list} {value}"),
        Term::Place { country, subdivision, .. } => format!("{country} {subdivision}").trim_end().to_owned(),
        Term::Line(line) => {
            let (year, month, day) = line.day;
            format!("{year:04}-{month:02}-{day:02} {} × 0.01 {}", line.amount.0, line.amount.1)
        }
        Term::List(values) => values.iter().map(word).collect::<Vec<_>>().join(", "),
    }
}

/// The counts, for people.
#[must_use]
pub fn text(reports: &[StateReport]) -> String {
    let mut out = String::new();
    for report in reports {
        let _ = writeln!(out, "{} {}", report.agreement, report.digest);
        for (side, counts) in [("origin", &report.origin), ("destination", &report.destination)] {
            for (state, count) in counts {
                let _ = writeln!(out, "  {side:<12}{state:<24}{count}");
            }
        }
        let _ = writeln!(
            out,
            "  {} records, {} indeterminate, {} job orders ({} open), {} agencies, {} disagreements",
            report.records,
            report.indeterminate,
            report.orders,
            report.open_orders,
            report.agencies,
            report.disagreements
        );
        if let Some(subject) = &report.subject {
            let _ = writeln!(out, "  {}", subject.subject);
            for (side, members) in [("origin", &subject.origin), ("destination", &subject.destination)] {
                for (name, value) in members {
                    let _ = writeln!(out, "    {side:<12}{name}: {value}");
                }
            }
        }
    }
    out
}
