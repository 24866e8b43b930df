//! Compatibility of messages on the wire and in JSON, by buf's category WIRE_JSON.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::{Effect, List};
use crate::pack::Pack;
use crate::plan::same_kind;

pub(super) fn compare(from: &Pack, to: &Pack, list: &mut List) {
    let own = |pack: &Pack, package: &str| pack.config().own_packages().any(|own| own == package);
    for old in from.pool().all_messages().filter(|message| own(from, message.package_name())) {
        match to.pool().get_message_by_name(old.full_name()) {
            Some(new) => message(&old, &new, list),
            None => list.add(Effect::Removed, "wire/message", old.full_name(), "the message is no more"),
        }
    }
    for new in to.pool().all_messages().filter(|message| own(to, message.package_name())) {
        if from.pool().get_message_by_name(new.full_name()).is_none() {
            list.add(Effect::Added, "wire/message", new.full_name(), "a new message");
        }
    }
    for old in from.pool().all_enums().filter(|of| own(from, of.package_name())) {
        match to.pool().get_enum_by_name(old.full_name()) {
            Some(new) => values(&old, &new, list),
            None => list.add(Effect::Removed, "wire/enum", old.full_name(), "the enum is no more"),
        }
    }
}

fn message(old: &MessageDescriptor, new: &MessageDescriptor, list: &mut List) {
    let reserved = |number: u32| new.reserved_ranges().any(|range| range.contains(&number));
    for field in old.fields() {
        let name = field.full_name();
        let Some(now) = new.get_field(field.number()) else {
            let named = new.reserved_names().any(|reserved| reserved == field.name());
            if !reserved(field.number()) || !named {
                let says = format!("removed, but its number {} and name are not reserved", field.number());
                list.add(Effect::Refused, "wire/field-removed", name, says);
            }
            continue;
        };
        same_field(&field, &now, list);
    }
    for range in old.reserved_ranges() {
        let reused = new.fields().find(|field| range.contains(&field.number()));
        if let Some(field) = reused {
            let says = format!("number {} was reserved: it is never used again", field.number());
            list.add(Effect::Refused, "wire/number-reused", field.full_name(), says);
        } else if !(range.start..range.end.min(range.start + 64)).all(reserved) {
            let says = format!("numbers from {} are reserved no more", range.start);
            list.add(Effect::Refused, "wire/reserved", old.full_name(), says);
        }
    }
    for name in old.reserved_names().filter(|name| !new.reserved_names().any(|kept| kept == *name)) {
        list.add(Effect::Refused, "wire/reserved", old.full_name(), format!("the name `{name}` is reserved no more"));
    }
}

fn same_field(old: &FieldDescriptor, new: &FieldDescriptor, list: &mut List) {
    let name = old.full_name();
    if old.json_name() != new.json_name() {
        let says = format!("number {} is now named `{}`: readers of JSON lose it", old.number(), new.name());
        list.add(Effect::Refused, "wire/json-name", name, says);
    }
    if old.is_list() != new.is_list() {
        list.add(Effect::Refused, "wire/cardinality", name, "one value became a list, or a list one value");
    }
    if !compatible(&old.kind(), &new.kind()) {
        let says = format!("its type changed from {} to {}", kind_name(&old.kind()), kind_name(&new.kind()));
        list.add(Effect::Refused, "wire/type", name, says);
    }
}

/// Kinds that are read alike from the wire and from JSON.
fn compatible(old: &Kind, new: &Kind) -> bool {
    let group = |kind: &Kind| match kind {
        Kind::Int32 | Kind::Uint32 => 1,
        Kind::Int64 | Kind::Uint64 => 2,
        _ => 0,
    };
    same_kind(old, new) || (group(old) != 0 && group(old) == group(new))
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(of) => of.full_name().to_owned(),
        Kind::Enum(of) => of.full_name().to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn values(old: &EnumDescriptor, new: &EnumDescriptor, list: &mut List) {
    for value in old.values() {
        match new.get_value(value.number()) {
            Some(now) if now.name() != value.name() => {
                let says = format!("number {} is now named `{}`", value.number(), now.name());
                list.add(Effect::Refused, "wire/enum-value", value.full_name(), says);
            }
            Some(_) => {}
            None => {
                let number = new.reserved_ranges().any(|range| range.contains(&value.number()));
                let named = new.reserved_names().any(|reserved| reserved == value.name());
                if !number || !named {
                    let says = format!("removed, but its number {} and name are not reserved", value.number());
                    list.add(Effect::Refused, "wire/enum-value", value.full_name(), says);
                }
            }
        }
    }
    for value in new.values().filter(|value| old.get_value(value.number()).is_none()) {
        list.add(Effect::Added, "wire/enum-value", value.full_name(), "a new value");
    }
}
