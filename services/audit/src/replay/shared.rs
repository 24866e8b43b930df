//! What both sides must believe alike.

use std::collections::BTreeSet;

use convenio_agreement::Pack;
use convenio_agreement::engine::Engine;
use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::PlacementView;
use convenio_model::Ref;

use super::act::ActOutcome;
use super::{Replay, Side};

/// What both sides must derive alike of a placement.
#[derive(PartialEq)]
struct SharedView<'v> {
    state: &'v str,
    number: u64,
    facts: BTreeSet<(&'v str, bool, &'v [u8], &'v str)>,
    discrepancies: BTreeSet<String>,
}

fn shared<'v>(pack: &Pack, role: Role, view: &'v PlacementView) -> SharedView<'v> {
    let facts =
        view.facts.iter().map(|f| (f.name.as_str(), f.by_origin, f.record_id.as_slice(), f.known_state.as_str()));
    let found = Engine::new(pack, role).discrepancies(view);
    SharedView {
        state: &view.state,
        number: view.number,
        facts: facts.collect(),
        discrepancies: found
            .iter()
            .map(|d| format!("{} {} {} {}", d.kind, d.field_path, d.agreed, d.observed))
            .collect(),
    }
}

pub(super) fn disagreements(replay: &Replay) -> Vec<(Ref, String)> {
    let open = |view: &PlacementView| !view.pending.is_empty() || view.facts.iter().any(|fact| fact.undecided);
    // A record that its issuer has and that is not decided is known to one side only.
    let undecided: BTreeSet<&str> = replay
        .sides()
        .flat_map(|side| &side.acts)
        .filter(|act| act.outcome == ActOutcome::Undecided)
        .map(|act| act.subject.as_str())
        .collect();
    let unknown = PlacementView::default();
    let ids: BTreeSet<Ref> = replay.sides().flat_map(|side| side.world.placements().map(|(id, _)| id)).collect();
    let mut found = Vec::new();
    for id in ids {
        let at = |side: &'_ Side| side.world.placement(id).cloned().unwrap_or_else(|| unknown.clone());
        let (origin, destination) = (at(&replay.origin), at(&replay.destination));
        if open(&origin) || open(&destination) || undecided.contains(format!("placements/{id}").as_str()) {
            continue;
        }
        // One that was never accepted exists at its origin alone.
        if origin.number == 0 && destination.number == 0 && origin.facts.is_empty() && destination.facts.is_empty() {
            continue;
        }
        let a = shared(&replay.pack, Role::Origin, &origin);
        let b = shared(&replay.pack, Role::Destination, &destination);
        if a != b {
            let text = format!(
                "origin {} {} with {} facts, destination {} {} with {} facts",
                a.state,
                a.number,
                a.facts.len(),
                b.state,
                b.number,
                b.facts.len()
            );
            found.push((id, text));
        }
    }
    found
}
