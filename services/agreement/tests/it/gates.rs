//! Gates as data, what the agreement limits, and what is derived from the times of events.

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Detail, Local, Refusal};
use convenio_agreement::engine::{Discrepancy, Engine};
use convenio_agreement::lifecycle::{Role, StageId};
use convenio_agreement::plan::Sources;
use convenio_agreement::view::{RejectedAct, World};
use convenio_model::Ref;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;

use crate::fixture;

const CONFIG: &str = "agreements/sv-ca/agreement.toml";
const LOCAL: Local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };
const DAY_MS: u64 = 86_400_000;
/// 1 May 2024.
const MAY: u64 = 1_714_521_600_000;
const CASE: Ref = Ref([1; 16]);
const ORDER: Ref = Ref([9; 16]);

/// The frozen pack with more at its end and other gates on some acts.
fn pack(more: &str, gates: &[(&str, &str)]) -> Pack {
    let text = fixture::Copy::new().read(CONFIG);
    let copy = fixture::Copy::new().write(CONFIG, &format!("{text}\n{more}"));
    let with = |copy: fixture::Copy, (old, new): &(&str, &str)| copy.toml(old, new);
    gates.iter().fold(copy, with).load().unwrap()
}

/// Both sides in one world, every act accepted at once.
struct One {
    pack: Pack,
    world: World,
    next: u8,
    order: registry::JobOrder,
    contract: registry::Contract,
    event: registry::Event,
}

impl One {
    fn new(pack: Pack) -> Self {
        let order = registry::JobOrder { name: format!("jobOrders/{ORDER}"), ..fixture::job_order(&pack) };
        let event = registry::Event {
            reason_code: "REASON".into(),
            document_number: "P-1".into(),
            document_expiry: fixture::date(2025, 1, 1),
            acceptance_method: "wet-ink".into(),
            language: "spa".into(),
            all_modules: true,
            ..Default::default()
        };
        let mut one = Self { world: World::default(), next: 20, order, contract: fixture::contract(), event, pack };
        one.notice(ORDER);
        one
    }

    fn content(&self, act: &str, stage: StageId, case: Ref, order: Ref) -> Vec<Content> {
        let placement = registry::Placement { job_order: format!("jobOrders/{order}"), ..fixture::placement() };
        let contract = registry::Contract { name: format!("contracts/{case}"), ..self.contract.clone() };
        let employer = registry::Employer {
            industry: Some(value::Code { list: "ISIC-4".into(), value: "0113".into() }),
            ..fixture::employer()
        };
        let sources = Sources::new().with(&placement).with(&fixture::worker()).with(&contract).with(&self.event);
        let sources = sources.with(&self.order).with(&employer);
        let messages = self.pack.lifecycle().act(act).unwrap().messages().to_vec();
        let content = messages.iter().map(|name| {
            let message = self.pack.project(name, &sources, stage).unwrap();
            let doc = self.pack.read(name, &message).unwrap();
            Content { message_name: name.to_string(), message, doc }
        });
        content.collect()
    }

    fn notice(&mut self, order: Ref) {
        let content = self.content("job_order", StageId::FIRST, CASE, order);
        let engine = Engine::new(&self.pack, Role::Destination);
        engine.take_notice(&mut self.world, "job_order", Role::Destination, order, Ref([8; 16]), &content);
    }

    fn issue(&mut self, case: Ref, order: Ref, act: &str, at_ms: u64) -> Result<Ref, Refusal> {
        let by = if self.pack.lifecycle().act(act).unwrap().may_be_by(Role::Origin) {
            Role::Origin
        } else {
            Role::Destination
        };
        let engine = Engine::new(&self.pack, by);
        let prepared = engine.prepare(&self.world, case, act)?;
        let content = self.content(act, prepared.stage, case, order);
        engine.permit(&self.world, &prepared, at_ms, &content, &LOCAL)?;
        self.next += 1;
        let id = Ref([self.next; 16]);
        engine.apply_own(&mut self.world, &prepared, id, at_ms, &content);
        Ok(id)
    }

    fn try_at(&mut self, case: Ref, act: &str, at_ms: u64) -> Result<(), Refusal> {
        let id = self.issue(case, ORDER, act, at_ms)?;
        Engine::new(&self.pack, Role::Origin).resolve(&mut self.world, case, id, None);
        Ok(())
    }

    /// The acts, a day apart from 1 May on.
    fn go(&mut self, case: Ref, acts: &[&str]) {
        for (act, day) in acts.iter().zip(0..) {
            self.try_at(case, act, MAY + day * DAY_MS).unwrap_or_else(|refusal| panic!("{act}: {refusal}"));
        }
    }

