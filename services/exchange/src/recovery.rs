//! Recovery (recuperación) of a lost log from the partner's mirror of it.
//!
//! [`serve`] is the partner's side: it gives a challenge, and on a request that the other party's roots signed over it closes
//! that party's epoch durably, allots the next number and answers with both logs. [`client`] is the side that lost its disk:
//! it verifies what it is given, extends the database that it has, rebuilds its views by replay ([`replay`]) and opens the
//! epoch that was granted, where everything past the mirrored head is issued again.

pub mod client;
mod erasures;
mod replay;
pub mod serve;
mod states;
mod walk;

pub(crate) use states::RECOVERING;
