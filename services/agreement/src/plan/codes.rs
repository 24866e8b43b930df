//! Closed lists of values (`[[code_lists]]`, catálogos): what a field may hold under one agreement. Issuer, recipient and
//! audit ask alike.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use super::violation::Violation;
use super::{MessagePlan, is_value};

/// Rule of a value that is not in the list of its field.
const RULE: &str = "code_list";

/// Whether a list can be about a field: a text, a code, or lines of a ledger, whose units are meant.
pub(super) fn can_have(field: &FieldDescriptor) -> bool {
    let kind = field.kind();
    kind == Kind::String || is_value(&kind, "Code") || is_value(&kind, "LedgerEntry")
}

/// Fields with a value that their list does not have. What is not set is in every list.
pub(super) fn check(plan: &MessagePlan, message: &DynamicMessage) -> Vec<Violation> {
    let fields = plan.fields.iter().filter_map(|plan| Some((&plan.field, plan.codes.as_deref()?)));
    let set = fields.filter(|(field, _)| message.has_field(field));
    let wrong = set.filter(|(field, codes)| !allowed(&message.get_field(field), codes));
    wrong.map(|(field, _)| Violation { path: field.name().to_owned(), rule: RULE.to_owned() }).collect()
}

fn allowed(value: &Value, codes: &[String]) -> bool {
    match value {
        Value::String(text) => text.is_empty() || codes.contains(text),
        Value::List(items) => items.iter().all(|item| allowed(item, codes)),
        Value::Message(message) => {
            let of = if message.descriptor().name() == "LedgerEntry" { "unit" } else { "value" };
            let has = message.has_field_by_name(of);
            !has || message.get_field_by_name(of).is_some_and(|inner| allowed(&inner, codes))
        }
        _ => true,
    }
}
