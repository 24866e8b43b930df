//! Decisions: what an accepted act makes of a placement, and how a rejected one is undone.

use convenio_model::{RecordId, Ref};

use super::Engine;
use crate::act::{Detail, Refusal};
use crate::view::{ActTime, Countersigned, Pending, PlacementView, RejectedAct, World, is};

/// A transition that both sides accept.
pub(super) struct Accepted<'a> {
    pub(super) record_id: &'a [u8],
    pub(super) act: &'a str,
    pub(super) to: &'a str,
    pub(super) number: u64,
    pub(super) event_time_ms: u64,
    /// Contract that it names; empty if none.
    pub(super) contract: &'a str,
    pub(super) countersigned: Option<Countersigned>,
}

impl Engine<'_> {
    /// The partner decided an own act: `rejected` tells why, `None` that it was accepted (model: `resolve`).
    pub fn resolve(&self, world: &mut World, placement: Ref, record_id: RecordId, rejected: Option<RejectedAct>) {
        let first = self.pack.lifecycle().state_name(self.pack.lifecycle().first_crossing);
        let view = world.placement_mut(placement, first);
        let pending = view.pending.iter().position(|p| is(&p.record_id, record_id));
        let fact = view.facts.iter().position(|f| f.undecided && is(&f.record_id, record_id));
        match (rejected, pending, fact) {
            (None, Some(at), _) => {
                let act = view.pending.remove(at);
                view.rejected = None;
                let Pending { record_id, act, to, number, event_time_ms, contract, countersigned, .. } = &act;
                let countersigned = countersigned.clone();
                let number = *number;
                let event_time_ms = *event_time_ms;
                self.accept(view, Accepted { record_id, act, to, number, event_time_ms, contract, countersigned });
            }
            (None, _, Some(at)) => view.facts[at].undecided = false,
            (None, None, None) => {}
            (Some(mut why), Some(at), _) => {
                let act = view.pending.remove(at);
                if !act.proposal {
                    // What was built on it falls with it; its number is consumed nowhere.
                    let mut index = 0;
                    view.pending.retain(|p| {
                        index += 1;
                        index <= at || p.number <= act.number
                    });
                }
                if let Some(prior) = act.prior {
                    (view.order, view.recruiter, view.agency) = (prior.order, prior.recruiter, prior.agency);
                }
                why.act = act.act;
                view.rejected = Some(why);
            }
            (Some(mut why), _, fact) => {
                if let Some(at) = fact {
                    why.act = view.facts.remove(at).name;
                    view.authored.retain(|t| !is(&t.record_id, record_id));
                    view.observed.retain(|t| !is(&t.record_id, record_id));
                    view.paid.retain(|t| !is(&t.record_id, record_id));
                    view.rejected = Some(why);
                }
            }
        }
        self.count_seat(world, placement);
    }

    pub(super) fn accept(&self, view: &mut PlacementView, done: Accepted<'_>) {
        let lifecycle = self.pack.lifecycle();
        done.to.clone_into(&mut view.state);
        view.since_ms = done.event_time_ms;
        view.latest_ms = view.latest_ms.max(done.event_time_ms);
        view.number = done.number;
        if let Some(state) = lifecycle.state(done.to) {
            let stage = lifecycle.state_at(state).stage;
            view.reached = view.reached.max(u32::try_from(stage.index()).unwrap_or(u32::MAX));
        }
        if !done.contract.is_empty() {
            view.agreed = view.authored.iter().rev().find(|t| t.contract == done.contract).cloned();
            view.countersigned = done.countersigned;
        }
        if lifecycle.deadlines.iter().any(|deadline| deadline.after == done.act) {
            view.times.retain(|time| time.act != done.act);
            let (act, event_time_ms, record_id) = (done.act.to_owned(), done.event_time_ms, done.record_id.to_vec());
            view.times.push(ActTime { act, event_time_ms, record_id });
        }
    }
}

impl RejectedAct {
    /// The rejection of `record_id` as the OUTCOME tells it.
    #[must_use]
    pub fn new(record_id: RecordId, reason: &str, detail: Detail) -> Self {
        Self {
            record_id: record_id.0.to_vec(),
            act: String::new(),
            reason: reason.to_owned(),
            gate: detail.gate,
            clause: detail.clause,
            fact: detail.fact,
            field_paths: detail.field_paths,
        }
    }

    /// The rejection that `refusal` stands for.
    #[must_use]
    pub fn from_refusal(record_id: RecordId, refusal: &Refusal) -> Self {
        Self::new(record_id, refusal.reason(), refusal.detail())
    }
}
