//! The second version of the agreements, which each state takes at a moment of its own.

use super::watch::{Violation, need};
use super::world::World;

impl World {
    /// A state takes the second versions of its agreements, which all parties have ratified.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) async fn amend(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
        self.states[state].amended = true;
        let (amendments, files): (Vec<_>, _) =
            (self.accord.amendments(state).collect(), self.accord.ratifications(state));
        let taken = self.states[state].core().amend(&amendments, &files).await;
        need(met || taken.is_ok(), || format!("a second version is not taken: {taken:?}"))?;
        Ok(vec![state])
    }

    /// Where one state has taken them, all do in the end: what follows is not mirrored by who does not hold them.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) async fn all_amend(&mut self) -> Result<(), Violation> {
        if !self.states.iter().any(|state| state.amended) {
            return Ok(());
        }
        for state in 0..self.states.len() {
            self.amend(state, false).await?;
        }
        for state in 0..self.states.len() {
            let exchanges = self.states[state].core().exchanges();
            let amended = exchanges.iter().all(|exchange| exchange.pack().amends().is_some());
            need(amended, || "a state issues under a version that was replaced".to_owned())?;
        }
        self.look(&[]).await
    }
}
