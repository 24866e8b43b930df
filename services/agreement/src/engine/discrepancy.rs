//! Contradictions of a placement, derived from what crossed (model: `shared`): nothing is refused for them.

use convenio_model::Ref;

use super::Engine;
use super::look::DAY_MS;
use crate::config::{Day, DeadlineConfig};
use crate::plan::{Worse, compare_observed};
use crate::view::{Countersigned, PlacementView, TermsView};

/// How something that is missing is shown.
const ABSENT: &str = "–";

/// A contradiction that both sides derive alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// `contract_substitution`, `contradictory_facts`, `fact_without_readiness` or `deadline_missed`.
    pub kind: &'static str,
    /// Legal key of the clause that it is about; may be empty.
    pub clause: String,
    /// Field, the two facts, or the deadline.
    pub field_path: String,
    /// What was agreed.
    pub agreed: String,
    /// What was observed.
    pub observed: String,
    /// Record that carries the agreed value, if any.
    pub agreed_record: Option<Ref>,
    /// Record that carries the observed value.
    pub observed_record: Option<Ref>,
}

impl Engine<'_> {
    /// Contradictions of a placement.
    #[must_use]
    pub fn discrepancies(&self, view: &PlacementView) -> Vec<Discrepancy> {
        let mut found = self.substitutions(view);
        found.extend(self.contradictions(view));
        found.extend(self.alerts(view));
        found.extend(self.pack.lifecycle().deadlines.iter().filter_map(|deadline| missed(deadline, view)));
        found
    }

    /// What differs from the contract that both sides accepted: the text that was accepted, terms seen in use, pay.
    fn substitutions(&self, view: &PlacementView) -> Vec<Discrepancy> {
        let Some((agreed, contract)) = view.agreed.as_ref().and_then(|agreed| Some((agreed, self.doc(agreed)?))) else {
            return Vec::new();
        };
        let text = contract.bytes("contract.text_sha256").unwrap_or_default();
        let mut found: Vec<_> = view.countersigned.iter().flat_map(|signed| other_text(agreed, text, signed)).collect();
        for other in view.observed.iter().chain(&view.paid) {
            let worse = self.doc(other).map(|doc| compare_observed(self.pack, &contract, &doc)).unwrap_or_default();
            found.extend(worse.into_iter().map(|w| substitution(w, agreed, other)));
        }
        found
    }

    fn contradictions(&self, view: &PlacementView) -> impl Iterator<Item = Discrepancy> {
        self.pack.lifecycle().contradictions.iter().filter_map(|(a, b)| {
            let stated = |name: &String| view.facts.iter().find(|f| f.name == *name);
            let (one, other) = (stated(a)?, stated(b)?);
            Some(Discrepancy {
                kind: "contradictory_facts",
                clause: String::new(),
                field_path: format!("{a}, {b}"),
                agreed: a.clone(),
                observed: b.clone(),
                agreed_record: Ref::from_slice(&one.record_id).ok(),
                observed_record: Ref::from_slice(&other.record_id).ok(),
            })
        })
    }

    /// Facts that are recorded and alerted, judged at what their issuer knew (model: `alert_by_issuer`).
    fn alerts(&self, view: &PlacementView) -> impl Iterator<Item = Discrepancy> {
        let lifecycle = self.pack.lifecycle();
        view.facts.iter().filter_map(move |fact| {
            let allowed = &lifecycle.fact(&fact.name)?.alert_unless;
            let known = lifecycle.state(&fact.known_state);
            let alert = !allowed.is_empty() && !known.is_some_and(|s| allowed.contains(&s));
            alert.then(|| Discrepancy {
                kind: "fact_without_readiness",
                clause: String::new(),
                field_path: fact.name.clone(),
                agreed: allowed.iter().map(|s| lifecycle.state_name(*s)).collect::<Vec<_>>().join(", "),
                observed: fact.known_state.clone(),
                agreed_record: None,
                observed_record: Ref::from_slice(&fact.record_id).ok(),
            })
        })
    }
}

/// A deadline that has passed, by the times of what happened: the fact came late, or is not there though something else
/// of the placement happened later. It counts from the last time that its act happened.
fn missed(deadline: &DeadlineConfig, view: &PlacementView) -> Option<Discrepancy> {
    let transition = view.times.iter().find(|time| time.act == deadline.after);
    let facts = view.facts.iter().filter(|fact| fact.name == deadline.after);
    let facts = facts.map(|fact| (fact.event_time_ms, fact.record_id.as_slice()));
    let starts = facts.chain(transition.map(|time| (time.event_time_ms, time.record_id.as_slice())));
    let (start, started) = starts.max()?;
    let due = start.saturating_add(u64::from(deadline.days) * DAY_MS);
    let ends = || view.facts.iter().filter(|fact| fact.name == deadline.fact);
    if ends().any(|fact| fact.event_time_ms <= due) {
        return None;
    }
    let late = ends().min_by_key(|fact| (fact.event_time_ms, &fact.record_id));
    let latest = view.facts.iter().map(|fact| fact.event_time_ms).max().unwrap_or_default().max(view.latest_ms);
    (latest > due).then(|| Discrepancy {
        kind: "deadline_missed",
        clause: deadline.clause.clone(),
        field_path: deadline.name.clone(),
        agreed: civil(due),
        observed: late.map_or_else(|| ABSENT.to_owned(), |fact| civil(fact.event_time_ms)),
        agreed_record: Ref::from_slice(started).ok(),
        observed_record: late.and_then(|fact| Ref::from_slice(&fact.record_id).ok()),
    })
}

/// The civil day (UTC) of a time.
fn civil(ms: u64) -> String {
    let number = i64::try_from(ms / DAY_MS).unwrap_or(i64::MAX);
    Day::from_number(number).map_or_else(|| ABSENT.to_owned(), |day| day.to_string())
}

/// Another text than the authored one was countersigned, or accepted by the worker.
fn other_text(agreed: &TermsView, text: &[u8], signed: &Countersigned) -> Vec<Discrepancy> {
    let hashes = [("contract.text_sha256", &signed.text_sha256), ("event.text_sha256", &signed.accepted_sha256)];
    let other = hashes.into_iter().filter(|(_, hash)| !hash.is_empty() && **hash != text);
    let discrepancy = |(path, hash): (&str, &Vec<u8>)| Discrepancy {
        kind: "contract_substitution",
        clause: String::new(),
        field_path: path.to_owned(),
        agreed: hex::encode(text),
        observed: hex::encode(hash),
        agreed_record: Ref::from_slice(&agreed.record_id).ok(),
        observed_record: Ref::from_slice(&signed.record_id).ok(),
    };
    other.map(discrepancy).collect()
}

fn substitution(worse: Worse, agreed: &TermsView, observed: &TermsView) -> Discrepancy {
    Discrepancy {
        kind: "contract_substitution",
        clause: String::new(),
        field_path: format!("contract.{}", worse.path),
        agreed: worse.agreed,
        observed: worse.other,
        agreed_record: Ref::from_slice(&agreed.record_id).ok(),
        observed_record: Ref::from_slice(&observed.record_id).ok(),
    }
}
