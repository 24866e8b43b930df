//! A node that loses its disk, recovered from its partner: `cargo xtask recover --records 100000`. A share runs in every
//! test.

use std::process::ExitCode;

use crate::process::run;
use crate::workspace::Workspace;

/// As many records as asked for; the arguments are the program's own.
pub fn recover(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    let build = run(&mut workspace.cargo("build --locked --release --bin convenio"));
    let mut command = workspace.cargo("run --locked --release -p convenio-testkit --example recover --");
    command.args(arguments).arg("--convenio").arg(workspace.path("target/release/convenio"));
    match build.and_then(|()| run(&mut command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
