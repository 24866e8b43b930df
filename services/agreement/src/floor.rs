//! Floors: what an agreement that names a framework must keep at least (pisos). An agreement may only be stricter;
//! where a rule allows it, it may say that it does not keep it, with its reason and clause (`waive`).
//!
//! Each rule tells whether the text behind it was read. One whose text was not read rests on common knowledge: it may
//! always be waived.

mod rules;

use std::collections::BTreeMap;

use crate::config::{Config, Framework, Origin};
use crate::lifecycle::Lifecycle;
use crate::pack::PackError;
use crate::plan::MessagePlan;

/// Whether the text of a clause was read by those who wrote the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Its text, or an excerpt.
    Read,
    /// Not read: common knowledge only.
    NotRead,
    /// No framework: a rule of this program's own.
    Own,
}

/// A floor.
#[derive(Debug)]
pub struct Floor {
    /// Stable id.
    pub id: &'static str,
    /// Frameworks that ask for it, each with its clause and whether that was read; empty where all agreements keep it.
    pub from: &'static [(Framework, &'static str, Reading)],
    /// Broken, it is an error; otherwise a warning.
    pub binding: bool,
    /// Whether it may be waived though its text was read.
    pub waivable: bool,
    /// What to write instead.
    pub instead: &'static str,
    /// Where and how an agreement breaks it; `None` if it keeps it.
    test: fn(&Seen<'_>) -> Option<(String, String)>,
}

/// What a floor looks at.
pub(crate) struct Seen<'a> {
    pub(crate) config: &'a Config,
    pub(crate) lifecycle: &'a Lifecycle,
    pub(crate) plans: &'a BTreeMap<String, MessagePlan>,
}

/// All floors.
#[must_use]
pub fn floors() -> &'static [Floor] {
    rules::FLOORS
}

/// Whether a rule may be waived.
#[must_use]
pub fn is_waivable(id: &str) -> bool {
    floors().iter().any(|floor| {
        let unread = !floor.from.is_empty() && floor.from.iter().all(|(.., reading)| *reading == Reading::NotRead);
        floor.id == id && floor.binding && (floor.waivable || unread)
    })
}

/// The floors that an agreement breaks: errors, and warnings. Format 1 named no framework and knows none of them.
pub(crate) fn check(seen: &Seen<'_>, at: Origin<'_>) -> (Vec<PackError>, Vec<PackError>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    if seen.config.format < 2 {
        return (errors, warnings);
    }
    for floor in floors() {
        let named: Vec<_> = floor.from.iter().filter(|(of, ..)| seen.config.frameworks.contains(of)).collect();
        if named.is_empty() && !floor.from.is_empty() {
            continue;
        }
        let Some((key, problem)) = (floor.test)(seen) else { continue };
        let clauses: Vec<String> =
            named.iter().map(|(of, clause, reading)| clause_text(*of, clause, *reading)).collect();
        let origin = if clauses.is_empty() { "of every agreement".to_owned() } else { clauses.join("; ") };
        let waiver = seen.config.waive.iter().find(|waiver| waiver.rule == floor.id);
        let problem = match waiver {
            Some(waiver) => format!("{problem}: waived ({origin}), because {}", waiver.reason),
            None => format!("{problem}: below the floor ({origin})"),
        };
        let error = at.error(&key, problem).rule(floor.id).instead(floor.instead);
        if floor.binding && waiver.is_none() { errors.push(error) } else { warnings.push(error) }
    }
    (errors, warnings)
}

fn clause_text(of: Framework, clause: &str, reading: Reading) -> String {
    let doubt = if reading == Reading::NotRead { ", text not read" } else { "" };
    format!("{} {clause}{doubt}", of.as_str())
}
