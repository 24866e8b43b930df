//! The keys of a bundle's logs: authorised by the roots in EPOCH_OPEN, and by nothing else.

use std::path::Path;

use convenio_log::tile::{EntryTile, parse_bundle};
use convenio_log::{Note, SignatureType, SignedCheckpoint, VerifierKey};
use convenio_seal::{ManifestKeys, PublicKey, TrustFile, open_entry, verify_epoch_open};
use convenio_wire::exchange::v1::EpochOpen;
use convenio_wire::exchange::v1::statement::Body;

use crate::bundle::{Bundle, LogLine, MANIFEST, MAX_FILE, Opened, SIGNATURE, log_folder};
use crate::problem::{Check, Problem, Problems, Unusable};

/// The keys that act in one log.
#[derive(Debug, Clone)]
pub struct LogKeys {
    /// The issuer's keys.
    pub issuer: ManifestKeys,
    /// Signs the log's checkpoints; its name is the origin.
    pub log: VerifierKey,
    /// The partner's mirror key, if the partner's log is in the bundle and opens.
    pub mirror: Option<PublicKey>,
    /// The partner's witness key, likewise.
    pub witness: Option<PublicKey>,
}

/// Keys of every log, in the manifest's order; none where EPOCH_OPEN is not good.
pub(crate) fn all(bundle: &Bundle, trust: &TrustFile, problems: &mut Problems) -> Vec<Option<LogKeys>> {
    let logs = &bundle.manifest().logs;
    let opened: Vec<Option<ManifestKeys>> = logs
        .iter()
        .map(|line| {
            let keys = open_log(bundle, line, trust, problems);
            keys.map_err(|problem| problem.into_iter().for_each(|p| problems.push(p.of(&line.name)))).ok()
        })
        .collect();
    let partner = |line: &LogLine| partner_of(logs, line).and_then(|at| opened[at].as_ref());
    let keys = logs.iter().zip(&opened).map(|(line, issuer)| {
        let issuer = issuer.clone()?;
        let log = VerifierKey::new(&line.name, SignatureType::Ed25519, issuer.log.raw()).ok()?;
        let (mirror, witness) = (partner(line).map(|k| k.mirror), partner(line).map(|k| k.witness));
        Some(LogKeys { issuer, log, mirror, witness })
    });
    keys.collect()
}

/// The log in the other direction, by position; of several epochs the last.
pub(crate) fn partner_of(logs: &[LogLine], line: &LogLine) -> Option<usize> {
    let reverse = |other: &LogLine| {
        let (a, b) = (&line.origin, &other.origin);
        a.agreement == b.agreement && a.issuer == b.recipient && a.recipient == b.issuer
    };
    (0..logs.len()).filter(|at| reverse(&logs[*at])).max_by_key(|at| logs[*at].origin.epoch)
}

fn open_log(
    bundle: &Bundle,
    line: &LogLine,
    trust: &TrustFile,
    problems: &mut Problems,
) -> Result<ManifestKeys, Option<Problem>> {
    let open = first_entry(bundle, line)?;
    let claimed = ManifestKeys::parse(&open.key_manifest);
    let claimed = claimed.map_err(|error| Some(Problem::new(Check::Trust, error.to_string()).entry(0)))?;
    let Some(roots) = trust.roots_of(&claimed.party) else {
        let text = format!("the trust file names no root of `{}`", claimed.party);
        return Err(Some(Problem::new(Check::Trust, text).entry(0)));
    };
    let keys = verify_epoch_open(&open, &line.name, roots);
    let keys = keys.map_err(|error| Some(Problem::new(Check::Trust, format!("EPOCH_OPEN: {error}")).entry(0)))?;
    if line.origin.issuer == bundle.manifest().node && keys.party != bundle.manifest().party {
        problems.push(Problem::new(Check::Manifest, "the exporter is of another party than its log").at(MANIFEST));
    }
    Ok(keys)
}

/// What opens a log. No problem where the file itself is the problem: that is reported where it is read in full.
fn first_entry(bundle: &Bundle, line: &LogLine) -> Result<EpochOpen, Option<Problem>> {
    let no_log = || Some(Problem::new(Check::Sequence, "the log is empty: it has no EPOCH_OPEN"));
    let tile = EntryTile::at(0, line.size).ok_or_else(no_log)?;
    let path = format!("{}{tile}", log_folder(&line.name));
    let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default()).ok_or(None)?;
    let entries = parse_bundle(&bytes, tile.width()).unwrap_or_default();
    let opened = entries.first().and_then(|entry| open_entry(entry).ok());
    match opened.and_then(|entry| entry.statement.body) {
        Some(Body::EpochOpen(open)) => Ok(open),
        _ => Err(Some(Problem::new(Check::Sequence, "the log does not begin with EPOCH_OPEN").entry(0))),
    }
}

