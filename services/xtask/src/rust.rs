//! The steps that need Rust alone.

use crate::process::run;
use crate::step::{Outcome, Step};

/// Formatting of every crate.
pub const FMT: Step = Step {
    name: "rustfmt",
    run: |workspace| {
        run(&mut workspace.cargo("fmt --all --check"))?;
        Ok(Outcome::Passed)
    },
};

/// Lints, `clippy.toml`'s bans among them; a warning fails.
pub const CLIPPY: Step = Step {
    name: "clippy",
    run: |workspace| {
        run(&mut workspace.cargo("clippy --locked --workspace --all-targets -- -D warnings"))?;
        Ok(Outcome::Passed)
    },
};

/// Every Rust test.
pub const TEST: Step = Step {
    name: "cargo test",
    run: |workspace| {
        run(&mut workspace.cargo("test --locked --workspace"))?;
        Ok(Outcome::Passed)
    },
};

/// The two binaries as they are shipped.
pub const RELEASE: Step = Step {
    name: "release build",
    run: |workspace| {
        run(&mut workspace.cargo("build --locked --release --bin convenio --bin convenio-audit"))?;
        Ok(Outcome::Passed)
    },
};
