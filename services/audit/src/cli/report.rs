//! Reports and verdicts.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use convenio_audit::language::Language;
use convenio_audit::{Asked, Figures, Report, Unusable, load_trust, moment, report_as, verdict as verdicts};
use convenio_model::{Clock, SystemClock, SystemEntropy};
use convenio_seal::SigningKey;

use super::{BROKEN, FINDINGS, HOLDS, Output, Work, put};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folder of the bundle.
    bundle: PathBuf,
    /// Folder of the other state's bundle.
    bundle_b: Option<PathBuf>,
    /// Trust file: agreement digests, root keys, pinned checkpoints.
    #[arg(long)]
    trust: PathBuf,
    /// Form of the answer.
    #[arg(long, value_enum, default_value = "text")]
    output: Form,
    /// Language of the texts: en, es or fr.
    #[arg(long, default_value_t = Language::English)]
    lang: Language,
    /// Published figures to be counted again, JSON.
    #[arg(long, value_name = "FILE")]
    figures: Option<PathBuf>,
    /// Write report.json, report.html and report.txt into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Sign the report in the folder of `--out` with the auditor's key.
    #[arg(long, value_name = "KEY", requires = "out")]
    sign: Option<PathBuf>,
    /// Time of the verdict, RFC 3339; without it the clock's.
    #[arg(long, value_name = "TIME", requires = "sign", value_parser = time)]
    time: Option<u64>,
    #[command(flatten)]
    work: Work,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
    Html,
}

#[derive(Subcommand)]
pub(super) enum VerdictCommand {
    /// Is it signed by that auditor, about this report, these bundles and this trust file?
    Check {
        /// Folder with verdict.dsse.json and the renderings of the report.
        dir: PathBuf,
        /// Public key of the auditor, FILE.pub.
        #[arg(long)]
        key: PathBuf,
        /// The bundles that it must be about, in their order.
        #[arg(long = "bundle")]
        bundles: Vec<PathBuf>,
        /// The trust file that it must be about.
        #[arg(long)]
        trust: Option<PathBuf>,
        /// Form of the answer.
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
}

pub(super) fn run(args: Args) -> Result<u8, Unusable> {
    let trust = load_trust(&args.trust)?;
    let key = args.sign.as_deref().map(signing_key).transpose()?;
    let asked = Asked {
        language: args.lang,
        figures: args.figures.as_deref().map(figures).transpose()?,
        options: args.work.options(),
    };
    let report = report_as(&args.bundle, args.bundle_b.as_deref(), &trust, &asked)?;
    if let Some(out) = &args.out {
        verdicts::write_report(&report, out)?;
        let bundles: Vec<PathBuf> = [Some(args.bundle), args.bundle_b].into_iter().flatten().collect();
        let inputs = verdicts::Inputs { bundles: &bundles, trust: &args.trust };
        let time_ms = args.time.unwrap_or_else(|| SystemClock.now_ms());
        key.map(|key| verdicts::sign(&report, inputs, &key, time_ms, out)).transpose()?;
    }
    match args.output {
        Form::Text => put(report.text().trim_end()),
        Form::Json => put(report.json().trim_end()),
        Form::Html => put(report.html().trim_end()),
    }
    Ok(code(&report))
}

fn code(report: &Report) -> u8 {
    match verdicts::Outcome::of(report) {
        verdicts::Outcome::Holds => HOLDS,
        verdicts::Outcome::Findings => FINDINGS,
        verdicts::Outcome::DoesNotHold => BROKEN,
    }
}

/// A verdict that stands, and what it speaks of.
#[derive(serde::Serialize)]
struct Checked<'v> {
    #[serde(flatten)]
    verdict: &'v verdicts::Verdict,
    /// Names of the renderings that were signed.
    covers: Vec<&'static str>,
}

impl Checked<'_> {
    fn text(&self) -> String {
        let (verdict, covers) = (self.verdict, self.covers.join(", "));
        format!("{:?}, signed at {}, covers {covers}", verdict.verdict, verdict.time)
    }
}

pub(super) fn verdict(command: VerdictCommand) -> Result<u8, Unusable> {
    let VerdictCommand::Check { dir, key, bundles, trust, output } = command;
    let key = verdicts::public_key(&key)?;
    match verdicts::check(&dir, &key, &bundles, trust.as_deref())? {
        Ok(found) => {
            let covers = found.covers().map(|(name, _)| name).collect();
            output.show(&Checked { verdict: &found, covers }, Checked::text);
            Ok(HOLDS)
        }
        Err(fallen) => {
            eprintln!("convenio-audit: {}: {fallen}", dir.display());
            Ok(BROKEN)
        }
    }
}

pub(super) fn key(file: &Path) -> Result<u8, Unusable> {
    let with = |ending: &str| PathBuf::from(format!("{}{ending}", file.display()));
    let (secret, public) = (with(convenio_seal::key::KEY_FILE_SUFFIX), with(".pub"));
    let key = SigningKey::generate(&SystemEntropy::default());
    key.store(&secret).map_err(|error| Unusable::Form { path: secret, problem: error.to_string() })?;
    let line = key.public().spki_base64();
    std::fs::write(&public, format!("{line}\n")).map_err(|source| Unusable::Io { path: public, source })?;
    put(&line);
    Ok(HOLDS)
}

fn signing_key(path: &Path) -> Result<SigningKey, Unusable> {
    SigningKey::load(path).map_err(|error| Unusable::Form { path: path.to_owned(), problem: error.to_string() })
}

fn figures(path: &Path) -> Result<Figures, Unusable> {
    Figures::load(path).map_err(|error| Unusable::Form { path: path.to_owned(), problem: error.to_string() })
}

fn time(text: &str) -> Result<u64, String> {
    moment::parse(text).ok_or_else(|| "must be RFC 3339, for example 2026-05-01T12:00:00Z".to_owned())
}
