//! States, stages, acts and their gates.

use std::sync::Arc;

use super::{Effect, List};
use crate::lifecycle::{Lifecycle, StateId};
use crate::pack::Pack;

/// An act, as both kinds have it.
struct Act<'a> {
    name: &'a str,
    kind: &'static str,
    by: &'static str,
    from: Vec<&'a str>,
    to: Vec<&'a str>,
    gates: Vec<String>,
    messages: &'a [Arc<str>],
}

pub(super) fn compare(from: &Pack, to: &Pack, list: &mut List) {
    let (old, new) = (from.lifecycle(), to.lifecycle());
    stages(old, new, list);
    states(old, new, list);
    let (before, after) = (acts(from), acts(to));
    for act in &before {
        match after.iter().find(|other| other.name == act.name && other.kind == act.kind) {
            Some(now) => same_act(act, now, list),
            None => list.add(Effect::Removed, "act/removed", act.name, format!("the {} is no more", act.kind)),
        }
    }
    for act in after.iter().filter(|act| !before.iter().any(|old| old.name == act.name && old.kind == act.kind)) {
        let gates = if act.gates.is_empty() { "no gate".to_owned() } else { act.gates.join(", ") };
        let says = format!("a new {} by {}, with {gates}", act.kind, act.by);
        list.add(Effect::Added, "act/added", act.name, says);
    }
    let names = |lifecycle: &Lifecycle, states: &[StateId]| -> Vec<String> {
        states.iter().map(|state| lifecycle.state_name(*state).to_owned()).collect()
    };
    let seats = (names(old, &old.holds_seat), names(new, &new.holds_seat));
    list.set("seats/held", "lifecycle.holds_seat", (&seats.0, &seats.1), Effect::Tightened);
    list.set("seats/freed", "lifecycle.frees_seat", (&old.frees_seat, &new.frees_seat), Effect::Loosened);
}

/// Every stage is kept, and the order of those kept.
fn stages(old: &Lifecycle, new: &Lifecycle, list: &mut List) {
    let places: Vec<Option<usize>> =
        old.stages.iter().map(|stage| new.stages.iter().position(|other| other == stage)).collect();
    for (stage, _) in old.stages.iter().zip(&places).filter(|(_, place)| place.is_none()) {
        list.add(Effect::Refused, "kept/stage", stage, "the stage is gone: records in flight have reached it");
    }
    let kept: Vec<usize> = places.into_iter().flatten().collect();
    if !kept.is_sorted() {
        list.add(
            Effect::Refused,
            "kept/stage",
            "stages",
            "their order changed: what was disclosed later would be earlier",
        );
    }
    for stage in new.stages.iter().filter(|stage| !old.stages.contains(stage)) {
        list.add(Effect::Added, "stage/added", stage, "a new disclosure stage");
    }
}

/// Every state is kept, with its governor.
fn states(old: &Lifecycle, new: &Lifecycle, list: &mut List) {
    for state in &old.states {
        let Some(now) = new.states.iter().find(|other| other.name == state.name) else {
            list.add(Effect::Refused, "kept/state", &state.name, "the state is gone: placements may be in it");
            continue;
        };
        if now.governor != state.governor {
            let says = format!("its governor changed from {} to {}", state.governor.as_str(), now.governor.as_str());
            list.add(Effect::Refused, "kept/governor", &state.name, says);
        }
        list.plain("state/stage", &state.name, old.stage_name(state.stage), new.stage_name(now.stage));
    }
    for state in new.states.iter().filter(|state| !old.states.iter().any(|other| other.name == state.name)) {
        let says = format!("a new state, governed by the {}", state.governor.as_str());
        list.add(Effect::Added, "state/added", &state.name, says);
    }
    list.plain("lifecycle/initial", "lifecycle.initial", old.state_name(old.initial), new.state_name(new.initial));
    let (a, b) = (old.state_name(old.first_crossing), new.state_name(new.first_crossing));
    list.plain("lifecycle/first-crossing", "lifecycle.first_crossing", a, b);
}

fn acts(pack: &Pack) -> Vec<Act<'_>> {
    let lifecycle = pack.lifecycle();
    let config = &pack.config().lifecycle;
    let transitions = lifecycle.transitions.iter().zip(&config.transitions).map(|(act, source)| Act {
        name: &act.name,
        kind: "transition",
        by: act.by.as_str(),
        from: act.from.iter().map(|state| lifecycle.state_name(*state)).collect(),
        to: vec![lifecycle.state_name(act.to)],
        gates: source.gates.clone(),
        messages: &act.messages,
    });
    let facts = lifecycle.facts.iter().zip(&config.facts).map(|(act, source)| Act {
        name: &act.name,
        kind: "fact",
        by: act.by.as_str(),
        from: source.needs_stage.iter().map(String::as_str).collect(),
        to: source.stage.iter().map(String::as_str).collect(),
        gates: source.gates.clone(),
        messages: &act.messages,
    });
    transitions.chain(facts).collect()
}

fn same_act(old: &Act<'_>, new: &Act<'_>, list: &mut List) {
    list.set("act/gate", old.name, (&old.gates, &new.gates), Effect::Tightened);
    list.plain("act/by", old.name, old.by, new.by);
    list.plain("act/to", old.name, old.to.join(" "), new.to.join(" "));
    if old.kind == "transition" {
        let names = |states: &[&str]| -> Vec<String> { states.iter().map(|state| (*state).to_owned()).collect() };
        list.set("act/from", old.name, (&names(&old.from), &names(&new.from)), Effect::Loosened);
    } else {
        list.plain("act/needs-stage", old.name, old.from.join(" "), new.from.join(" "));
    }
    list.plain("act/messages", old.name, old.messages.join(" "), new.messages.join(" "));
}
