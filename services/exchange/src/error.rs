//! Why nothing was issued, and why a node does not open.

use convenio_agreement::act::Refusal;
use convenio_agreement::plan::ProjectError;
use convenio_store::StoreError;

use crate::amend::AmendError;

/// Nothing was issued; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The lifecycle or a gate refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The agreement's message cannot be built from the registry's records.
    #[error(transparent)]
    Projection(#[from] ProjectError),
    /// The record is larger than a log takes.
    #[error("the record is larger than an entry or its parts may be")]
    TooLarge,
    /// The direction is frozen.
    #[error("exchange under this agreement is stopped: {0}")]
    Frozen(String),
    /// The agreement is not in force for this act: SUSPENDED, TERMINATED or OUT_OF_VALIDITY.
    #[error("the agreement is not in force for this act: {0}")]
    Halted(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A node cannot open its logs.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A party's ratification of the pack's digest is missing or not by its roots.
    #[error("agreement {agreement}: not ratified by {party}: {why}")]
    NotRatified {
        /// Agreement.
        agreement: String,
        /// Party.
        party: String,
        /// What is missing.
        why: String,
    },
    /// A partner that joins would be sent what is past its retention, for a hold keeps it.
    #[error("agreement {agreement}: {party} may not join: a hold keeps parts of class {class} past their retention")]
    NotWithheld {
        /// Agreement.
        agreement: String,
        /// Party that joins.
        party: String,
        /// Retention class.
        class: String,
    },
    /// The root-signed authorisation of the first epoch is missing or does not fit.
    #[error("agreement {agreement}: no authorisation to open {origin}: {why}")]
    NotAuthorised {
        /// Agreement.
        agreement: String,
        /// Log.
        origin: String,
        /// What is missing.
        why: String,
    },
    /// The recovery of an agreement's log was begun and has not ended.
    #[error("a recovery was begun and has not ended: finish it with `convenio node recover`")]
    Recovering,
    /// There are no log entries, but files beside the database tell of some: a node that begins anew signs a second past.
    #[error(
        "the database is empty, but the data keys, the ledger or the witness's heads beside it tell of a past: recover it with \
         `convenio node recover`, or put the database back"
    )]
    LostDatabase,
    /// Logs of the node name other keys than it signs with.
    #[error(
        "{origin} names keys of manifest {named}, another log of this node manifest {used}: have the roots sign manifest {used} \
         for every log (`convenio root sign-keys`) and put the file beside the epochs"
    )]
    KeysDiffer {
        /// Log.
        origin: String,
        /// Version that it names.
        named: u64,
        /// Version that the node signs with.
        used: u64,
    },
    /// A version that was placed cannot replace the one in force.
    #[error(transparent)]
    Amendment(Box<AmendError>),
    /// The database holds something else than this node's logs.
    #[error("database: {0}")]
    Database(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AmendError> for OpenError {
    fn from(error: AmendError) -> Self {
        Self::Amendment(Box::new(error))
    }
}
