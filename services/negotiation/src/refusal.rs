//! Why an act is not taken.

use convenio_agreement::PackError;
use convenio_seal::DsseError;
use convenio_seal::canonical::NotCanonical;

use crate::chain::MAX_STEPS;

/// An act is not taken; [`Refusal::reason`] is stable. Carries no text of the act.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The envelope is none, or not signed once by a good key.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// The payload is not canonical.
    #[error("negotiation act: {0}")]
    Encoding(#[from] NotCanonical),
    /// The payload is too long.
    #[error("a negotiation act is longer than 128 KiB")]
    TooLarge,
    /// A field does not have its form.
    #[error("field `{0}` of a negotiation act is malformed")]
    Field(&'static str),
    /// The key is of no office that the trust file names for that party.
    #[error("the act is not signed by a key that the trust file names for that office")]
    Office,
    /// The act names an earlier one that is not here.
    #[error("the act before this one is not here")]
    PreviousUnknown,
    /// The step is not the one behind the act before.
    #[error("the step does not follow that of the act before")]
    Step,
    /// More steps than a negotiation may have.
    #[error("a negotiation has at most {MAX_STEPS} steps")]
    TooManySteps,
    /// Another agreement or other parties than before.
    #[error("the act is of another agreement or of other parties than the one before")]
    Other,
    /// The negotiation has ended before this act.
    #[error("the negotiation had ended before this act")]
    Closed,
    /// It names another draft than the standing one, or counters with the same.
    #[error("the act does not fit the standing draft")]
    Standing,
    /// Only the party that made the standing draft may take it back; only another may reject it.
    #[error("the act is not this party's to make")]
    Turn,
    /// The party has put its initials to this draft already.
    #[error("the party has put its initials to this draft already")]
    Initialled,
    /// Files of the draft are not here.
    #[error("{count} files of the draft are missing")]
    FilesMissing {
        /// How many.
        count: usize,
    },
    /// A file that the draft does not name, or longer than it says.
    #[error("a file that the draft does not name")]
    ForeignFile,
    /// The draft's files are more than 4 MiB together.
    #[error("the files of a draft are more than 4 MiB")]
    DraftTooLarge,
    /// The draft is no pack that could be ratified.
    #[error("the draft does not load: {0}")]
    Draft(Box<PackError>),
    /// The draft is of another agreement, or its parties are not those that negotiate.
    #[error("the draft is of another agreement or of other parties than the act")]
    DraftOther,
    /// What is stored of the partner has reached its limit.
    #[error("{0}")]
    Quota(&'static str),
}

impl Refusal {
    /// Stable reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Envelope(_) | Self::Encoding(_) | Self::Field(_) => "MALFORMED_ACT",
            Self::TooLarge | Self::DraftTooLarge => "TOO_LARGE",
            Self::Office => "UNKNOWN_OFFICE",
            Self::PreviousUnknown => "PREVIOUS_UNKNOWN",
            Self::Step => "STEP",
            Self::TooManySteps => "TOO_MANY_STEPS",
            Self::Other => "OTHER_NEGOTIATION",
            Self::Closed => "NEGOTIATION_CLOSED",
            Self::Standing => "OTHER_DRAFT",
            Self::Turn => "NOT_YOUR_ACT",
            Self::Initialled => "ALREADY_INITIALLED",
            Self::FilesMissing { .. } => "FILES_MISSING",
            Self::ForeignFile => "FOREIGN_FILE",
            Self::Draft(_) => "DRAFT_REFUSED",
            Self::DraftOther => "OTHER_AGREEMENT",
            Self::Quota(_) => "QUOTA",
        }
    }
}
