//! The states of a run with everything between them, and one operation after the other.

use std::path::Path;
use std::time::Duration;

use convenio_exchange::session::SessionEnd;
use convenio_exchange::step;
use convenio_model::{Clock, ManualClock, Ref};
use convenio_registry::{Category, RegistryError};
use convenio_store::Store;
use futures::future::join_all;
use tempfile::TempDir;

use super::accord::Accord;
use super::call::{self, Call};
use super::line::{Ended, Line, NOT_MIRRORED};
use super::op::Op;
use super::state::State;
use super::watch::{Violation, Watch, need};
use crate::acts::reference;
use crate::pair::START_MS;

/// Reasons that end a session between honest states: a batch or a HELLO that is late or comes twice.
const HARMLESS: [&str; 2] = ["BAD_FRAMING", NOT_MIRRORED];

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

/// A request that was made.
#[derive(Clone)]
pub(super) struct Asked {
    call: Call,
    /// The answer, if it came.
    answer: Option<Vec<u8>>,
    /// Whether it has left its record.
    done: bool,
}

/// What the next operation meets.
#[derive(Clone, Copy)]
struct Met {
    state: usize,
    crash: bool,
}

/// A request with what the model expects of it.
struct Asking {
    state: usize,
    call: Call,
    /// Whether the act is open, where the model can tell.
    expected: Option<bool>,
    /// Whether it leaves a record if it succeeds.
    crosses: bool,
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

    // ---------------------------------------------------------------- between the states

    pub(super) async fn on_line(&mut self, at: usize, met: bool, step: Step) -> Result<Vec<usize>, Violation> {
        let (issuer, holder) = self.ends(at);
        let (from, to) = (&self.states[issuer], &self.states[holder]);
        let pack = self.accord.links[at / 2].0.clone();
        let (agreement, line) = (pack.id(), &mut self.lines[at]);
        let ended = match step {
            Step::Greet => line.greet(agreement, from, to).await,
            Step::Send => line.send(agreement, from).await,
            Step::Take(which, old, keep) => line.take(which, old, keep).await,
            Step::Settle(which, keep) => line.settle(agreement, from, which, keep).await,
            Step::Judge => {
                let exchange = to.core().exchange(agreement).expect("a state has its agreements");
                // Nothing can be judged before the first batch.
                match exchange.partner_keys() {
                    Some(_) => step::judge(to.core(), exchange).await.map_err(SessionEnd::from),
                    None => Ok(()),
                }
            }
            Step::Quiet => {
                let exchange = from.core().exchange(agreement).expect("a state has its agreements");
                step::quiet(from.core(), exchange).await.map_err(|e| SessionEnd::Local(e.to_string()))
            }
        };
        allowed(ended, met)?;
        Ok(vec![issuer, holder])
    }

