//! A signed verdict: that an auditor, with this key, from these bundles and this trust file, came to this report.
//!
//! `verdict.dsse.json` is a DSSE envelope over JSON ([`Verdict`]), type [`VERDICT_TYPE`], by the auditor's Ed25519 key. It
//! covers the three renderings of the report; one of the first form covers `report.json` alone, and says so.

use std::path::{Path, PathBuf};

use convenio_seal::{Envelope, PublicKey, SigningKey};
use serde::{Deserialize, Serialize};

use crate::bundle::{MANIFEST, sha256};
use crate::problem::Unusable;
use crate::report::Report;

/// DSSE type of a verdict.
pub const VERDICT_TYPE: &str = "application/vnd.convenio.verdict.v1+json";
/// `format` of a verdict.
pub const FORMAT: &str = "convenio-verdict/v2";
/// `format` of a verdict over `report.json` alone.
const FIRST_FORMAT: &str = "convenio-verdict/v1";
/// Name of the signed file in its folder.
pub const FILE: &str = "verdict.dsse.json";
/// Names of the renderings beside it.
pub const RENDERINGS: [&str; 3] = ["report.json", "report.html", "report.txt"];

/// Largest report that is read, bytes.
const MAX_REPORT: u64 = 256 * 1024 * 1024;
/// Largest manifest and trust file, bytes.
const MAX_INPUT: u64 = crate::bundle::MAX_MANIFEST;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// Integrity holds and no answer is a finding.
    Holds,
    /// Integrity holds; there are findings.
    Findings,
    /// Integrity does not hold.
    DoesNotHold,
}

impl Outcome {
    /// That of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        match (report.integrity, report.has_findings()) {
            (false, _) => Self::DoesNotHold,
            (true, true) => Self::Findings,
            (true, false) => Self::Holds,
        }
    }
}

/// What is signed. As JSON: these members by these names, digests as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// [`FORMAT`]; `convenio-verdict/v1` if it covers `report.json` alone.
    pub format: String,
    /// What came out.
    pub verdict: Outcome,
    /// When the auditor signed, by his clock, RFC 3339.
    pub time: String,
    /// SHA-256 of `report.json`.
    pub report_sha256: String,
    /// SHA-256 of `report.html`; none in the first form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html_sha256: Option<String>,
    /// SHA-256 of `report.txt`; none in the first form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_sha256: Option<String>,
    /// SHA-256 of each bundle's manifest, in the order given.
    pub manifest_sha256: Vec<String>,
    /// SHA-256 of the trust file.
    pub trust_sha256: String,
    /// Program and version that wrote the report.
    pub program: String,
}

impl Verdict {
    /// The renderings that it covers, each with its SHA-256.
    pub fn covers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let digests = [Some(&self.report_sha256), self.html_sha256.as_ref(), self.text_sha256.as_ref()];
        RENDERINGS.into_iter().zip(digests).filter_map(|(name, digest)| Some((name, digest?.as_str())))
    }

    /// Whether it has the members of its form.
    fn is_whole(&self) -> bool {
        let all = match self.format.as_str() {
            FORMAT => true,
            FIRST_FORMAT => false,
            _ => return false,
        };
        [&self.html_sha256, &self.text_sha256].iter().all(|digest| digest.is_some() == all)
    }
}

/// What a verdict is about.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'i> {
    /// The bundles, in the order in which the report named them.
    pub bundles: &'i [PathBuf],
    /// The trust file.
    pub trust: &'i Path,
}

/// Why a verdict does not stand. The code is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fallen {
    /// Not signed by that key.
    #[error("SIGNATURE: the verdict is not signed by that key")]
    Signature,
    /// Not a verdict.
    #[error("FORMAT: what is signed is no verdict of a form that this version knows")]
    Format,
    /// Another report; the name of the rendering.
    #[error("REPORT: {0} is not the one that was signed")]
    Report(&'static str),
    /// Other bundles.
    #[error("BUNDLES: the bundles are not those of the verdict")]
    Bundles,
    /// Another trust file.
    #[error("TRUST: the trust file is not that of the verdict")]
    Trust,
}

