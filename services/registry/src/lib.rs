//! Use cases of the sovereign registry of one state. Knows no transport.
//!
//! Requests and answers are the contract's own messages. Each change is one job in the node's writer: the registry's
//! rows, what crosses because of it, and the answer for a repeated request commit together, before the answer is given.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agency;
mod caller;
mod consular;
mod contract;
mod crew;
mod crud;
mod dates;
mod error;
mod job_order;
mod mask;
mod page;
mod placement;
pub mod refusal;
mod registers;
mod request;
mod resource;
mod retention;
mod row;
mod rules;
mod save;
mod terms;

use std::sync::Arc;

use convenio_exchange::Core;

pub use caller::Caller;
pub use error::{Category, RefusedAct, RegistryError, Violation};

use rules::Rules;

/// The registry of one state.
pub struct Registry {
    core: Arc<Core>,
    rules: Arc<Rules>,
    refusals: refusal::Rows,
}

impl Registry {
    /// The registry over one node's exchange.
    ///
    /// # Errors
    /// [`RegistryError::Internal`] if the contract that this program was built with is unusable.
    pub fn new(core: Arc<Core>) -> Result<Self, RegistryError> {
        Ok(Self { core, rules: Arc::new(Rules::new()?), refusals: refusal::Rows::default() })
    }

    /// The exchange beneath.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    pub(crate) fn refusals(&self) -> &refusal::Rows {
        &self.refusals
    }
}
