//! What a projection reads: registry records, by root and path.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use convenio_wire::registry::v1 as registry;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

use super::{Extensions, PathText};

/// Field of a record that holds what single agreements add.
const AGREEMENT_DATA: &str = "agreement_data";

/// Descriptors of the core contract, as this program was built with.
pub(crate) static CONTRACT: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(convenio_wire::DESCRIPTORS).expect("compiled in by convenio-wire"));

macro_rules! roots {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A record that a projection may read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Root { $($(#[$doc])* $variant,)* }

        impl Root {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As a path writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn message(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }

        $(impl Record for registry::$variant {
            const ROOT: Root = Root::$variant;
        })*
    };
}

roots! {
    /// `worker`
    Worker = "worker",
    /// `placement`
    Placement = "placement",
    /// `job_order`
    JobOrder = "job_order",
    /// `employer`
    Employer = "employer",
    /// `agency`
    Agency = "agency",
    /// `licence`
    Licence = "licence",
    /// `contract`
    Contract = "contract",
    /// `event`
    Event = "event",
    /// `crew`
    Crew = "crew",
}

/// A registry message that is a root.
pub trait Record: Message {
    /// Which.
    const ROOT: Root;
}

static DESCRIPTORS: LazyLock<Vec<MessageDescriptor>> = LazyLock::new(|| {
    let name = |root: &Root| format!("convenio.registry.v1.{}", root.message());
    let find = |root| CONTRACT.get_message_by_name(&name(root)).expect("part of the contract");
    Root::ALL.iter().map(find).collect()
});

impl Root {
    /// The record's message in the core contract.
    #[must_use]
    pub fn descriptor(self) -> &'static MessageDescriptor {
        &DESCRIPTORS[self as usize]
    }

    /// The field that holds what single agreements add, if the record has one.
    pub(crate) fn agreement_data(self) -> Option<FieldDescriptor> {
        self.descriptor().get_field_by_name(AGREEMENT_DATA)
    }
}

/// Not a record that a projection may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a registry record")]
pub struct UnknownRoot;

impl FromStr for Root {
    type Err = UnknownRoot;

    fn from_str(text: &str) -> Result<Self, UnknownRoot> {
        Self::ALL.iter().copied().find(|root| root.as_str() == text).ok_or(UnknownRoot)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Path of a registry field, for example `job_order.terms.wage_rate`, resolved.
#[derive(Debug, Clone)]
pub struct SourcePath {
    text: PathText,
    root: Root,
    /// Whether `steps` begin in the agreement's extension of the record.
    extension: bool,
    /// At least one.
    steps: Vec<FieldDescriptor>,
}

impl SourcePath {
    /// Resolves a path against the registry's messages and the agreement's extensions of them.
    pub(super) fn resolve(text: &str, extensions: &Extensions) -> Result<Self, String> {
        let (root, rest) = text.split_once('.').ok_or("is no path of a record's field")?;
        let root: Root = root.parse().map_err(|_| format!("no registry record `{root}`"))?;
        let inner = rest.strip_prefix(AGREEMENT_DATA).and_then(|rest| rest.strip_prefix('.'));
        let (start, rest) = match inner {
            None => (root.descriptor(), rest),
            Some(rest) => {
                let extension = extensions.get(&root);
                (extension.ok_or_else(|| format!("the agreement does not extend `{root}`"))?, rest)
            }
        };
        let mut steps: Vec<FieldDescriptor> = Vec::new();
        for name in rest.split('.') {
            let holder = match steps.last() {
                None => start.clone(),
                Some(step) if step.is_list() => return Err(format!("`{}` is a list", step.name())),
                Some(step) => match step.kind() {
                    Kind::Message(message) => message,
                    _ => return Err(format!("`{}` has no fields", step.name())),
                },
            };
            let field = holder.get_field_by_name(name);
            steps.push(field.ok_or_else(|| format!("`{}` has no field `{name}`", holder.name()))?);
        }
        Ok(Self { text: text.into(), root, extension: inner.is_some(), steps })
    }

    /// The path as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The record it begins in.
    #[must_use]
    pub fn root(&self) -> Root {
        self.root
    }

    pub(super) fn text(&self) -> &PathText {
        &self.text
    }

    /// Whether it leads into the agreement's extension of the record.
    pub(super) fn in_extension(&self) -> bool {
        self.extension
    }

    /// The path after the root.
    pub(super) fn suffix(&self) -> &str {
        self.text.split_once('.').map_or("", |(_, suffix)| suffix)
    }

    /// The field that it ends in.
    ///
    /// # Panics
    /// Never: it has at least one step.
    #[must_use]
    pub fn leaf(&self) -> &FieldDescriptor {
        self.steps.last().expect("resolved with at least one step")
    }

    /// The value in `start`, the record or its extension; `None` if it is not set.
    pub(super) fn find<'a>(&self, start: &'a DynamicMessage) -> Option<&'a Value> {
        let mut holder = start;
        let mut steps = self.steps.iter();
        let leaf = steps.next_back()?;
        for step in steps {
            holder = present(holder, step)?.as_message()?;
        }
        present(holder, leaf)
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The value of a field that is set.
pub(super) fn present<'a>(message: &'a DynamicMessage, field: &FieldDescriptor) -> Option<&'a Value> {
    match message.get_field(field) {
        Cow::Borrowed(value) if message.has_field(field) => Some(value),
        _ => None,
    }
}

/// The records that a projection may read, one of each kind at most.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    records: [Option<Arc<DynamicMessage>>; Root::ALL.len()],
}

impl Sources {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record, in place of another one of its kind. It is decoded here, once.
    ///
    /// # Panics
    /// Never: a message always decodes by the descriptor that it was generated from.
    #[must_use]
    pub fn with<R: Record>(mut self, record: &R) -> Self {
        let bytes = record.encode_to_vec();
        let decoded = DynamicMessage::decode(R::ROOT.descriptor().clone(), bytes.as_slice());
        let decoded = decoded.expect("encoded by the same contract");
        self.records[R::ROOT as usize] = Some(Arc::new(decoded));
        self
    }

    /// Adds a record that is already decoded by the core contract, in place of another one of its kind. `None` for a
    /// message that is no record.
    #[must_use]
    pub fn with_message(mut self, record: DynamicMessage) -> Option<Self> {
        let root = Root::ALL.iter().copied().find(|root| *root.descriptor() == record.descriptor())?;
        self.records[root as usize] = Some(Arc::new(record));
        Some(self)
    }

    pub(super) fn record(&self, root: Root) -> Option<&DynamicMessage> {
        self.records[root as usize].as_deref()
    }
}

/// Whether two kinds of different pools are the same.
pub(crate) fn same_kind(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::Enum(a), Kind::Enum(b)) => a.full_name() == b.full_name(),
        (Kind::Message(a), Kind::Message(b)) => a.full_name() == b.full_name(),
        _ => a == b,
    }
}
