//! Why a use case did nothing. Paths of fields, never their values.

use convenio_agreement::act::{Detail, Refusal};
use convenio_agreement::plan::{ExtensionError, ProjectError};
use convenio_exchange::IssueError;
use convenio_store::StoreError;

/// A field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path, for example `job_order.terms.wage_rate`.
    pub field: String,
    /// What is wrong: the id of a rule, or words. Never the value.
    pub description: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }
}

/// What kind of failure it is; each has one status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The request is wrong, whatever the state of the registry.
    InvalidArgument,
    /// No such record.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Another change came first; read again.
    Aborted,
    /// Not in the present state of the registry.
    FailedPrecondition,
    /// Not for this state or this caller.
    PermissionDenied,
    /// A limit is reached.
    ResourceExhausted,
    /// May pass; try again.
    Unavailable,
    /// A defect.
    Internal,
}

/// An act that the lifecycle or a gate refused; nothing was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAct {
    /// Agreement.
    pub agreement: String,
    /// Transition, fact or notice.
    pub act: String,
    /// Whose limit it is: `agencies/<uuid>`, `jobOrders/<uuid>` or `placements/<uuid>`.
    pub subject: String,
    /// Why.
    pub refusal: Refusal,
    /// Fields concerned.
    pub violations: Vec<Violation>,
}

/// Why a use case did nothing.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Fields of the request break a rule.
    #[error("the request is not valid")]
    Invalid(Vec<Violation>),
    /// The record is larger than a log takes.
    #[error("the record is larger than an exchange takes")]
    TooLarge,
    /// No such record.
    #[error("no such record")]
    NotFound,
    /// The id or an external id belongs to a record already.
    #[error("there is such a record already")]
    AlreadyExists(Vec<Violation>),
    /// The record was changed since it was read.
    #[error("the record was changed since it was read")]
    EtagMismatch,
    /// The request id was used for another request.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// Not this state's to do, or not this caller's.
    #[error("{0}")]
    PermissionDenied(&'static str),
    /// Personal data is read or written for a stated purpose only.
    #[error("a purpose is required")]
    PurposeRequired,
    /// The agreement is not in force here.
    #[error("the agreement is not in force here")]
    NotInForce(Vec<Violation>),
    /// The lifecycle or a gate refused.
    #[error("{}", .0.refusal)]
    Refused(Box<RefusedAct>),
    /// The placement has crossed: what is shared changes by acts alone.
    #[error("not possible in the present state")]
    State(Vec<Violation>),
    /// Something keeps what was to be erased: a stable reason.
    #[error("kept: {0}")]
    Retained(&'static str),
    /// The exchange under the agreement is stopped.
    #[error("the exchange under this agreement is stopped")]
    Stopped,
    /// The agreement is not in force for this act: SUSPENDED, TERMINATED or OUT_OF_VALIDITY.
    #[error("the agreement is not in force for this act")]
    Halted(&'static str),
    /// The database failed.
    #[error("the registry is not available")]
    Store(#[from] StoreError),
    /// A defect of this program.
    #[error("internal: {0}")]
    Internal(&'static str),
}

impl RegistryError {
    /// One field is wrong.
    pub(crate) fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation::new(field, description)])
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Invalid(_) | Self::TooLarge | Self::PurposeRequired => Category::InvalidArgument,
            Self::NotFound => Category::NotFound,
            Self::AlreadyExists(_) | Self::RequestIdReused => Category::AlreadyExists,
            Self::EtagMismatch => Category::Aborted,
            Self::PermissionDenied(_) => Category::PermissionDenied,
            Self::NotInForce(_) | Self::State(_) | Self::Retained(_) | Self::Stopped | Self::Halted(_) => {
                Category::FailedPrecondition
            }
            Self::Refused(refused) => match refused.refusal {
                Refusal::UnknownAct(_) => Category::InvalidArgument,
                Refusal::Sequence => Category::Aborted,
                Refusal::Quota => Category::ResourceExhausted,
                _ => Category::FailedPrecondition,
            },
            Self::Store(StoreError::Corrupt(_)) | Self::Internal(_) => Category::Internal,
            Self::Store(_) => Category::Unavailable,
        }
    }

    /// Stable reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Invalid(_) => "INVALID_ARGUMENT",
            Self::TooLarge => "TOO_LARGE",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists(_) => "ALREADY_EXISTS",
            Self::EtagMismatch => "ETAG_MISMATCH",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::PermissionDenied(_) => "PERMISSION_DENIED",
            Self::PurposeRequired => "PURPOSE_REQUIRED",
            Self::NotInForce(_) => "NOT_IN_FORCE",
            Self::State(_) => "LIFECYCLE",
            Self::Retained(reason) | Self::Halted(reason) => reason,
            Self::Stopped => "STOPPED",
            Self::Refused(refused) => match refused.refusal {
                Refusal::UnknownAct(_) => "UNKNOWN_ACT",
                Refusal::NotGovernor(_) => "NOT_GOVERNOR",
                Refusal::Sequence => "SEQUENCE",
                Refusal::Undecided => "UNDECIDED",
                Refusal::Lifecycle { .. } => "LIFECYCLE",
                Refusal::Gate { .. } => "GATE",
                Refusal::Quota => "QUOTA",
            },
            Self::Store(StoreError::Corrupt(_)) | Self::Internal(_) => "INTERNAL",
            Self::Store(_) => "UNAVAILABLE",
        }
    }

    /// What a gate that refused tells: its name, its clause and its fact; none if none did.
    #[must_use]
    pub fn detail(&self) -> Option<&Detail> {
        match self {
            Self::Refused(refused) => match &refused.refusal {
                Refusal::Gate(detail) => Some(detail),
                _ => None,
            },
            _ => None,
        }
    }

    /// Gate that refused; empty if none did.
    #[must_use]
    pub fn gate(&self) -> &str {
        self.detail().map_or("", |detail| detail.gate.as_str())
    }

    /// Fields concerned.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Invalid(fields) | Self::AlreadyExists(fields) | Self::NotInForce(fields) | Self::State(fields) => {
                fields
            }
            Self::Refused(refused) => &refused.violations,
            _ => &[],
        }
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.category() == Category::Unavailable
    }

    /// The issue of `act` failed.
    pub(crate) fn issue(
        error: IssueError,
        agreement: &str,
        act: &str,
        subject: impl FnOnce(&Refusal) -> String,
    ) -> Self {
        match error {
            IssueError::Refused(refusal) => Self::Refused(Box::new(RefusedAct {
                agreement: agreement.to_owned(),
                act: act.to_owned(),
                subject: subject(&refusal),
                violations: violations(refusal.detail()),
                refusal,
            })),
            IssueError::Projection(error) => Self::Invalid(projection(error)),
            IssueError::TooLarge => Self::TooLarge,
            IssueError::Frozen(_) => Self::Stopped,
            IssueError::Halted(reason) => Self::Halted(reason),
            IssueError::Store(error) => Self::Store(error),
        }
    }
}

