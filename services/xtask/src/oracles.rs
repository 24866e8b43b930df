//! Programs that nobody of this project wrote judge the bytes of the small demo's logs, and of logs of sizes that matter.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{run, stdout_of};
use crate::step::{Outcome, Step};
use crate::workspace::Workspace;
use crate::{golang, tools};

const FOLDER: &str = "services/testkit/oracles";
const OLDEST: (u32, u32) = (3, 12);

/// Sizes in entries: none, one, around a full tile, a full tile of tiles, and past it.
const SIZES: &str = "0 1 255 256 257 65536 70000";

/// Go's note and tlog over logs of every size that matters.
pub const GO: Step = Step {
    name: "oracles in Go",
    run: |workspace| {
        let golog = golang::golog(workspace)?;
        run(workspace.command(golog).args(samples(workspace)?))?;
        Ok(Outcome::Passed)
    },
};

/// aics-tlog over the same, and aics-witness as a third witness, of our bytes and of two live nodes.
pub const PYTHON: Step = Step {
    name: "oracles in Python",
    run: |workspace| {
        with_python(workspace, |python, script| {
            run(&mut script("selftest.py"))?;
            run(script("verify_sample.py").args(samples(workspace)?))?;
            run(script("verify_witness.py").arg(example(workspace, "log", "witnessed")?))?;
            run(workspace.command(example(workspace, "testkit", "third_witness")?).arg(python))
        })
    },
};

/// aics-tlog and securesystemslib over every log of both states' exports.
pub const DEMO: Step = Step {
    name: "oracles over the demo",
    run: |workspace| {
        with_python(workspace, |_, script| {
            for state in ["sv", "ca"] {
                let bundle = workspace.small_demo().join(state).join("bundle");
                verify(workspace, script("verify_bundle.py"), &bundle)?;
            }
            Ok(())
        })
    },
};

/// Runs what needs the Python oracles, with a Python that has them; `script` starts one of ours.
fn with_python(
    workspace: &Workspace,
    judge: impl FnOnce(&Path, &dyn Fn(&str) -> Command) -> Result<()>,
) -> Result<Outcome> {
    let Some(python) = tools::python(OLDEST) else {
        let (major, minor) = OLDEST;
        return Ok(Outcome::NotRun(format!(
            "aics-tlog and aics-witness need Python {major}.{minor} or later with `venv`; none is on PATH or in \
             ~/.pyenv/versions"
        )));
    };
    let folder = workspace.path(FOLDER);
    let python = tools::environment(workspace, "oracles", &python, &folder.join("requirements.txt"))?;
    judge(&python, &|name: &str| {
        let mut command = workspace.command(&python);
        command.arg("-B").arg(folder.join(name));
        command
    })?;
    Ok(Outcome::Passed)
}

/// Logs written by our own code, a folder for each size.
fn samples(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let out = workspace.path("target/xtask/logs");
    if out.is_dir() {
        fs::remove_dir_all(&out)?;
    }
    let sizes = || SIZES.split(' ');
    run(workspace.command(example(workspace, "log", "logs")?).arg(&out).args(sizes()))?;
    Ok(sizes().map(|size| out.join(size)).collect())
}

/// Builds an example of a crate; its program.
fn example(workspace: &Workspace, of: &str, name: &str) -> Result<PathBuf> {
    run(workspace.cargo("build --locked --quiet -p").arg(format!("convenio-{of}")).arg("--example").arg(name))?;
    Ok(workspace.path("target/debug/examples").join(name))
}

fn verify(workspace: &Workspace, mut script: Command, bundle: &Path) -> Result<()> {
    ensure!(bundle.join("logs").is_dir(), "{} holds no logs: the small demo did not export it", bundle.display());
    let keys = stdout_of(workspace.cargo("run --locked --quiet --release --bin convenio-audit -- keys").arg(bundle))?;
    let mut given = tempfile::NamedTempFile::new()?;
    given.write_all(keys.as_bytes())?;
    let given = fs::File::open(given.path()).context("cannot reopen the list of keys")?;
    run(script.arg(bundle).stdin(given))
}
