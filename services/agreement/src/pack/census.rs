//! How many declarations a pack's own files may have, and which kinds of them: no services, extensions, groups, maps,
//! nested messages, choices or options of others.

use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, MessageDescriptor, Syntax, Value};

use super::error::PackError;
use super::guard;
use super::known::is_shared;
use super::options::Place;

/// Most messages and enums of a pack, most fields of a message, of all, and most values of an enum.
const MAX_MESSAGES: usize = 256;
const MAX_ENUMS: usize = 64;
const MAX_FIELDS: usize = 128;
const MAX_ALL_FIELDS: usize = 2048;
const MAX_VALUES: usize = 512;
/// Options that may be set beside those of `convenio.agreement.v1` and `buf.validate`.
const PLAIN_OPTIONS: [&str; 1] = ["deprecated"];

/// Checks the pack's own files, which are those that are not shared with this program.
pub(super) fn check(pool: &DescriptorPool, packages: &[&str]) -> Vec<PackError> {
    let mut found = Vec::new();
    let (mut messages, mut enums, mut fields) = (0, 0, 0);
    for file in pool.files().filter(|file| !is_shared(file.package_name())) {
        let proto = file.file_descriptor_proto();
        messages += proto.message_type.len();
        enums += proto.enum_type.len();
        fields += proto.message_type.iter().map(|message| message.field.len()).sum::<usize>();
        if !packages.contains(&file.package_name()) {
            let problem = format!("is of package `{}`, which the agreement does not list", file.package_name());
            found.push(PackError::file(file.name(), problem).rule("schema/package"));
        }
        check_file(&file, &mut found);
    }
    let counts = [
        (messages, MAX_MESSAGES, "messages"),
        (enums, MAX_ENUMS, "enums"),
        (fields, MAX_ALL_FIELDS, "fields in all its messages"),
    ];
    for (count, most, what) in counts {
        if count > most {
            let file = pool.files().last().map(|file| file.name().to_owned()).unwrap_or_default();
            found.insert(0, PackError::file(file, format!("the pack has more than {most} {what}")).rule("schema/size"));
        }
    }
    found
}

fn check_file(file: &FileDescriptor, found: &mut Vec<PackError>) {
    let problem = |problem: &str| PackError::file(file.name(), problem).rule("schema/kind");
    if file.syntax() != Syntax::Proto3 {
        found.push(problem("must be of syntax proto3").instead("begin with `syntax = \"proto3\";`"));
    }
    if file.services().next().is_some() {
        found.push(problem("declares a service").instead("an agreement has messages alone"));
    }
    if file.extensions().next().is_some() {
        found.push(
            problem("declares an option or extension").instead("use those of convenio/agreement/v1/options.proto"),
        );
    }
    if let Err(words) = check_options(&file.options()) {
        found.push(problem(&words).rule("schema/options"));
    }
    for of in file.enums() {
        if of.values().count() > MAX_VALUES {
            found.push(problem(&format!("`{}` has more than {MAX_VALUES} values", of.full_name())).rule("schema/size"));
        }
        let options = of.values().map(|value| value.options()).chain([of.options()]);
        for words in options.filter_map(|options| check_options(&options).err()) {
            found.push(problem(&format!("`{}` {words}", of.full_name())).rule("schema/options"));
        }
    }
    for message in file.messages() {
        check_message(&message, found);
    }
}

fn check_message(message: &MessageDescriptor, found: &mut Vec<PackError>) {
    if message.fields().len() > MAX_FIELDS {
        found.push(message.error(format!("has more than {MAX_FIELDS} fields")).rule("schema/size"));
        return;
    }
    let nested = message.child_messages().any(|child| !child.is_map_entry());
    if nested || message.child_enums().next().is_some() {
        let error = message.error("is declared inside another message, or declares inside");
        found.push(error.rule("schema/kind").instead("declare every message and enum at the top of a file"));
    }
    if message.child_extensions().next().is_some() {
        found.push(message.error("declares an option or extension").rule("schema/kind"));
    }
    if message.oneofs().any(|choice| !choice.is_synthetic()) {
        let error = message.error("has a oneof").rule("schema/kind");
        found.push(error.instead("make them plain fields; a CEL rule may say that one alone is set"));
    }
    if let Err(words) = check_options(&message.options()) {
        found.push(message.error(words).rule("schema/options"));
    }
    for field in message.fields() {
        if let Err(words) = check_options(&field.options()) {
            found.push(field.error(words).rule("schema/options"));
        }
        if field.json_name() != json_name(field.name()) {
            found.push(field.error("has a JSON name of its own").rule("schema/options").instead("remove json_name"));
        }
    }
}

/// Options are ours, those of `buf.validate`, or among a few plain ones; and their texts show what they say.
fn check_options(options: &DynamicMessage) -> Result<(), String> {
    if options.unknown_fields().next().is_some() {
        return Err("has an unknown option".to_owned());
    }
    for (field, _) in options.fields() {
        if !PLAIN_OPTIONS.contains(&field.name()) {
            return Err(format!("has the option `{}`, which no agreement may use", field.name()));
        }
    }
    for (extension, value) in options.extensions() {
        let package = extension.parent_file().package_name().to_owned();
        if !matches!(package.as_str(), "convenio.agreement.v1" | "buf.validate") {
            return Err(format!("has the option `{}`, which no agreement may use", extension.full_name()));
        }
        check_texts(value)?;
    }
    Ok(())
}

fn check_texts(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => guard::check_decoded(text).map_err(|problem| format!("an option {problem}")),
        Value::List(items) => items.iter().try_for_each(check_texts),
        Value::Message(message) => {
            if message.unknown_fields().next().is_some() {
                return Err("has an unknown option".to_owned());
            }
            message.fields().try_for_each(|(_, value)| check_texts(value))
        }
        _ => Ok(()),
    }
}

/// As protobuf derives it: letters after an underscore in upper case.
fn json_name(name: &str) -> String {
    let mut upper = false;
    let mut out = String::new();
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    out
}
