//! Fuzzing of every parser: `cargo xtask fuzz --seconds 60`, or one of them with `--target note`.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::process::run;
use crate::tools;
use crate::workspace::Workspace;

const FOLDER: &str = "services/fuzz/libfuzzer";
const CORPUS: &str = "services/fuzz/corpus";

/// Each target in turn, on the toolchain that the checkout is built with: without a sanitizer, since the code is safe.
pub fn fuzz(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    match all(workspace, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn all(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (mut seconds, mut only) = ("30".to_owned(), None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("`{word}` needs a value"))?.clone();
        match word.as_str() {
            "--seconds" => seconds = value.parse::<u32>().context("--seconds is a number")?.to_string(),
            "--target" => only = Some(value),
            _ => bail!("`{word}` is neither --seconds nor --target"),
        }
    }
    let fuzzer = tools::cargo_fuzz(workspace)?;
    let targets: Vec<String> =
        targets(workspace)?.into_iter().filter(|t| only.as_ref().is_none_or(|o| o == t)).collect();
    ensure!(!targets.is_empty(), "no such target; there are those of {CORPUS}");
    for target in targets {
        // What is found on the way stays under `target`; what stands in the repository is only read.
        let found = workspace.path("target/fuzz-corpus").join(&target);
        fs::create_dir_all(&found)?;
        let mut command = workspace.command(&fuzzer);
        command.args(["run", "--sanitizer", "none", "--fuzz-dir", FOLDER, &target]).arg(found);
        command.arg(workspace.path(CORPUS).join(&target)).arg("--").arg(format!("-max_total_time={seconds}"));
        // libFuzzer's hooks are compiler flags that a stable toolchain knows all the same.
        run(command.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

/// The folders of the corpus; a test of the crate holds them against its targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folders = fs::read_dir(workspace.path(CORPUS)).with_context(|| format!("cannot read {CORPUS}"))?;
    let mut names: Vec<String> = folders.flatten().map(|entry| entry.file_name().to_string_lossy().into()).collect();
    names.sort();
    Ok(names)
}
