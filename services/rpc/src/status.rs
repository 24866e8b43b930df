//! The one translation of errors into `google.rpc.Status`.
//!
//! Every error carries an `ErrorInfo` with the domain `convenio` and a stable reason; fields at fault stand in a
//! `BadRequest`; what is worth trying again carries a `RetryInfo`. Values never appear, and what went wrong inside
//! stays inside: it is logged, the caller learns that it failed.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use convenio_agreement::act::Detail;
use convenio_registry::{Category, RegistryError, Violation};
use convenio_store::StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `ErrorInfo.domain` of every error of a node.
pub const DOMAIN: &str = "convenio";
/// When to try again what may pass.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Most violations in an answer: details travel in HTTP/2 headers, which clients bound, often at 8 KiB.
const MAX_VIOLATIONS: usize = 20;
/// What a caller is told of a fault of this node.
const INTERNAL: &str = "internal error";

/// Translates an error of a use case.
#[must_use]
pub fn from_registry(error: &RegistryError) -> Status {
    let code = code(error.category());
    let message = hide_fault(code, error.reason(), error);
    Answer { code, reason: error.reason(), message: &message, detail: error.detail(), retry: error.retryable() }
        .with(error.violations())
}

/// Translates an error of the database, met while reading.
#[must_use]
pub fn from_store(error: &StoreError) -> Status {
    let (code, reason, retry) = match error {
        StoreError::Unusable(_) | StoreError::Failed(_) | StoreError::Uncertain(_) => {
            (Code::Unavailable, "UNAVAILABLE", true)
        }
        StoreError::Corrupt(_) => (Code::Internal, "INTERNAL", false),
    };
    let message = hide_fault(code, reason, error);
    Answer { code, reason, message: &message, detail: None, retry }.with(&[])
}

/// A refusal of this crate's own.
pub(crate) fn refusal(code: Code, reason: &str, message: &str) -> Status {
    Answer { code, reason, message, detail: None, retry: code == Code::Unavailable }.with(&[])
}

/// A field of the request that is at fault.
pub(crate) fn bad_field(field: &str, description: &str) -> Status {
    let violation = Violation { field: field.to_owned(), description: description.to_owned() };
    let message = "the request is not valid";
    Answer { code: Code::InvalidArgument, reason: "INVALID_ARGUMENT", message, detail: None, retry: false }
        .with(&[violation])
}

/// A fault of this node or of its wiring.
pub(crate) fn internal() -> Status {
    refusal(Code::Internal, "INTERNAL", INTERNAL)
}

/// Gives what tonic itself answers, before or after a handler, a reason like everything else. Handlers always give
/// theirs, so that what has none is about the message as such.
pub(crate) fn with_reason(bare: Status) -> Status {
    match bare.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            refusal(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "the message is larger than the method takes")
        }
        Code::Internal | Code::InvalidArgument => {
            refusal(Code::InvalidArgument, "MALFORMED_MESSAGE", "the message is not one of the method's")
        }
        Code::Unimplemented => refusal(Code::Unimplemented, "UNIMPLEMENTED", "not supported"),
        Code::NotFound => refusal(Code::NotFound, "NOT_FOUND", "unknown"),
        code => refusal(code, "TRANSPORT", "the call could not be carried out"),
    }
}

fn code(category: Category) -> Code {
    match category {
        Category::InvalidArgument => Code::InvalidArgument,
        Category::NotFound => Code::NotFound,
        Category::AlreadyExists => Code::AlreadyExists,
        Category::Aborted => Code::Aborted,
        Category::FailedPrecondition => Code::FailedPrecondition,
        Category::PermissionDenied => Code::PermissionDenied,
        Category::ResourceExhausted => Code::ResourceExhausted,
        Category::Unavailable => Code::Unavailable,
        Category::Internal => Code::Internal,
    }
}

/// The message for the caller; a fault of this node is logged instead of told.
fn hide_fault(code: Code, reason: &str, error: &(dyn std::error::Error + 'static)) -> String {
    let innermost = || std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string();
    match code {
        Code::Internal => {
            tracing::error!(reason, error = innermost(), "a call failed");
            INTERNAL.to_owned()
        }
        Code::Unavailable => {
            tracing::warn!(reason, error = innermost(), "a call could not be served");
            "not available at present".to_owned()
        }
        _ => error.to_string(),
    }
}

/// An entry of the metadata, if there is anything to say.
fn said((key, value): (&str, &String)) -> Option<(String, String)> {
    (!value.is_empty()).then(|| (key.to_owned(), value.clone()))
}

struct Answer<'a> {
    code: Code,
    reason: &'a str,
    message: &'a str,
    detail: Option<&'a Detail>,
    retry: bool,
}

impl Answer<'_> {
    fn with(self, violations: &[Violation]) -> Status {
        let of =
            |detail: &Detail| [("gate", &detail.gate), ("clause", &detail.clause), ("fact", &detail.fact)].map(said);
        let metadata: HashMap<_, _> = self.detail.map(of).into_iter().flatten().flatten().collect();
        let mut details = ErrorDetails::with_error_info(self.reason, DOMAIN, metadata);
        for violation in violations.iter().take(MAX_VIOLATIONS) {
            details.add_bad_request_violation(&violation.field, &violation.description);
        }
        if self.retry {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Status::with_error_details(self.code, self.message, details)
    }
}
