//! Erasure in the views: what they copied from a message goes with it; state, number and facts stay.

use convenio_model::{RecordId, Ref};

use super::Engine;
use crate::view::{CrewSaid, TermsView, World, is};

/// The registry path that feeds a placement's pairwise reference.
const WORKER_REF: &str = "placement.worker_ref";

impl Engine<'_> {
    /// The message of a placement's record was erased. Without its name, which a destroyed key leaves unknown, all that
    /// the record may have brought is forgotten.
    pub fn forget_placement(&self, world: &mut World, id: Ref, record_id: RecordId, message_name: Option<&str>) {
        let Some(view) = world.placement(id) else { return };
        let of_record = |terms: &TermsView| is(&terms.record_id, record_id) && named(message_name, &terms.message_name);
        let held = |terms: &TermsView| of_record(terms) && !terms.message.is_empty();
        let worker = !view.worker_ref.is_empty() && self.brings(message_name, WORKER_REF);
        let terms = view.authored.iter().chain(&view.observed).chain(&view.paid).chain(&view.agreed).any(held);
        if !worker && !terms {
            return;
        }
        let first = self.pack.lifecycle().state_name(self.pack.lifecycle().first_crossing);
        let view = world.placement_mut(id, first);
        if worker {
            view.worker_ref.clear();
        }
        let terms = view.authored.iter_mut().chain(&mut view.observed).chain(&mut view.paid).chain(&mut view.agreed);
        terms.filter(|terms| of_record(terms)).for_each(|terms| terms.message.clear());
    }

    /// The message of a job order's notice was erased.
    pub fn forget_order(&self, world: &mut World, id: Ref, record_id: RecordId) {
        if world.order(id).is_some_and(|order| is(&order.record_id, record_id) && !order.message.is_empty()) {
            world.order_mut(id).message.clear();
        }
    }

    /// The message of a crew list's notice was erased.
    pub fn forget_crew(&self, world: &mut World, id: Ref, record_id: RecordId) {
        let holds = |said: &CrewSaid| is(&said.record_id, record_id) && !said.message.is_empty();
        if world.crew(id).is_some_and(|crew| crew.said.iter().any(holds)) {
            let said = world.crew_mut(id).said.iter_mut();
            said.filter(|said| holds(said)).for_each(|said| said.message.clear());
        }
    }

    /// Whether a message has a field that is built from `path`.
    fn brings(&self, message_name: Option<&str>, path: &str) -> bool {
        let Some(name) = message_name else { return true };
        let plan = self.pack.message(name);
        plan.is_some_and(|plan| plan.fields.iter().any(|field| field.source.to_string() == path))
    }
}

fn named(name: Option<&str>, of: &str) -> bool {
    name.is_none_or(|name| name == of)
}
