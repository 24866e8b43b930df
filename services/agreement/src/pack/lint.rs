//! What the messages of an agreement must be, checked when it is loaded.

use std::collections::HashMap;
use std::sync::Arc;

use prost_protovalidate::{Error as RuleError, Validator, ValidatorOption};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Syntax, Value};

use super::error::PackError;
use super::options::{Disclosure, Place};
use super::rules;
use crate::config::Config;
use crate::plan::{Root, is_value_type};

/// Most messages of an agreement, and most fields of a message.
const MAX_MESSAGES: usize = 256;
const MAX_FIELDS: usize = 128;

/// The messages of an agreement, linted.
pub(crate) struct Messages {
    /// Messages that may cross, with their retention class.
    pub(crate) parts: Vec<(MessageDescriptor, String)>,
    /// Messages that extend a registry record.
    pub(crate) extensions: HashMap<Root, MessageDescriptor>,
    /// Their options.
    pub(crate) options: Disclosure,
}

/// Finds and lints the messages of the pack's package.
pub(super) fn messages(pool: &DescriptorPool, config: &Config) -> Result<Messages, PackError> {
    let options = Disclosure::of(pool, &config.proto)?;
    let mut found = Messages { parts: Vec::new(), extensions: HashMap::new(), options };
    let file = pool.get_file_by_name(&config.proto);
    if file.is_none_or(|file| file.package_name() != config.package) {
        let problem = format!("is not of package `{}`", config.package);
        return Err(PackError::file(&config.proto, problem));
    }
    let packages: Vec<&str> = config.own_packages().collect();
    if let Some(empty) = packages.iter().find(|package| !pool.all_messages().any(|m| m.package_name() == **package)) {
        return Err(PackError::file(&config.proto, format!("imports no message of package `{empty}`")));
    }
    let own = pool.all_messages().filter(|message| packages.contains(&message.package_name()));
    for message in own {
        found.add(&message, config)?;
    }
    if found.parts.len() + found.extensions.len() > MAX_MESSAGES {
        return Err(PackError::file(&config.proto, format!("more than {MAX_MESSAGES} messages")));
    }
    for value_type in pool.all_messages().filter(|m| is_value_type(m.full_name())) {
        crate::plan::same_as_registry(&value_type)?;
        found.lint(&value_type)?;
    }
    Ok(found)
}

impl Messages {
    fn add(&mut self, message: &MessageDescriptor, config: &Config) -> Result<(), PackError> {
        if message.parent_message().is_some() {
            return Err(message.error("is declared inside another message"));
        }
        match (self.options.part(message), self.options.extension(message)) {
            (Some(part), None) => {
                if config.retention.class(&part.class).is_none() {
                    let problem = format!("no retention class `{}`", part.class);
                    return Err(message.error(problem));
                }
                self.parts.push((message.clone(), part.class));
            }
            (None, Some(extension)) => {
                let root: Root = extension
                    .of
                    .parse()
                    .ok()
                    .filter(|root: &Root| root.agreement_data().is_some())
                    .ok_or_else(|| message.error(format!("extends no record: `{}`", extension.of)))?;
                if self.extensions.insert(root, message.clone()).is_some() {
                    let problem = format!("`{}` is already extended", extension.of);
                    return Err(message.error(problem));
                }
            }
            _ => return Err(message.error("must have the option `part` or `extension`")),
        }
        self.lint(message)
    }

    fn lint(&self, message: &MessageDescriptor) -> Result<(), PackError> {
        if message.parent_file().syntax() != Syntax::Proto3 {
            return Err(message.error("must be of syntax proto3"));
        }
        if message.fields().len() > MAX_FIELDS {
            return Err(message.error(format!("has more than {MAX_FIELDS} fields")));
        }
        if let Some(rules) = self.options.message_rules(message) {
            rules::check_message(&rules).map_err(|problem| message.error(problem))?;
        }
        for field in message.fields() {
            lint_kind(&field)?;
            let rules = self.options.field_rules(&field);
            rules::check_field(&field, rules.as_ref()).map_err(|problem| field.error(problem))?;
        }
        Ok(())
    }

    /// Every message that is ever validated.
    fn all(&self) -> impl Iterator<Item = &MessageDescriptor> {
        self.parts.iter().map(|(message, _)| message).chain(self.extensions.values())
    }
}

fn lint_kind(field: &FieldDescriptor) -> Result<(), PackError> {
    if field.is_map() || field.is_group() {
        return Err(field.error("maps and groups are not allowed"));
    }
    match field.kind() {
        Kind::Float | Kind::Double => Err(field.error("floating-point numbers are not allowed")),
        Kind::Message(of) if !is_value_type(of.full_name()) => {
            Err(field.error(format!("`{}` is no value type of convenio.type.v1", of.full_name())))
        }
        _ => Ok(()),
    }
}

/// Validates each message once, empty and filled: a rule that does not compile shows only then.
pub(super) fn dry_run(messages: &Messages) -> Result<Validator, PackError> {
    // No rule may ask for the time (`rules::check_cel`); if one did, all would see the same.
    let epoch = ValidatorOption::NowFn(Arc::new(prost_types::Timestamp::default));
    let validator = Validator::with_options(&[epoch]);
    for message in messages.all() {
        for sample in [DynamicMessage::new(message.clone()), filled(message)] {
            match validator.validate(&sample) {
                Ok(()) | Err(RuleError::Validation(_)) => {}
                Err(error) => {
                    let text = error.to_string();
                    let problem = text.lines().next().unwrap_or_default();
                    return Err(message.error(format!("its rules do not work: {problem}")));
                }
            }
        }
    }
    Ok(validator)
}

/// A message with every field set, lists with one entry.
fn filled(descriptor: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let value = match field.kind() {
            Kind::Message(of) => Value::Message(filled(&of)),
            Kind::String => Value::String("A".to_owned()),
            Kind::Bytes => Value::Bytes(b"A".to_vec().into()),
            Kind::Bool => Value::Bool(true),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::Int32 => Value::I32(1),
            Kind::Int64 => Value::I64(1),
            kind => kind.default_value(),
        };
        let value = if field.is_list() { Value::List(vec![value]) } else { value };
        message.set_field(&field, value);
    }
    message
}
