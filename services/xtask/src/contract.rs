//! The protobuf contract: lint, format, and no change that breaks the one last released.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::process::run;
use crate::step::{Outcome, Step};
use crate::tools;
use crate::workspace::Workspace;

/// The image of the last released contract, within `proto/`.
const RELEASED: &str = "released.binpb";
/// What `.cargo/protoc` answers with, and the vendored file that it is.
const STAND_IN: &str = ".cargo/validate.binpb";
const VALIDATE: &str = "buf/validate/validate.proto";
const VENDORED: [&str; 2] = ["buf", "google"];

/// Lint, format, breaking changes.
pub const STEP: Step = Step {
    name: "buf",
    run: |workspace| {
        let buf = tools::buf(workspace)?;
        run(at_proto(workspace, &buf).arg("lint"))?;

        let mut format = at_proto(workspace, &buf);
        format.args(["format", "--diff", "--exit-code"]);
        for vendored in VENDORED {
            format.args(["--exclude-path", vendored]);
        }
        run(&mut format)?;

        ensure!(
            workspace.path("proto").join(RELEASED).is_file(),
            "proto/{RELEASED} is missing: `cargo xtask release-contract` makes it (proto/README.md)"
        );
        run(at_proto(workspace, &buf).args(["breaking", "--against", RELEASED]))?;
        stand_in_is_true(workspace, &buf)?;
        Ok(Outcome::Passed)
    },
};

/// What `.cargo/protoc` answers with is the vendored file and nothing else.
fn stand_in_is_true(workspace: &Workspace, buf: &Path) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let built = dir.path().join("validate.binpb");
    let arguments = ["build", ".", "--path", VALIDATE, "--exclude-source-info", "--as-file-descriptor-set", "-o"];
    run(at_proto(workspace, buf).args(arguments).arg(&built))?;
    let same = std::fs::read(&built)? == std::fs::read(workspace.path(STAND_IN))?;
    ensure!(same, "{STAND_IN} is not {VALIDATE}: in proto/, run buf {} ../{STAND_IN}", arguments.join(" "));
    Ok(())
}

/// Writes the image that later changes are compared with.
pub const RELEASE: Step = Step {
    name: "release-contract",
    run: |workspace| {
        let buf = tools::buf(workspace)?;
        run(at_proto(workspace, &buf).args(["build", "--exclude-source-info", "-o", RELEASED]))?;
        println!("proto/{RELEASED} is written: commit it with the release");
        Ok(Outcome::Passed)
    },
};

fn at_proto(workspace: &Workspace, buf: &Path) -> Command {
    let mut command = workspace.command(buf);
    command.current_dir(workspace.path("proto"));
    command
}
