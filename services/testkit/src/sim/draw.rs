//! Drawing the next operation: by weights, from the seed and from what is possible.

use convenio_agreement::lifecycle::Role;

use super::faulty::Fault;
use super::model::Said;
use super::op::Op;
use super::world::World;

/// Placements of a run.
const PLACEMENTS: usize = 4;
/// The way of an honest placement; `true` is the origin's. An empty name is a contract.
const WAY: [&str; 15] = [
    "preselect",
    "nominate",
    "offer",
    "identified",
    "",
    "contract",
    "documented",
    "permitted",
    "oriented",
    "ready",
    "departed",
    "admitted",
    "employ",
    "end",
    "close",
];
const WAGES: [u16; 4] = [1720, 1720, 1800, 1500];

/// The source of a run's operations.
pub struct Draw {
    state: u64,
    /// Operations that are due.
    due: Vec<Op>,
    /// Links that nothing passes, and for how many operations more.
    down: Vec<u64>,
}

impl Draw {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64, links: usize) -> Self {
        Self { state: seed, due: Vec::new(), down: vec![0; links] }
    }

    /// A number below `end` (splitmix64).
    pub fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    fn small(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).expect("small")
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }

    /// What comes before anything goes wrong: a placement on its way, in some runs.
    pub fn prelude(&mut self) {
        if !self.chance(75) {
            return;
        }
        let (link, end) = (self.small(self.down.len() as u64), self.small(WAY.len() as u64));
        let mut ops = vec![Op::Worker { link, order: 0, agency: self.small(2) }];
        for act in &WAY[..=usize::from(end)] {
            ops.push(match *act {
                "" => Op::Contract { placement: 0, wage: 1720 },
                act => Op::Act { placement: 0, act },
            });
            ops.push(Op::Exchange { link });
            // The decision goes back.
            ops.push(Op::Exchange { link });
        }
        ops.reverse();
        self.due = ops;
    }

    /// Whether something must follow.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// A request to a registry.
    pub fn request(&mut self, world: &World) -> Op {
        if self.chance(80) { self.act(world) } else { self.registry(world) }
    }

    /// The next operation.
    pub fn next(&mut self, world: &World) -> Op {
        if let Some(op) = self.due.pop() {
            return op;
        }
        self.down.iter_mut().for_each(|left| *left = left.saturating_sub(1));
        match self.below(100) {
            0..34 => self.act(world),
            34..58 => self.step(world),
            58..72 => self.exchange(),
            72..79 => self.registry(world),
            79..86 => self.meet(world),
            86..89 => Op::Crash { state: self.state_of(world) },
            89..92 => Op::Again { state: self.state_of(world) },
            92..95 => Op::Together { count: 2 + self.small(4) },
            95 => self.cut(),
            97 => self.rare(world),
            96 if !world.placements.is_empty() => self.retention(world),
            98 => Op::Caseload { link: self.small(self.down.len() as u64) },
            _ => Op::Wait { seconds: self.one_of(&[1, 30, 61, 3600, 90_000]) },
        }
    }

    /// Erasures and holds.
    fn retention(&mut self, world: &World) -> Op {
        let (placement, by_origin) = (self.small(world.placements.len() as u64), self.chance(70));
        match self.below(10) {
            0..5 => Op::Erase { placement, by_origin, terms: self.chance(15) },
            5..8 => Op::Hold { placement, by_origin: self.chance(30), days: self.one_of(&[0, 0, 1, 60]) },
            _ => Op::Retention { state: self.state_of(world) },
        }
    }

    /// Keys, and disks.
    fn rare(&mut self, world: &World) -> Op {
        let state = self.state_of(world);
        match self.below(10) {
            6 | 7 => Op::Amend { state },
            8 | 9 => Op::Suspend { state },
            0 | 1 => Op::Keys { state },
            2 => Op::Revoke { state },
            3 | 4 => Op::Backup { state },
            _ => Op::Lose { state, backup: self.chance(60), broken: self.small(5) },
        }
    }

    fn state_of(&mut self, world: &World) -> u8 {
        self.small(world.states.len() as u64)
    }

    fn meet(&mut self, world: &World) -> Op {
        let fault = self.one_of(&[Fault::Failed, Fault::UncertainBefore, Fault::UncertainAfter, Fault::UncertainAfter]);
        let (state, crash) = (self.state_of(world), self.chance(50));
        // Something must happen for the fault to strike.
        let next = if self.chance(60) { self.step(world) } else { self.exchange() };
        self.due.push(next);
        Op::Meet { state, fault, crash }
    }

    fn cut(&mut self) -> Op {
        let link = self.below(self.down.len() as u64);
        if self.chance(50) {
            self.down[usize::try_from(link).expect("small")] = 5 + self.below(25);
        }
        Op::Cut { line: u8::try_from(2 * link + self.below(2)).expect("small") }
    }

    fn exchange(&mut self) -> Op {
        let link = self.below(self.down.len() as u64);
        if self.down[usize::try_from(link).expect("small")] > 0 {
            return Op::Wait { seconds: 1 };
        }
        Op::Exchange { link: u8::try_from(link).expect("small") }
    }

    fn step(&mut self, world: &World) -> Op {
        let line = self.small(world.lines.len() as u64);
        let keep = self.chance(20);
        if self.chance(25) {
            return Op::Judge { line };
        }
        if self.down[usize::from(line) / 2] > 0 {
            return Op::Quiet { line };
        }
        match self.below(10) {
            0 | 1 => Op::Greet { line },
            2..5 => Op::Send { line },
            5..8 => Op::Take { line, which: self.small(3), old: self.chance(15), keep },
            8 => Op::Settle { line, which: self.small(3), keep },
            _ => Op::Quiet { line },
        }
    }

    fn registry(&mut self, world: &World) -> Op {
        let link = self.small(world.accord.links.len() as u64);
        match self.below(10) {
            0..3 => Op::Licence { link, agency: self.small(2), by_origin: self.chance(50), active: self.chance(60) },
            3..6 => {
                let (seats, open) = (self.small(4), self.chance(80));
                Op::Order { link, order: self.small(2), seats, open, wage: self.one_of(&WAGES) }
            }
            6 if !world.placements.is_empty() => {
                let placement = self.small(world.placements.len() as u64);
                Op::Choose { placement, order: self.small(2), agency: self.small(3) }
            }
            _ => Op::Worker { link, order: self.small(2), agency: self.small(3) },
        }
    }

    fn act(&mut self, world: &World) -> Op {
        if world.placements.is_empty() || (world.placements.len() < PLACEMENTS && self.chance(12)) {
            return self.worker(world);
        }
        let placement = self.small(world.placements.len() as u64);
        if self.wants_contract(world, placement) && self.chance(30) {
            return Op::Contract { placement, wage: self.one_of(&WAGES) };
        }
        match self.below(16) {
            // Both sides move before either has heard of the other.
            14 | 15 => {
                let act = self.open(world, placement);
                self.due.push(Op::Act { placement, act });
                Op::Act { placement, act: self.open(world, placement) }
            }
            0 => Op::Contract { placement, wage: self.one_of(&WAGES) },
            1 => Op::Capture { placement, wage: self.one_of(&[0, 1500, 1720]) },
            2 => Op::Act { placement, act: self.one_of(&ACTS) },
            _ => Op::Act { placement, act: self.open(world, placement) },
        }
    }

    fn wants_contract(&self, world: &World, placement: u8) -> bool {
        let placed = world.placements[usize::from(placement)];
        let model = &world.watch.links[placed.link][1].model;
        let said = Said { wage: Some(1720), ..Said::default() };
        model.placement(placed.id).latest().is_empty() && model.gate("contract_offered", placed.id, &said).is_ok()
    }

    fn worker(&mut self, world: &World) -> Op {
        let (link, placement) = (self.small(world.accord.links.len() as u64), world.placements.len());
        if self.chance(85) {
            let placement = u8::try_from(placement).expect("small");
            self.due.push(Op::Act { placement, act: "nominate" });
            self.due.push(Op::Act { placement, act: "preselect" });
        }
        Op::Worker { link, order: 0, agency: self.small(2) }
    }

    /// An act that one of the sides may do now.
    fn open(&mut self, world: &World, placement: u8) -> &'static str {
        let placed = world.placements[usize::from(placement)];
        let lifecycle = world.accord.links[placed.link].0.lifecycle();
        let (mut moves, mut facts) = (Vec::new(), Vec::new());
        for act in ACTS {
            let Some(def) = lifecycle.act(act) else { continue };
            let end = usize::from(!def.may_be_by(Role::Origin));
            let model = &world.watch.links[placed.link][end].model;
            let known = model.placement(placed.id);
            let (contract, order) = (known.latest().to_owned(), known.parties.order);
            let said = Said { reason: true, contract, order, recruiter: Some(1), ..Said::default() };
            if model.gate(act, placed.id, &said).is_err() || model.stated(placed.id, act) {
                continue;
            }
            // What ends a placement early comes seldom, so that most go far.
            if ENDING.contains(&act) && !self.chance(12) {
                continue;
            }
            if lifecycle.fact(act).is_some() { facts.push(act) } else { moves.push(act) }
        }
        match (moves.is_empty(), facts.is_empty()) {
            (true, true) => self.one_of(&["preselect", "nominate", "nominate"]),
            (false, true) => self.one_of(&moves),
            (true, false) => self.one_of(&facts),
            (false, false) if self.chance(65) => self.one_of(&moves),
            (false, false) => self.one_of(&facts),
        }
    }
}

/// Acts that cross; a contract has an operation of its own.
const ACTS: [&str; 25] = [
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
    "documented",
    "oriented",
    "permitted",
    "departed",
    "admitted",
    "entry_refused",
    "employment_confirmed",
    "end_contested",
    "exited",
    "returned",
    "withdrawn",
];

/// Acts after which little else is open, or that contradict others.
const ENDING: [&str; 8] =
    ["withdrawn", "decline", "expire", "refuse_visa", "entry_refused", "end_contested", "departed", "admitted"];
