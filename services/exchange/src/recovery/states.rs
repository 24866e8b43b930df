//! What recovery keeps between its steps, on either side.

use convenio_store::StoreError;
use convenio_wire::exchange::v1::RefillOpening;
use prost::Message;

/// The partner's side: path of what is known of the recoveries of one partner under one agreement.
pub(super) fn served(agreement: &str, partner: &str) -> String {
    format!("recovery/{agreement}/{partner}")
}

/// The side that recovers: beginning of the paths that say so. A node does not serve while there is one.
pub(crate) const RECOVERING: &str = "recovering/";

/// Path of what was refilled under one agreement.
pub(super) fn refilled(agreement: &str) -> String {
    format!("{RECOVERING}{agreement}/refilled")
}

/// Recoveries of one partner, as this side has honoured them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Served {
    /// Number of the last request that was honoured; 0 if none was.
    #[prost(uint64, tag = "1")]
    pub honoured: u64,
    /// Challenge that the next request must bear; empty if none was given.
    #[prost(bytes = "vec", tag = "2")]
    pub challenge: Vec<u8>,
    /// Until when, Unix ms.
    #[prost(uint64, tag = "3")]
    pub expires_ms: u64,
    /// SHA-256 of the last request that was honoured.
    #[prost(bytes = "vec", tag = "4")]
    pub last: Vec<u8>,
}

/// What the partner decided about the epochs, kept until the new one is open.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Refill {
    /// Epoch that was granted.
    #[prost(uint64, tag = "1")]
    pub granted: u64,
    /// Mirrored size that EPOCH_OPEN must name.
    #[prost(uint64, tag = "2")]
    pub size: u64,
    /// Root at that size.
    #[prost(bytes = "vec", tag = "3")]
    pub root: Vec<u8>,
    /// Everything was refilled and replayed.
    #[prost(bool, tag = "4")]
    pub done: bool,
    /// How far the refilled own log had judged the partner's: epoch.
    #[prost(uint64, tag = "5")]
    pub peer_epoch: u64,
    /// Size.
    #[prost(uint64, tag = "6")]
    pub peer_size: u64,
}

impl Refill {
    /// What an answer to a request says, before anything of it was refilled.
    pub(super) fn of(opening: &RefillOpening) -> Self {
        let (granted, size, root) = (opening.granted_epoch, opening.size, opening.root.clone());
        Self { granted, size, root, done: false, peer_epoch: 1, peer_size: 0 }
    }
}

/// Reads a state's body.
pub(super) fn read<M: Message + Default>(body: &[u8]) -> Result<M, StoreError> {
    M::decode(body).map_err(|_| StoreError::Corrupt("state"))
}
