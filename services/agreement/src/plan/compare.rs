//! Terms of employment side by side: substitution of a contract (sustitución de contrato) is found here.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, Kind};

use super::{Compare, Doc, MessagePlan, Term};
use crate::config::Origin;
use crate::lifecycle::Lifecycle;
use crate::pack::{Pack, PackError, Place};

/// Fields of `EmploymentTerms`: a wage says nothing apart from what one unit of it pays for.
const WAGE: &str = "wage_rate";
const UNITS: [&str; 2] = ["wage_basis", "piece_unit"];
/// Where an order says what its contract says among the terms.
const OF_ORDER: [(&str, &str); 2] =
    [("terms.employer_name", "employer.legal_name"), ("terms.place", "job_order.place")];
/// How an absent term is shown.
const ABSENT: &str = "–";

/// A term that is worse for the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worse {
    /// Path after the root, for example `terms.wage_rate`.
    pub path: String,
    /// What was agreed, for people: `17.20 CAD`, `2024-05-01`, `40.0`, `WAGE_BASIS_HOUR`.
    pub agreed: String,
    /// What it is compared with.
    pub other: String,
}

/// How one term is compared.
#[derive(Debug, Clone)]
pub(crate) struct TermRule {
    suffix: String,
    compare: Compare,
    /// To name its values.
    names: Option<EnumDescriptor>,
}

/// Collects the comparisons of all messages that carry terms. Two that compare one term differently would
/// make it matter which of them is asked.
pub(crate) fn term_rules(
    plans: &BTreeMap<String, MessagePlan>,
    lifecycle: &Lifecycle,
    origin: Origin<'_>,
) -> Result<Vec<TermRule>, PackError> {
    let mut rules: Vec<TermRule> = Vec::new();
    for (index, fact) in lifecycle.facts.iter().enumerate().filter(|(_, f)| f.terms.is_some()) {
        let lead = fact.messages.first().and_then(|lead| plans.get(&**lead));
        let fields = lead.iter().flat_map(|plan| &plan.fields);
        let mut compared = 0;
        for plan in fields.filter(|plan| plan.compare != Compare::Never) {
            compared += 1;
            let suffix = plan.source.suffix();
            match rules.iter().find(|rule| rule.suffix == suffix) {
                Some(rule) if rule.compare == plan.compare => {}
                Some(_) => return Err(plan.field.error("another message compares it otherwise")),
                None => rules.push(TermRule {
                    suffix: suffix.to_owned(),
                    compare: plan.compare,
                    names: match plan.field.kind() {
                        Kind::Enum(names) => Some(names),
                        _ => None,
                    },
                }),
            }
        }
        if compared == 0 {
            let key = format!("lifecycle.facts[{index}].terms");
            return Err(origin.error(&key, "its message compares no term"));
        }
    }
    Ok(rules)
}

/// The terms of `other` that are worse for the worker than those of `agreed`, by the agreement's
/// comparisons. Terms are matched by their path after the root (`job_order.terms.x` and
/// `contract.terms.x`); one that either message does not have at all is not compared. A date or wage that
/// was agreed and is missing is worse, as is a text, code or place that must be the same; a cost that was not agreed is worse if it is more than nothing.
/// Amounts in different currencies are worse; a wage is compared only where its basis and its piece are the same.
/// Employer and place of an order are those of `employer.legal_name` and `job_order.place`.
#[must_use]
pub fn compare_terms(pack: &Pack, agreed: &Doc, other: &Doc) -> Vec<Worse> {
    compare(pack, agreed, other, false)
}

/// As [`compare_terms`], of terms that were seen in use or paid: what an observer does not state of a text, code or place
/// is no difference.
#[must_use]
pub fn compare_observed(pack: &Pack, agreed: &Doc, observed: &Doc) -> Vec<Worse> {
    compare(pack, agreed, observed, true)
}

fn compare(pack: &Pack, agreed: &Doc, other: &Doc, observed: bool) -> Vec<Worse> {
    let mut found = Vec::new();
    for rule in pack.terms() {
        let Some((a, b)) = term_of(agreed, &rule.suffix).zip(term_of(other, &rule.suffix)) else { continue };
        let silent = observed && rule.compare == Compare::MustEqual && stated(b).is_none();
        if !silent && rule.comparable(agreed, other) && rule.is_worse(a, b) {
            found.push(Worse { path: rule.suffix.clone(), agreed: rule.show(a), other: rule.show(b) });
        }
    }
    found
}

