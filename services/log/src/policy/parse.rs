//! Reading a policy file, tlog-policy §Policy file syntax and structure.
//!
//! Narrower than the specification in one point: the file must be UTF-8, as key names must be.

use std::collections::HashMap;

use super::{Group, Log, MAX_DEFINITIONS, MAX_POLICY_LEN, Member, Policy, Witness, is_log_key};
use crate::note::VkeyError;
use crate::{VerifierKey, encoding};

/// Why a policy was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyParseError {
    /// Longer than [`MAX_POLICY_LEN`].
    #[error("policy is above {MAX_POLICY_LEN} bytes")]
    TooLong,
    /// Not UTF-8, a control character other than tab and newline, or no newline at the end.
    #[error("policy is not lines of text")]
    Text,
    /// A line is wrong.
    #[error("policy line {line}: {error}")]
    Line {
        /// One-based line.
        line: usize,
        /// What is wrong there.
        error: LineError,
    },
    /// No quorum line.
    #[error("policy has no quorum line")]
    NoQuorum,
}

/// What is wrong with one line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Not a `log`, `witness`, `group` or `quorum` line of the right length.
    #[error("not a log, witness, group or quorum line")]
    Syntax,
    /// The verifier key is malformed.
    #[error(transparent)]
    Key(#[from] VkeyError),
    /// A cosigner's key on a log line, or a log's on a witness line.
    #[error("the key's type does not fit the line")]
    KeyType,
    /// The same public key on two log lines, or on two witness lines.
    #[error("the public key is listed twice")]
    DuplicateKey,
    /// The name is defined before, or is `none`.
    #[error("the name is taken")]
    NameTaken,
    /// No preceding line defines the name.
    #[error("the name is not defined on a preceding line")]
    UnknownName,
    /// A name that is a group's member already.
    #[error("the name is a member of a group already")]
    MemberTwice,
    /// The threshold is not between 1 and the number of members.
    #[error("the threshold is not between 1 and the number of members")]
    Threshold,
    /// A second quorum line.
    #[error("there is a quorum line already")]
    SecondQuorum,
    /// More than [`MAX_DEFINITIONS`] of a kind.
    #[error("more than {MAX_DEFINITIONS} definitions of a kind")]
    TooMany,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Policy, PolicyParseError> {
    if bytes.len() > MAX_POLICY_LEN {
        return Err(PolicyParseError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| PolicyParseError::Text)?;
    let control = |byte: u8| (byte < 0x20 && !matches!(byte, b'\t' | b'\n')) || byte == 0x7f;
    let lines = text.strip_suffix('\n').ok_or(PolicyParseError::Text)?;
    if lines.bytes().any(control) {
        return Err(PolicyParseError::Text);
    }
    let mut builder = Builder::default();
    for (index, line) in lines.split('\n').enumerate() {
        let at = |error| PolicyParseError::Line { line: index + 1, error };
        builder.line(line).map_err(at)?;
    }
    let Builder { logs, witnesses, groups, quorum, .. } = builder;
    let quorum = quorum.ok_or(PolicyParseError::NoQuorum)?;
    Ok(Policy { logs, witnesses, groups, quorum })
}

/// The lines so far.
#[derive(Default)]
struct Builder {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// Each name with whether a group has it.
    names: HashMap<String, (Member, bool)>,
    quorum: Option<Option<Member>>,
}

impl Builder {
    fn line(&mut self, line: &str) -> Result<(), LineError> {
        let items: Vec<&str> = line.split([' ', '\t']).filter(|item| !item.is_empty()).collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", vkey] => self.log(vkey, None),
            ["log", vkey, url] => self.log(vkey, Some(url)),
            ["witness", name, vkey] => self.witness(name, vkey, None),
            ["witness", name, vkey, url] => self.witness(name, vkey, Some(url)),
            ["group", name, threshold, members @ ..] => self.group(name, threshold, members),
            ["quorum", name] => self.quorum(name),
            _ => Err(LineError::Syntax),
        }
    }

    fn log(&mut self, vkey: &str, url: Option<&str>) -> Result<(), LineError> {
        let key: VerifierKey = vkey.parse()?;
        if !is_log_key(&key) {
            return Err(LineError::KeyType);
        }
        unique(&key, self.logs.iter().map(Log::key))?;
        room(self.logs.len())?;
        self.logs.push(Log { key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn witness(&mut self, name: &str, vkey: &str, url: Option<&str>) -> Result<(), LineError> {
        let key: VerifierKey = vkey.parse()?;
        if is_log_key(&key) {
            return Err(LineError::KeyType);
        }
        unique(&key, self.witnesses.iter().map(Witness::key))?;
        room(self.witnesses.len())?;
        self.define(name, Member::Witness(self.witnesses.len()))?;
        self.witnesses.push(Witness { name: name.to_owned(), key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, names: &[&str]) -> Result<(), LineError> {
        if names.is_empty() {
            return Err(LineError::Syntax);
        }
        let threshold = match threshold {
            "all" => Some(names.len()),
            "any" => Some(1),
            number => encoding::decimal(number).and_then(|number| usize::try_from(number).ok()),
        };
        let threshold = threshold.filter(|threshold| (1..=names.len()).contains(threshold));
        let threshold = threshold.ok_or(LineError::Threshold)?;
        room(self.groups.len())?;
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            let (member, taken) = self.names.get_mut(*member).ok_or(LineError::UnknownName)?;
            if std::mem::replace(taken, true) {
                return Err(LineError::MemberTwice);
            }
            members.push(*member);
        }
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { name: name.to_owned(), threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), LineError> {
        if self.quorum.is_some() {
            return Err(LineError::SecondQuorum);
        }
        self.quorum = Some(match name {
            "none" => None,
            name => Some(self.names.get(name).ok_or(LineError::UnknownName)?.0),
        });
        Ok(())
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), LineError> {
        if name == "none" || self.names.contains_key(name) {
            return Err(LineError::NameTaken);
        }
        self.names.insert(name.to_owned(), (member, false));
        Ok(())
    }
}

/// Keys are duplicates by the public key alone, whatever their names.
fn unique<'k>(key: &VerifierKey, mut others: impl Iterator<Item = &'k VerifierKey>) -> Result<(), LineError> {
    let twice = others.any(|other| other.public_key() == key.public_key());
    if twice { Err(LineError::DuplicateKey) } else { Ok(()) }
}

fn room(count: usize) -> Result<(), LineError> {
    if count >= MAX_DEFINITIONS { Err(LineError::TooMany) } else { Ok(()) }
}
