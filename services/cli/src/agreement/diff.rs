//! `convenio agreement diff`: an amendment explained, and refused where it would break what is in flight.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use convenio_agreement::Pack;
use convenio_agreement::diff::{Change, Diff};
use serde_json::json;

use super::FolderArgs;
use crate::output::say;

/// Arguments of `convenio agreement diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// The version before: an id, a pack's own folder, or a tree that holds one pack, agreements/… and what it imports
    #[arg(long)]
    from: String,
    /// The amended version, as --from
    #[arg(long)]
    to: String,
    /// How changes are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How changes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Prints all changes. Exit code 0 if the amendment may be made, 1 if not.
///
/// # Errors
/// What the loader refuses.
pub(super) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let from = load(&args.folder.agreements, &args.from).context("--from")?;
    let to = load(&args.folder.agreements, &args.to).context("--to")?;
    let diff = Diff::of(&from, &to);
    match args.format {
        Format::Text => text(&from, &to, &diff)?,
        Format::Json => say(serde_json::to_string_pretty(&as_json(&from, &to, &diff))?)?,
    }
    Ok(ExitCode::from(u8::from(diff.is_refused())))
}

/// By id, by its own folder, or by a tree that holds nothing else.
fn load(agreements: &Path, name: &str) -> anyhow::Result<Pack> {
    let path = Path::new(name);
    if !path.is_dir() {
        return Ok(Pack::load(agreements, name)?);
    }
    if !path.join("agreement.toml").is_file() {
        return Ok(Pack::read_from(path)?);
    }
    let path = path.canonicalize()?;
    let id = path.file_name().and_then(|name| name.to_str()).context("names no folder of a pack")?;
    Ok(Pack::load(path.parent().unwrap_or(Path::new("/")), id)?)
}

fn text(from: &Pack, to: &Pack, diff: &Diff) -> anyhow::Result<()> {
    say(format_args!("from  {}  {}", from.id(), hex::encode(from.digest())))?;
    say(format_args!("to    {}  {}", to.id(), hex::encode(to.digest())))?;
    for change in &diff.changes {
        say(change)?;
    }
    if diff.changes.is_empty() {
        say("nothing changes but texts")?;
    }
    say(if diff.is_refused() { "refused: records in flight or their readers would break" } else { "may be made" })
}

fn as_json(from: &Pack, to: &Pack, diff: &Diff) -> serde_json::Value {
    let one = |change: &Change| {
        json!({
            "effect": change.effect.as_str(), "rule": change.rule, "subject": change.subject, "says": change.says,
        })
    };
    json!({
        "from": { "agreement": from.id(), "digest": hex::encode(from.digest()) },
        "to": { "agreement": to.id(), "digest": hex::encode(to.digest()) },
        "refused": diff.is_refused(),
        "changes": diff.changes.iter().map(one).collect::<Vec<_>>(),
    })
}
