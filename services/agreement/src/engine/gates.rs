//! The gates. What they read comes from agreement messages, by the registry path that each field is built from, so that
//! no gate knows one corridor's schema.

use std::sync::Arc;

use convenio_model::Ref;

use super::look::{Look, Miss, ensure};
use super::{Engine, Knows};
use crate::act::{Content, Detail, Local, Refusal};
use crate::lifecycle::{Gate, GateDef, GateRule, Role, Terms};
use crate::plan::compare_terms;
use crate::view::{World, is};

const LICENSED_AGENCY: i64 = 2;
const LICENCE_ACTIVE: i32 = 1;

/// The act that gates are asked about.
pub(super) struct Asked<'a> {
    pub(super) placement: Ref,
    pub(super) act: &'a str,
    pub(super) at_ms: u64,
    pub(super) content: &'a [Content],
    pub(super) local: Option<&'a Local>,
}

impl Engine<'_> {
    pub(super) fn pass(
        &self,
        world: &World,
        gates: &[Arc<GateDef>],
        knows: Knows,
        asked: &Asked<'_>,
    ) -> Result<(), Refusal> {
        let Asked { placement, act, at_ms, content, local } = *asked;
        let look = Look { world, view: world.placement(placement), act, at_ms, content, knows, local };
        for gate in gates {
            let passed = match &gate.rule {
                GateRule::Fact(about) => self.fact_gate(about, &look),
                GateRule::BuiltIn(built_in) => self.gate(*built_in, &look),
            };
            passed.map_err(|miss| {
                let clause = miss.clause.unwrap_or_else(|| gate.clause.clone());
                Refusal::Gate(Detail { gate: gate.name.clone(), clause, fact: miss.fact, field_paths: miss.paths })
            })?;
        }
        Ok(())
    }

    fn gate(&self, gate: Gate, look: &Look<'_>) -> Result<(), Miss> {
        match gate {
            Gate::Consent => look.local(|l| l.consent, "worker.consents"),
            Gate::MinimumAge => look.local(|l| l.of_age, "worker.birth_date"),
            Gate::ReturnOfferShown => look.local(|l| l.return_offer_shown, "placement.return_offer_shown"),
            Gate::MandatoryModules => look.local(|l| l.all_modules, "event.modules"),
            Gate::ReasonGiven => {
                ensure(look.text("event.reason_code").is_some_and(|r| !r.is_empty()), "event.reason_code")
            }
            Gate::RecruiterAllowed => self.recruiter_allowed(look),
            Gate::AgencyTwoLicences => self.agency_two_licences(look),
            Gate::OrderOpen => self.order_open(look),
            Gate::SeatFree => self.seat_free(look),
            Gate::ContractAuthored => self.contract_authored(look),
            Gate::TermsNotWorse => self.terms_not_worse(look),
            Gate::QuotaFree => self.quota_free(look),
            Gate::WithinStay => self.within_stay(look),
            Gate::SectorAllowed => self.sector_allowed(look),
            Gate::FeesLawful => self.fees_lawful(look),
        }
    }

    fn recruiter_allowed(&self, look: &Look<'_>) -> Result<(), Miss> {
        let kind = look.recruiter();
        let agency = look.agency().is_some();
        let allowed = self.pack.allows_recruiter(kind) && (kind == LICENSED_AGENCY) == agency;
        ensure(allowed, if agency { "placement.agency" } else { "placement.recruiter_kind" })
    }

    fn agency_two_licences(&self, look: &Look<'_>) -> Result<(), Miss> {
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

    fn order_open(&self, look: &Look<'_>) -> Result<(), Miss> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        ensure(look.order().is_some_and(|o| o.open), "placement.job_order")
    }

    fn seat_free(&self, look: &Look<'_>) -> Result<(), Miss> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        let id = look.order_ref();
        let held_here = look.view.is_some_and(|v| id.is_some_and(|id| is(&v.seat_in, id)));
        let free = look.order().is_some_and(|o| held_here || o.held < o.seats);
        ensure(free, "job_order.seats")
    }

    /// The contract is the latest that the destination authored: by name, by the hash of its text as the other state holds
    /// it and as the worker accepted it where the act says so, and by every term that the act repeats.
    fn contract_authored(&self, look: &Look<'_>) -> Result<(), Miss> {
        let named = look.text("contract.name").unwrap_or_default();
        let latest = look.view.and_then(|v| v.authored.last());
        let latest = latest.filter(|t| !named.is_empty() && t.contract == named);
        let authors = |f: &&crate::lifecycle::Fact| f.terms == Some(Terms::Authored);
        let fact = || self.pack.lifecycle().facts.iter().find(authors).map(|f| f.name.clone()).unwrap_or_default();
        let latest = latest.ok_or_else(|| Miss { fact: fact(), ..Miss::at("contract.name") })?;
        let Some(authored) = self.doc(latest) else { return Ok(()) };
        let text = authored.bytes("contract.text_sha256").unwrap_or_default();
        ensure(look.bytes("contract.text_sha256").unwrap_or_default() == text, "contract.text_sha256")?;
        let accepted = look.bytes("event.text_sha256").unwrap_or_default();
        ensure(accepted.is_empty() || accepted == text, "event.text_sha256")?;
        let repeated = look.content.iter().flat_map(|content| compare_terms(self.pack, &authored, &content.doc));
        let paths: Vec<String> = repeated.map(|worse| format!("contract.{}", worse.path)).collect();
        if paths.is_empty() { Ok(()) } else { Err(Miss { paths, ..Miss::default() }) }
    }

    fn terms_not_worse(&self, look: &Look<'_>) -> Result<(), Miss> {
        if !look.sees(Role::Destination) {
            return Ok(());
        }
        if look.order().is_none() {
            return Err(Miss::at("placement.job_order"));
        }
        let both = self.order_doc(look).zip(self.contract_doc(look));
        let (agreed, offered) = both.ok_or_else(|| Miss::at("contract.terms"))?;
        let worse = compare_terms(self.pack, &agreed, &offered);
        let paths: Vec<String> = worse.iter().map(|w| format!("contract.{}", w.path)).collect();
        if paths.is_empty() { Ok(()) } else { Err(Miss { paths, ..Miss::default() }) }
    }
}
