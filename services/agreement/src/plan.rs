//! Projection plans: the options of an agreement's messages, resolved once, so that a record is
//! projected, judged and compared without reading an option.

mod accept;
mod codes;
mod compare;
mod extension;
mod never;
mod project;
mod semantic;
mod source;
mod violation;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use convenio_wire::agreement::v1 as wire;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::config::Config;
use crate::lifecycle::StageId;
use crate::pack::{PackError, Place};

pub use accept::AcceptError;
pub(crate) use compare::{TermRule, term_rules};
pub use compare::{Worse, compare_observed, compare_terms};
pub use extension::ExtensionError;
pub use project::ProjectError;
pub use semantic::{Doc, Line, Term};
pub(crate) use source::{CONTRACT, same_kind};
pub use source::{Record, Root, SourcePath, Sources, UnknownRoot};
pub use violation::Violation;

/// Plan of one message that may cross.
#[derive(Debug, Clone)]
pub struct MessagePlan {
    /// The message.
    pub descriptor: MessageDescriptor,
    /// Retention class.
    pub class: String,
    /// Its fields, all of them.
    pub fields: Vec<FieldPlan>,
}

impl MessagePlan {
    /// Full name of the message.
    #[must_use]
    pub fn name(&self) -> &str {
        self.descriptor.full_name()
    }
}

/// Plan of one field.
#[derive(Debug, Clone)]
pub struct FieldPlan {
    /// The field.
    pub field: FieldDescriptor,
    /// Registry field that it is built from.
    pub source: SourcePath,
    /// How the value is reduced.
    pub transform: Transform,
    /// Stage from which it may cross.
    pub stage: StageId,
    /// For terms, which difference is worse for the worker.
    pub compare: Compare,
    /// The only values that it may have; none for any.
    pub codes: Option<Arc<[String]>>,
}

/// Reduction of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// The value as it is.
    Copy,
    /// Of a date only its year.
    Year,
    /// Of a text only its last four characters.
    LastFour,
}

/// Which direction of a difference is worse for the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Not compared.
    Never,
    /// A lower value is worse.
    LowerIsWorse,
    /// A higher value is worse.
    HigherIsWorse,
    /// Any difference is worse.
    MustEqual,
}

/// Messages of `convenio.type.v1` that a field may have as its type.
pub(crate) fn is_value_type(full_name: &str) -> bool {
    const NAMES: [&str; 5] = ["Money", "Date", "Code", "Place", "LedgerEntry"];
    full_name.strip_prefix("convenio.type.v1.").is_some_and(|name| NAMES.contains(&name))
}

/// Whether `kind` is the value type of this short name.
pub(crate) fn is_value(kind: &Kind, name: &str) -> bool {
    let full_name = kind.as_message().map(MessageDescriptor::full_name);
    full_name.and_then(|full| full.strip_prefix("convenio.type.v1.")) == Some(name)
}

/// Plans all messages that may cross; every problem joins `found`.
pub(crate) fn plans(
    messages: &crate::pack::Messages,
    config: &Config,
    found: &mut Vec<PackError>,
) -> BTreeMap<String, MessagePlan> {
    let mut plans = BTreeMap::new();
    for (message, class) in &messages.parts {
        let mut sources = HashSet::new();
        let mut fields = Vec::new();
        for field in message.fields() {
            match plan_field(&field, messages, config) {
                Ok(plan) if !sources.insert(plan.source.as_str().to_owned()) => {
                    let error = field.error(format!("`{}` already feeds another field", plan.source));
                    found.push(error.rule("disclosure/twice").instead("remove one of the two fields"));
                }
                Ok(plan) => fields.push(plan),
                Err(error) => found.push(error),
            }
        }
        fields.sort_by_key(|plan| plan.field.number());
        let plan = MessagePlan { descriptor: message.clone(), class: class.clone(), fields };
        plans.insert(message.full_name().to_owned(), plan);
    }
    plans
}

