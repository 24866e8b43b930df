//! Which keys are valid where: rotations of each log, and what roots revoked.

use std::io;

use convenio_seal::rotation::{revoke_from, verify_revoke};
use convenio_seal::{Envelope, ManifestKeys, TrustFile, canonical};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{KeyRevocation, Revoke};

use super::chunk::key_mark;
use super::ledger::{Fault, Rows};
use super::scan::Scanned;
use crate::bundle::{Bundle, LogLine, MAX_FILE};
use crate::keys::{KeyBook, Opening, Ring, rotated};
use crate::problem::{Check, Problem, Problems};

/// Where in a bundle revocations lie that stand in no log yet.
const FOLDER: &str = "evidence/revocations/";

/// Keys of a log from an index on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Valid {
    /// First index.
    pub(crate) from: u64,
    /// Version of the manifest.
    pub(crate) version: u64,
    /// How a ledger marks the record key.
    pub(crate) mark: u64,
}

/// A key that roots revoked.
#[derive(Debug, Clone)]
pub(crate) struct Revoked {
    pub(crate) said: KeyRevocation,
    /// Where it stands: places of logs among those of the bundle, and indices.
    pub(crate) stands: Vec<(usize, u64)>,
}

impl Revoked {
    /// Whether the revocation takes the key of a log's issuer away at this index.
    pub(crate) fn takes(&self, line: &LogLine, mark: u64, index: u64) -> bool {
        self.said.r#use == "record"
            && self.said.node == line.origin.issuer
            && self.said.log_origin == line.name
            && key_mark(&self.said.key_id) == mark
            && index >= self.said.last_good_size
    }

    /// Whether the key of the issuer, or of a cosigner of the recipient, may no longer sign for that many entries of a log.
    pub(crate) fn forbids(&self, r#use: &str, key_id: &[u8; 32], line: &LogLine, size: u64) -> bool {
        let node = if r#use == "log" { &line.origin.issuer } else { &line.origin.recipient };
        self.said.r#use == r#use
            && self.said.node == *node
            && self.said.key_id[..] == key_id[..]
            && self.said.log_origin == line.name
            && size > self.said.last_good_size
    }
}

