//! What is wrong with a message: where, and which rule. Never a value.

use std::fmt;

use prost_protovalidate::{Error as RuleError, Validator};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

/// Rule of an enum value that is not declared.
const ENUM_RULE: &str = "enum.defined_only";
/// Rule of CEL that failed to run.
const FAILED_RULE: &str = "rule_failed";
/// Most problems of one message that are told; a partner chooses how many there are.
const MAX_TOLD: usize = 32;

/// A rule that a field breaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Path of the field; empty for a rule of the whole message.
    pub path: String,
    /// Stable id of the rule, for example `string.pattern` or `required`.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.rule)
    }
}

/// Several, for a message to people.
pub(super) fn joined<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Checks the `buf.validate` rules, and that every enum value is declared.
pub(super) fn check(validator: &Validator, message: &DynamicMessage) -> Vec<Violation> {
    let mut found = Vec::new();
    if !is_closed(message) {
        walk(message, "", &mut |path, item| {
            if matches!(item, Odd::Enum) && found.len() < MAX_TOLD {
                found.push(Violation { path: path.to_owned(), rule: ENUM_RULE.to_owned() });
            }
        });
    }
    match validator.validate(message) {
        Ok(()) => {}
        Err(RuleError::Validation(error)) => {
            found.extend(
                error
                    .violations()
                    .iter()
                    .map(|violation| Violation { path: violation.field_path(), rule: violation.rule_id().to_owned() }),
            );
        }
        Err(_) => found.push(Violation { path: String::new(), rule: FAILED_RULE.to_owned() }),
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(MAX_TOLD);
    found
}

/// Paths of the fields that the descriptors do not know, the first ones.
pub(super) fn unknown_fields(message: &DynamicMessage) -> Vec<String> {
    let mut found = Vec::new();
    if is_closed(message) {
        return found;
    }
    walk(message, "", &mut |path, item| {
        if let Odd::Field(number) = item
            && found.len() < MAX_TOLD
        {
            found.push(format!("{path}#{number}"));
        }
    });
    found
}

/// What a closed schema does not allow.
enum Odd {
    /// A field of this number.
    Field(u32),
    /// A value of an enum.
    Enum,
}

/// Whether there is nothing odd, as in nearly every message: then no path need be written.
fn is_closed(message: &DynamicMessage) -> bool {
    fn is_known(value: &Value, kind: &Kind) -> bool {
        match (value, kind) {
            (Value::List(items), _) => items.iter().all(|item| is_known(item, kind)),
            (Value::EnumNumber(number), Kind::Enum(of)) => of.get_value(*number).is_some(),
            (Value::Message(inner), _) => is_closed(inner),
            _ => true,
        }
    }
    message.unknown_fields().next().is_none() && message.fields().all(|(field, value)| is_known(value, &field.kind()))
}

fn walk(message: &DynamicMessage, prefix: &str, visit: &mut dyn FnMut(&str, Odd)) {
    for field in message.unknown_fields() {
        visit(prefix, Odd::Field(field.number()));
    }
    for (field, value) in message.fields() {
        match field.kind() {
            Kind::Enum(_) | Kind::Message(_) => {
                walk_value(&field, value, &format!("{prefix}{}", field.name()), visit);
            }
            _ => {}
        }
    }
}

fn walk_value(field: &FieldDescriptor, value: &Value, path: &str, visit: &mut dyn FnMut(&str, Odd)) {
    match (value, field.kind()) {
        (Value::List(items), _) => {
            for (index, item) in items.iter().enumerate() {
                walk_value(field, item, &format!("{path}[{index}]"), visit);
            }
        }
        (Value::EnumNumber(number), Kind::Enum(of)) if of.get_value(*number).is_none() => {
            visit(path, Odd::Enum);
        }
        (Value::Message(inner), _) => walk(inner, &format!("{path}."), visit),
        _ => {}
    }
}
