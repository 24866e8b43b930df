//! Programs that nobody of this project wrote judge the bytes of the small demo's logs.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::process::{run, stdout_of};
use crate::step::{Outcome, Step};
use crate::tools;
use crate::workspace::Workspace;

const FOLDER: &str = "services/testkit/oracles";
const PYTHON: (u32, u32) = (3, 12);

/// aics-tlog and securesystemslib over every log of both states' exports.
pub const STEP: Step = Step {
    name: "oracles",
    run: |workspace| {
        let Some(python) = tools::python(PYTHON) else {
            let (major, minor) = PYTHON;
            return Ok(Outcome::NotRun(format!(
                "aics-tlog needs Python {major}.{minor} or later with `venv`; none is on PATH or \
                 in ~/.pyenv/versions"
            )));
        };
        let folder = workspace.path(FOLDER);
        let requirements = folder.join("requirements.txt");
        let python = tools::environment(workspace, "oracles", &python, &requirements)?;
        run(workspace.command(&python).arg("-B").arg(folder.join("selftest.py")))?;
        for state in ["sv", "ca"] {
            let bundle = workspace.small_demo().join(state).join("bundle");
            verify(workspace, &python, &bundle)?;
        }
        Ok(Outcome::Passed)
    },
};

fn verify(workspace: &Workspace, python: &Path, bundle: &Path) -> Result<()> {
    ensure!(bundle.join("logs").is_dir(), "{} holds no logs: the small demo did not export it", bundle.display());
    let keys = stdout_of(workspace.cargo("run --locked --quiet --release --bin convenio-audit -- keys").arg(bundle))?;
    let mut given = tempfile::NamedTempFile::new()?;
    given.write_all(keys.as_bytes())?;
    let given = fs::File::open(given.path()).context("cannot reopen the list of keys")?;
    run(workspace
        .command(python)
        .arg("-B")
        .arg(workspace.path(FOLDER).join("verify_bundle.py"))
        .arg(bundle)
        .stdin(given))
}
