//! Valid exchanges drawn from a seed: what two honest nodes might have told each other.

use convenio_agreement::Pack;
use convenio_model::{Entropy, Ref, SeededEntropy};
use convenio_wire::exchange::v1::Erase;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::r#type::v1::LicenceState;

use crate::integrity::job;
use crate::pair::{CA, Pair, SV};

/// Acts that either side may try; those that are not their turn are refused by the engine.
const ACTS: [&str; 33] = [
    "preselect",
    "nominate",
    "offer",
    "decline",
    "expire",
    "contract",
    "refuse_visa",
    "ready",
    "employ",
    "transfer",
    "settle",
    "end",
    "close",
    "recall",
    "identified",
    "contract_offered",
    "documented",
    "oriented",
    "permitted",
    "departed",
    "admitted",
    "entry_refused",
    "employment_confirmed",
    "contract_observed",
    "end_contested",
    "exited",
    "returned",
    "withdrawn",
    "nominate",
    "offer",
    "contract_offered",
    "contract",
    "documented",
];

/// A stream of choices.
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64, label: &str) -> Self {
        Self(SeededEntropy::labelled(seed, label))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_be_bytes(bytes) % end as u64) as usize
    }

    pub fn one<'t, T>(&self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    pub fn chance(&self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Some dozens of entries on both sides; half of the time with a tail that is not delivered yet.
pub fn story(pack: Pack, seed: u64) -> Pair {
    let dice = Dice::new(seed, "story");
    let mut pair = Pair::seeded(pack, seed);
    let first = job(1, None);
    pair.order(&first);
    pair.sync();
    let mut entangled = [0; 2];
    for _ in 0..4 + dice.below(14) {
        step(&mut pair, &dice, &mut entangled);
    }
    pair.sync();
    if dice.chance(50) {
        let node = *dice.one(&[SV, CA]);
        pair.licence(node, Ref([7; 16]), LicenceState::Active);
    }
    pair
}

/// `entangled` holds the size of the partner's log that each side has entangled last.
fn step(pair: &mut Pair, dice: &Dice, entangled: &mut [u64; 2]) {
    let node = *dice.one(&[SV, CA]);
    match dice.below(20) {
        0 => pair.licence(node, Ref([40 + dice.below(3) as u8; 16]), LicenceState::Active),
        1 => pair.order(&job(1, None)),
        2 | 3 => {
            let newest = pair.nodes[1 - node].cosigned.keys().last().copied().unwrap_or(0);
            if newest > entangled[node] {
                pair.entangle(node);
                entangled[node] = newest;
            }
        }
        4 => pair.deliver(node),
        5 => erase(pair, dice, node),
        _ => act(pair, dice),
    }
    if dice.chance(70) {
        pair.sync();
    }
}

/// An act that the rules allow now, if a few tries find one.
fn act(pair: &mut Pair, dice: &Dice) {
    let job = job(1 + dice.below(3) as u8, None);
    for _ in 0..40 {
        let node = *dice.one(&[SV, CA]);
        if pair.act(node, &job, ACTS[dice.below(ACTS.len())]).is_ok() {
            return;
        }
    }
}

/// Erases one part on both sides, with the order that explains it.
fn erase(pair: &mut Pair, dice: &Dice, node: usize) {
    let indices: Vec<u64> = pair.nodes[node].parts.keys().copied().collect();
    if indices.is_empty() {
        return;
    }
    let index = *dice.one(&indices);
    let opened = convenio_seal::open_entry(&pair.nodes[node].log[index as usize]).unwrap();
    if !matches!(opened.statement.body, Some(Body::Record(_))) {
        return;
    }
    pair.sync();
    let parts = &mut pair.nodes[node].parts.get_mut(&index).unwrap().parts;
    let part = dice.below(parts.len());
    parts[part] = Default::default();
    let erase = Erase { record_id: opened.statement.record_id, part: part as u32, ground: "REQUEST".into() };
    pair.append(node, Body::Erase(erase), Vec::new());
}