/// Whether the exporter's log key signed the manifest.
pub(crate) fn manifest_signature(bundle: &Bundle, keys: &[Option<LogKeys>]) -> Result<(), Problem> {
    let bad = |text: &str| Problem::new(Check::Manifest, text).at(SIGNATURE);
    let logs = &bundle.manifest().logs;
    let own = logs.iter().position(|line| line.origin.issuer == bundle.manifest().node);
    let key = own.and_then(|at| keys[at].as_ref());
    let key = key.ok_or_else(|| bad("no log of the exporter is there to name its key"))?;
    let bytes = bundle.signature().ok_or_else(|| bad("cannot be read"))?;
    let note = Note::parse(&bytes).map_err(|error| bad(&error.to_string()))?;
    if note.text() != bundle.signed_text() {
        return Err(bad("signs another manifest"));
    }
    if note.signatures().len() != 1 || note.to_string().as_bytes() != bytes {
        return Err(bad("is not one signature in its one spelling"));
    }
    note.verify([&key.log]).map(drop).map_err(|error| bad(&error.to_string()))
}

/// What the cosigners of a log's partner signed on a checkpoint: the mirror's key as it names itself, if it did.
///
/// # Errors
/// A signature of a known key that does not verify.
pub(crate) fn cosigned(
    checkpoint: &SignedCheckpoint,
    node: &str,
    mirror: &PublicKey,
    witness: Option<&PublicKey>,
) -> Result<Option<VerifierKey>, convenio_log::note::NoteError> {
    let mut found = None;
    for (role, key) in [("mirror", Some(mirror)), ("witness", witness)] {
        let Some(key) = key else { continue };
        for line in checkpoint.note().signatures() {
            if !is_cosigner(line.name(), node, role) {
                continue;
            }
            let key = VerifierKey::new(line.name(), SignatureType::CosignatureV1, key.raw())?;
            if line.is_by(&key) {
                key.verify(checkpoint.note().text(), line.signature())?;
                if role == "mirror" {
                    found = Some(key);
                }
            }
        }
    }
    Ok(found)
}

/// `<node>/<role>/<n>`.
pub(crate) fn is_cosigner(name: &str, node: &str, role: &str) -> bool {
    let rest = name.strip_prefix(node).and_then(|rest| rest.strip_prefix('/'));
    let number = rest.and_then(|rest| rest.strip_prefix(role)).and_then(|rest| rest.strip_prefix('/'));
    let digits = |n: &str| !n.is_empty() && !n.starts_with('0') && n.bytes().all(|b| b.is_ascii_digit());
    number.is_some_and(digits)
}

/// The keys that a bundle's logs name, one line each: `<origin> log <vkey>`, `<origin> record <spki base64>`,
/// `<origin> mirror <vkey>` (the mirror that cosigns the log of that origin). Read from EPOCH_OPEN without roots: nothing
/// is verified; for other programs that need the keys. Empty if no log can be read.
///
/// # Errors
/// [`Unusable`] if there is no bundle.
pub fn listed(path: &Path) -> Result<Vec<String>, Unusable> {
    let Opened::Bundle(bundle) = Bundle::open(path)? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    for line in &bundle.manifest().logs {
        let Some(keys) = claimed(&bundle, line) else { continue };
        if let Ok(log) = VerifierKey::new(&line.name, SignatureType::Ed25519, keys.log.raw()) {
            lines.push(format!("{} log {log}", line.name));
        }
        lines.push(format!("{} record {}", line.name, keys.record.spki_base64()));
        let partner = partner_of(&bundle.manifest().logs, line).map(|at| &bundle.manifest().logs[at]);
        let mirror = partner.and_then(|partner| claimed(&bundle, partner)).and_then(|partner| {
            let path = format!("{}checkpoint", log_folder(&line.name));
            let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default())?;
            let signed = SignedCheckpoint::parse(&bytes).ok()?;
            cosigned(&signed, &line.origin.recipient, &partner.mirror, None).ok()?
        });
        if let Some(mirror) = mirror {
            lines.push(format!("{} mirror {mirror}", line.name));
        }
    }
    Ok(lines)
}

fn claimed(bundle: &Bundle, line: &LogLine) -> Option<ManifestKeys> {
    let open = first_entry(bundle, line).ok()?;
    ManifestKeys::parse(&open.key_manifest).ok()
}
