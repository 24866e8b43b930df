//! Forks that a bundle holds as evidence: proven, or no evidence at all (exchange-log.md, "Epochs, loss, erasure").

use convenio_log::SignedCheckpoint;

use super::heads::parse;
use crate::bundle::{Bundle, MAX_FILE};
use crate::keys::{KeyBook, log_signed};
use crate::problem::{Check, Problem, Problems};

const FOLDER: &str = "evidence/forks/";
/// Line between the two notes.
const BETWEEN: &[u8] = b"---\n";

/// Judges every fork.
pub(super) fn check(bundle: &Bundle, book: &KeyBook, problems: &mut Problems, findings: &mut Problems) {
    let paths: Vec<String> = bundle.below(FOLDER).map(str::to_owned).collect();
    for path in paths {
        let Some(bytes) = bundle.read(&path, MAX_FILE, problems) else { continue };
        match proven(&bytes, book) {
            Ok(signed) => {
                let text = "its log key signed two different roots for the same number of entries";
                let size = signed.checkpoint().size();
                let problem = Problem::new(Check::Evidence, text).because("EQUIVOCATION");
                findings.push(problem.of(signed.checkpoint().origin()).entry(size.saturating_sub(1)).at(path));
            }
            Err(text) => {
                let text = format!("no evidence of a fork: {text}");
                findings.push(Problem::new(Check::Evidence, text).because("NOT_EVIDENCE").at(path));
            }
        }
    }
}

/// Two valid signatures by one log key for one origin and size with different roots.
fn proven(bytes: &[u8], book: &KeyBook) -> Result<SignedCheckpoint, String> {
    let middle = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN).ok_or("not two notes")?;
    let (one, other) = (parse(&bytes[..middle])?, parse(&bytes[middle + BETWEEN.len()..])?);
    let (a, b) = (one.checkpoint(), other.checkpoint());
    if a.origin() != b.origin() || a.size() != b.size() {
        return Err("the notes are of different logs or sizes".into());
    }
    if a.root() == b.root() {
        return Err("both notes name the same root".into());
    }
    // An exchange log or a journal: the issuer's node is the first step of either origin.
    let issuer = a.origin().split('/').next().unwrap_or_default();
    let ring = book.ring(issuer);
    let signer = |signed: &SignedCheckpoint| {
        let version = log_signed(signed, a.origin(), &ring, 0)?;
        Ok::<_, String>(ring.version(version).map(|keys| keys.log))
    };
    if signer(&one)? != signer(&other)? {
        return Err("the notes are signed by different keys".into());
    }
    Ok(one)
}
