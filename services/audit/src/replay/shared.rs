//! What both sides must believe alike.

use std::collections::BTreeSet;

use convenio_agreement::Pack;
use convenio_agreement::engine::{Discrepancy, Engine};
use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::PlacementView;

/// What both sides must derive alike of a placement.
#[derive(PartialEq)]
struct SharedView<'v> {
    state: &'v str,
    number: u64,
    facts: BTreeSet<(&'v str, bool, &'v [u8], &'v str)>,
    discrepancies: BTreeSet<String>,
}

fn shared<'v>(view: &'v PlacementView, found: &[Discrepancy]) -> SharedView<'v> {
    let facts =
        view.facts.iter().map(|f| (f.name.as_str(), f.by_origin, f.record_id.as_slice(), f.known_state.as_str()));
    let text = |d: &Discrepancy| format!("{} {} {} {}", d.kind, d.field_path, d.agreed, d.observed);
    SharedView {
        state: &view.state,
        number: view.number,
        facts: facts.collect(),
        discrepancies: found.iter().map(text).collect(),
    }
}

/// The contradictions of a placement, and how its sides differ. One with an undecided act is left out of the
/// comparison: there each side rightly knows something that the other does not.
pub(super) fn compared(
    pack: &Pack,
    origin: Option<&PlacementView>,
    destination: Option<&PlacementView>,
    undecided: bool,
) -> (Vec<Discrepancy>, Option<String>) {
    let unknown = PlacementView::default();
    let (origin, destination) = (origin.unwrap_or(&unknown), destination.unwrap_or(&unknown));
    let a = Engine::new(pack, Role::Origin).discrepancies(origin);
    let b = Engine::new(pack, Role::Destination).discrepancies(destination);
    let open = |view: &PlacementView| !view.pending.is_empty() || view.facts.iter().any(|fact| fact.undecided);
    // One that was never accepted exists at its origin alone.
    let new = |view: &PlacementView| view.number == 0 && view.facts.is_empty();
    let mut text = None;
    if !(undecided || open(origin) || open(destination) || new(origin) && new(destination)) {
        let (one, other) = (shared(origin, &a), shared(destination, &b));
        if one != other {
            text = Some(format!(
                "origin {} {} with {} facts, destination {} {} with {} facts",
                one.state,
                one.number,
                one.facts.len(),
                other.state,
                other.number,
                other.facts.len()
            ));
        }
    }
    // Both sides derive the same; one that is ahead of the other knows more.
    (if a.len() >= b.len() { a } else { b }, text)
}
