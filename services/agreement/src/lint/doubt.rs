//! What does not keep a pack from being loaded, and must stay visible: what is uncertain, missing or unused.

use std::collections::HashSet;

use crate::config::{BasisStatus, Config, LegalStatus, Origin};
use crate::floor::Seen;
use crate::lifecycle::{Lifecycle, StageId};
use crate::pack::{Messages, PackError, Place};

/// Everything doubtful about a pack that can be loaded.
pub(crate) fn doubts(seen: &Seen<'_>, messages: &Messages, at: Origin<'_>) -> Vec<PackError> {
    let mut found = Vec::new();
    if seen.config.format >= 2 {
        uncertain(seen.config, at, &mut found);
    }
    unused(seen, at, &mut found);
    let used: HashSet<&str> = acts_messages(seen).collect();
    for (message, _) in messages.parts.iter().filter(|(message, _)| !used.contains(message.full_name())) {
        let error = message.error("no act carries it").rule("unused/message");
        found.push(error.instead("name it among the messages of a transition, fact or notice, or remove it"));
    }
    found
}

fn uncertain(config: &Config, at: Origin<'_>, found: &mut Vec<PackError>) {
    if config.frameworks.is_empty() {
        let error = at.error("frameworks", "no framework is named, so no floor is kept").rule("basis/frameworks");
        found.push(error.instead("name those that the parties ratified or follow"));
    }
    for (index, legal) in config.legal.iter().enumerate().filter(|(_, l)| l.status == LegalStatus::Uncertain) {
        let error =
            at.error(&format!("legal[{index}].status"), format!("`{}` is uncertain: {}", legal.key, legal.doubt));
        found.push(error.rule("basis/legal").instead("read the text, give its source, and set status = \"read\""));
    }
    for (name, basis) in config.policy_basis.iter().flat_map(|basis| basis.points()) {
        let (status, instead) = match basis.status {
            BasisStatus::Done => continue,
            BasisStatus::Missing => ("missing", "do it, or acknowledge it when the agreement is ratified"),
            BasisStatus::Uncertain => ("uncertain", "find out whether it was done, and when"),
        };
        let problem = format!("is {status}: {}", basis.reason);
        found.push(at.error(&format!("policy_basis.{name}"), problem).rule("basis/policy").instead(instead));
    }
    if config.hypothetical {
        let error = at.error("hypothetical", "no such agreement exists").rule("basis/hypothetical");
        found.push(error.instead("hypothetical = false, once there is one"));
    }
}

fn acts_messages<'a>(seen: &'a Seen<'_>) -> impl Iterator<Item = &'a str> {
    let lifecycle = seen.lifecycle;
    let transitions = lifecycle.transitions.iter().flat_map(|act| &act.messages);
    let facts = lifecycle.facts.iter().flat_map(|act| &act.messages);
    let notices = lifecycle.notices.iter().map(|act| &act.message);
    transitions.chain(facts).chain(notices).map(|name| &**name)
}

/// Stages that a state or a fact reaches, by their places.
fn stages_reached(lifecycle: &Lifecycle) -> impl Iterator<Item = usize> {
    let states = lifecycle.states.iter().map(|state| state.stage);
    states.chain(lifecycle.facts.iter().filter_map(|fact| fact.stage)).map(StageId::index)
}

/// Refuses a stage that is never reached, itself or a later one: what waits for it would never cross.
pub(crate) fn unreachable(seen: &Seen<'_>, at: Origin<'_>) -> Option<PackError> {
    let last = stages_reached(seen.lifecycle).max().unwrap_or(0);
    let stage = seen.config.stages.get(last + 1)?;
    let problem = format!("no state or fact reaches `{stage}` or a later stage");
    let error = at.error(&format!("stages[{}]", last + 1), problem).rule("disclosure/unreachable");
    Some(error.instead("give it to a state or a fact, or remove it"))
}

fn unused(seen: &Seen<'_>, at: Origin<'_>, found: &mut Vec<PackError>) {
    let (config, lifecycle) = (seen.config, seen.lifecycle);
    for (index, stage) in config.stages.iter().enumerate() {
        let reached = stages_reached(lifecycle).any(|reached| reached == index);
        let discloses = seen.plans.values().flat_map(|plan| &plan.fields).any(|field| field.stage.index() == index);
        if !reached && !discloses {
            let error = at.error(&format!("stages[{index}]"), format!("nothing reaches or uses `{stage}`"));
            found.push(error.rule("unused/stage").instead("give it to a state or a fact, or remove it"));
        }
    }
    for (index, state) in lifecycle.states.iter().enumerate() {
        let leaves = lifecycle.transitions.iter().any(|act| act.from.iter().any(|from| from.index() == index));
        if !leaves && !config.retention.is_end(&state.name) {
            let error =
                at.error(&format!("lifecycle.states[{index}].name"), format!("nothing leaves `{}`", state.name));
            found.push(
                error.rule("unused/dead-end").instead("name it in retention.ended, or add a transition out of it"),
            );
        }
    }
    for (index, gate) in config.gates.iter().enumerate() {
        let transitions = config.lifecycle.transitions.iter().flat_map(|act| &act.gates);
        let facts = config.lifecycle.facts.iter().flat_map(|act| &act.gates);
        if !transitions.chain(facts).any(|used| *used == gate.name) {
            let error = at.error(&format!("gates[{index}].name"), format!("no act has the gate `{}`", gate.name));
            found.push(error.rule("unused/gate").instead("name it among the gates of an act, or remove it"));
        }
    }
}