    /// A fair round of one link: what can go its way goes it once.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn exchange(&mut self, link: usize, met: bool) -> Result<Vec<usize>, Violation> {
        for line in [2 * link, 2 * link + 1] {
            if !self.lines[line].open() {
                self.on_line(line, met, Step::Greet).await?;
            }
            for step in [Step::Send, Step::Take(u8::MAX, false, false), Step::Settle(u8::MAX, false), Step::Judge] {
                self.on_line(line, met, step).await?;
            }
        }
        let (_, from, to) = &self.accord.links[link];
        Ok(vec![*from, *to])
    }

    // ---------------------------------------------------------------- registries

    /// The requests of an operation, in order.
    async fn asking(&mut self, op: Op) -> Vec<Asking> {
        let links = self.accord.links.len();
        let place = |placed: &[Placed], at: u8| Some(placed[usize::from(at).checked_rem(placed.len())?]);
        let agency_of = |link: usize, agency: u8| agency.checked_sub(1).map(|agency| call::agency_ref(link, agency));
        match op {
            Op::Licence { link, agency, by_origin, active } => {
                let link = usize::from(link) % links;
                let (pack, from, to) = &self.accord.links[link];
                let (pack, state) = (pack.clone(), if by_origin { *from } else { *to });
                let jurisdiction = self.accord.parties[state].party.to_uppercase();
                let agency = call::agency_ref(link, agency);
                let call = call::licence(pack.id(), &jurisdiction, agency, active, self.request_id());
                vec![plain(state, call)]
            }
            Op::Order { link, order, seats, open, wage } => {
                let link = usize::from(link) % links;
                let (pack, _, to) = self.accord.links[link].clone();
                let name = call::order_name(link, order);
                let employer = plain(to, call::employer(self.request_id()));
                vec![employer, plain(to, call::order(&pack, name, seats, open, wage, self.request_id()))]
            }
            Op::Worker { link, order, agency } => {
                let link = usize::from(link) % links;
                let (pack, from, _) = self.accord.links[link].clone();
                let number = self.placements.len();
                let (id, worker) =
                    (reference(&format!("sim placement {number}")), reference(&format!("sim worker {number}")));
                self.placements.push(Placed { link, id });
                let (order, agency) = (call::order_name(link, order), agency_of(link, agency));
                let first = plain(from, call::worker(pack.id(), worker, self.request_id()));
                vec![first, plain(from, call::placement(pack.id(), id, worker, order, agency, self.request_id()))]
            }
            Op::Choose { placement, order, agency } => {
                let Some(placed) = place(&self.placements, placement) else { return Vec::new() };
                let (order, agency) = (call::order_name(placed.link, order), agency_of(placed.link, agency));
                let call = call::choose(name(placed.id), order, agency, self.request_id());
                vec![plain(self.accord.links[placed.link].1, call)]
            }
            Op::Act { placement, act } => {
                let Some(placed) = place(&self.placements, placement) else { return Vec::new() };
                self.asking_act(placed, act).await.into_iter().collect()
            }
            Op::Contract { placement, wage } => {
                let Some(placed) = place(&self.placements, placement) else { return Vec::new() };
                let (id, number) = (reference(&format!("sim contract {}", self.requests)), self.request_id());
                let (_, _, to) = self.accord.links[placed.link];
                let said = super::model::Said { wage: Some(i64::from(wage)), ..Default::default() };
                let expected = Some(self.open(placed, false, "contract_offered", &said));
                let expected = expected.filter(|open| !open || self.states[to].losses == 0);
                let call = call::contract(name(placed.id), id, wage, number);
                vec![Asking { state: to, call, expected, crosses: true }]
            }
            Op::Capture { placement, wage } => {
                let Some(placed) = place(&self.placements, placement) else { return Vec::new() };
                let (pack, from, _) = self.accord.links[placed.link].clone();
                let call = call::capture(&pack, name(placed.id), wage, self.request_id());
                // A wrong capture gets a result that says so.
                vec![Asking { state: from, call, expected: None, crosses: false }]
            }
            Op::Erase { placement, by_origin, terms } => {
                let Some(placed) = place(&self.placements, placement) else { return Vec::new() };
                let class = if terms { "terms" } else { "personal" };
                vec![plain(self.side(placed, by_origin), call::erase(name(placed.id), class, self.request_id()))]
            }
            Op::Hold { placement, by_origin, days } => {
                let Some(placed) = place(&self.placements, placement) else { return Vec::new() };
                let (name, hold) = (name(placed.id), reference(&format!("sim hold {} {by_origin}", placed.id)));
                let call = match days {
                    0 => call::release(&name, hold),
                    days => call::hold(name, hold, self.clock.now_ms(), u64::from(days)),
                };
                vec![plain(self.side(placed, by_origin), call)]
            }
            _ => Vec::new(),
        }
    }

    fn side(&self, placed: Placed, by_origin: bool) -> usize {
        let (_, from, to) = &self.accord.links[placed.link];
        if by_origin { *from } else { *to }
    }

    async fn retention(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
        let looked = convenio_exchange::erase::retention::pass(self.states[state].core()).await;
        need(met || looked.is_ok(), || format!("what is due is not found: {:?}", looked.err()))?;
        Ok(vec![state])
    }

    async fn asking_act(&mut self, placed: Placed, act: &str) -> Option<Asking> {
        let (pack, from, to) = self.accord.links[placed.link].clone();
        let by_origin = pack.lifecycle().act(act)?.may_be_by(convenio_agreement::lifecycle::Role::Origin);
        let state = if by_origin { from } else { to };
        let local = pack.lifecycle().transition(act).is_some_and(|t| t.is_local());
        let get = convenio_wire::registry::v1::GetPlacementRequest { name: name(placed.id) };
        let shown = self.states[state].registry().get_placement(&call::caller("x"), get).await.ok();
        let said = shown
            .as_ref()
            .map(|shown| said(shown, act, &self.watch.links[placed.link][usize::from(!by_origin)], placed.id));
        // Before it crosses, a placement's state is in no log.
        let known = shown.as_ref().is_some_and(|shown| shown.state != "REGISTERED") && !local;
        let expected = said.filter(|_| known).map(|said| self.open(placed, by_origin, act, &said));
        // What never crossed is lost with a disk: the worker, for one, so that what the rules leave open may be refused.
        let expected = expected.filter(|open| !open || self.states[state].losses == 0);
        let call = call::act(&pack, name(placed.id), act, self.request_id());
        Some(Asking { state, call, expected, crosses: !local })
    }

    /// Whether the rules leave an act open.
    fn open(&self, placed: Placed, by_origin: bool, act: &str, said: &super::model::Said) -> bool {
        let end = &self.watch.links[placed.link][usize::from(!by_origin)];
        let known = by_origin || end.model.placements.contains_key(&placed.id);
        known && end.model.gate(act, placed.id, said).is_ok()
    }

    fn request_id(&mut self) -> String {
        self.requests += 1;
        reference(&format!("sim request {} {}", self.seed, self.requests)).to_string()
    }

    async fn request(&mut self, op: Op, met: bool) -> Result<Vec<usize>, Violation> {
        let mut touched = Vec::new();
        for asking in self.asking(op).await {
            touched.push(asking.state);
            let before = self.records(asking.state);
            let party = self.accord.parties[asking.state].party.clone();
            let answer = asking.call.make(self.states[asking.state].registry(), &party).await;
            self.look(&[]).await?;
            let grown = self.records(asking.state) - before;
            let state = asking.state;
            self.durable(&asking, &answer).await?;
            let asked = answered(&asking, answer, grown, met).map_err(|what| format!("{party}: {op:?} {what}"))?;
            self.last[state] = Some(asked);
        }
        Ok(touched)
    }

    /// An answer that was given is kept for a repetition, with all that it tells.
    async fn durable(&self, asking: &Asking, answer: &Result<Vec<u8>, RegistryError>) -> Result<(), Violation> {
        if asking.call.request_id().is_empty() || !answer.as_ref().is_ok_and(|answer| !answer.is_empty()) {
            return Ok(());
        }
        let party = &self.accord.parties[asking.state].party;
        let key = (call::caller(party).id(), asking.call.request_id().parse().map_err(|_| "no request id".to_owned())?);
        let kept = self.states[asking.state].store().request(&key).await.map_err(|e| e.to_string())?;
        need(kept.is_some(), || format!("{party}: acknowledged what is not durable"))
    }

    /// RECORDs of all own logs of a state.
    fn records(&self, state: usize) -> u64 {
        self.accord.links_of(state).map(|(link, origin)| self.watch.links[link][usize::from(!origin)].records).sum()
    }

    /// Requests at the same moment: one group of the writer of each state.
    async fn together(&mut self, ops: &[Op]) -> Result<(), Violation> {
        let met = self.met.take();
        let mut asking = Vec::new();
        for op in ops {
            // Of an operation with several requests only the last can come with others.
            let mut all = self.asking(*op).await;
            asking.extend(all.pop());
        }
        let calls =
            asking.iter().map(|a| a.call.make(self.states[a.state].registry(), &self.accord.parties[a.state].party));
        let answers = join_all(calls).await;
        if let Some(Met { state, crash }) = met {
            self.states[state].faults.end();
            if crash {
                self.crash(state).await?;
            }
        }
        for (asking, answer) in asking.iter().zip(answers) {
            self.durable(asking, &answer).await?;
            let crosses = Asking { expected: None, crosses: false, call: asking.call.clone(), ..*asking };
            self.last[asking.state] = Some(answered(&crosses, answer, 0, met.is_some())?);
        }
        let touched: Vec<_> = asking.iter().map(|a| a.state).chain(met.map(|m| m.state)).collect();
        self.look(&touched).await
    }

    /// The same request once more: the same answer, and nothing is done twice.
    async fn again(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
        let Some(asked) = self.last[state].clone() else { return Ok(Vec::new()) };
        let party = self.accord.parties[state].party.clone();
        let before = self.records(state);
        let answer = asked.call.make(self.states[state].registry(), &party).await;
        self.look(&[]).await?;
        let grown = self.records(state) - before;
        need(!asked.done || grown == 0, || format!("{party}: a request that came again was done twice"))?;
        if let (Some(first), Ok(second)) = (&asked.answer, &answer) {
            need(first == second, || format!("{party}: a request that came again has another answer"))?;
        }
        need(asked.answer.is_none() || answer.is_ok() || met, || {
            format!("{party}: a request that came again fails: {:?}", answer.as_ref().err())
        })?;
        let answer = answer.ok().filter(|answer| !answer.is_empty()).or(asked.answer);
        self.last[state] = Some(Asked { answer, done: asked.done || grown > 0, ..asked });
        Ok(vec![state])
    }

    async fn caseload(&mut self, link: usize) -> Result<Vec<usize>, Violation> {
        let (pack, from, _) = &self.accord.links[link];
        let (areas, agreements) = ([call::AREA.to_owned()], [pack.id().to_owned()]);
        let cursor = self.cursors[link];
        let post = call::caller(&self.accord.parties[*from].party);
        let got = self.states[*from].registry().caseload_since(&post, cursor, &areas, &agreements, 100).await;
        let (items, next) = got.map_err(|e| format!("the caseload cannot be read: {e}"))?;
        need(next >= cursor, || "the caseload's cursor goes back".to_owned())?;
        for item in items {
            need(item.cursor > cursor && item.cursor <= next, || "an item of the caseload came before".to_owned())?;
        }
        self.cursors[link] = next;
        Ok(Vec::new())
    }
}