    fn refused(&mut self, case: Ref, act: &str, at_ms: u64) -> Detail {
        match self.try_at(case, act, at_ms) {
            Err(Refusal::Gate(detail)) => detail,
            other => panic!("{act}: {other:?}"),
        }
    }

    fn found(&self) -> Vec<Discrepancy> {
        Engine::new(&self.pack, Role::Origin).discrepancies(self.world.placement(CASE).unwrap())
    }
}

const CONTRACTED: [&str; 4] = ["nominate", "offer", "contract_offered", "contract"];
const READY: &str = "\"not_withdrawn\", \"permitted\", \"oriented\"]";

#[test]
fn a_declared_gate_names_its_clause_and_fact_and_asks_where_it_applies() {
    let gate = |area: &str| {
        format!(
            "[[legal]]\nkey = \"accord-22\"\ntitle = \"t\"\nstatus = \"read\"\nsource = \"s\"\n\
             [[gates]]\nname = \"caq\"\nfact = \"permitted\"\nwithin_days = 10\nclause = \"accord-22\"\n\
             only_if = {{ areas = [\"{area}\"], longer_than_days = 30, recruiters = [\"public-employment-service\"] }}\n"
        )
    };
    let ready = [(READY, "\"caq\", \"oriented\"]")];
    let mut one = One::new(pack(&gate("CA-ON"), &ready));
    one.go(CASE, &CONTRACTED);
    one.try_at(CASE, "oriented", MAY).unwrap();
    let detail = one.refused(CASE, "ready", MAY);
    assert_eq!((&*detail.gate, &*detail.clause, &*detail.fact), ("caq", "accord-22", "permitted"));
    assert_eq!(detail.field_paths, ["placement.facts"]);
    assert_eq!(detail.to_string(), "caq [accord-22] permitted");
    one.try_at(CASE, "permitted", MAY).unwrap();
    assert_eq!(one.refused(CASE, "ready", MAY + 10 * DAY_MS + 1).gate, "caq");
    one.try_at(CASE, "ready", MAY + 10 * DAY_MS).unwrap();

    // Elsewhere it does not ask; of an order without an area it does.
    let mut one = One::new(pack(&gate("CA-QC"), &ready));
    one.go(CASE, &CONTRACTED);
    one.try_at(CASE, "oriented", MAY).unwrap();
    one.order.place.as_mut().unwrap().subdivision_code.clear();
    one.notice(ORDER);
    assert_eq!(one.refused(CASE, "ready", MAY).gate, "caq");
    one.order.place.as_mut().unwrap().subdivision_code = "CA-BC".into();
    one.notice(ORDER);
    one.try_at(CASE, "ready", MAY).unwrap();
}

#[test]
fn a_fact_is_stated_no_more_often_than_its_gate_allows() {
    let more = "[[gates]]\nname = \"twice\"\nfact = \"identified\"\nat_most = 2\n";
    let messages = "messages = [\"CandidateIdentified\", \"CandidateName\"]";
    let mut one = One::new(pack(more, &[(messages, &format!("{messages}\ngates = [\"twice\"]"))]));
    one.go(CASE, &["nominate", "offer", "identified", "identified"]);
    let detail = one.refused(CASE, "identified", MAY);
    assert_eq!((&*detail.gate, &*detail.fact), ("twice", "identified"));
}

#[test]
fn a_quota_counts_what_holds_a_seat_in_its_scope_and_is_given_back() {
    let more = "[[quotas]]\nname = \"ontario\"\nlimit = 1\nfrom = \"2024-05-01\"\nuntil = \"2024-05-31\"\n\
        areas = [\"CA-ON\"]\noccupations = [\"9211\"]\n";
    let offer = [("\"order_open\", \"seat_free\"]", "\"order_open\", \"seat_free\", \"quota_free\"]")];
    let mut one = One::new(pack(more, &offer));
    let second = Ref([2; 16]);
    let held = |one: &One| one.world.quota("ontario").map_or(0, |quota| quota.held);
    one.go(CASE, &["nominate"]);
    one.go(second, &["nominate"]);
    let id = one.issue(CASE, ORDER, "offer", MAY).unwrap();
    assert_eq!(held(&one), 1, "an undecided offer holds a seat");
    let detail = one.refused(second, "offer", MAY);
    assert_eq!(detail.field_paths, ["placement.job_order", "quotas.ontario"]);
    let rejected = RejectedAct::new(id, "GATE", Detail::default());
    Engine::new(&one.pack, Role::Destination).resolve(&mut one.world, CASE, id, Some(rejected));
    assert_eq!(held(&one), 0, "a rejected one gives it back");
    one.try_at(second, "offer", MAY).unwrap();
    // The order leaves the scope with what it holds, and comes back with it.
    let place = one.order.place.clone();
    one.order.place.as_mut().unwrap().subdivision_code = "CA-QC".into();
    one.notice(ORDER);
    assert_eq!(held(&one), 0);
    one.order.place = place;
    one.order.terms.as_mut().unwrap().start_date = fixture::date(2024, 6, 1);
    one.notice(ORDER);
    assert_eq!(held(&one), 0, "it begins after the quota's time");
    one.order.terms.as_mut().unwrap().start_date = fixture::date(2024, 5, 31);
    one.notice(ORDER);
    assert_eq!(held(&one), 1);
}

