//! Words of the domain: references, identities, time, entropy. No IO.

mod entropy;
mod identity;
mod reference;
mod sign_off;
mod time;

pub use entropy::{Entropy, SeededEntropy, SystemEntropy, uuid_v4, uuid_v7};
pub use identity::{Identity, IdentityError};
pub use reference::{BadReference, RecordId, Ref, ResourceName};
pub use sign_off::{RatificationRule, SignOffPolicy};
pub use time::{Clock, ManualClock, SystemClock};