fn plan_field(
    field: &FieldDescriptor,
    messages: &crate::pack::Messages,
    config: &Config,
) -> Result<FieldPlan, PackError> {
    let cross = messages.options.cross(field);
    let cross = cross.ok_or_else(|| {
        let instead =
            "add [(convenio.agreement.v1.cross) = { from: \"<record>.<field>\" stage: \"<STAGE>\" }], or remove it";
        field.error("has no option `cross`").rule("disclosure/unmapped").instead(instead)
    })?;
    let stage = config.stages.iter().position(|stage| *stage == cross.stage);
    let stage = stage.and_then(|index| u8::try_from(index).ok()).map(StageId);
    let stage = stage.ok_or_else(|| {
        let error = field.error(format!("no stage `{}`", cross.stage)).rule("disclosure/stage");
        error.instead(format!("one of {}", config.stages.join(", ")))
    })?;
    let source = SourcePath::resolve(&cross.from, &messages.extensions);
    let source = source.map_err(|problem| {
        let error = field.error(format!("from `{}`: {problem}", cross.from)).rule("disclosure/source");
        error.instead("a registry field such as `worker.birth_date`, or `<record>.agreement_data.<field>`")
    })?;
    if let Some(why) = never::refusal(&source) {
        let error = field.error(format!("`{source}` never crosses: {why}")).rule("disclosure/never");
        return Err(error.instead("remove the field"));
    }
    let transform = match wire::Transform::try_from(cross.r#as) {
        Ok(wire::Transform::Unspecified) => Transform::Copy,
        Ok(wire::Transform::Year) => Transform::Year,
        Ok(wire::Transform::LastFour) => Transform::LastFour,
        Err(_) => return Err(field.error("unknown transform")),
    };
    check_kinds(field, &source, transform)?;
    let compare = match wire::Compare::try_from(cross.compare) {
        Ok(wire::Compare::Unspecified) => Compare::Never,
        Ok(wire::Compare::LowerIsWorse) => Compare::LowerIsWorse,
        Ok(wire::Compare::HigherIsWorse) => Compare::HigherIsWorse,
        Ok(wire::Compare::MustEqual) => Compare::MustEqual,
        Err(_) => return Err(field.error("unknown comparison")),
    };
    check_comparable(field, compare)?;
    let list = config.code_lists.iter().find(|list| list.fields.contains(&cross.from));
    if let Some(list) = list.filter(|_| !codes::can_have(field)) {
        let error = field.error(format!("the list `{}` is about it, and it is no text, code or ledger", list.name));
        return Err(error.rule("code_lists/kind").instead("take its path out of the list"));
    }
    let codes = list.map(|list| list.values.as_slice().into());
    Ok(FieldPlan { field: field.clone(), source, transform, stage, compare, codes })
}

/// The source must have the field's kind, once it is reduced.
fn check_kinds(field: &FieldDescriptor, source: &SourcePath, transform: Transform) -> Result<(), PackError> {
    let (from, to) = (source.leaf(), field);
    let fits = from.is_list() == to.is_list()
        && match transform {
            Transform::Copy => source::same_kind(&from.kind(), &to.kind()),
            Transform::Year => !to.is_list() && is_value(&from.kind(), "Date") && to.kind() == Kind::Int32,
            Transform::LastFour => !to.is_list() && from.kind() == Kind::String && to.kind() == Kind::String,
        };
    if fits {
        return Ok(());
    }
    let error = field.error(format!("`{source}` is of another type")).rule("disclosure/type");
    Err(error.instead(format!("declare the field as `{}` is, or reduce it with `as`", source.leaf().full_name())))
}

fn check_comparable(field: &FieldDescriptor, compare: Compare) -> Result<(), PackError> {
    let kind = field.kind();
    let ordered = matches!(kind, Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Bool)
        || is_value(&kind, "Money")
        || is_value(&kind, "Date");
    match compare {
        Compare::LowerIsWorse | Compare::HigherIsWorse if !ordered || field.is_list() => {
            Err(field.error("has no order to compare by"))
        }
        _ => Ok(()),
    }
}

/// Extension messages by the record that they extend.
pub(crate) type Extensions = HashMap<Root, MessageDescriptor>;

/// A path in a message, shared.
pub(crate) type PathText = Arc<str>;
