//! What an amendment changes, for a lawyer: which fields newly cross, which rules are loosened or tightened; and what
//! it may not change, because records in flight and their readers would break.
//!
//! What may not change: messages stay compatible on the wire and in JSON (buf's category WIRE_JSON), every party, state
//! with its governor, and stage in its order is kept.

mod disclosure;
mod lifecycle;
mod limits;
mod retention;
mod wire;

use std::fmt;

use crate::pack::Pack;

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It may not be made: the amendment is refused.
    Refused,
    /// More is allowed, or less is promised, than before.
    Loosened,
    /// Less is allowed, or more is promised, than before.
    Tightened,
    /// Something new.
    Added,
    /// Something is no more.
    Removed,
    /// Neither looser nor tighter by itself.
    Changed,
}

impl Effect {
    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Loosened => "loosened",
            Self::Tightened => "tightened",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }

    /// The opposite direction.
    fn reverse(self) -> Self {
        match self {
            Self::Loosened => Self::Tightened,
            Self::Tightened => Self::Loosened,
            other => other,
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What it does.
    pub effect: Effect,
    /// Stable id of the kind of change.
    pub rule: &'static str,
    /// What it is about: a field, act, table or key.
    pub subject: String,
    /// In words.
    pub says: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9} {}: {} [{}]", self.effect.as_str(), self.subject, self.says, self.rule)
    }
}

/// All changes from one pack to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// What is refused first, then by effect and subject.
    pub changes: Vec<Change>,
}

impl Diff {
    /// From one version to the next.
    #[must_use]
    pub fn of(from: &Pack, to: &Pack) -> Self {
        let mut list = List(Vec::new());
        identity(from, to, &mut list);
        wire::compare(from, to, &mut list);
        lifecycle::compare(from, to, &mut list);
        disclosure::compare(from, to, &mut list);
        limits::compare(from.config(), to.config(), &mut list);
        retention::compare(from, to, &mut list);
        list.0.sort();
        list.0.dedup();
        Self { changes: list.0 }
    }

    /// Whether the amendment may not be made.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.changes.iter().any(|change| change.effect == Effect::Refused)
    }
}

/// Changes found so far.
struct List(Vec<Change>);

impl List {
    fn add(&mut self, effect: Effect, rule: &'static str, subject: impl Into<String>, says: impl Into<String>) {
        self.0.push(Change { effect, rule, subject: subject.into(), says: says.into() });
    }

    /// A number, of which more is `more`.
    fn number(&mut self, rule: &'static str, subject: &str, unit: &str, (old, new): (i64, i64), more: Effect) {
        if old != new {
            let effect = if new > old { more } else { more.reverse() };
            self.add(effect, rule, subject, format!("from {old} to {new} {unit}"));
        }
    }

    /// A set, of which an entry more is `more`.
    fn set(&mut self, rule: &'static str, subject: &str, (old, new): (&[String], &[String]), more: Effect) {
        for entry in new.iter().filter(|entry| !old.contains(entry)) {
            self.add(more, rule, subject, format!("`{entry}` is added"));
        }
        for entry in old.iter().filter(|entry| !new.contains(entry)) {
            self.add(more.reverse(), rule, subject, format!("`{entry}` is taken out"));
        }
    }

    /// Something that is neither looser nor tighter by itself.
    fn plain(&mut self, rule: &'static str, subject: &str, old: impl fmt::Display, new: impl fmt::Display) {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            self.add(Effect::Changed, rule, subject, format!("from `{old}` to `{new}`"));
        }
    }
}

fn identity(from: &Pack, to: &Pack, list: &mut List) {
    if from.id() != to.id() {
        list.add(
            Effect::Refused,
            "identity/id",
            "id",
            format!("`{}` is another agreement than `{}`", to.id(), from.id()),
        );
    }
    if from.digest() != to.digest() && to.config().amended() != Some(from.digest()) {
        let says = format!("does not name the version that it is compared with, {}", hex::encode(from.digest()));
        list.add(Effect::Changed, "identity/amends", "amends", says);
    }
    for party in from.parties() {
        let same = to
            .parties()
            .iter()
            .any(|other| other.id == party.id && other.role == party.role && other.country == party.country);
        if !same {
            let says = format!("{} is no party of the same country and role any more", party.id);
            list.add(Effect::Refused, "identity/party", "parties", says);
        }
    }
    for party in to.parties().iter().filter(|party| !from.parties().iter().any(|other| other.id == party.id)) {
        list.add(
            Effect::Refused,
            "identity/party",
            "parties",
            format!("{} is a new party: that is a new agreement", party.id),
        );
    }
}
