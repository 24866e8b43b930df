//! `convenio agreement new`: the folder of a pack to begin with, which lints clean; what governments must decide is marked.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use convenio_agreement::lint::{Severity, lint};

use crate::output::{say, write_file};

/// Arguments of `convenio agreement new`.
#[derive(Args, Debug)]
pub(super) struct NewArgs {
    /// The agreement's id, two countries in lower case, e.g. ni-cr
    #[arg(long)]
    id: String,
    /// Family of lifecycles to begin with
    #[arg(long, value_enum)]
    profile: Profile,
    /// Country that workers leave, ISO 3166-1 alpha-2
    #[arg(long)]
    origin: String,
    /// Country that workers come to
    #[arg(long)]
    destination: String,
    /// Folder of packs, named `agreements`; shared files that are not beside it are written too
    #[arg(long)]
    out: PathBuf,
}

/// Family of lifecycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    NorthSouth,
    SouthSouth,
}

macro_rules! shared {
    ($($path:literal),* $(,)?) => {
        /// Files that packs import, by import path.
        const SHARED: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../../../proto/", $path))),)*];
    };
}

shared!(
    "agreements/common/north_south.proto",
    "agreements/common/north_south.toml",
    "agreements/common/south_south.proto",
    "agreements/common/south_south.toml",
    "buf/validate/validate.proto",
    "convenio/agreement/v1/options.proto",
    "convenio/type/v1/value.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/timestamp.proto",
);

/// The notice of a job order, which the North–South profile leaves to each agreement.
const NOTICES: &str = "\n[[lifecycle.notices]]\nname = \"job_order\"\nby = [\"destination\"]\n\
                       message = \"JobOrderNotice\"\nsubject = \"jobOrders\"\n";

impl Profile {
    /// Name of its fragment, its acts before and at the first crossing, its own messages and notices.
    fn parts(self) -> (&'static str, [&'static str; 2], &'static str, &'static str) {
        match self {
            Self::NorthSouth => {
                ("north_south", ["preselect", "nominate"], include_str!("new/north_south.proto.txt"), NOTICES)
            }
            Self::SouthSouth => ("south_south", ["enlist", "list"], include_str!("new/south_south.proto.txt"), ""),
        }
    }
}

/// Writes the folder and lints it.
///
/// # Errors
/// If the folder exists, an argument is no country or id, or what was written does not lint.
pub(super) fn run(args: &NewArgs) -> anyhow::Result<()> {
    check(args)?;
    let folder = args.out.join(&args.id);
    ensure!(!folder.exists(), "{}: exists already", folder.display());
    let root = args.out.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for (path, text) in SHARED {
        let path = root.join(path);
        if !path.exists() {
            write_file(&path, text.as_bytes())?;
        }
    }
    for (name, text) in files(args) {
        write_file(&folder.join(name), text.as_bytes())?;
    }
    let report = lint(&args.out, &args.id);
    for finding in &report.findings {
        say(finding)?;
    }
    ensure!(report.is_clean(), "{}: the shared files beside it are of another version", folder.display());
    let warnings = report.findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    say(format_args!("ok  {}  {warnings} points are open", folder.display()))
}

fn check(args: &NewArgs) -> anyhow::Result<()> {
    let id = args.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    ensure!(
        id && (2..=64).contains(&args.id.len()) && !args.id.starts_with('-'),
        "--id: lower-case letters, digits, dashes"
    );
    for (name, country) in [("--origin", &args.origin), ("--destination", &args.destination)] {
        let two = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        ensure!(two, "{name}: two upper-case letters, ISO 3166-1 alpha-2");
    }
    ensure!(args.origin != args.destination, "--origin and --destination are the same country");
    let name = args.out.file_name().context("--out names no folder")?;
    ensure!(name == "agreements", "--out: the folder of packs must be named `agreements`");
    Ok(())
}

/// Name and text of each file.
fn files(args: &NewArgs) -> Vec<(String, String)> {
    let package = args.id.replace('-', "_");
    // A package's name begins with a letter.
    let package = if package.starts_with(|c: char| c.is_ascii_digit()) { format!("a{package}") } else { package };
    let (fragment, [first, second], proto, notices) = args.profile.parts();
    let profile = fragment.replace('_', "-");
    let packages = format!("\"agreements.common.{fragment}.v1\"");
    let (origin, destination) = (args.origin.to_lowercase(), args.destination.to_lowercase());
    let fill = |text: &str| {
        let values = [
            ("@NOTICES@", notices),
            ("@PACKAGES@", &packages),
            ("@FRAGMENT@", fragment),
            ("@PROFILE@", &profile),
            ("@FIRST@", first),
            ("@SECOND@", second),
            ("@PKG@", &package),
            ("@ID@", &args.id),
            ("@ORIGIN@", &args.origin),
            ("@DESTINATION@", &args.destination),
            ("@origin@", &origin),
            ("@destination@", &destination),
        ];
        values.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    };
    vec![
        ("agreement.toml".to_owned(), fill(include_str!("new/agreement.toml.txt"))),
        (format!("{package}.proto"), fill(proto)),
        ("README.md".to_owned(), fill(include_str!("new/README.md.txt"))),
        ("examples/season.toml".to_owned(), fill(include_str!("new/season.toml.txt"))),
    ]
}

#[cfg(test)]
mod tests {
    use convenio_agreement::Pack;

    use super::*;

    fn args(id: &str, profile: Profile, out: &Path) -> NewArgs {
        let (origin, destination) = ("PH".to_owned(), "KR".to_owned());
        NewArgs { id: id.to_owned(), profile, origin, destination, out: out.to_owned() }
    }

    #[test]
    fn what_is_written_loads_anywhere_and_marks_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("agreements");
        for (id, profile) in [("ph-kr", Profile::NorthSouth), ("ph-kr-2", Profile::SouthSouth)] {
            run(&args(id, profile, &out)).unwrap();
            let pack = Pack::load(&out, id).unwrap();
            assert!(pack.messages().count() > 10, "{id}");
            let report = lint(&out, id);
            let open = |rule: &str| report.findings.iter().any(|finding| finding.rule == rule);
            assert!(open("basis/legal") && open("basis/policy") && open("basis/hypothetical"), "{id}");
            assert!(std::fs::read_to_string(out.join(id).join("README.md")).unwrap().contains("TODO"));
            assert!(run(&args(id, profile, &out)).unwrap_err().to_string().contains("exists already"));
        }
    }

    #[test]
    fn wrong_arguments_write_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("agreements");
        assert!(run(&args("../x", Profile::NorthSouth, &out)).is_err());
        assert!(run(&args("ph-kr", Profile::NorthSouth, &dir.path().join("packs"))).is_err());
        assert!(!out.exists());
    }
}