#[test]
fn stay_and_fees_are_held_against_the_contract() {
    let gates = [("gates = [\"terms_not_worse\"]", "gates = [\"within_stay\", \"fees_lawful\"]")];
    let mut one = One::new(pack("", &gates));
    one.go(CASE, &["nominate", "offer"]);
    let stay = i32::try_from(one.pack.config().stay.unwrap().max_days).unwrap();
    let terms = one.contract.terms.as_mut().unwrap();
    terms.end_date = fixture::date(2024 + stay / 365 + 1, 5, 1);
    let detail = one.refused(CASE, "contract_offered", MAY);
    assert_eq!((&*detail.gate, &*detail.field_paths[0]), ("within_stay", "contract.terms.end_date"));
    let terms = one.contract.terms.as_mut().unwrap();
    terms.end_date = fixture::date(2024, 10, 31);
    let most = one.pack.config().fees.as_ref().unwrap().housing_weekly_max.as_ref().unwrap().minor_units;
    let cost =
        |minor: i64| Some(registry::Housing { provided: true, weekly_cost: fixture::cad(minor), persons_per_room: 4 });
    terms.housing = cost(most + 1);
    let detail = one.refused(CASE, "contract_offered", MAY);
    assert_eq!((&*detail.gate, &*detail.field_paths[0]), ("fees_lawful", "contract.terms.housing.weekly_cost"));
    one.contract.terms.as_mut().unwrap().housing = cost(most);
    one.try_at(CASE, "contract_offered", MAY).unwrap();
}

#[test]
fn a_deadline_is_missed_once_something_later_happens_or_the_fact_comes_late() {
    let more = "[[deadlines]]\nname = \"named\"\nafter = \"offer\"\nfact = \"identified\"\ndays = 3\n";
    let mut one = One::new(pack(more, &[]));
    // The offer is of 2 May, so the fifth is the last day.
    one.go(CASE, &["nominate", "offer"]);
    assert_eq!(one.found(), []);
    one.try_at(CASE, "contract_offered", MAY + 4 * DAY_MS).unwrap();
    assert_eq!(one.found(), []);
    one.try_at(CASE, "contract_offered", MAY + 4 * DAY_MS + 1).unwrap();
    let missed = one.found();
    let [found] = missed.as_slice() else { panic!("{missed:?}") };
    assert_eq!((found.kind, &*found.field_path), ("deadline_missed", "named"));
    assert_eq!((&*found.agreed, &*found.observed), ("2024-05-05", "–"));
    assert!(found.agreed_record.is_some() && found.observed_record.is_none());
    one.try_at(CASE, "identified", MAY + 5 * DAY_MS).unwrap();
    assert_eq!((&*one.found()[0].observed, one.found()[0].observed_record.is_some()), ("2024-05-06", true));
    one.try_at(CASE, "identified", MAY + 4 * DAY_MS).unwrap();
    assert_eq!(one.found(), []);
}

#[test]
fn the_number_of_facts_is_the_agreements() {
    let copy = fixture::Copy::new().toml("frees_seat = ", "max_facts = 2\nfrees_seat = ");
    let mut one = One::new(copy.load().unwrap());
    one.go(CASE, &["nominate", "offer", "identified", "identified"]);
    assert_eq!(one.try_at(CASE, "identified", MAY), Err(Refusal::Quota));
    let copy = fixture::Copy::new().toml("frees_seat = ", "max_facts = 4097\nfrees_seat = ");
    assert_eq!(copy.load().unwrap_err().key.as_deref(), Some("lifecycle.max_facts"));
}

#[test]
fn a_gate_that_could_not_refuse_is_not_loaded() {
    let refused = |old: &str, new: &str, words: &str| {
        let error = fixture::Copy::new().toml(old, new).load().unwrap_err();
        assert!(error.problem.contains(words), "{error}");
    };
    refused(READY, "\"not_withdrawn\", \"crossed_over\"]", "unknown gate");
    refused("name = \"oriented\"", "name = \"taught\"", "asks for `oriented`");
}
