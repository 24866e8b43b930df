//! The heads of a journal: signed by its node's log key, cosigned by a partner's witness key.

use std::collections::{BTreeMap, BTreeSet};

use convenio_log::{Checkpoint, Hash, SignatureType, SignedCheckpoint, VerifierKey, cosignature};
use convenio_seal::ManifestKeys;

use super::{folder, manifests};
use crate::bundle::{Bundle, JournalLine, MAX_FILE, log_folder};
use crate::problem::{Check, Problem, Problems};
use crate::verify::Checked;

/// Sizes at which a bundle holds a checkpoint of a journal; what cannot be read is told by [`check`].
pub(super) fn sizes(bundle: &Bundle, line: &JournalLine) -> BTreeSet<u64> {
    let mut unread = Problems::default();
    paths(bundle, line)
        .iter()
        .filter_map(|path| parse(bundle, path, line, &mut unread))
        .map(|s| head(&s).size())
        .collect()
}

/// Checks every checkpoint of a journal, with `roots` also what they say; gives the largest size that a partner's witness
/// cosigned.
pub(super) fn check(
    bundle: &Bundle,
    line: &JournalLine,
    keys: &[ManifestKeys],
    roots: Option<&BTreeMap<u64, Hash>>,
    problems: &mut Problems,
) -> u64 {
    let mut witnessed = 0;
    for path in paths(bundle, line) {
        let Some(signed) = parse(bundle, &path, line, problems) else { continue };
        let size = head(&signed).size();
        let bad = |check, text: &str| Problem::new(check, text).of(&line.name).at(&path);
        if let Err(text) = log_signed(&signed, line, keys) {
            problems.push(bad(Check::Checkpoint, &text));
        }
        let latest = path.ends_with("/checkpoint");
        if latest != (size == line.size) || size > line.size {
            problems.push(bad(Check::Checkpoint, "a checkpoint of another size than its name tells"));
        }
        if roots.is_some_and(|roots| roots.get(&size) != Some(&head(&signed).root())) {
            problems.push(bad(Check::Checkpoint, "the entries have another root at that size"));
        }
        match cosigned(&signed, line, keys) {
            Ok(Some(_)) => witnessed = witnessed.max(size),
            Ok(None) => {}
            Err(text) => problems.push(bad(Check::Cosignature, &text)),
        }
    }
    witnessed
}

/// A head of a journal that the partner's witness cosigned.
pub(super) struct Seen {
    pub(super) head: Checkpoint,
    /// When, by the witness's clock, Unix ms.
    pub(super) time_ms: u64,
}

/// The head of this journal that the partner's witness cosigned last, as the partner's bundle holds it.
pub(super) fn witnessed(
    partner: &Checked,
    line: &JournalLine,
    keys: &[ManifestKeys],
    problems: &mut Problems,
) -> Option<Seen> {
    let bundle = partner.bundle.as_deref()?;
    let path = log_folder(&line.name).replacen("logs/", "witnessed/", 1).trim_end_matches('/').to_owned();
    if !bundle.lists(&path) {
        return None;
    }
    let signed = parse(bundle, &path, line, problems)?;
    let known: Vec<ManifestKeys> = keys.iter().cloned().chain(manifests(bundle, &partner.book)).collect();
    let bad = |text: &str| Problem::new(Check::Cosignature, text).of(&line.name).at(&path);
    let good = log_signed(&signed, line, &known).and_then(|()| cosigned(&signed, line, &known));
    match good {
        Ok(Some(seconds)) => Some(Seen { head: head(&signed).clone(), time_ms: seconds.saturating_mul(1_000) }),
        Ok(None) => {
            problems.push(bad("the exporter's witness has not cosigned it"));
            None
        }
        Err(text) => {
            problems.push(bad(&text));
            None
        }
    }
}

/// Reason of the problem that entries which the partner's witness saw are not here.
pub(crate) const TRUNCATED: &str = "JOURNAL_TRUNCATED";

/// Whether a journal still begins with what the partner's witness cosigned.
pub(super) fn agrees(line: &JournalLine, theirs: &Checkpoint, roots: &BTreeMap<u64, Hash>, problems: &mut Problems) {
    let bad = |text: String, reason| Problem::new(Check::Checkpoint, text).because(reason).of(&line.name);
    if theirs.size() > line.size {
        let text = format!("the partner's witness saw {} entries, {} are here", theirs.size(), line.size);
        problems.push(bad(text, TRUNCATED).entry(line.size));
    } else if theirs.size() > 0 && roots.get(&theirs.size()) != Some(&theirs.root()) {
        let text = "the partner's witness saw another root at that size".to_owned();
        problems.push(bad(text, "JOURNAL_REWRITTEN").entry(theirs.size() - 1));
    }
}

fn paths(bundle: &Bundle, line: &JournalLine) -> Vec<String> {
    let folder = folder(line);
    let kept = format!("{folder}checkpoints/");
    let kept = bundle.below(&kept).map(str::to_owned).collect::<Vec<_>>();
    std::iter::once(format!("{folder}checkpoint")).chain(kept).collect()
}

fn parse(bundle: &Bundle, path: &str, line: &JournalLine, problems: &mut Problems) -> Option<SignedCheckpoint> {
    let bytes = bundle.read(path, MAX_FILE, problems)?;
    match SignedCheckpoint::parse(&bytes) {
        Ok(signed) => Some(signed),
        Err(error) => {
            problems.push(Problem::new(Check::Checkpoint, error.to_string()).of(&line.name).at(path));
            None
        }
    }
}

fn head(signed: &SignedCheckpoint) -> &Checkpoint {
    signed.checkpoint()
}

/// Whether a log key of the journal's node, of any version, signed the checkpoint.
fn log_signed(signed: &SignedCheckpoint, line: &JournalLine, keys: &[ManifestKeys]) -> Result<(), String> {
    if head(signed).origin() != line.name {
        return Err("a checkpoint of another log".to_owned());
    }
    for keys in keys.iter().filter(|keys| keys.node == line.origin.node) {
        let key = VerifierKey::new(&line.name, SignatureType::Ed25519, keys.log.raw()).map_err(|e| e.to_string())?;
        if signed.note().signatures().iter().any(|signature| signature.is_by(&key)) {
            return signed.verify_log(&key).map_err(|error| error.to_string());
        }
    }
    Err("not signed by a log key that the roots of its node authorised".to_owned())
}

/// When the witness of another node cosigned the checkpoint, Unix seconds; none if it has not.
fn cosigned(signed: &SignedCheckpoint, line: &JournalLine, keys: &[ManifestKeys]) -> Result<Option<u64>, String> {
    let mut found = None;
    for keys in keys.iter().filter(|keys| keys.node != line.origin.node) {
        let name = format!("{}/witness/{}", keys.node, keys.version);
        let key =
            VerifierKey::new(name, SignatureType::CosignatureV1, keys.witness.raw()).map_err(|e| e.to_string())?;
        if signed.note().signatures().iter().any(|signature| signature.is_by(&key)) {
            found = found.max(Some(cosignature::verify(signed, &key).map_err(|error| error.to_string())?));
        }
    }
    Ok(found)
}