fn violations(detail: Detail) -> Vec<Violation> {
    detail.field_paths.into_iter().map(|path| Violation::new(path, &*detail.gate)).collect()
}

fn projection(error: ProjectError) -> Vec<Violation> {
    match error {
        ProjectError::UnknownMessage(_) => vec![Violation::new("", "the agreement lacks a message")],
        ProjectError::MissingSource(root) => vec![Violation::new(root.as_str(), "required")],
        ProjectError::Extension(error) => extension(error),
        ProjectError::Invalid(found) => found.into_iter().map(|v| Violation::new(v.path, v.rule)).collect(),
    }
}

/// What is wrong with what an agreement adds to a record.
pub(crate) fn extension(error: ExtensionError) -> Vec<Violation> {
    match error {
        ExtensionError::NotExtended(of) => {
            vec![Violation::new(format!("{of}.agreement_data"), "the agreement does not extend this record")]
        }
        ExtensionError::WrongType { of, .. } => {
            vec![Violation::new(format!("{of}.agreement_data"), "not the agreement's message")]
        }
        ExtensionError::Malformed(of) => vec![Violation::new(format!("{of}.agreement_data"), "malformed")],
        ExtensionError::UnknownFields(paths) => {
            paths.into_iter().map(|path| Violation::new(path, "unknown field")).collect()
        }
        ExtensionError::Invalid(found) => found.into_iter().map(|v| Violation::new(v.path, v.rule)).collect(),
    }
}
