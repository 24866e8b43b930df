//! What the states' offices ask of their registries, with what the model expects of each answer.

use convenio_model::{Clock, Ref};
use convenio_registry::{Category, RegistryError};
use convenio_store::Store;
use futures::future::join_all;

use super::{Met, Placed, World};
use crate::acts::reference;
use crate::sim::call::{self, Call};
use crate::sim::model;
use crate::sim::op::Op;
use crate::sim::suspend::goes_on;
use crate::sim::watch::{End, Violation, need};

/// A request that was made.
#[derive(Clone)]
pub(in crate::sim) struct Asked {
    call: Call,
    /// The answer, if it came.
    answer: Option<Vec<u8>>,
    /// Whether it has left its record.
    done: bool,
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
    /// The requests of an operation, in order.
    async fn asking(&mut self, op: Op) -> Vec<Asking> {
        let links = self.accord.links.len();
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
            _ => self.asking_placed(op).await.into_iter().collect(),
        }
    }

    /// The request of an operation on a placement that was registered.
    async fn asking_placed(&mut self, op: Op) -> Option<Asking> {
        match op {
            Op::Choose { placement, order, agency } => {
                let placed = self.placed(placement)?;
                let (order, agency) = (call::order_name(placed.link, order), agency_of(placed.link, agency));
                let call = call::choose(name(placed.id), order, agency, self.request_id());
                Some(plain(self.accord.links[placed.link].1, call))
            }
            Op::Act { placement, act } => {
                let placed = self.placed(placement)?;
                self.asking_act(placed, act).await
            }
            Op::Contract { placement, wage } => {
                let placed = self.placed(placement)?;
                let (id, number) = (reference(&format!("sim contract {}", self.requests)), self.request_id());
                let (_, _, to) = self.accord.links[placed.link];
                let said = model::Said { wage: Some(i64::from(wage)), ..Default::default() };
                let expected = Some(self.open(placed, false, "contract_offered", &said));
                let expected = expected.filter(|open| !open || self.states[to].losses == 0);
                let call = call::contract(name(placed.id), id, wage, number);
                Some(Asking { state: to, call, expected, crosses: true })
            }
            Op::Capture { placement, wage } => {
                let placed = self.placed(placement)?;
                let (pack, from, _) = self.accord.links[placed.link].clone();
                let call = call::capture(&pack, name(placed.id), wage, self.request_id());
                // A wrong capture gets a result that says so.
                Some(plain(from, call))
            }
            Op::Erase { placement, by_origin, terms } => {
                let placed = self.placed(placement)?;
                let class = if terms { "terms" } else { "personal" };
                Some(plain(self.side(placed, by_origin), call::erase(name(placed.id), class, self.request_id())))
            }
            Op::Hold { placement, by_origin, days } => {
                let placed = self.placed(placement)?;
                let (name, hold) = (name(placed.id), reference(&format!("sim hold {} {by_origin}", placed.id)));
                let call = match days {
                    0 => call::release(&name, hold),
                    days => call::hold(name, hold, self.clock.now_ms(), u64::from(days)),
                };
                Some(plain(self.side(placed, by_origin), call))
            }
            _ => None,
        }
    }

    fn placed(&self, at: u8) -> Option<Placed> {
        Some(self.placements[usize::from(at).checked_rem(self.placements.len())?])
    }

    fn side(&self, placed: Placed, by_origin: bool) -> usize {
        let (_, from, to) = &self.accord.links[placed.link];
        if by_origin { *from } else { *to }
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
    fn open(&self, placed: Placed, by_origin: bool, act: &str, said: &model::Said) -> bool {
        let ends = &self.watch.links[placed.link];
        let (end, other) = (&ends[usize::from(!by_origin)], &ends[usize::from(by_origin)]);
        let known = by_origin || end.model.placements.contains_key(&placed.id);
        let (pack, ..) = &self.accord.links[placed.link];
        let halted = end.suspended(end.own.len(), other, end.judged) && !goes_on(pack, act);
        known && !halted && end.model.gate(act, placed.id, said).is_ok()
    }

    fn request_id(&mut self) -> String {
        self.requests += 1;
        reference(&format!("sim request {} {}", self.seed, self.requests)).to_string()
    }

    pub(super) async fn request(&mut self, op: Op, met: bool) -> Result<Vec<usize>, Violation> {
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
    pub(super) async fn together(&mut self, ops: &[Op]) -> Result<(), Violation> {
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
    pub(super) async fn again(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
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

    pub(super) async fn caseload(&mut self, link: usize) -> Result<Vec<usize>, Violation> {
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

fn plain(state: usize, call: Call) -> Asking {
    Asking { state, call, expected: None, crosses: false }
}

fn agency_of(link: usize, agency: u8) -> Option<Ref> {
    agency.checked_sub(1).map(|agency| call::agency_ref(link, agency))
}

fn name(placement: Ref) -> String {
    format!("placements/{placement}")
}

/// What the messages of an act will say, as the side that does it would choose.
fn said(shown: &convenio_wire::registry::v1::Placement, act: &str, end: &End, id: Ref) -> model::Said {
    let mut said = model::Said { reason: true, ..Default::default() };
    match act {
        "nominate" => {
            said.order = model::named(&shown.job_order);
            said.recruiter = Some(shown.recruiter_kind);
            said.agency = model::named(&shown.agency);
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
