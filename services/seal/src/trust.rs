//! The trust file: what a verifier knows from outside, for example from the official gazette.
//!
//! ```text
//! # comment
//! agreement <id> <digest, 64 hexadecimal digits>
//! root <party> <k> <SPKI in base64> …
//! node <party> <node>
//! office <party> <office> <SPKI in base64>
//! checkpoint <origin> <size> <root in base64>
//! ```
//!
//! An `office` line names a key with which an office of a party negotiates and signs off; an office may have several.
//! A `node` line says whose a node is; a party, or a node, that no such line names is not bound by one.
//! One item a line, single spaces, `\n` line ends; empty lines and lines that begin with `#` say nothing.

use std::fmt;

use crate::encoding::{base64, decimal, hex32, unbase64};
use crate::key::PublicKey;
use crate::name::{is_agreement, is_node, is_office, is_party};
use crate::origin::LogOrigin;
use crate::root::RootSet;

/// Largest trust file, bytes.
pub const MAX_TRUST: usize = 256 * 1024;

/// A version of an agreement that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAgreement {
    /// Agreement id.
    pub id: String,
    /// Digest of the pack.
    pub digest: [u8; 32],
}

/// A node that a party runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedNode {
    /// Party.
    pub party: String,
    /// Name of the node.
    pub node: String,
}

/// A key of an office of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedOffice {
    /// Party.
    pub party: String,
    /// The office, as packs name it.
    pub office: String,
    /// The key.
    pub key: PublicKey,
}

/// A state of a log that is known from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedCheckpoint {
    /// The log.
    pub origin: LogOrigin,
    /// Number of entries.
    pub size: u64,
    /// Root hash of the tree of that size.
    pub root: [u8; 32],
}

/// What a trust file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustFile {
    /// Trusted versions; an agreement may have several.
    pub agreements: Vec<TrustedAgreement>,
    /// Roots, one set for each party.
    pub roots: Vec<RootSet>,
    /// Whose nodes are; each node once.
    pub nodes: Vec<TrustedNode>,
    /// Keys of offices; each key once.
    pub offices: Vec<TrustedOffice>,
    /// Pinned checkpoints, one for each log and size.
    pub checkpoints: Vec<PinnedCheckpoint>,
}

/// A line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the trust file: {fault}")]
pub struct TrustError {
    /// Number of the line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub fault: TrustFault,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// The file is longer than [`MAX_TRUST`].
    #[error("longer than 256 KiB")]
    TooLarge,
    /// The line begins with no known word.
    #[error("begins with none of `agreement`, `root`, `node`, `office`, `checkpoint`")]
    Keyword,
    /// The line has too many or too few fields.
    #[error("has the wrong number of fields")]
    Fields,
    /// A field does not have its form.
    #[error("field `{0}` is malformed")]
    Field(&'static str),
    /// The threshold and the keys do not fit each other.
    #[error("not 1 to 16 distinct keys with a threshold they can reach")]
    RootSet,
    /// An earlier line says it already.
    #[error("repeats what an earlier line says")]
    Repeated,
}

impl TrustFile {
    /// Reads a trust file.
    ///
    /// # Errors
    /// [`TrustError`] with the number of the first bad line.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        if text.len() > MAX_TRUST {
            return Err(TrustError { line: 0, fault: TrustFault::TooLarge });
        }
        let mut file = Self::default();
        for (at, line) in text.split('\n').enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                file.line(line).map_err(|fault| TrustError { line: at + 1, fault })?;
            }
        }
        Ok(file)
    }

    /// Whether that version of the agreement is trusted. A corridor `<id>-<origin>-<destination>` of a regional
    /// agreement is where the agreement is: its line names the agreement's own id.
    #[must_use]
    pub fn trusts(&self, agreement: &str, digest: &[u8; 32]) -> bool {
        let corridor = |id: &str| {
            let parties = agreement.strip_prefix(id).and_then(|rest| rest.strip_prefix('-'));
            let parties = parties.and_then(|parties| parties.split_once('-'));
            parties.is_some_and(|(origin, destination)| is_party(origin) && is_party(destination))
        };
        let mut same = self.agreements.iter().filter(|trusted| trusted.digest == *digest);
        same.any(|trusted| trusted.id == agreement || corridor(&trusted.id))
    }

    /// The roots of a party.
    #[must_use]
    pub fn roots_of(&self, party: &str) -> Option<&RootSet> {
        self.roots.iter().find(|roots| roots.party() == party)
    }

    /// The party and office that a key acts for.
    #[must_use]
    pub fn office_of(&self, key: &PublicKey) -> Option<&TrustedOffice> {
        self.offices.iter().find(|office| office.key == *key)
    }

    /// Whether that node may be the party's: no line speaks of either, or one names both.
    #[must_use]
    pub fn allows(&self, party: &str, node: &str) -> bool {
        let mut named = self.nodes.iter().filter(|known| known.party == party || known.node == node).peekable();
        named.peek().is_none() || named.any(|known| known.party == party && known.node == node)
    }

    fn line(&mut self, line: &str) -> Result<(), TrustFault> {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields.as_slice() {
            ["agreement", rest @ ..] => push_new(&mut self.agreements, agreement(rest)?, |a, b| a == b),
            ["root", rest @ ..] => push_new(&mut self.roots, root(rest)?, |a, b| a.party() == b.party()),
            ["node", rest @ ..] => push_new(&mut self.nodes, node(rest)?, |a, b| a.node == b.node),
            ["office", rest @ ..] => push_new(&mut self.offices, office(rest)?, |a, b| a.key == b.key),
            ["checkpoint", rest @ ..] => {
                push_new(&mut self.checkpoints, checkpoint(rest)?, |a, b| a.origin == b.origin && a.size == b.size)
            }
            _ => Err(TrustFault::Keyword),
        }
    }
}

