//! The lifecycle as it is written (`[lifecycle]`), by names.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::Origin;
use super::check::name;
use crate::lifecycle::{Role, Subject, Terms};
use crate::pack::PackError;

/// The lifecycle, by names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecycleConfig {
    /// State of a new placement.
    pub initial: String,
    /// State in which a placement crosses for the first time.
    pub first_crossing: String,
    /// States that hold a seat.
    pub holds_seat: Vec<String>,
    /// Facts that free it.
    pub frees_seat: Vec<String>,
    /// Pairs of facts that cannot both be true.
    #[serde(default)]
    pub contradictions: Vec<[String; 2]>,
    /// Most facts that one placement may have; 256 if absent.
    pub max_facts: Option<u16>,
    /// States.
    pub states: Vec<StateConfig>,
    /// Transitions.
    pub transitions: Vec<TransitionConfig>,
    /// Facts.
    #[serde(default)]
    pub facts: Vec<FactConfig>,
    /// Notices.
    #[serde(default)]
    pub notices: Vec<NoticeConfig>,
}

/// A state and who governs while in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// Name.
    pub name: String,
    /// Who decides transitions out of it.
    pub governor: Role,
    /// Disclosure stage that it reaches.
    pub stage: String,
}

/// A transition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitionConfig {
    /// Name.
    pub name: String,
    /// States it leaves.
    pub from: Vec<String>,
    /// State it reaches.
    pub to: String,
    /// Who acts.
    pub by: Role,
    /// Messages of its record, the lead first; none for an act that stays at home.
    #[serde(default)]
    pub messages: Vec<String>,
    /// Named conditions.
    #[serde(default)]
    pub gates: Vec<String>,
}

/// A fact.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactConfig {
    /// Name.
    pub name: String,
    /// Who owns it.
    pub by: Role,
    /// Messages of its record, the lead first.
    pub messages: Vec<String>,
    /// Stage that must have been reached; binds the issuer only.
    pub needs_stage: Option<String>,
    /// Stage that it reaches.
    pub stage: Option<String>,
    /// Named conditions; bind the issuer only.
    #[serde(default)]
    pub gates: Vec<String>,
    /// Alert unless the placement is in one of these states.
    #[serde(default)]
    pub alert_unless: Vec<String>,
    /// Whether its lead message carries terms of employment.
    pub terms: Option<Terms>,
}

/// A notice: state of what is no placement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeConfig {
    /// Name.
    pub name: String,
    /// Who may issue it.
    pub by: Vec<Role>,
    /// Its message.
    pub message: String,
    /// Collection of the record it is about.
    pub subject: Subject,
}

impl LifecycleConfig {
    pub(super) fn check(&self, at: Origin<'_>) -> Result<(), PackError> {
        let lifecycle = self;
        let counts = [
            ("states", lifecycle.states.len(), 1, 64),
            ("transitions", lifecycle.transitions.len(), 1, 128),
            ("facts", lifecycle.facts.len(), 0, 128),
            ("notices", lifecycle.notices.len(), 0, 32),
            ("holds_seat", lifecycle.holds_seat.len(), 0, 64),
            ("frees_seat", lifecycle.frees_seat.len(), 0, 128),
            ("contradictions", lifecycle.contradictions.len(), 0, 128),
        ];
        for (key, count, low, high) in counts {
            if !(low..=high).contains(&count) {
                let problem = format!("must have {low} to {high} entries");
                at.note(at.error(&format!("lifecycle.{key}"), problem))?;
            }
        }
        if lifecycle.max_facts.is_some_and(|most| !(1..=4_096).contains(&most)) {
            at.note(at.error("lifecycle.max_facts", "must be 1 to 4096"))?;
        }
        let mut seen = HashSet::new();
        let states = lifecycle.states.iter().map(|state| ("states", &state.name));
        let acts = (lifecycle.transitions.iter().map(|act| ("transitions", &act.name)))
            .chain(lifecycle.facts.iter().map(|act| ("facts", &act.name)))
            .chain(lifecycle.notices.iter().map(|act| ("notices", &act.name)));
        let mut index = BTreeMap::<&str, usize>::new();
        for (list, value) in states.chain(acts) {
            let position = index.entry(list).and_modify(|n| *n += 1).or_insert(0);
            let key = format!("lifecycle.{list}[{position}].name");
            name(at, &key, value)?;
            if !seen.insert((list == "states", value)) {
                at.note(at.error(&key, format!("`{value}` is named twice")))?;
            }
        }
        Ok(())
    }
}
