//! What the messages of an agreement must be, checked when it is loaded.

use std::collections::HashMap;
use std::sync::Arc;

use prost_protovalidate::{Error as RuleError, Validator, ValidatorOption};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::error::PackError;
use super::options::{Disclosure, Place};
use super::{census, known, rules};
use crate::config::Config;
use crate::plan::{Root, is_value_type};

/// The messages of an agreement, linted.
pub(crate) struct Messages {
    /// Messages that may cross, with their retention class.
    pub(crate) parts: Vec<(MessageDescriptor, String)>,
    /// Messages that extend a registry record.
    pub(crate) extensions: HashMap<Root, MessageDescriptor>,
    /// Their options.
    pub(crate) options: Disclosure,
}

/// Finds and lints the messages of the pack's packages; every problem joins `found`. `None` where nothing more can
/// be looked at, or it would cost too much.
pub(super) fn messages(pool: &DescriptorPool, config: &Config, found: &mut Vec<PackError>) -> Option<Messages> {
    let packages: Vec<&str> = config.own_packages().collect();
    let before = found.len();
    found.extend(known::check(pool));
    found.extend(census::check(pool, &packages));
    let file = pool.get_file_by_name(&config.proto);
    if file.is_none_or(|file| file.package_name() != config.package) {
        let problem = format!("is not of package `{}`", config.package);
        found.push(PackError::file(&config.proto, problem).rule("schema/package"));
    }
    // Its own may be empty: then all that crosses is imported.
    let imported = packages.iter().skip(1);
    for empty in imported.filter(|package| !pool.all_messages().any(|m| m.package_name() == **package)) {
        let problem = format!("imports no message of package `{empty}`");
        found.push(PackError::file(&config.proto, problem).rule("schema/package").instead("remove it from `packages`"));
    }
    if found[before..].iter().any(|error| matches!(error.rule, "schema/size" | "schema/shared" | "schema/package")) {
        return None;
    }
    let options = Disclosure::of(pool, &config.proto).map_err(|error| found.push(error)).ok()?;
    let mut messages = Messages { parts: Vec::new(), extensions: HashMap::new(), options };
    let own = pool.all_messages().filter(|message| packages.contains(&message.package_name()));
    for message in own.filter(|message| message.parent_message().is_none()) {
        found.extend(messages.add(&message, config).err());
        messages.lint(&message, found);
    }
    for value_type in pool.all_messages().filter(|m| is_value_type(m.full_name())) {
        messages.lint(&value_type, found);
    }
    Some(messages)
}

impl Messages {
    fn add(&mut self, message: &MessageDescriptor, config: &Config) -> Result<(), PackError> {
        match (self.options.part(message), self.options.extension(message)) {
            (Some(part), None) => {
                let known = config.retention.class(&part.class).is_some();
                self.parts.push((message.clone(), part.class.clone()));
                if known { Ok(()) } else { Err(unknown_class(message, &part.class, config)) }
            }
            (None, Some(extension)) => {
                let root = extension.of.parse().ok().filter(|root: &Root| root.agreement_data().is_some());
                let root = root.ok_or_else(|| {
                    let error = message.error(format!("extends no record: `{}`", extension.of));
                    error.rule("schema/extension").instead("name a registry record that has `agreement_data`")
                })?;
                if self.extensions.insert(root, message.clone()).is_some() {
                    let error = message.error(format!("`{}` is already extended", extension.of));
                    return Err(error.rule("schema/extension").instead("keep one extension of each record"));
                }
                Ok(())
            }
            _ => {
                let error = message.error("must have the option `part` or `extension`").rule("disclosure/part");
                let instead = "add `option (convenio.agreement.v1.part).class = \"<class>\";` to what crosses, \
                               or `option (convenio.agreement.v1.extension).of = \"<record>\";` to what never does";
                Err(error.instead(instead))
            }
        }
    }

    fn lint(&self, message: &MessageDescriptor, found: &mut Vec<PackError>) {
        if let Some(rules) = self.options.message_rules(message) {
            let checked = rules::check_message(&rules);
            found.extend(checked.err().map(|problem| message.error(problem).rule("rules/cel").instead(CEL)));
        }
        for field in message.fields() {
            if let Err(error) = lint_kind(&field) {
                found.push(error);
                continue;
            }
            let rules = self.options.field_rules(&field);
            let checked = rules::check_field(&field, rules.as_ref());
            found.extend(checked.err().map(|problem| unbounded(&field, problem)));
        }
    }

    /// Every message that is ever validated.
    fn all(&self) -> impl Iterator<Item = &MessageDescriptor> {
        self.parts.iter().map(|(message, _)| message).chain(self.extensions.values())
    }
}

/// What a rule may be made of.
const CEL: &str = "use comparisons, size, startsWith, endsWith, contains, matches with a literal pattern, and one level \
                   of all, exists, exists_one or filter";

fn unknown_class(message: &MessageDescriptor, class: &str, config: &Config) -> PackError {
    let classes: Vec<&str> = config.retention.classes.keys().map(String::as_str).collect();
    let error = message.error(format!("no retention class `{class}`")).rule("disclosure/class");
    error.instead(format!("one of {}, or add [retention.classes.{class}]", classes.join(", ")))
}

fn unbounded(field: &FieldDescriptor, problem: String) -> PackError {
    if problem.contains("CEL") {
        return field.error(problem).rule("rules/cel").instead(CEL);
    }
    let list = field.is_list();
    let instead = match field.kind() {
        _ if list => {
            "(buf.validate.field).repeated = { max_items: 8 items: { … } }, items bounded as single fields are"
        }
        Kind::String => "(buf.validate.field).string.max_len = 120, or a pattern such as \"^[A-Z]{2}$\"",
        Kind::Bytes => "(buf.validate.field).bytes.max_len = 32",
        Kind::Int64 => "(buf.validate.field).int64 = { gte: 0 lte: 253402300799999 }",
        Kind::Uint32 => "(buf.validate.field).uint32.lte = 1000",
        _ => "(buf.validate.field).int32 = { gte: 0 lte: 1000 }",
    };
    field.error(problem).rule("rules/bounded").instead(instead)
}

fn lint_kind(field: &FieldDescriptor) -> Result<(), PackError> {
    if field.is_map() || field.is_group() {
        return Err(kind(field, "maps and groups are not allowed", "a list of values, or plain fields"));
    }
    match field.kind() {
        Kind::Float | Kind::Double => {
            Err(kind(field, "floating-point numbers are not allowed", "int32 or int64 in a small unit, such as tenths"))
        }
        Kind::Message(of) if !is_value_type(of.full_name()) => {
            let problem = format!("`{}` is no value type of convenio.type.v1", of.full_name());
            Err(kind(field, &problem, "a scalar, an enum, or Money, Date, Code or Place of convenio.type.v1"))
        }
        _ => Ok(()),
    }
}

fn kind(field: &FieldDescriptor, problem: &str, instead: &str) -> PackError {
    field.error(problem).rule("schema/kind").instead(instead)
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
                    let error = message.error(format!("its rules do not work: {problem}"));
                    return Err(error
                        .rule("rules/dry-run")
                        .instead("a CEL rule of this message names fields that it has"));
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