fn push_new<T>(list: &mut Vec<T>, item: T, same: impl Fn(&T, &T) -> bool) -> Result<(), TrustFault> {
    if list.iter().any(|earlier| same(earlier, &item)) {
        return Err(TrustFault::Repeated);
    }
    list.push(item);
    Ok(())
}

fn agreement(fields: &[&str]) -> Result<TrustedAgreement, TrustFault> {
    let [id, digest] = fields else { return Err(TrustFault::Fields) };
    if !is_agreement(id) {
        return Err(TrustFault::Field("id"));
    }
    Ok(TrustedAgreement { id: (*id).into(), digest: hex32(digest).ok_or(TrustFault::Field("digest"))? })
}

fn root(fields: &[&str]) -> Result<RootSet, TrustFault> {
    let [party, threshold, keys @ ..] = fields else { return Err(TrustFault::Fields) };
    if !is_party(party) {
        return Err(TrustFault::Field("party"));
    }
    let threshold = decimal(threshold).and_then(|k| usize::try_from(k).ok()).ok_or(TrustFault::Field("k"))?;
    let keys = keys.iter().map(|key| PublicKey::from_spki_base64(key)).collect::<Result<_, _>>();
    RootSet::new(party, threshold, keys.map_err(|_| TrustFault::Field("spki"))?).map_err(|_| TrustFault::RootSet)
}

fn node(fields: &[&str]) -> Result<TrustedNode, TrustFault> {
    let [party, node] = fields else { return Err(TrustFault::Fields) };
    if !is_party(party) {
        return Err(TrustFault::Field("party"));
    }
    if !is_node(node) {
        return Err(TrustFault::Field("node"));
    }
    Ok(TrustedNode { party: (*party).into(), node: (*node).into() })
}

fn office(fields: &[&str]) -> Result<TrustedOffice, TrustFault> {
    let [party, office, key] = fields else { return Err(TrustFault::Fields) };
    if !is_party(party) {
        return Err(TrustFault::Field("party"));
    }
    if !is_office(office) {
        return Err(TrustFault::Field("office"));
    }
    let key = PublicKey::from_spki_base64(key).map_err(|_| TrustFault::Field("spki"))?;
    Ok(TrustedOffice { party: (*party).into(), office: (*office).into(), key })
}

fn checkpoint(fields: &[&str]) -> Result<PinnedCheckpoint, TrustFault> {
    let [origin, size, root] = fields else { return Err(TrustFault::Fields) };
    Ok(PinnedCheckpoint {
        origin: origin.parse().map_err(|_| TrustFault::Field("origin"))?,
        size: decimal(size).ok_or(TrustFault::Field("size"))?,
        root: unbase64(root).and_then(|root| root.try_into().ok()).ok_or(TrustFault::Field("root"))?,
    })
}

impl fmt::Display for TrustFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TrustedAgreement { id, digest } in &self.agreements {
            writeln!(f, "agreement {id} {}", hex::encode(digest))?;
        }
        for roots in &self.roots {
            write!(f, "root {} {}", roots.party(), roots.threshold())?;
            roots.keys().iter().try_for_each(|key| write!(f, " {}", key.spki_base64()))?;
            writeln!(f)?;
        }
        for TrustedNode { party, node } in &self.nodes {
            writeln!(f, "node {party} {node}")?;
        }
        for TrustedOffice { party, office, key } in &self.offices {
            writeln!(f, "office {party} {office} {}", key.spki_base64())?;
        }
        for PinnedCheckpoint { origin, size, root } in &self.checkpoints {
            writeln!(f, "checkpoint {origin} {size} {}", base64(root))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
