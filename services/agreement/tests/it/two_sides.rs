//! The engine from both sides: random acts, each side judging the other's log later, in pieces. When all is judged,
//! both sides must agree on everything (the model's quiescent invariants).

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Incoming, Kind, Local, Prepared};
use convenio_agreement::engine::Engine;
use convenio_agreement::lifecycle::Role;
use convenio_agreement::plan::Sources;
use convenio_agreement::view::{RejectedAct, World};
use convenio_model::{Entropy, Ref, SeededEntropy};
use convenio_wire::registry::v1 as registry;

use crate::fixture;

const CONFIG: &str = "agreements/sv-ca/agreement.toml";

const ORDERS: [Ref; 2] = [Ref([9; 16]), Ref([10; 16])];
/// Placements that hold a seat of either order, at most.
const QUOTA: u32 = 3;
const HOUR_MS: u64 = 3_600_000;
const LOCAL: Local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };

const EXITS: [&str; 7] = ["withdrawn", "expire", "decline", "refuse_visa", "end", "end_contested", "entry_refused"];

/// What stands in a log: a record, or decisions about a range of the other log.
#[derive(Clone)]
enum Entry {
    Record { id: Ref, prepared: Prepared, at_ms: u64, content: Vec<Content> },
    Outcome { end: usize, rejects: BTreeMap<usize, RejectedAct> },
}

struct Side {
    role: Role,
    world: World,
    log: Vec<Entry>,
    judged: usize,
    decided: usize,
}

struct Two {
    pack: Pack,
    sides: [Side; 2],
    entropy: SeededEntropy,
    seats: u32,
    now_ms: u64,
}