impl TermRule {
    /// A wage says nothing beside one of another basis or another kind of piece, which is a finding of its own.
    fn comparable(&self, agreed: &Doc, other: &Doc) -> bool {
        let Some(parent) = self.suffix.strip_suffix(WAGE) else { return true };
        UNITS.iter().all(|unit| {
            let unit = format!("{parent}{unit}");
            let both = agreed.by_suffix(&unit).zip(other.by_suffix(&unit));
            both.is_none_or(|(a, b)| a == b)
        })
    }

    fn is_worse(&self, agreed: Option<&Term>, other: Option<&Term>) -> bool {
        let worse = match self.compare {
            Compare::Never => return false,
            Compare::MustEqual => return stated(agreed).is_some() && agreed != other,
            Compare::LowerIsWorse => Ordering::Less,
            Compare::HigherIsWorse => Ordering::Greater,
        };
        match (agreed, other) {
            (None, None) => false,
            (Some(Term::Money { .. }), None) => worse == Ordering::Less,
            (Some(_), None) => true,
            (None, Some(Term::Money { minor_units, .. })) => worse == Ordering::Greater && *minor_units > 0,
            (None, Some(_)) => false,
            (Some(agreed), Some(other)) => order(other, agreed).is_none_or(|order| order == worse),
        }
    }

    fn show(&self, term: Option<&Term>) -> String {
        match term {
            None => ABSENT.to_owned(),
            Some(Term::Enum(number)) => {
                let value = self.names.as_ref().and_then(|names| names.get_value(*number));
                value.map_or_else(|| number.to_string(), |value| value.name().to_owned())
            }
            Some(Term::Int(tenths)) if self.suffix.ends_with("_tenths") => {
                let sign = if *tenths < 0 { "-" } else { "" };
                let tenths = tenths.unsigned_abs();
                format!("{sign}{}.{}", tenths / 10, tenths % 10)
            }
            Some(term) => show(term),
        }
    }
}

/// A term of either document: where it stands among the terms, or where an order says it.
fn term_of<'d>(doc: &'d Doc, suffix: &str) -> Option<Option<&'d Term>> {
    let of_order = || OF_ORDER.iter().find(|(own, _)| *own == suffix).and_then(|(_, path)| doc.field(path));
    doc.by_suffix(suffix).or_else(of_order)
}

/// An empty text states nothing.
fn stated(term: Option<&Term>) -> Option<&Term> {
    term.filter(|term| !matches!(term, Term::Text(text) if text.is_empty()))
}

/// Order of two values of one kind; `None` if they have none, as amounts in different currencies.
fn order(a: &Term, b: &Term) -> Option<Ordering> {
    match (a, b) {
        (Term::Int(a), Term::Int(b)) => Some(a.cmp(b)),
        (Term::Bool(a), Term::Bool(b)) => Some(a.cmp(b)),
        (Term::Money { minor_units: a, currency: of_a }, Term::Money { minor_units: b, currency: of_b }) => {
            (of_a == of_b).then(|| a.cmp(b))
        }
        (Term::Date { year, month, day }, Term::Date { year: y, month: m, day: d }) => {
            Some((year, month, day).cmp(&(y, m, d)))
        }
        _ => None,
    }
}

fn show(term: &Term) -> String {
    match term {
        Term::Int(value) => value.to_string(),
        Term::Bool(value) => value.to_string(),
        Term::Text(value) => value.clone(),
        Term::Bytes(value) => hex::encode(value),
        Term::Enum(value) => value.to_string(),
        Term::Line(line) => {
            let (year, month, day) = line.day;
            let (minor_units, currency) = line.amount.clone();
            format!("{} {}", show(&Term::Date { year, month, day }), show(&Term::Money { minor_units, currency }))
        }
        Term::Money { minor_units, currency } => {
            let sign = if *minor_units < 0 { "-" } else { "" };
            let minor = minor_units.unsigned_abs();
            format!("{sign}{}.{:02} {currency}", minor / 100, minor % 100)
        }
        Term::Date { year, month, day } => format!("{year:04}-{month:02}-{day:02}"),
        Term::Code { list, value } => format!("{list} {value}"),
        Term::Place { country, subdivision, locality } => {
            let parts = [locality.as_str(), subdivision, country];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
        }
        Term::List(values) => values.iter().map(show).collect::<Vec<_>>().join(", "),
    }
}
