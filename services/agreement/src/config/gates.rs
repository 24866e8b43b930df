//! Gates as data (`[[gates]]`): a fact that must stand, or must not, before an act.

use serde::Deserialize;

use super::check::{area, count, distinct, name, within};
use super::{Config, Origin, Recruiter};
use crate::lifecycle::built_in_gates;
use crate::pack::PackError;

/// Longest time that a gate or a deadline may name, days.
const MAX_DAYS: u32 = 3_660;

/// A gate of the agreement's own. Exactly one of `fact` and `absent` is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// Name; acts name it beside the built-in gates.
    pub name: String,
    /// Fact that must stand.
    pub fact: Option<String>,
    /// Fact that must not stand.
    pub absent: Option<String>,
    /// The fact's event is at most so many days before the act's; with `fact`.
    pub within_days: Option<u32>,
    /// At most so many of the fact stand, and none need; with `fact`.
    pub at_most: Option<u32>,
    /// When the gate asks at all; absent for always.
    pub only_if: Option<OnlyIf>,
    /// Legal key of the clause; empty for none.
    #[serde(default)]
    pub clause: String,
}

/// When a gate asks at all: all that is given must hold, of the order and the contract.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct OnlyIf {
    /// ISO 3166-2 areas of the work, any of them; empty for anywhere.
    #[serde(default)]
    pub areas: Vec<String>,
    /// The contract lasts longer than so many days.
    pub longer_than_days: Option<u32>,
    /// Kinds of recruiter, any of them; empty for any.
    #[serde(default)]
    pub recruiters: Vec<Recruiter>,
}

/// A deadline between an act and a fact (`[[deadlines]]`, plazo). Missing it is a discrepancy, never a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadlineConfig {
    /// Name, unique in the agreement.
    pub name: String,
    /// Transition or fact that starts it.
    pub after: String,
    /// Fact that ends it.
    pub fact: String,
    /// Days between the two events.
    pub days: u32,
    /// Legal key of the clause; empty for none.
    #[serde(default)]
    pub clause: String,
}

pub(super) fn check_gates(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    count(at, "gates", config.gates.len(), 0, 64)?;
    for (index, gate) in config.gates.iter().enumerate() {
        let key = |field: &str| format!("gates[{index}].{field}");
        name(at, &key("name"), &gate.name)?;
        if config.gates.iter().take(index).any(|earlier| earlier.name == gate.name) {
            at.note(at.error(&key("name"), format!("`{}` is named twice", gate.name)))?;
        }
        if built_in_gates().any(|name| name == gate.name) {
            at.note(at.error(&key("name"), format!("`{}` is a built-in gate", gate.name)))?;
        }
        match (&gate.fact, &gate.absent) {
            (Some(fact), None) => config.known_fact(at, &key("fact"), fact)?,
            (None, Some(fact)) => config.known_fact(at, &key("absent"), fact)?,
            _ => at.note(at.error(&key("name"), "needs exactly one of `fact` and `absent`"))?,
        }
        if gate.absent.is_some() && (gate.within_days.is_some() || gate.at_most.is_some()) {
            at.note(at.error(&key("absent"), "goes with neither `within_days` nor `at_most`"))?;
        }
        if let Some(days) = gate.within_days {
            within(at, &key("within_days"), days, 1, MAX_DAYS)?;
        }
        if let Some(most) = gate.at_most {
            within(at, &key("at_most"), most, 0, 1_000)?;
        }
        if let Some(only_if) = &gate.only_if {
            only_if.check(at, &key("only_if"))?;
        }
        config.known_clause(at, &key("clause"), &gate.clause)?;
    }
    Ok(())
}

impl OnlyIf {
    fn check(&self, at: Origin<'_>, key: &str) -> Result<(), PackError> {
        if *self == Self::default() {
            at.note(at.error(key, "says nothing; leave it out"))?;
        }
        let areas = format!("{key}.areas");
        count(at, &areas, self.areas.len(), 0, 64)?;
        distinct(at, &areas, &self.areas)?;
        for (index, value) in self.areas.iter().enumerate() {
            area(at, &format!("{areas}[{index}]"), value)?;
        }
        if let Some(days) = self.longer_than_days {
            within(at, &format!("{key}.longer_than_days"), days, 1, MAX_DAYS)?;
        }
        count(at, &format!("{key}.recruiters"), self.recruiters.len(), 0, 5)
    }
}

pub(super) fn check_deadlines(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    count(at, "deadlines", config.deadlines.len(), 0, 32)?;
    for (index, deadline) in config.deadlines.iter().enumerate() {
        let key = |field: &str| format!("deadlines[{index}].{field}");
        name(at, &key("name"), &deadline.name)?;
        if config.deadlines.iter().take(index).any(|earlier| earlier.name == deadline.name) {
            at.note(at.error(&key("name"), format!("`{}` is named twice", deadline.name)))?;
        }
        let acts = &config.lifecycle;
        let starts = acts.transitions.iter().any(|act| act.name == deadline.after && !act.messages.is_empty())
            || acts.facts.iter().any(|fact| fact.name == deadline.after);
        if !starts {
            at.note(at.error(&key("after"), format!("no transition that crosses nor fact `{}`", deadline.after)))?;
        }
        config.known_fact(at, &key("fact"), &deadline.fact)?;
        within(at, &key("days"), deadline.days, 0, MAX_DAYS)?;
        config.known_clause(at, &key("clause"), &deadline.clause)?;
    }
    Ok(())
}