/// The pack with gates, a quota and a deadline of its own.
fn pack() -> Pack {
    static PACK: std::sync::LazyLock<Pack> = std::sync::LazyLock::new(|| {
        let more = "
[[quotas]]
name = \"season\"
limit = 3
from = \"2024-01-01\"
until = \"2024-12-31\"

[[gates]]
name = \"fresh_permit\"
fact = \"permitted\"
within_days = 90
only_if = { areas = [\"CA-ON\"] }

[[gates]]
name = \"named_twice\"
fact = \"identified\"
at_most = 2

[[deadlines]]
name = \"identified_in_time\"
after = \"offer\"
fact = \"identified\"
days = 5

[[deadlines]]
name = \"admitted_in_time\"
after = \"departed\"
fact = \"admitted\"
days = 5
";
        let text = fixture::Copy::new().read(CONFIG);
        let copy = fixture::Copy::new().write(CONFIG, &format!("{text}{more}"));
        let copy = copy.toml("\"order_open\", \"seat_free\"]", "\"order_open\", \"seat_free\", \"quota_free\"]");
        let copy = copy.toml(
            "\"not_withdrawn\", \"permitted\", \"oriented\"]",
            "\"not_withdrawn\", \"fresh_permit\", \"oriented\"]",
        );
        let ready = "messages = [\"CandidateIdentified\", \"CandidateName\"]\nneeds_stage = \"OFFERED\"";
        copy.toml(ready, &format!("{ready}\ngates = [\"named_twice\"]")).load().unwrap()
    });
    PACK.clone()
}

impl Two {
    fn new(seed: u64, seats: u32) -> Self {
        let pack = pack();
        let side = |role| Side { role, world: World::default(), log: Vec::new(), judged: 0, decided: 0 };
        let mut two = Self {
            pack,
            sides: [side(Role::Origin), side(Role::Destination)],
            entropy: SeededEntropy::new(seed),
            seats,
            now_ms: 1_700_000_000_000,
        };
        let mut order = fixture::job_order(&two.pack);
        order.seats = i32::try_from(seats).unwrap();
        let sources = Sources::new().with(&order).with(&fixture::employer());
        let content = two.project(&["JobOrderNotice"], &sources, convenio_agreement::lifecycle::StageId::FIRST);
        let pack = two.pack.clone();
        for side in &mut two.sides {
            for order in ORDERS {
                let (engine, by) = (Engine::new(&pack, side.role), Role::Destination);
                engine.take_notice(&mut side.world, "job_order", by, order, Ref([8; 16]), &content);
            }
        }
        two
    }

    fn draw(&self, below: usize) -> usize {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % below as u64).unwrap()
    }

    fn project(
        &self,
        messages: &[&str],
        sources: &Sources,
        stage: convenio_agreement::lifecycle::StageId,
    ) -> Vec<Content> {
        let built = messages.iter().map(|short| {
            let message_name = fixture::name(short);
            let message = self.pack.project(&message_name, sources, stage).unwrap();
            let doc = self.pack.read(&message_name, &message).unwrap();
            Content { message_name, message, doc }
        });
        built.collect()
    }

    /// One random act of one side; refused ones change nothing.
    fn act(&mut self, which: usize) {
        let acts: Vec<String> = {
            let lifecycle = self.pack.lifecycle();
            let facts = lifecycle.facts.iter().map(|f| f.name.clone());
            lifecycle.transitions.iter().map(|t| t.name.clone()).chain(facts).collect()
        };
        let act = acts[self.draw(acts.len())].clone();
        // What ends a placement early is rarer, or no run would get far.
        if EXITS.contains(&act.as_str()) && self.draw(6) > 0 {
            return;
        }
        let placement = Ref([u8::try_from(1 + self.draw(3)).unwrap(); 16]);
        let mut id = Ref::default();
        self.entropy.fill(&mut id.0);
        let engine = Engine::new(&self.pack, self.sides[which].role);
        let Ok(prepared) = engine.prepare(&self.sides[which].world, placement, &act) else { return };
        let order = ORDERS[usize::from(placement.0[0] % 2)];
        self.now_ms += HOUR_MS * self.draw(16) as u64;
        let at_ms = self.now_ms;
        let contract = registry::Contract { name: format!("contracts/{placement}"), ..fixture::contract() };
        let sources = Sources::new()
            .with(&registry::Placement { job_order: format!("jobOrders/{order}"), ..fixture::placement() })
            .with(&fixture::worker())
            .with(&contract)
            .with(&registry::Event {
                time_ms: 1_700_000_000_000,
                reason_code: "REASON".into(),
                document_number: "P-1".into(),
                document_expiry: fixture::date(2025, 1, 1),
                acceptance_method: "wet-ink".into(),
                language: "spa".into(),
                all_modules: true,
                ..Default::default()
            });
        let messages = self.pack.lifecycle().act(&act).unwrap().messages().to_vec();
        let short: Vec<&str> = messages.iter().map(|m| m.rsplit('.').next().unwrap()).collect();
        let content = self.project(&short, &sources, prepared.stage);
        if engine.permit(&self.sides[which].world, &prepared, at_ms, &content, &LOCAL).is_err() {
            return;
        }
        engine.apply_own(&mut self.sides[which].world, &prepared, id, at_ms, &content);
        if prepared.kind != Kind::Local {
            self.sides[which].log.push(Entry::Record { id, prepared, at_ms, content });
        }
    }

    /// One side judges the other's log up to `end` and answers.
    fn judge(&mut self, which: usize, end: usize) {
        let entries = self.sides[1 - which].log[self.sides[which].judged..end].to_vec();
        let mut rejects = BTreeMap::new();
        let mut any = false;
        let (pack, me) = (self.pack.clone(), self.sides[which].role);
        let engine = Engine::new(&pack, me);
        for (index, entry) in (self.sides[which].judged..).zip(entries) {
            match entry {
                Entry::Record { id, prepared, at_ms, content } => {
                    any = true;
                    let incoming = Incoming {
                        record_id: id,
                        issuer: me.other(),
                        act: &prepared.act,
                        kind: prepared.kind,
                        subject: prepared.placement,
                        number: prepared.number,
                        event_time_ms: at_ms,
                        known_state: &prepared.known_state,
                        content: &content,
                    };
                    let stage =
                        engine.stage_of(&self.sides[which].world, prepared.placement, &prepared.act, prepared.kind);
                    for part in &content {
                        pack.accept(&part.message_name, &part.message, stage).unwrap();
                    }
                    match engine.judge(&self.sides[which].world, &incoming) {
                        Ok(()) => engine.apply_peer(&mut self.sides[which].world, &incoming),
                        Err(refusal) => {
                            assert_ne!(prepared.kind, Kind::Fact, "a fact is never refused on the merits");
                            rejects.insert(index, RejectedAct::from_refusal(id, &refusal));
                        }
                    }
                }
                Entry::Outcome { end, rejects } => self.resolve(which, end, &rejects),
            }
        }
        self.sides[which].judged = end;
        if any {
            self.sides[which].log.push(Entry::Outcome { end, rejects });
        }
    }

    fn resolve(&mut self, which: usize, end: usize, rejects: &BTreeMap<usize, RejectedAct>) {
        let pack = self.pack.clone();
        let side = &mut self.sides[which];
        let engine = Engine::new(&pack, side.role);
        for index in side.decided..end {
            if let Entry::Record { id, prepared, .. } = &side.log[index] {
                let rejected = rejects.get(&index).cloned();
                engine.resolve(&mut side.world, prepared.placement, *id, rejected);
            }
        }
        side.decided = end;
    }

    fn seats_hold(&self) {
        for side in &self.sides {
            let held = ORDERS.map(|order| side.world.order(order).unwrap().held);
            assert!(
                held.iter().all(|held| *held <= self.seats),
                "{:?} sees {held:?} of {} seats",
                side.role,
                self.seats
            );
            let counted = side.world.quota("season").map_or(0, |quota| quota.held);
            assert_eq!(counted, held.iter().sum::<u32>(), "{:?} counts otherwise than its orders", side.role);
            assert!(counted <= QUOTA, "{:?} counts {counted}", side.role);
        }
    }

    fn settle(&mut self) {
        while (0..2).any(|n| self.sides[n].judged < self.sides[1 - n].log.len()) {
            for n in 0..2 {
                let end = self.sides[1 - n].log.len();
                if self.sides[n].judged < end {
                    self.judge(n, end);
                }
            }
        }
    }

    /// What both sides must see alike.
    fn shared(&self, which: usize) -> BTreeMap<Ref, Seen> {
        let side = &self.sides[which];
        let engine = Engine::new(&self.pack, side.role);
        let seen = side.world.placements().filter(|(_, v)| v.number > 0 || !v.facts.is_empty()).map(|(id, view)| {
            assert!(view.pending.is_empty() && view.facts.iter().all(|f| !f.undecided), "waits for ever");
            let facts = view.facts.iter().map(|f| format!("{}:{}:{}", f.by_origin, f.name, f.known_state));
            let mut odd: Vec<_> =
                engine.discrepancies(view).iter().map(|d| format!("{}{}", d.kind, d.field_path)).collect();
            odd.sort();
            let state = if view.number > 0 { view.state.clone() } else { String::new() };
            (id, (state, view.number, facts.collect(), odd, view.seat_in.is_empty()))
        });
        seen.collect()
    }
}

/// State, number, facts, discrepancies, no seat.
type Seen = (String, u64, BTreeSet<String>, Vec<String>, bool);

#[test]
fn both_sides_agree_whatever_the_interleaving() {
    let (mut reached, mut odd, mut full) = (BTreeSet::new(), BTreeSet::new(), false);
    for seed in 0..400 {
        let mut two = Two::new(seed, 1 + u32::try_from(seed % 3).unwrap());
        for _ in 0..500 {
            let which = two.draw(2);
            if two.draw(4) == 0 {
                let behind = two.sides[1 - which].log.len() - two.sides[which].judged;
                let end = two.sides[which].judged + two.draw(behind + 1);
                two.judge(which, end);
            } else {
                two.act(which);
            }
            two.seats_hold();
            full |= two.sides[1].world.quota("season").is_some_and(|quota| quota.held == QUOTA);
            let views = two.sides[which].world.placements();
            reached.extend(views.map(|(_, view)| view.state.clone()));
        }
        two.settle();
        let (origin, destination) = (two.shared(0), two.shared(1));
        assert_eq!(origin, destination, "replay with seed {seed}");
        let [a, b] = [0, 1].map(|side| ORDERS.map(|order| two.sides[side].world.order(order).cloned()));
        assert_eq!(a, b, "replay with seed {seed}");
        odd.extend(origin.values().flat_map(|seen| seen.3.clone()));
    }
    assert!(full, "no run filled the quota");
    for deadline in ["identified_in_time", "admitted_in_time"] {
        assert!(odd.contains(&format!("deadline_missed{deadline}")), "no run missed {deadline}: {odd:?}");
    }
    // The runs must have gone somewhere for the agreement to mean anything.
    for state in ["NOMINATED", "OFFERED", "CONTRACTED", "READY_TO_TRAVEL", "EMPLOYED", "ENDED", "CLOSED", "RECALLED"] {
        assert!(reached.contains(state), "no run reached {state}: {reached:?}");
    }
}