/// Whether a revocation speaks of another's key: roots take away the keys of their own party's node and no others.
fn foreign(said: &KeyRevocation, book: &KeyBook) -> bool {
    let named = |keys: &ManifestKeys| {
        [("record", &keys.record), ("log", &keys.log), ("mirror", &keys.mirror), ("witness", &keys.witness)]
            .into_iter()
            .any(|(r#use, key)| said.r#use == r#use && key.key_id()[..] == said.key_id[..])
    };
    let holders = book.named(named);
    let own = |(party, node): &(String, String)| (party, node) == (&said.party, &said.node);
    !holders.is_empty() && !holders.iter().any(own)
}

/// The keys of a log from its opening on, with every rotation that is in order.
pub(super) fn timeline(
    log: &Scanned,
    opening: &Opening,
    trust: &TrustFile,
    ring: &Ring,
    problems: &mut Problems,
) -> io::Result<Vec<Valid>> {
    let of = |from, keys: &convenio_seal::ManifestKeys| Valid {
        from,
        version: keys.version,
        mark: key_mark(&keys.record.key_id()),
    };
    let mut valid = vec![of(0, &opening.keys)];
    let mut party = opening.keys.party.clone();
    for special in log.all_specials() {
        let (index, statement) = special?;
        let Some(Body::KeyRotate(rotate)) = &statement.body else { continue };
        let bad = |text: String, reason| {
            Problem::new(Check::Keys, format!("KEY_ROTATE: {text}")).because(reason).of(&log.line.name).entry(index)
        };
        let last = valid.last().map_or(0, |valid| valid.version);
        match rotated(rotate, &log.line, trust) {
            Err(text) => problems.push(bad(text, "ROTATION_UNAUTHORISED")),
            Ok(keys) if keys.party != party => {
                problems.push(bad("the keys are of another party".into(), "ROTATION_UNAUTHORISED"));
            }
            Ok(keys) if keys.version <= last => {
                problems.push(bad("its version is not above the one before".into(), "KEY_VERSION"));
            }
            Ok(keys) if ring.version(keys.version) != Some(&keys) => {
                problems.push(bad("another manifest of the node has its version".into(), "KEY_VERSION"));
            }
            Ok(keys) => {
                party.clone_from(&keys.party);
                valid.push(of(index, &keys));
            }
        }
    }
    Ok(valid)
}

/// The keys that are valid at an index.
pub(crate) fn valid_at(timeline: &[Valid], index: u64) -> Option<&Valid> {
    timeline[..timeline.partition_point(|valid| valid.from <= index)].last()
}

/// Every revocation that the logs or the evidence hold and that roots signed.
pub(super) fn collect(
    bundle: &Bundle,
    logs: &[Scanned],
    (trust, book): (&TrustFile, &KeyBook),
    problems: &mut Problems,
    findings: &mut Problems,
) -> io::Result<Vec<Revoked>> {
    let foreign_key =
        || Problem::new(Check::Keys, "roots revoke a key that is not their node's").because("REVOCATION_FOREIGN");
    let mut found: Vec<Revoked> = Vec::new();
    let mut add = |said: KeyRevocation, place: Option<(usize, u64)>| {
        let at = found.iter().position(|known| known.said == said).unwrap_or_else(|| {
            found.push(Revoked { said, stands: Vec::new() });
            found.len() - 1
        });
        found[at].stands.extend(place);
    };
    for (at, log) in logs.iter().enumerate() {
        let mut rows = Rows::new(&log.ledger, log.readable);
        for special in log.all_specials() {
            let (index, statement) = special?;
            let Some(Body::Revoke(revoke)) = &statement.body else { continue };
            if rows.at(index)?.is_none_or(|row| row.fault != Fault::None) {
                continue;
            }
            match read(revoke, trust) {
                Ok(said) if !foreign(&said, book) => add(said, Some((at, index))),
                Ok(said) => {
                    // A partner that repeats it does no more than it must.
                    let own = book.ring(&log.line.origin.issuer).all().any(|keys| keys.party == said.party);
                    findings.extend(own.then(|| foreign_key().of(&log.line.name).entry(index)));
                }
                Err(text) => problems.push(
                    Problem::new(Check::Keys, format!("REVOKE: {text}"))
                        .because("REVOCATION_UNAUTHORISED")
                        .of(&log.line.name)
                        .entry(index),
                ),
            }
        }
    }
    let paths: Vec<String> = bundle.below(FOLDER).map(str::to_owned).collect();
    for path in paths {
        let Some(bytes) = bundle.read(&path, MAX_FILE, problems) else { continue };
        let said = Envelope::parse(&bytes).map_err(|error| error.to_string()).and_then(|envelope| {
            let revoke = revoke_from(&envelope).map_err(|error| error.to_string())?;
            read(&revoke, trust)
        });
        match said {
            Ok(said) if !foreign(&said, book) => add(said, None),
            Ok(_) => findings.push(foreign_key().at(path)),
            Err(text) => {
                problems.push(Problem::new(Check::Evidence, text).because("REVOCATION_UNAUTHORISED").at(path));
            }
        }
    }
    Ok(found)
}

fn read(revoke: &Revoke, trust: &TrustFile) -> Result<KeyRevocation, String> {
    let claimed: KeyRevocation = canonical::decode(&revoke.payload).map_err(|error| error.to_string())?;
    let roots = trust.roots_of(&claimed.party).ok_or("the trust file names no root of its party")?;
    verify_revoke(revoke, roots).map_err(|error| error.to_string())
}

/// A revocation must stand in the log of its node and in the partner's, and name a head that the log had.
pub(super) fn check(
    logs: &[super::CheckedLog],
    bundle: &Bundle,
    revoked: &[Revoked],
    problems: &mut Problems,
    findings: &mut Problems,
) {
    for one in revoked {
        let said = &one.said;
        let Some(at) = logs.iter().position(|log| log.line().name == said.log_origin) else { continue };
        let log = &logs[at];
        let root = (said.last_good_size > 0)
            .then(|| super::tree::Roots::new(bundle, &log.scanned).at(said.last_good_size))
            .flatten();
        if said.last_good_size > 0 && root.is_some_and(|root| root.as_bytes()[..] != said.last_good_root[..]) {
            let text = "a revocation names another root than the log has at its last good size";
            problems.push(Problem::new(Check::Keys, text).because("REVOCATION_ROOT").of(&said.log_origin));
        }
        let origin = &log.line().origin;
        let in_logs = |issuer: &str| {
            one.stands.iter().find(|(at, _)| {
                let own = &logs[*at].line().origin;
                own.issuer == issuer && own.agreement == origin.agreement
            })
        };
        let own = in_logs(&origin.issuer);
        let echoed = in_logs(&origin.recipient);
        if own.is_none() {
            let text = "a revocation stands in no log of the key's node";
            findings.push(Problem::new(Check::Keys, text).because("REVOCATION_NOT_LOGGED").of(&said.log_origin));
        }
        let judged = own.is_some_and(|(at, index)| logs[*at].judged > *index);
        if judged && echoed.is_none() {
            let (at, index) = own.copied().unwrap_or_default();
            let text = "the partner judged this revocation, and its own log does not repeat it";
            let problem = Problem::new(Check::Keys, text).because("REVOCATION_NOT_ECHOED");
            problems.push(problem.of(&logs[at].line().name).entry(index));
        }
    }
}