/// Writes the renderings of a report into the folder `out`, which is made if it is not there.
///
/// # Errors
/// [`Unusable::Io`].
pub fn write_report(report: &Report, out: &Path) -> Result<(), Unusable> {
    std::fs::create_dir_all(out).map_err(|source| Unusable::Io { path: out.to_owned(), source })?;
    for (name, text) in RENDERINGS.iter().zip([report.json(), report.html(), report.text()]) {
        write(&out.join(name), &text)?;
    }
    Ok(())
}

/// Signs the report that [`write_report`] wrote into `out`.
///
/// # Errors
/// [`Unusable::Io`].
pub fn sign(
    report: &Report,
    inputs: Inputs<'_>,
    key: &SigningKey,
    time_ms: u64,
    out: &Path,
) -> Result<Verdict, Unusable> {
    let manifests = inputs.bundles.iter().map(|bundle| digest(&bundle.join(MANIFEST), MAX_INPUT));
    let rendering = |at: usize| digest(&out.join(RENDERINGS[at]), MAX_REPORT);
    let verdict = Verdict {
        format: FORMAT.to_owned(),
        verdict: Outcome::of(report),
        time: crate::moment::rfc3339(time_ms),
        report_sha256: rendering(0)?,
        html_sha256: Some(rendering(1)?),
        text_sha256: Some(rendering(2)?),
        manifest_sha256: manifests.collect::<Result<_, _>>()?,
        trust_sha256: digest(inputs.trust, MAX_INPUT)?,
        program: concat!("convenio-audit ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let payload = serde_json::to_vec(&verdict).expect("texts and lists always serialise");
    write(&out.join(FILE), &Envelope::signed(VERDICT_TYPE, payload, &[key]).to_json())?;
    Ok(verdict)
}

/// Checks the verdict in the folder `dir`: the auditor's signature, the renderings beside it that it covers and, where they
/// are given, the bundles and the trust file.
///
/// # Errors
/// [`Unusable`] where a file cannot be read; inside, why the verdict does not stand.
pub fn check(
    dir: &Path,
    key: &PublicKey,
    bundles: &[PathBuf],
    trust: Option<&Path>,
) -> Result<Result<Verdict, Fallen>, Unusable> {
    let path = dir.join(FILE);
    let envelope = Envelope::load(&path);
    let envelope = envelope.map_err(|error| Unusable::Form { path, problem: error.to_string() })?;
    let Ok(payload) = envelope.verify(VERDICT_TYPE, &[*key], 1) else { return Ok(Err(Fallen::Signature)) };
    let Some(verdict) = serde_json::from_slice(payload).ok().filter(Verdict::is_whole) else {
        return Ok(Err(Fallen::Format));
    };
    for (name, signed) in verdict.covers() {
        if digest(&dir.join(name), MAX_REPORT)? != signed {
            return Ok(Err(Fallen::Report(name)));
        }
    }
    let manifests = bundles.iter().map(|bundle| digest(&bundle.join(MANIFEST), MAX_INPUT));
    let manifests: Vec<String> = manifests.collect::<Result<_, _>>()?;
    if !manifests.is_empty() && manifests != verdict.manifest_sha256 {
        return Ok(Err(Fallen::Bundles));
    }
    if let Some(trust) = trust
        && digest(trust, MAX_INPUT)? != verdict.trust_sha256
    {
        return Ok(Err(Fallen::Trust));
    }
    Ok(Ok(verdict))
}

/// Reads an auditor's public key: a file of one line, the SubjectPublicKeyInfo in base64, as `convenio-audit key` writes it.
///
/// # Errors
/// [`Unusable`].
pub fn public_key(path: &Path) -> Result<PublicKey, Unusable> {
    let bytes = crate::bundle::read_bounded(path, 1024);
    let bytes = bytes.map_err(|source| Unusable::Io { path: path.to_owned(), source })?;
    let line = std::str::from_utf8(&bytes).ok().map(|text| text.strip_suffix('\n').unwrap_or(text));
    let key = line.and_then(|line| PublicKey::from_spki_base64(line).ok());
    key.ok_or_else(|| Unusable::Form { path: path.to_owned(), problem: "not an Ed25519 public key in base64".into() })
}

fn digest(path: &Path, limit: u64) -> Result<String, Unusable> {
    let bytes = crate::bundle::read_bounded(path, limit);
    bytes.map(|bytes| hex::encode(sha256(&bytes))).map_err(|source| Unusable::Io { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), Unusable> {
    std::fs::write(path, text).map_err(|source| Unusable::Io { path: path.to_owned(), source })
}
