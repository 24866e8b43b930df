//! The states of a run with everything between them, and one operation after the other.

use std::path::Path;
use std::time::Duration;

use convenio_model::{ManualClock, Ref};
use tempfile::TempDir;

use super::accord::Accord;
use super::line::Line;
use super::op::Op;
use super::state::State;
use super::watch::{Violation, Watch, need};
use crate::pair::START_MS;

mod between;
mod requests;

pub(super) use self::between::Step;
use self::requests::Asked;

/// A run's world.
pub struct World {
    /// Who agreed what.
    pub accord: Accord,
    /// States.
    pub states: Vec<State>,
    /// Both directions of each link.
    pub lines: Vec<Line>,
    /// Who looks.
    pub watch: Watch,
    /// Placements that were registered.
    pub placements: Vec<Placed>,
    /// The clock of all.
    pub clock: ManualClock,
    pub(super) cursors: Vec<u64>,
    pub(super) last: Vec<Option<Asked>>,
    seed: u64,
    requests: u64,
    met: Option<Met>,
    _dir: TempDir,
}

/// A placement that was registered.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// Link.
    pub link: usize,
    /// Reference.
    pub id: Ref,
}

/// What the next operation meets.
#[derive(Clone, Copy)]
struct Met {
    state: usize,
    crash: bool,
}

impl World {
    /// States with empty folders below `/dev/shm` where there is one.
    pub fn new(states: usize, seed: u64) -> Self {
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { TempDir::new_in(shm) } else { TempDir::new() }.expect("a temporary folder");
        let accord = Accord::new(states);
        let clock = ManualClock::new(START_MS);
        let state = |at: usize| {
            let own = dir.path().join(&accord.parties[at].party);
            std::fs::create_dir(&own).expect("a folder");
            State::new(at, &own, seed, &clock)
        };
        Self {
            states: (0..states).map(state).collect(),
            lines: (0..2 * accord.links.len()).map(|_| Line::default()).collect(),
            watch: Watch::new(&accord),
            placements: Vec::new(),
            cursors: vec![0; accord.links.len()],
            last: vec![None; states],
            seed,
            requests: 0,
            met: None,
            _dir: dir,
            accord,
            clock,
        }
    }

    /// Starts every state, and looks.
    ///
    /// # Errors
    /// Why one does not start, or what does not hold.
    pub async fn start(&mut self) -> Result<(), Violation> {
        for state in &mut self.states {
            state.start(&self.accord).await?;
        }
        self.look(&(0..self.states.len()).collect::<Vec<_>>()).await
    }

    /// Ends every process.
    pub async fn end(&mut self) {
        self.lines.iter_mut().for_each(Line::cut);
        for state in &mut self.states {
            state.end().await;
        }
    }

    /// Issuer and holder of a line.
    #[must_use]
    pub fn ends(&self, line: usize) -> (usize, usize) {
        let (_, origin, destination) = &self.accord.links[line / 2];
        if line.is_multiple_of(2) { (*origin, *destination) } else { (*destination, *origin) }
    }

    /// Does operations in order; those after a [`Op::Together`] at the same moment.
    ///
    /// # Errors
    /// Where, and what does not hold.
    pub async fn play(&mut self, ops: &[Op]) -> Result<(), (usize, Violation)> {
        let mut at = 0;
        while let Some(op) = ops.get(at) {
            let next = at + 1;
            let group = if let Op::Together { count } = op { usize::from(*count).min(ops.len() - next) } else { 0 };
            let done = match group {
                0 => self.step(*op).await,
                _ => self.together(&ops[next..next + group]).await,
            };
            at = next + group;
            done.map_err(|what| (at - 1, what))?;
        }
        Ok(())
    }

