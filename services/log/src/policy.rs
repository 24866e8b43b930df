//! Trust policies: which logs, which cosigners, how many of them. C2SP tlog-policy.

mod parse;

pub use parse::{LineError, PolicyParseError};

use std::fmt;

use crate::checkpoint::CheckpointError;
use crate::note::NoteError;
use crate::{SignatureType, SignedCheckpoint, VerifierKey};

/// Logs, witnesses and groups accepted of each in one policy (tlog-policy asks for 32).
pub const MAX_DEFINITIONS: usize = 1024;

/// Bytes accepted of a policy file.
pub const MAX_POLICY_LEN: usize = 1024 * 1024;

/// Why a checkpoint does not satisfy a policy, or a policy cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No log of the policy has the checkpoint's origin.
    #[error("the checkpoint's origin is no log of the policy")]
    UnknownLog,
    /// The checkpoint carries no signature by its log.
    #[error("the checkpoint is not signed by its log")]
    NotSignedByLog,
    /// A known log's or witness's signature fails.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Too few of the witnesses have cosigned.
    #[error("the cosignatures do not satisfy the quorum")]
    NoQuorum,
    /// The checkpoint is malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// A log that the policy accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    key: VerifierKey,
    url: Option<String>,
}

/// A cosigner under the name that the policy gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    name: String,
    key: VerifierKey,
    url: Option<String>,
}

impl Log {
    /// Its key; the key's name is its origin.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where to reach it.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

impl Witness {
    /// The policy's own name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where to reach it.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }
}

/// What counts as having cosigned: a witness, or a group defined earlier, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// `threshold` of `members`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    threshold: usize,
    members: Vec<Member>,
}

/// A parsed policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// None is `quorum none`.
    quorum: Option<Member>,
}

/// A checkpoint that satisfied a policy: who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'p> {
    /// The log.
    pub log: &'p Log,
    /// The policy's witnesses that cosigned, in the policy's order, each with the latest time it
    /// states, in Unix seconds.
    pub witnesses: Vec<(&'p Witness, u64)>,
}

impl Policy {
    /// The logs accepted.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The cosigners known.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyParseError`], which names the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyParseError> {
        parse::parse(bytes)
    }

    /// The policy of a receipt: that log, cosigned by that one cosigner.
    ///
    /// # Errors
    /// [`PolicyParseError`] if a key is not of the type that its place needs.
    pub fn of(log: &VerifierKey, cosigner: &VerifierKey) -> Result<Self, PolicyParseError> {
        Self::parse(format!("log {log}\nwitness cosigner {cosigner}\nquorum cosigner\n").as_bytes())
    }

    /// Checks a checkpoint: signed by its log, every known signature good, quorum reached.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn evaluate(&self, checkpoint: &SignedCheckpoint) -> Result<Accepted<'_>, PolicyError> {
        let origin = checkpoint.checkpoint().origin();
        let logs = self.logs.iter().filter(|log| log.key.name() == origin);
        if logs.clone().next().is_none() {
            return Err(PolicyError::UnknownLog);
        }
        let cosigners = self.witnesses.iter().map(Witness::key);
        let keys = logs.clone().map(Log::key).chain(cosigners);
        let verified = match checkpoint.note().verify(keys) {
            Err(NoteError::NoKnownSignature) => return Err(PolicyError::NotSignedByLog),
            other => other?,
        };
        let mut signed = logs.filter(|log| verified.iter().any(|line| *line.key == log.key));
        let log = signed.next().ok_or(PolicyError::NotSignedByLog)?;
        let times: Vec<Option<u64>> = self
            .witnesses
            .iter()
            .map(|witness| {
                let lines = verified.iter().filter(|line| *line.key == witness.key);
                lines.filter_map(|line| line.timestamp).max()
            })
            .collect();
        if !self.quorum_reached(&times) {
            return Err(PolicyError::NoQuorum);
        }
        let witnesses = self.witnesses.iter().zip(&times);
        let witnesses = witnesses.filter_map(|(witness, time)| Some((witness, (*time)?))).collect();
        Ok(Accepted { log, witnesses })
    }

    /// `times` holds the cosignature's time of each witness that has one.
    fn quorum_reached(&self, times: &[Option<u64>]) -> bool {
        let mut reached: Vec<bool> = Vec::with_capacity(self.groups.len());
        let witnessed = |reached: &[bool], member: &Member| match *member {
            Member::Witness(position) => times[position].is_some(),
            Member::Group(position) => reached[position],
        };
        for group in &self.groups {
            let count = group.members.iter().filter(|member| witnessed(&reached, member)).count();
            reached.push(count >= group.threshold);
        }
        self.quorum.is_none_or(|member| witnessed(&reached, &member))
    }

    fn member_name(&self, member: Member) -> &str {
        match member {
            Member::Witness(position) => &self.witnesses[position].name,
            Member::Group(position) => &self.groups[position].name,
        }
    }
}

impl fmt::Display for Policy {
    /// The policy file: logs, witnesses, groups, quorum, one blank between items.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Log { key, url } in &self.logs {
            write!(f, "log {key}")?;
            write_url(f, url.as_deref())?;
        }
        for Witness { name, key, url } in &self.witnesses {
            write!(f, "witness {name} {key}")?;
            write_url(f, url.as_deref())?;
        }
        for group in &self.groups {
            write!(f, "group {} ", group.name)?;
            match group.threshold {
                all if all == group.members.len() => f.write_str("all")?,
                1 => f.write_str("any")?,
                some => write!(f, "{some}")?,
            }
            for member in &group.members {
                write!(f, " {}", self.member_name(*member))?;
            }
            f.write_str("\n")?;
        }
        writeln!(f, "quorum {}", self.quorum.map_or("none", |member| self.member_name(member)))
    }
}

fn write_url(f: &mut fmt::Formatter<'_>, url: Option<&str>) -> fmt::Result {
    url.map_or(Ok(()), |url| write!(f, " {url}"))?;
    f.write_str("\n")
}

/// Whether the key is a log's; every other type that parses is a cosigner's.
fn is_log_key(key: &VerifierKey) -> bool {
    key.signature_type() == SignatureType::Ed25519
}

#[cfg(test)]
mod tests;
