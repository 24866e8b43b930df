//! The checkpoints of a log: who signed them, when, and whether they are of this log.

use convenio_log::SignedCheckpoint;

use super::CheckedLog;
use super::revocation::{Revoked, valid_at};
use super::tree::Roots;
use crate::bundle::{Bundle, MAX_FILE, log_folder};
use crate::keys::{Cosigned, Ring, cosigned, log_signed};
use crate::problem::{Check, Problem, Problems};

/// A cosigned state of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Head {
    /// Entries.
    pub(crate) size: u64,
    /// When its partner's mirror (or witness) cosigned it, Unix seconds.
    pub(crate) time: u64,
    /// Whether by the mirror.
    pub(crate) mirror: bool,
}

/// Forgets the heads between the first and the last that one cosigner made in one second, `of` which log they are: they
/// bound the time of no entry any closer, and a long log has many.
pub(super) fn thin<T: Copy>(heads: &mut Vec<T>, of: impl Fn(&T) -> (usize, Head)) {
    let second = |one: &T| {
        let (log, head) = of(one);
        (log, head.mirror, head.time)
    };
    heads.sort_unstable_by_key(|one| (second(one), of(one).1.size));
    let mut kept = 0;
    for at in 0..heads.len() {
        let last = at + 1 == heads.len() || second(&heads[at]) != second(&heads[at + 1]);
        // Compared with what stands at the end of those that are kept: at most the first of this second.
        let middle = kept >= 1 && second(&heads[kept - 1]) == second(&heads[at]) && !last;
        if !middle {
            heads[kept] = heads[at];
            kept += 1;
        }
    }
    heads.truncate(kept);
    heads.sort_unstable_by_key(of);
}

/// What the checks of checkpoints need.
pub(super) struct Context<'c> {
    pub(super) bundle: &'c Bundle,
    pub(super) issuer: &'c Ring,
    pub(super) recipient: &'c Ring,
    pub(super) revoked: &'c [Revoked],
}

/// The latest checkpoint and the kept ones.
pub(super) fn check(with: &Context<'_>, log: &mut CheckedLog, problems: &mut Problems) {
    let line = log.line().clone();
    let folder = log_folder(&line.name);
    let latest = format!("{folder}checkpoint");
    let size = one(with, log, &latest, problems);
    if size.is_some_and(|size| size != line.size) {
        let text = "the checkpoint is of another size than the manifest names";
        problems.push(Problem::new(Check::Checkpoint, text).of(&line.name).at(&latest));
    }
    let own = line.origin.issuer == with.bundle.manifest().node;
    if !own && size.is_some() && log.delivered < line.size {
        let text = "the exporter's mirror has not cosigned all that it exports of its partner's log";
        let problem = Problem::new(Check::Cosignature, text).because("NOT_COSIGNED");
        problems.push(problem.of(&line.name).entry(log.delivered).at(&latest));
    }
    let kept = format!("{folder}checkpoints/");
    let paths: Vec<String> = with.bundle.below(&kept).map(str::to_owned).collect();
    for path in paths {
        let size = one(with, log, &path, problems);
        if size.is_some_and(|size| path[kept.len()..] != size.to_string() || size >= line.size) {
            let text = "the checkpoint is of another size than its name, or not an earlier one";
            problems.push(Problem::new(Check::Checkpoint, text).of(&line.name).at(&path));
        }
    }
}