    /// One operation, and a look at what it left.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn step(&mut self, op: Op) -> Result<(), Violation> {
        if let Op::Meet { state, fault, crash } = op {
            let state = usize::from(state) % self.states.len();
            self.states[state].faults.plan(fault);
            self.met = Some(Met { state, crash });
            return Ok(());
        }
        let met = self.met.take();
        let mut touched = self.act(op, met.is_some()).await?;
        if let Some(Met { state, crash }) = met {
            self.states[state].faults.end();
            touched.push(state);
            if crash {
                self.crash(state).await?;
            }
        }
        self.look(&touched).await
    }

    /// Forgets what was planned and has not struck.
    pub(super) fn no_faults(&mut self) {
        self.met = None;
        for state in &self.states {
            state.faults.end();
        }
    }

    pub(super) async fn look(&mut self, touched: &[usize]) -> Result<(), Violation> {
        self.watch.look(&self.accord, &self.states, touched).await
    }

    async fn act(&mut self, op: Op, met: bool) -> Result<Vec<usize>, Violation> {
        let line = |line: u8| usize::from(line) % self.lines.len();
        match op {
            Op::Again { state } => self.again(usize::from(state) % self.states.len(), met).await,
            Op::Caseload { link } => self.caseload(usize::from(link) % self.accord.links.len()).await,
            Op::Greet { line: at } => self.on_line(line(at), met, Step::Greet).await,
            Op::Send { line: at } => self.on_line(line(at), met, Step::Send).await,
            Op::Take { line: at, which, old, keep } => self.on_line(line(at), met, Step::Take(which, old, keep)).await,
            Op::Settle { line: at, which, keep } => self.on_line(line(at), met, Step::Settle(which, keep)).await,
            Op::Judge { line: at } => self.on_line(line(at), met, Step::Judge).await,
            Op::Quiet { line: at } => self.on_line(line(at), met, Step::Quiet).await,
            Op::Cut { line: at } => {
                let at = line(at);
                self.lines[at].cut();
                Ok(Vec::new())
            }
            Op::Exchange { link } => self.exchange(usize::from(link) % self.accord.links.len(), met).await,
            Op::Wait { seconds } => {
                self.clock.advance(Duration::from_secs(u64::from(seconds)));
                Ok(Vec::new())
            }
            Op::Crash { state } => {
                let state = usize::from(state) % self.states.len();
                self.crash(state).await?;
                Ok(vec![state])
            }
            Op::Keys { state } => self.rotate(usize::from(state) % self.states.len(), met).await,
            Op::Suspend { state } => self.suspend(usize::from(state) % self.states.len(), met).await,
            Op::Amend { state } => self.amend(usize::from(state) % self.states.len(), met).await,
            Op::Revoke { state } => self.revoke(usize::from(state) % self.states.len(), met).await,
            Op::Retention { state } => self.retention(usize::from(state) % self.states.len(), met).await,
            Op::Backup { state } => self.backup(usize::from(state) % self.states.len()).await,
            Op::Lose { state, backup, broken } => {
                self.lose(usize::from(state) % self.states.len(), backup, broken % 5).await
            }
            Op::Meet { .. } | Op::Together { .. } => Ok(Vec::new()),
            request => self.request(request, met).await,
        }
    }

    async fn crash(&mut self, state: usize) -> Result<(), Violation> {
        self.ended(state).await;
        self.begun(state).await
    }

    pub(super) async fn begun(&mut self, state: usize) -> Result<(), Violation> {
        self.states[state].start(&self.accord).await.map_err(|why| format!("does not start again: {why}"))
    }

    pub(super) async fn ended(&mut self, state: usize) {
        for line in 0..self.lines.len() {
            let (issuer, holder) = self.ends(line);
            if issuer == state {
                self.lines[line].issuer_ended();
            }
            if holder == state {
                self.lines[line].holder_ended();
            }
        }
        self.states[state].end().await;
    }

    async fn retention(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
        let looked = convenio_exchange::erase::retention::pass(self.states[state].core()).await;
        need(met || looked.is_ok(), || format!("what is due is not found: {:?}", looked.err()))?;
        Ok(vec![state])
    }
}
