//! SIGKILL of either node at random moments: `cargo xtask kills --count 100 --seed 1`, and a share of it in every test.

use std::process::ExitCode;

use crate::process::run;
use crate::step::{Outcome, Step};
use crate::workspace::Workspace;

/// Kills of the share; the seed changes with nothing, so that a failure can be played again.
const SHARE_OF: &str = "--count 6 --seed 1";

/// A few kills, of release builds.
pub const SHARE: Step = Step {
    name: "kills",
    run: |workspace| {
        run(&mut play(workspace, &SHARE_OF.split(' ').map(str::to_owned).collect::<Vec<_>>()))?;
        Ok(Outcome::Passed)
    },
};

/// As many as asked for; the arguments are the program's own.
pub fn kills(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    let build = run(&mut workspace.cargo("build --locked --release --bin convenio"));
    match build.and_then(|()| run(&mut play(workspace, arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(workspace: &Workspace, arguments: &[String]) -> std::process::Command {
    let mut command = workspace.cargo("run --locked --release -p convenio-testkit --example kills --");
    command.args(arguments).arg("--convenio").arg(workspace.path("target/release/convenio"));
    command
}
