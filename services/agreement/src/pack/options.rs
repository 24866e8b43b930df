//! Reads the options of messages and fields, once, when a pack is loaded.

use convenio_wire::agreement::v1::{Cross, Extension, Part};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, FileDescriptor, MessageDescriptor,
};

use super::error::PackError;

/// The options of `convenio/agreement/v1/options.proto` and of `buf/validate/validate.proto`.
pub(crate) struct Disclosure {
    part: ExtensionDescriptor,
    extension: ExtensionDescriptor,
    cross: ExtensionDescriptor,
    field_rules: Option<ExtensionDescriptor>,
    message_rules: Option<ExtensionDescriptor>,
}

impl Disclosure {
    pub(super) fn of(pool: &DescriptorPool, file: &str) -> Result<Self, PackError> {
        let named = |name: &str| pool.get_extension_by_name(name);
        let option = |name: &str| {
            let problem = "does not import convenio/agreement/v1/options.proto";
            named(&format!("convenio.agreement.v1.{name}")).ok_or_else(|| PackError::file(file, problem))
        };
        Ok(Self {
            part: option("part")?,
            extension: option("extension")?,
            cross: option("cross")?,
            field_rules: named("buf.validate.field"),
            message_rules: named("buf.validate.message"),
        })
    }

    pub(super) fn part(&self, message: &MessageDescriptor) -> Option<Part> {
        typed(&message.options(), &self.part)
    }

    pub(super) fn extension(&self, message: &MessageDescriptor) -> Option<Extension> {
        typed(&message.options(), &self.extension)
    }

    /// The disclosure rule of a field.
    pub(crate) fn cross(&self, field: &FieldDescriptor) -> Option<Cross> {
        typed(&field.options(), &self.cross)
    }

    /// `buf.validate.FieldRules` of a field.
    pub(super) fn field_rules(&self, field: &FieldDescriptor) -> Option<DynamicMessage> {
        dynamic(&field.options(), self.field_rules.as_ref()?)
    }

    /// `buf.validate.MessageRules` of a message.
    pub(super) fn message_rules(&self, message: &MessageDescriptor) -> Option<DynamicMessage> {
        dynamic(&message.options(), self.message_rules.as_ref()?)
    }
}

fn dynamic(options: &DynamicMessage, option: &ExtensionDescriptor) -> Option<DynamicMessage> {
    if !options.has_extension(option) {
        return None;
    }
    options.get_extension(option).as_message().cloned()
}

fn typed<M: Message + Default>(options: &DynamicMessage, option: &ExtensionDescriptor) -> Option<M> {
    M::decode(dynamic(options, option)?.encode_to_vec().as_slice()).ok()
}

/// Where a declaration stands, for errors.
pub(crate) trait Place {
    /// A problem of this declaration.
    fn error(&self, problem: impl Into<String>) -> PackError;
}

impl Place for MessageDescriptor {
    fn error(&self, problem: impl Into<String>) -> PackError {
        located(&self.parent_file(), self.path(), self.full_name(), problem.into())
    }
}

impl Place for FieldDescriptor {
    fn error(&self, problem: impl Into<String>) -> PackError {
        located(&self.parent_message().parent_file(), self.path(), self.full_name(), problem.into())
    }
}

fn located(file: &FileDescriptor, path: &[i32], name: &str, problem: String) -> PackError {
    let proto = file.file_descriptor_proto();
    let locations = proto.source_code_info.iter().flat_map(|info| &info.location);
    let line = locations
        .filter(|location| location.path == path)
        .find_map(|location| location.span.first())
        .and_then(|line| u32::try_from(line + 1).ok());
    PackError::at(file.name(), line, Some(name), problem)
}
