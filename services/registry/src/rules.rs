//! The rules of a request: those of its descriptors, then what descriptors cannot say.

use convenio_agreement::plan::{Record, Root};
use convenio_exchange::Core;
use convenio_wire::registry::v1::{AgreementData, EmploymentTerms, Licence};
use convenio_wire::r#type::v1::Date;
use prost::Message;
use prost_protovalidate::{Error as RuleError, Validator};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};

use crate::dates;
use crate::error::{RegistryError, Violation, extension};

/// How far ahead of this node's clock an event may lie.
const MAX_AHEAD_MS: u64 = 5 * 60 * 1000;

/// The compiled rules of the contract.
pub(crate) struct Rules {
    pool: DescriptorPool,
    validator: Validator,
}

impl Rules {
    pub fn new() -> Result<Self, RegistryError> {
        let pool = DescriptorPool::decode(convenio_wire::DESCRIPTORS)
            .map_err(|_| RegistryError::Internal("the contract's descriptors"))?;
        Ok(Self { pool, validator: Validator::new() })
    }

    /// Checks a request by the rules of `message`, a full name; paths begin at its fields.
    pub fn request<M: Message>(&self, message: &str, value: &M) -> Result<(), RegistryError> {
        let descriptor = self.pool.get_message_by_name(message);
        let descriptor = descriptor.ok_or(RegistryError::Internal("the contract lacks a message"))?;
        self.check(descriptor, "", value)
    }

    /// Checks a record; paths begin at the record, for example `job_order.seats`.
    pub fn record<R: Record>(&self, value: &R) -> Result<(), RegistryError> {
        self.check(R::ROOT.descriptor().clone(), R::ROOT.as_str(), value)
    }

    fn check<M: Message>(&self, descriptor: MessageDescriptor, prefix: &str, value: &M) -> Result<(), RegistryError> {
        let message = DynamicMessage::decode(descriptor, value.encode_to_vec().as_slice())
            .map_err(|_| RegistryError::Internal("the contract's descriptors"))?;
        let mut found = Problems::default();
        match self.validator.validate(&message) {
            Ok(()) => {}
            Err(RuleError::Validation(error)) => {
                for violation in error.violations() {
                    found.add(joined(prefix, &violation.field_path()), violation.rule_id());
                }
            }
            Err(_) => return Err(RegistryError::Internal("a rule of the contract")),
        }
        walk_dates(&message, prefix, &mut found);
        found.into_result()
    }
}

/// Violations, collected.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Violation>);

impl Problems {
    pub fn add(&mut self, field: impl Into<String>, description: &str) {
        self.0.push(Violation::new(field, description));
    }

    pub fn require(&mut self, holds: bool, field: impl Into<String>, description: &str) {
        if !holds {
            self.add(field, description);
        }
    }

    pub fn into_result(mut self) -> Result<(), RegistryError> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.sort_by(|a, b| (&a.field, &a.description).cmp(&(&b.field, &b.description)));
        self.0.dedup();
        Err(RegistryError::Invalid(self.0))
    }
}

/// Terms: the order of their dates, one currency, paid hours within the hours.
pub(crate) fn terms_problems(terms: &EmploymentTerms, path: &str, found: &mut Problems) {
    let ordered = in_order(terms.start_date.as_ref(), terms.end_date.as_ref());
    found.require(ordered, format!("{path}.end_date"), "before the start");
    let guaranteed =
        terms.weekly_hours_tenths == 0 || terms.guaranteed_weekly_hours_tenths <= terms.weekly_hours_tenths;
    found.require(guaranteed, format!("{path}.guaranteed_weekly_hours_tenths"), "more than the weekly hours");
    let cost = terms.housing.as_ref().and_then(|h| h.weekly_cost.as_ref());
    if let (Some(wage), Some(cost)) = (&terms.wage_rate, cost) {
        let same = wage.currency_code == cost.currency_code;
        found.require(same, format!("{path}.housing.weekly_cost.currency_code"), "not the wage's currency");
    }
    let deductions = terms.weekly_deductions.as_ref();
    if let (Some(wage), Some(deductions)) = (&terms.wage_rate, deductions) {
        let same = wage.currency_code == deductions.currency_code;
        found.require(same, format!("{path}.weekly_deductions.currency_code"), "not the wage's currency");
    }
    let amounts =
        [(terms.wage_rate.as_ref(), "wage_rate"), (cost, "housing.weekly_cost"), (deductions, "weekly_deductions")];
    for (money, field) in amounts {
        found.require(money.is_none_or(|m| m.minor_units >= 0), format!("{path}.{field}.minor_units"), "negative");
    }
}

/// A licence's days are in order.
pub(crate) fn licence_problems(licence: &Licence, path: &str, found: &mut Problems) {
    let ordered = in_order(licence.valid_from.as_ref(), licence.valid_to.as_ref());
    found.require(ordered, format!("{path}.valid_to"), "before the first day");
}

