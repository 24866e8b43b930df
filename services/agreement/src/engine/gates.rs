//! The gates: named facts that a transition needs. What they read comes from agreement messages, by the registry path
//! that each field is built from, so that no gate knows one corridor's schema.

use convenio_model::Ref;

use super::{Engine, Knows};
use crate::act::{Content, Local, Refusal};
use crate::lifecycle::{Gate, Role};
use crate::plan::{Doc, Worse, compare_terms};
use crate::view::{PlacementView, TermsView, World, is};

const LICENSED_AGENCY: i64 = 2;
const LICENCE_ACTIVE: i32 = 1;

/// A contradiction that both sides derive alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// `contract_substitution`, `contradictory_facts` or `departed_without_readiness`.
    pub kind: &'static str,
    /// Field, or the two facts.
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

/// What one gate looks at.
struct Look<'a> {
    world: &'a World,
    view: Option<&'a PlacementView>,
    content: &'a [Content],
    knows: Knows,
    local: Option<&'a Local>,
}

impl Engine<'_> {
    pub(super) fn pass(
        &self,
        world: &World,
        placement: Ref,
        gates: &[Gate],
        knows: Knows,
        content: &[Content],
        local: Option<&Local>,
    ) -> Result<(), Refusal> {
        let look = Look { world, view: world.placement(placement), content, knows, local };
        for gate in gates {
            self.gate(*gate, &look).map_err(|field_paths| Refusal::Gate { gate: *gate, field_paths })?;
        }
        Ok(())
    }

    fn gate(&self, gate: Gate, look: &Look<'_>) -> Result<(), Vec<String>> {
        match gate {
            Gate::Consent => look.local(|l| l.consent, "worker.consents"),
            Gate::MinimumAge => look.local(|l| l.of_age, "worker.birth_date"),
            Gate::ReturnOfferShown => look.local(|l| l.return_offer_shown, "placement.return_offer_shown"),
            Gate::MandatoryModules => look.local(|l| l.all_modules, "event.modules"),
            Gate::ReasonGiven => {
                ensure(look.text("event.reason_code").is_some_and(|r| !r.is_empty()), "event.reason_code")
            }
            Gate::NotWithdrawn => ensure(!self.known(look, "withdrawn"), "placement.facts"),
            Gate::NotContested => ensure(!self.known(look, "end_contested"), "placement.facts"),
            Gate::Permitted => self.stated(look, "permitted"),
            Gate::Oriented => self.stated(look, "oriented"),
            Gate::Admitted => self.stated(look, "admitted"),
            Gate::RecruiterAllowed => self.recruiter_allowed(look),
            Gate::AgencyTwoLicences => self.agency_two_licences(look),
            Gate::OrderOpen => self.order_open(look),
            Gate::SeatFree => self.seat_free(look),
            Gate::ContractAuthored => self.contract_authored(look),
            Gate::TermsNotWorse => self.terms_not_worse(look),
        }
    }

    /// Whether `fact` is known to this look.
    fn known(&self, look: &Look<'_>, fact: &str) -> bool {
        let owner = |by_origin| if by_origin { Role::Origin } else { Role::Destination };
        look.view.is_some_and(|v| v.facts.iter().any(|f| f.name == fact && look.sees(owner(f.by_origin))))
    }

    /// `fact` must be stated; a recipient who does not own it does not ask.
    fn stated(&self, look: &Look<'_>, fact: &str) -> Result<(), Vec<String>> {
        let owned = self.pack.lifecycle().fact(fact).is_some_and(|f| look.sees(f.by));
        ensure(!owned || self.known(look, fact), "placement.facts")
    }

    fn recruiter_allowed(&self, look: &Look<'_>) -> Result<(), Vec<String>> {
        let kind = look.recruiter();
        let agency = look.agency().is_some();
        let allowed = self.pack.allows_recruiter(kind) && (kind == LICENSED_AGENCY) == agency;
        ensure(allowed, if agency { "placement.agency" } else { "placement.recruiter_kind" })
    }

    fn agency_two_licences(&self, look: &Look<'_>) -> Result<(), Vec<String>> {
        if look.recruiter() != LICENSED_AGENCY {
            return Ok(());
        }
        let agency = look.agency().and_then(|id| look.world.agency(id));
        let active = |role: Role| {
            agency.is_some_and(|a| {
                a.licences.iter().any(|l| l.by_origin == (role == Role::Origin) && l.state == LICENCE_ACTIVE)
            })
        };
        let ok = [Role::Origin, Role::Destination].into_iter().all(|role| !look.sees(role) || active(role));
        ensure(ok, "agency.licences")
    }

    fn order_open(&self, look: &Look<'_>) -> Result<(), Vec<String>> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        let open = look.order().and_then(|id| look.world.order(id)).is_some_and(|o| o.open);
        ensure(open, "placement.job_order")
    }

    fn seat_free(&self, look: &Look<'_>) -> Result<(), Vec<String>> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        let id = look.order();
        let held_here = look.view.is_some_and(|v| id.is_some_and(|id| is(&v.seat_in, id)));
        let free = id.and_then(|id| look.world.order(id)).is_some_and(|o| held_here || o.held < o.seats);
        ensure(free, "job_order.seats")
    }

    fn contract_authored(&self, look: &Look<'_>) -> Result<(), Vec<String>> {
        let named = look.text("contract.name").unwrap_or_default();
        let latest = look.view.and_then(|v| v.authored.last());
        ensure(latest.is_some_and(|t| !named.is_empty() && t.contract == named), "contract.name")?;
        let authored = latest.and_then(|t| self.doc(t));
        let same = authored.is_none_or(|d| d.bytes("contract.text_sha256") == look.bytes("contract.text_sha256"));
        ensure(same, "contract.text_sha256")
    }

    fn terms_not_worse(&self, look: &Look<'_>) -> Result<(), Vec<String>> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        let Some(order) = look.order().and_then(|id| look.world.order(id)) else {
            return Err(vec!["placement.job_order".to_owned()]);
        };
        let agreed = self.pack.read_kept(&order.message_name, &order.message);
        let offered = match look.content.iter().find(|c| self.pack.carries_terms(&c.message_name)) {
            Some(own) => Some(own.doc.clone()),
            None => look.view.and_then(|v| v.authored.last()).and_then(|t| self.doc(t)),
        };
        let (Some(agreed), Some(offered)) = (agreed, offered) else { return Err(vec!["contract.terms".to_owned()]) };
        let worse = compare_terms(self.pack, &agreed, &offered);
        if worse.is_empty() { Ok(()) } else { Err(worse.iter().map(|w| format!("contract.{}", w.path)).collect()) }
    }

    fn doc(&self, terms: &TermsView) -> Option<Doc> {
        self.pack.read_kept(&terms.message_name, &terms.message)
    }

    /// Contradictions of a placement, derived from what crossed (model: `shared`).
    #[must_use]
    pub fn discrepancies(&self, view: &PlacementView) -> Vec<Discrepancy> {
        let mut found = Vec::new();
        if let Some(agreed) = &view.agreed {
            for observed in &view.observed {
                let worse = self.doc(agreed).zip(self.doc(observed));
                let worse = worse.map(|(a, o)| compare_terms(self.pack, &a, &o)).unwrap_or_default();
                found.extend(worse.into_iter().map(|w| substitution(w, agreed, observed)));
            }
        }
        for (a, b) in &self.pack.lifecycle().contradictions {
            let (one, other) = (view.facts.iter().find(|f| f.name == *a), view.facts.iter().find(|f| f.name == *b));
            if let (Some(one), Some(other)) = (one, other) {
                found.push(Discrepancy {
                    kind: "contradictory_facts",
                    field_path: format!("{a}, {b}"),
                    agreed: a.clone(),
                    observed: b.clone(),
                    agreed_record: Ref::from_slice(&one.record_id).ok(),
                    observed_record: Ref::from_slice(&other.record_id).ok(),
                });
            }
        }
        found.extend(self.alerts(view));
        found
    }

    /// Facts that are recorded and alerted, judged at what their issuer knew (model: `alert_by_issuer`).
    fn alerts<'v>(&'v self, view: &'v PlacementView) -> impl Iterator<Item = Discrepancy> + 'v {
        let lifecycle = self.pack.lifecycle();
        view.facts.iter().filter_map(move |fact| {
            let allowed = &lifecycle.fact(&fact.name)?.alert_unless;
            let known = lifecycle.state(&fact.known_state);
            let alert = !allowed.is_empty() && !known.is_some_and(|s| allowed.contains(&s));
            alert.then(|| Discrepancy {
                kind: "fact_without_readiness",
                field_path: fact.name.clone(),
                agreed: allowed.iter().map(|s| lifecycle.state_name(*s)).collect::<Vec<_>>().join(", "),
                observed: fact.known_state.clone(),
                agreed_record: None,
                observed_record: Ref::from_slice(&fact.record_id).ok(),
            })
        })
    }
}

