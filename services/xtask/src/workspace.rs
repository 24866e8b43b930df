//! Where the checkout is, and how its programs are started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The checkout that this xtask was built from.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace two folders above this crate.
    pub fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest
            .ancestors()
            .nth(2)
            .filter(|root| root.join("Cargo.toml").is_file())
            .with_context(|| format!("no workspace above {}", manifest.display()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// `relative` to the root of the checkout.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Where tools that the machine lacks are installed.
    pub fn tools(&self) -> PathBuf {
        self.path("target/tools")
    }

    /// The small demo's directory, made by its step and read by the oracles' step.
    pub fn small_demo(&self) -> PathBuf {
        self.path("target/xtask/demo-small")
    }

    /// `program`, to be run at the root of the checkout.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        // `cargo run` describes this crate to its child; build scripts that watch these variables
        // would be run anew by each nested cargo.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }

    /// The cargo that runs this xtask, with `words` as its arguments.
    pub fn cargo(&self, words: &str) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command.args(words.split_whitespace());
        command
    }
}
