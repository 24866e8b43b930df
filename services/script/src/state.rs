//! What a node's own answers show: where a placement and an exchange stand.

use convenio_wire::registry::v1::Placement;

use crate::file::{Expected, When};

/// What of `when` a placement does not show yet; empty if all does.
pub fn missing(when: &When, placement: &Placement) -> Vec<String> {
    let mut missing = Vec::new();
    let mut text = |what: &str, wanted: &Option<String>, shown: &str| {
        if let Some(wanted) = wanted
            && wanted != shown
        {
            missing.push(format!("{what} is {shown:?}, not {wanted:?}"));
        }
    };
    text("state", &when.state, &placement.state);
    text("stage", &when.stage, &placement.stage);
    for fact in &when.facts {
        let stands = |known: &String| known == fact || known.split_once(':').is_some_and(|(_, name)| name == fact);
        if !placement.facts.iter().any(stands) {
            missing.push(format!("the fact {fact} does not stand"));
        }
    }
    let pending = placement.pending_acts.len();
    if when.pending.is_some_and(|wanted| wanted != pending) {
        missing.push(format!("{pending} acts are pending"));
    }
    missing
}

/// How something was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    pub reason: String,
    pub gate: String,
    pub clause: String,
    pub fact: String,
    pub fields: Vec<String>,
}

impl Refused {
    /// Whether this is what was expected.
    pub fn is(&self, expected: &Expected) -> bool {
        let same = |wanted: &Option<String>, told: &str| wanted.as_deref().is_none_or(|wanted| wanted == told);
        self.reason == expected.reason
            && same(&expected.gate, &self.gate)
            && same(&expected.clause, &self.clause)
            && same(&expected.fact, &self.fact)
            && expected.fields.iter().all(|field| self.fields.contains(field))
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "reason {:?}", self.reason)?;
        for (name, text) in [("gate", &self.gate), ("clause", &self.clause), ("fact", &self.fact)] {
            if !text.is_empty() {
                write!(f, ", {name} {text:?}")?;
            }
        }
        if self.fields.is_empty() { Ok(()) } else { write!(f, ", fields {:?}", self.fields) }
    }
}
