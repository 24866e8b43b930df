//! Projection: an agreement message is built from registry records, never copied and blanked.

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, Value};

use super::codes;
use super::extension::ExtensionError;
use super::source::{Root, Sources};
use super::violation::{Violation, check, joined};
use super::{FieldPlan, MessagePlan, Transform};
use crate::lifecycle::StageId;
use crate::pack::Pack;

/// Rule of a field that has no value because its stage is not reached.
const STAGE_RULE: &str = "stage_not_reached";
/// Characters that [`Transform::LastFour`] keeps.
const LAST: usize = 4;

/// The message cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    /// The agreement has no such message that may cross.
    #[error("no message `{0}` may cross")]
    UnknownMessage(String),
    /// A record that the message is built from was not given.
    #[error("the record `{0}` is missing")]
    MissingSource(Root),
    /// What the agreement adds to a record cannot be read.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// The result breaks the agreement's rules; paths are those of the registry, for example
    /// `contract.terms.wage_rate.currency_code`.
    #[error("{}", joined(.0))]
    Invalid(Vec<Violation>),
}

impl Pack {
    /// Builds the message `full_name` from `sources`, with those fields alone that `stage` discloses, and
    /// checks it by the agreement's rules. The encoding is canonical: fields ascend, defaults are left out.
    ///
    /// # Errors
    /// [`ProjectError`]; it never holds a value.
    pub fn project(&self, full_name: &str, sources: &Sources, stage: StageId) -> Result<Vec<u8>, ProjectError> {
        let plan = self.message(full_name);
        let plan = plan.ok_or_else(|| ProjectError::UnknownMessage(full_name.to_owned()))?;
        let mut message = DynamicMessage::new(plan.descriptor.clone());
        let mut extensions: Vec<(Root, Option<DynamicMessage>)> = Vec::new();
        for field in plan.fields.iter().filter(|field| field.stage <= stage) {
            let root = field.source.root();
            let record = sources.record(root).ok_or(ProjectError::MissingSource(root))?;
            let value = if field.source.in_extension() {
                if !extensions.iter().any(|(of, _)| *of == root) {
                    extensions.push((root, self.extension_of(sources, root)?));
                }
                let entry = extensions.iter().find(|(of, _)| *of == root);
                let extension = entry.and_then(|(_, extension)| extension.as_ref());
                extension.and_then(|extension| field.source.find(extension))
            } else {
                field.source.find(record)
            };
            if let Some(value) = value.and_then(|value| reduce(field, value)) {
                message.set_field(&field.field, value);
            }
        }
        let mut violations = check(self.validator(), &message);
        violations.extend(codes::check(plan, &message));
        if violations.is_empty() {
            return Ok(message.encode_to_vec());
        }
        for violation in &mut violations {
            to_registry(plan, stage, violation);
        }
        Err(ProjectError::Invalid(violations))
    }
}

/// Puts a violation in terms of the registry.
fn to_registry(plan: &MessagePlan, stage: StageId, violation: &mut Violation) {
    let end = violation.path.find(['.', '[']).unwrap_or(violation.path.len());
    let (name, rest) = violation.path.split_at(end);
    if let Some(field) = plan.fields.iter().find(|field| field.field.name() == name) {
        if field.stage > stage {
            violation.rule = STAGE_RULE.to_owned();
        }
        violation.path = format!("{}{rest}", field.source);
    }
}

fn reduce(plan: &FieldPlan, value: &Value) -> Option<Value> {
    match plan.transform {
        Transform::Copy => Some(rebuild(&plan.field.kind(), value)),
        Transform::Year => value.as_message()?.get_field_by_name("year")?.as_i32().map(Value::I32),
        Transform::LastFour => {
            let text = value.as_str()?;
            let skip = text.chars().count().saturating_sub(LAST);
            Some(Value::String(text.chars().skip(skip).collect()))
        }
    }
}

/// Builds the value anew with the pack's own descriptors: what they do not know is left behind.
fn rebuild(kind: &Kind, value: &Value) -> Value {
    match (kind, value) {
        (_, Value::List(items)) => Value::List(items.iter().map(|item| rebuild(kind, item)).collect()),
        (Kind::Message(descriptor), Value::Message(source)) => {
            let mut message = DynamicMessage::new(descriptor.clone());
            for (field, value) in source.fields() {
                if let Some(own) = descriptor.get_field(field.number()) {
                    message.set_field(&own, rebuild(&own.kind(), value));
                }
            }
            Value::Message(message)
        }
        _ => value.clone(),
    }
}