#[derive(Clone, Copy)]
pub(super) enum Step {
    Greet,
    Send,
    Take(u8, bool, bool),
    Settle(u8, bool),
    Judge,
    Quiet,
}

fn plain(state: usize, call: Call) -> Asking {
    Asking { state, call, expected: None, crosses: false }
}

fn name(placement: Ref) -> String {
    format!("placements/{placement}")
}

/// What the messages of an act will say, as the side that does it would choose.
fn said(
    shown: &convenio_wire::registry::v1::Placement,
    act: &str,
    end: &super::watch::End,
    id: Ref,
) -> super::model::Said {
    let mut said = super::model::Said { reason: true, ..Default::default() };
    match act {
        "nominate" => {
            said.order = super::model::named(&shown.job_order);
            said.recruiter = Some(shown.recruiter_kind);
            said.agency = super::model::named(&shown.agency);
        }
        "contract" => said.contract = end.model.placement(id).latest().to_owned(),
        _ => {}
    }
    said
}

/// What an answer may be.
fn answered(
    asking: &Asking,
    answer: Result<Vec<u8>, RegistryError>,
    grown: u64,
    met: bool,
) -> Result<Asked, Violation> {
    if !met {
        let (open, ok) = (asking.expected, answer.is_ok());
        need(open.is_none_or(|open| open == ok), || {
            format!("is open: {open:?}, the answer: {:?}", answer.as_ref().err())
        })?;
        if let Err(error) = &answer {
            let bad = matches!(error.category(), Category::Internal | Category::Unavailable);
            need(!bad && !matches!(error, RegistryError::Stopped), || format!("failed: {error}"))?;
        }
    }
    need(!(asking.crosses && answer.is_ok()) || grown == 1, || format!("was acknowledged with {grown} records"))?;
    Ok(Asked { call: asking.call.clone(), answer: answer.ok().filter(|answer| !answer.is_empty()), done: grown > 0 })
}

/// A session may end by what was planned, or by what honest states do to each other.
fn allowed(ended: Ended, met: bool) -> Result<(), Violation> {
    match ended {
        Ok(()) | Err(SessionEnd::Fenced | SessionEnd::TimedOut) => Ok(()),
        Err(SessionEnd::Refused { reason, .. }) if HARMLESS.contains(&reason) => Ok(()),
        Err(SessionEnd::Local(_)) if met => Ok(()),
        Err(end) => Err(format!("a session ended: {end:?}")),
    }
}