impl Look<'_> {
    fn sees(&self, owner: Role) -> bool {
        match self.knows {
            Knows::All => true,
            Knows::OwnedBy(role) => role == owner,
        }
    }

    fn local(&self, holds: impl Fn(&Local) -> bool, path: &str) -> Result<(), Vec<String>> {
        ensure(self.local.is_none_or(holds), path)
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.content.iter().find_map(|c| c.doc.text(path))
    }

    fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.content.iter().find_map(|c| c.doc.bytes(path))
    }

    fn order(&self) -> Option<Ref> {
        let named = self.text("placement.job_order").and_then(|n| n.strip_prefix("jobOrders/")?.parse().ok());
        named.or_else(|| self.view?.order_ref())
    }

    fn agency(&self) -> Option<Ref> {
        match self.text("placement.agency") {
            Some(name) => name.strip_prefix("agencies/")?.parse().ok(),
            None => self.view?.agency_ref(),
        }
    }

    fn recruiter(&self) -> i64 {
        let stated = self.content.iter().find_map(|c| c.doc.enum_number("placement.recruiter_kind").map(i64::from));
        stated.or_else(|| self.view.map(|v| i64::from(v.recruiter))).unwrap_or_default()
    }
}

fn ensure(holds: bool, path: &str) -> Result<(), Vec<String>> {
    if holds { Ok(()) } else { Err(vec![path.to_owned()]) }
}

fn substitution(worse: Worse, agreed: &TermsView, observed: &TermsView) -> Discrepancy {
    Discrepancy {
        kind: "contract_substitution",
        field_path: format!("contract.{}", worse.path),
        agreed: worse.agreed,
        observed: worse.other,
        agreed_record: Ref::from_slice(&agreed.record_id).ok(),
        observed_record: Ref::from_slice(&observed.record_id).ok(),
    }
}
