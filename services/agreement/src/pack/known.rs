//! The files that a pack shares with this program: a pack carries its own copy of them, which must say what this
//! program knows. Otherwise a rule that a lint reads would not be the rule that is judged by.

use prost_reflect::{DescriptorPool, EnumDescriptor, FileDescriptor, MessageDescriptor};

use super::error::PackError;
use super::options::Place;
use crate::plan::{CONTRACT, same_kind};

/// Packages of the contract that a pack may import.
const SHARED: [&str; 4] = ["buf.validate", "convenio.agreement.v1", "convenio.type.v1", "google.protobuf"];

/// Whether a package is one that packs share with this program.
pub(super) fn is_shared(package: &str) -> bool {
    SHARED.contains(&package)
}

/// Checks all of a pack's copies of what this program knows.
pub(super) fn check(pool: &DescriptorPool) -> Vec<PackError> {
    let shared = |file: &FileDescriptor| is_shared(file.package_name());
    let files: Vec<FileDescriptor> = pool.files().filter(shared).collect();
    let mut found = Vec::new();
    for file in &files {
        for message in all_messages(file) {
            found.extend(same_message(&message).err());
        }
        for of in file.enums() {
            found.extend(same_enum(&of).err().map(|problem| PackError::file(file.name(), problem)));
        }
        for extension in file.extensions() {
            let ours = CONTRACT.get_extension_by_name(extension.full_name());
            let same = ours.is_some_and(|our| {
                our.number() == extension.number()
                    && our.containing_message().full_name() == extension.containing_message().full_name()
                    && same_kind(&our.kind(), &extension.kind())
                    && our.cardinality() == extension.cardinality()
            });
            if !same {
                let problem = format!("this program knows no such option `{}`", extension.full_name());
                found.push(PackError::file(file.name(), problem));
            }
        }
    }
    found.into_iter().map(|error| error.rule("schema/shared").instead("use the file that this program ships")).collect()
}

fn all_messages(file: &FileDescriptor) -> Vec<MessageDescriptor> {
    let mut all: Vec<MessageDescriptor> = file.messages().collect();
    let mut next = 0;
    while let Some(message) = all.get(next).cloned() {
        all.extend(message.child_messages());
        next += 1;
    }
    all
}

fn same_message(message: &MessageDescriptor) -> Result<(), PackError> {
    let ours = CONTRACT.get_message_by_name(message.full_name());
    // A file that a pack imports needlessly says nothing.
    let Some(ours) = ours else {
        return if is_well_known(message) { Ok(()) } else { Err(message.error("this program does not know it")) };
    };
    for field in message.fields() {
        let same = ours.get_field(field.number()).is_some_and(|our| {
            our.name() == field.name()
                && our.cardinality() == field.cardinality()
                && same_kind(&our.kind(), &field.kind())
        });
        if !same {
            return Err(field.error("this program knows another field of this number"));
        }
    }
    for of in message.child_enums() {
        same_enum(&of).map_err(|problem| message.error(problem))?;
    }
    Ok(())
}

/// Types of `google.protobuf` that the contract may not hold; no field of an agreement may be of one.
fn is_well_known(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf" && message.parent_file().name() != "google/protobuf/descriptor.proto"
}

fn same_enum(of: &EnumDescriptor) -> Result<(), String> {
    let Some(ours) = CONTRACT.get_enum_by_name(of.full_name()) else {
        return match of.package_name() {
            "google.protobuf" => Ok(()),
            _ => Err(format!("this program does not know `{}`", of.full_name())),
        };
    };
    for value in of.values() {
        if ours.get_value_by_name(value.name()).is_none_or(|our| our.number() != value.number()) {
            return Err(format!("this program knows no `{}` of this number", value.full_name()));
        }
    }
    Ok(())
}
