//! What the node keeps of erasures in its small durable facts.

use convenio_model::RecordId;

/// Erasures that this node ordered: `erasure/<agreement>/<record>/<part>`.
pub(crate) const ORDERED: &str = "erasure/";
/// Orders of the partner that something keeps from being carried out yet: `erase-due/<agreement>/<record>/<part>`.
pub(crate) const DUE: &str = "erase-due/";

/// Path of one part below `prefix`.
pub(crate) fn path(prefix: &str, agreement: &str, record: RecordId, part: u32) -> String {
    format!("{prefix}{agreement}/{}/{part}", hex::encode(record.0))
}

/// An erasure that this node ordered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ordered {
    /// Agreement.
    #[prost(string, tag = "1")]
    pub agreement: String,
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub record_id: Vec<u8>,
    /// Index of the part.
    #[prost(uint32, tag = "3")]
    pub part: u32,
    /// Subject, for example `placements/<uuid>`; empty if none.
    #[prost(string, tag = "4")]
    pub subject: String,
    /// Retention class; empty if it was unreadable already.
    #[prost(string, tag = "5")]
    pub class: String,
    /// Ground.
    #[prost(string, tag = "6")]
    pub ground: String,
    /// Record id of the ERASE, 16 bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub erase_id: Vec<u8>,
    /// When it was ordered, Unix ms.
    #[prost(uint64, tag = "8")]
    pub ordered_ms: u64,
    /// ERASED or REFUSED; empty while there is no answer.
    #[prost(string, tag = "9")]
    pub answer: String,
    /// Why it was refused.
    #[prost(string, tag = "10")]
    pub reason: String,
    /// When the answer was judged, Unix ms.
    #[prost(uint64, tag = "11")]
    pub answered_ms: u64,
}

/// An order of the partner that waits.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Due {
    /// Record, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub record_id: Vec<u8>,
    /// Index of the part.
    #[prost(uint32, tag = "2")]
    pub part: u32,
    /// When it was received, Unix ms.
    #[prost(uint64, tag = "3")]
    pub received_ms: u64,
}

/// A data key that is to be destroyed.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Shred {
    /// Whose key it is: subject and class, hashed, 16 bytes; empty if that is not known.
    #[prost(bytes = "vec", tag = "1")]
    pub keyed: Vec<u8>,
    /// What else it sealed is sealed anew.
    #[prost(bool, tag = "2")]
    pub rekeyed: bool,
    /// Lines for the ledger.
    #[prost(string, repeated, tag = "3")]
    pub lines: Vec<String>,
}
