//! Simulated runs of two and three states: `cargo xtask sim --seeds 1000 --seed 1`. A share runs in every test.

use std::process::ExitCode;

use crate::process::run;
use crate::workspace::Workspace;

/// As many as asked for; the arguments are the program's own.
pub fn sim(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    let mut command = workspace.cargo("run --locked --release -p convenio-testkit --example sim --");
    match run(command.args(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
