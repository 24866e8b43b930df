//! Words of the domain: references, parties, time, entropy. No IO.

mod entropy;
mod reference;
mod time;

pub use entropy::{Entropy, SeededEntropy, SystemEntropy, uuid_v4, uuid_v7};
pub use reference::{BadReference, Ref, RecordId, ResourceName};
pub use time::{Clock, ManualClock, SystemClock};