/// What single agreements add: each in force here, extended by it, once, within its rules.
pub(crate) fn agreement_data(core: &Core, of: Root, data: &[AgreementData]) -> Result<(), RegistryError> {
    let mut found = Vec::new();
    for (index, entry) in data.iter().enumerate() {
        let path = format!("{of}.agreement_data[{index}]");
        let exchange = core.exchange(&entry.agreement);
        let exchange = exchange.ok_or_else(|| not_in_force(format!("{path}.agreement")))?;
        if data[..index].iter().any(|other| other.agreement == entry.agreement) {
            found.push(Violation::new(format!("{path}.agreement"), "twice"));
        }
        match &entry.value {
            None => found.push(Violation::new(format!("{path}.value"), "required")),
            Some(any) => {
                found.extend(exchange.pack().check_extension(of, any).err().map(extension).unwrap_or_default())
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(RegistryError::Invalid(found)) }
}

/// The agreement that a field names is not in force here.
pub(crate) fn not_in_force(field: impl Into<String>) -> RegistryError {
    RegistryError::NotInForce(vec![Violation::new(field, "not in force here")])
}

/// When something happened: `time_ms`, 0 for now; not in the future, but for clocks that differ.
pub(crate) fn event_time(time_ms: i64, now_ms: u64, field: &str) -> Result<u64, RegistryError> {
    match u64::try_from(time_ms) {
        Ok(0) => Ok(now_ms),
        Ok(time) if time <= now_ms.saturating_add(MAX_AHEAD_MS) => Ok(time),
        Ok(_) => Err(RegistryError::field(field, "in the future")),
        Err(_) => Err(RegistryError::field(field, "negative")),
    }
}

fn in_order(first: Option<&Date>, last: Option<&Date>) -> bool {
    first.zip(last).is_none_or(|(first, last)| dates::order(first) <= dates::order(last))
}

/// Every date of a message must exist.
fn walk_dates(message: &DynamicMessage, path: &str, found: &mut Problems) {
    for (field, value) in message.fields() {
        if matches!(field.kind(), Kind::Message(_)) {
            walk_value(value, &joined(path, field.name()), found);
        }
    }
}

fn walk_value(value: &Value, path: &str, found: &mut Problems) {
    match value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk_value(item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Message(inner) if inner_is_date(inner) => {
            let date: Result<Date, _> = inner.transcode_to();
            found.require(date.is_ok_and(|date| dates::exists(&date)), path, "no date of the calendar");
        }
        Value::Message(inner) => walk_dates(inner, path, found),
        _ => {}
    }
}

fn inner_is_date(message: &DynamicMessage) -> bool {
    prost_reflect::ReflectMessage::descriptor(message).full_name() == "convenio.type.v1.Date"
}

fn joined(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, path) => format!("{prefix}.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use convenio_wire::registry::v1::{CreateJobOrderRequest, Employer, JobOrder, Worker};
    use convenio_wire::r#type::v1::Money;

    use super::*;

    fn fields(result: Result<(), RegistryError>) -> Vec<String> {
        match result {
            Ok(()) => Vec::new(),
            Err(error) => error.violations().iter().map(|v| v.field.clone()).collect(),
        }
    }

    #[test]
    fn a_request_is_told_its_fields() {
        let rules = Rules::new().unwrap();
        let order = JobOrder { agreement: "sv-ca".into(), title: "T".into(), seats: -1, ..JobOrder::default() };
        let request = CreateJobOrderRequest { job_order: Some(order), job_order_id: "X".into(), ..Default::default() };
        let found = fields(rules.request("convenio.registry.v1.CreateJobOrderRequest", &request));
        assert_eq!(found, ["job_order.seats", "job_order_id"]);
        let none = CreateJobOrderRequest::default();
        assert_eq!(fields(rules.request("convenio.registry.v1.CreateJobOrderRequest", &none)), ["job_order"]);
    }

    #[test]
    fn a_record_is_told_its_fields() {
        let rules = Rules::new().unwrap();
        assert_eq!(fields(rules.record(&Employer::default())), ["employer.legal_name"]);
        let worker = Worker {
            given_names: "Ana".into(),
            family_names: "X".into(),
            nationality: "SV".into(),
            birth_date: Some(Date { year: 2001, month: 2, day: 30 }),
            ..Worker::default()
        };
        assert_eq!(fields(rules.record(&worker)), ["worker.birth_date"]);
    }

    #[test]
    fn terms_agree_with_themselves() {
        let money = |currency_code: &str| Some(Money { minor_units: 1, currency_code: currency_code.into() });
        let terms = EmploymentTerms {
            wage_rate: money("CAD"),
            start_date: Some(Date { year: 2024, month: 5, day: 2 }),
            end_date: Some(Date { year: 2024, month: 5, day: 1 }),
            weekly_hours_tenths: 400,
            guaranteed_weekly_hours_tenths: 401,
            housing: Some(convenio_wire::registry::v1::Housing { weekly_cost: money("USD"), ..Default::default() }),
            ..EmploymentTerms::default()
        };
        let mut found = Problems::default();
        terms_problems(&terms, "contract.terms", &mut found);
        let expected = [
            "contract.terms.end_date",
            "contract.terms.guaranteed_weekly_hours_tenths",
            "contract.terms.housing.weekly_cost.currency_code",
        ];
        assert_eq!(fields(found.into_result()), expected);
    }

    #[test]
    fn an_event_is_not_in_the_future() {
        assert_eq!(event_time(0, 7, "t").unwrap(), 7);
        assert_eq!(event_time(300_007, 7, "t").unwrap(), 300_007);
        assert_eq!(fields(event_time(300_008, 7, "t").map(drop)), ["t"]);
        assert_eq!(fields(event_time(-1, 7, "t").map(drop)), ["t"]);
    }
}
