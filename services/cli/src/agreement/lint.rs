//! `convenio agreement lint`: all that is wrong with a pack or doubtful about it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use convenio_agreement::lint::{Finding, Report, Severity, lint};
use serde_json::json;

use super::FolderArgs;
use crate::output::say;

/// Arguments of `convenio agreement lint`.
#[derive(Args, Debug)]
pub(super) struct LintArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// The agreement, e.g. sv-ca
    #[arg(long, conflicts_with = "dir")]
    id: Option<String>,
    /// The agreement's own folder, instead of --agreements and --id
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Prints all findings. Exit code 0 without errors, 1 with.
///
/// # Errors
/// If the arguments name no pack.
pub(super) fn run(args: &LintArgs) -> anyhow::Result<ExitCode> {
    let (folder, id) = place(args)?;
    let report = lint(&folder, &id);
    match args.format {
        Format::Text => text(&id, &report)?,
        Format::Json => say(serde_json::to_string_pretty(&as_json(&id, &report))?)?,
    }
    Ok(ExitCode::from(u8::from(!report.is_clean())))
}

fn place(args: &LintArgs) -> anyhow::Result<(PathBuf, String)> {
    if let Some(id) = &args.id {
        return Ok((args.folder.agreements.clone(), id.clone()));
    }
    let Some(dir) = &args.dir else { bail!("name the pack: --id ID, or --dir FOLDER") };
    let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
    let id = dir.file_name().and_then(|name| name.to_str()).context("--dir names no folder of a pack")?.to_owned();
    Ok((dir.parent().unwrap_or(Path::new("/")).to_owned(), id))
}

fn text(id: &str, report: &Report) -> anyhow::Result<()> {
    for finding in &report.findings {
        say(finding)?;
    }
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let word = if report.is_clean() { "ok" } else { "refused" };
    say(format_args!("{word}  {id}  {errors} errors, {warnings} warnings"))
}

fn as_json(id: &str, report: &Report) -> serde_json::Value {
    let one = |finding: &Finding| {
        json!({
            "severity": finding.severity.as_str(), "rule": finding.rule, "file": finding.file, "line": finding.line,
            "key": finding.key, "problem": finding.problem, "instead": finding.instead,
        })
    };
    json!({
        "agreement": id,
        "ok": report.is_clean(),
        "digest": report.pack.as_ref().map(|pack| hex::encode(pack.digest())),
        "findings": report.findings.iter().map(one).collect::<Vec<_>>(),
    })
}
