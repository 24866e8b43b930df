//! The audit of an exchange from what its nodes exported, without a node, a database or a network.
//!
//! [`verify`] answers whether one bundle is whole and signed as the trust file demands, [`compare`] whether two bundles
//! tell the same story, [`report`] what happened in it. Nothing that is read makes these functions panic.

mod audit;
pub mod bundle;
mod compare;
pub mod evidence;
pub mod gazette;
pub mod history;
pub mod journal;
pub mod keys;
pub mod language;
pub mod moment;
pub mod problem;
pub mod receipt;
pub mod replay;
mod report;
pub mod show;
pub mod state;
pub mod text;
pub mod verdict;
mod verify;
mod walk;

pub use audit::{Audit, OnProgress, Options, Progress};
pub use compare::{COLLUSION, Comparison, LogComparison, compare};
pub use convenio_seal::TrustFile;
pub use history::{
    At, EntryRecord, ErasedRecord, Exchange, History, Place, ReplaySummary, ReplayedRecord, SubjectView, TimeBounds,
    Visit,
};
pub use problem::{Check, Problem, Unusable};
pub use report::{
    Answer, Answered, Asked, FieldDifference, Figure, Figures, FiguresError, Finding, Gravity, Limit, MAX_PLACES,
    QUESTIONS, Report, Summary, report, report_as,
};
pub use verify::{AgreementSummary, LogSummary, Verification, load_trust, verify, verify_with};
