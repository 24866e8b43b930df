//! What the dependencies may be: `deny.toml`.

use crate::process::run;
use crate::step::{Outcome, Step};
use crate::tools;

/// Banned crates, licences and sources of everything in `Cargo.lock`.
pub const STEP: Step = Step {
    name: "cargo-deny",
    run: |workspace| {
        let deny = tools::cargo_deny(workspace)?;
        run(workspace.command(deny).args(["check", "bans", "licenses", "sources"]))?;
        Ok(Outcome::Passed)
    },
};