/// Checks one checkpoint; returns its size.
fn one(with: &Context<'_>, log: &mut CheckedLog, path: &str, problems: &mut Problems) -> Option<u64> {
    let bytes = with.bundle.read(path, MAX_FILE, problems)?;
    let name = log.line().name.clone();
    let bad = |check, text: String| Problem::new(check, text).of(&name).at(path);
    let signed = match parse(&bytes) {
        Ok(signed) => signed,
        Err(text) => {
            problems.push(bad(Check::Checkpoint, text));
            return None;
        }
    };
    let head = signed.checkpoint().clone();
    if let Err(text) = by_log(with, log, &signed) {
        problems.push(bad(Check::Checkpoint, text));
        return None;
    }
    if Roots::new(with.bundle, &log.scanned).at(head.size()) != Some(head.root()) {
        problems.push(bad(Check::Checkpoint, "names another root than the log has at that size".into()));
        return Some(head.size());
    }
    match cosignatures(with, log, &signed) {
        Ok(found) => {
            for cosigned in found {
                log.take(Head { size: head.size(), time: cosigned.time, mirror: cosigned.mirror });
            }
        }
        Err(text) => problems.push(bad(Check::Cosignature, text)),
    }
    Some(head.size())
}

/// Reads a checkpoint in its one spelling.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<SignedCheckpoint, String> {
    match SignedCheckpoint::parse(bytes) {
        Ok(signed) if signed.to_string().as_bytes() == bytes => Ok(signed),
        Ok(_) => Err("not in its one spelling".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a log key that was valid for that size signed a checkpoint of the log.
pub(super) fn by_log(with: &Context<'_>, log: &CheckedLog, signed: &SignedCheckpoint) -> Result<(), String> {
    let size = signed.checkpoint().size();
    let from = valid_at(&log.keys, size.saturating_sub(1)).map_or(u64::MAX, |valid| valid.version);
    let name = &log.line().name;
    let version = log_signed(signed, name, with.issuer, from)?;
    let key = with.issuer.version(version).map(|keys| keys.log.key_id()).unwrap_or_default();
    if with.revoked.iter().any(|revoked| revoked.forbids("log", &key, log.line(), size)) {
        return Err("signed by a log key that was revoked before that size".into());
    }
    Ok(())
}

/// The cosignatures of the recipient that count.
pub(super) fn cosignatures(
    with: &Context<'_>,
    log: &CheckedLog,
    signed: &SignedCheckpoint,
) -> Result<Vec<Cosigned>, String> {
    let line = log.line();
    let found = cosigned(signed, &line.origin.recipient, with.recipient).map_err(|error| error.to_string())?;
    let size = signed.checkpoint().size();
    let counts = |cosigned: &Cosigned| {
        let id = cosigned.public.key_id();
        let r#use = if cosigned.mirror { "mirror" } else { "witness" };
        !with.revoked.iter().any(|revoked| revoked.forbids(r#use, &id, line, size))
    };
    Ok(found.into_iter().filter(counts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_thinned_without_a_bound_lost() {
        let head = |size, time, mirror| Head { size, time, mirror };
        let mut all: Vec<Head> = (1..=1_000).map(|size| head(size, 7, true)).collect();
        all.extend((1_001..=1_003).map(|size| head(size, 8, true)));
        // A clock that goes back, and a witness.
        all.extend([head(500, 6, true), head(2_000, 7, true), head(3, 7, false), head(3, 7, false)]);
        let not_before = |heads: &[Head], index| {
            heads.iter().filter(|head| head.mirror && head.size <= index).map(|head| head.time).max()
        };
        let not_after = |heads: &[Head], index| {
            heads.iter().filter(|head| head.mirror && head.size > index).map(|head| head.time).min()
        };
        let mut thinned = all.clone();
        thin(&mut thinned, |head| (0, *head));
        for index in 0..2_100 {
            assert_eq!(not_before(&thinned, index), not_before(&all, index), "{index}");
            assert_eq!(not_after(&thinned, index), not_after(&all, index), "{index}");
        }
        assert!(thinned.is_sorted());
        assert_eq!(thinned.iter().filter(|head| head.mirror).count(), 5, "two of each second, one alone");
        // Those of another log are left alone.
        let mut two = vec![(0, head(1, 7, true)), (1, head(2, 7, true)), (0, head(3, 7, true)), (0, head(2, 7, true))];
        thin(&mut two, |one| *one);
        assert_eq!(two, [(0, head(1, 7, true)), (0, head(3, 7, true)), (1, head(2, 7, true))]);
    }
}
