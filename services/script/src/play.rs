//! Plays a script: once for everybody, once for each worker, once at the end.
//!
//! A step of another state than the one before waits until that state has judged what the step before recorded, and a
//! step on a placement until the caller's own acts on it are decided: a script reads as it happens and needs no waits of
//! its own for what crosses.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use convenio_wire::node::v1::Exchange;
use futures::{StreamExt, TryStreamExt, stream};
use prost_reflect::DynamicMessage;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};

use crate::calendar::Day;
use crate::call::{self, Nodes, Stage, passes, refused};
use crate::draw::id;
use crate::file::{Expected, Script, Step, When};
use crate::state::{Refused, missing};
use crate::value::Scope;

/// How long a node may be away, or something may take to show, before a play is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// Start of the names of placements.
const PLACEMENTS: &str = "placements/";

/// A step that went otherwise than its script says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlayError(Box<Went>);

/// Where it was, and how it went.
#[derive(Debug, thiserror::Error)]
#[error("{path}:{line}: {call} by {by}{worker}: {problem}")]
struct Went {
    path: String,
    line: usize,
    call: String,
    by: String,
    worker: String,
    problem: String,
}

/// What a play came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Played {
    /// Calls that were taken.
    pub taken: usize,
    /// Calls that were refused at home, as the script says.
    pub refused: usize,
    /// Acts that the partner rejected, as the script says.
    pub rejected: usize,
}

/// Plays one script.
pub struct Player<'a> {
    script: &'a Script,
    agreement: &'a str,
    stage: &'a Stage,
    nodes: &'a dyn Nodes,
    seed: u64,
    general: Scope,
    /// Sizes of own logs after the last call of `once`.
    after_once: Heads,
    /// Workers whose scripts go on once a party has joined.
    waiting: Mutex<BTreeMap<u32, (Scope, Heads)>>,
}

/// How much of each log there was: by party and agreement.
type Heads = BTreeMap<(String, String), u64>;

/// A play of one part of the script.
struct Run<'p, 'a> {
    player: &'p Player<'a>,
    scope: Scope,
    heads: Heads,
    label: String,
    worker: Option<u32>,
    played: Played,
}

impl<'a> Player<'a> {
    /// Checks a script against what it is to be played on. `today` is the day of the nodes' clocks.
    ///
    /// # Errors
    /// A step that names an RPC, an agreement or a party that is not there.
    pub fn new(
        script: &'a Script,
        agreement: &'a str,
        stage: &'a Stage,
        nodes: &'a dyn Nodes,
        seed: u64,
        today: Day,
    ) -> Result<Self, PlayError> {
        for step in script.steps() {
            let under = step.agreement.as_deref().unwrap_or(agreement);
            let problem = match stage.parties(under) {
                _ if !stage.has(&step.call) => format!("the registry has no RPC {}", step.call),
                None => format!("the agreement {under} is not there"),
                Some(parties) if !parties.contains(&step.by) => format!("{} is no party of {under}", step.by),
                Some(_) => continue,
            };
            return Err(PlayError::of(script, step, None, problem));
        }
        let first_day = script.first_day.unwrap_or_else(|| today.plus(-Script::DAYS_AGO));
        let general = Scope::general(seed, agreement, first_day);
        Ok(Self { script, agreement, stage, nodes, seed, general, after_once: Heads::new(), waiting: Mutex::default() })
    }

    /// Plays what comes before any worker.
    ///
    /// # Errors
    /// The first step that goes otherwise.
    pub async fn once(&mut self) -> Result<Played, PlayError> {
        let run = self.run("once".to_owned(), None).steps(&self.script.once).await?;
        let (scope, heads, played) = (run.scope, run.heads, run.played);
        (self.general, self.after_once) = (scope, heads);
        Ok(played)
    }

    /// Plays the script of one worker.
    ///
    /// # Errors
    /// The first step that goes otherwise.
    pub async fn worker(&self, n: u32) -> Result<Played, PlayError> {
        let run = self.run(format!("worker/{n}"), Some(n)).steps(&self.script.each).await?;
        let played = run.played;
        if !self.script.joined.is_empty() {
            self.waiting().insert(n, (run.scope, run.heads));
        }
        Ok(played)
    }

    /// Plays the scripts of `workers` workers, `at_once` at a time; `done` is told after each.
    ///
    /// # Errors
    /// The first step that goes otherwise.
    pub async fn workers(&self, workers: u32, at_once: usize, done: &(dyn Fn() + Sync)) -> Result<Played, PlayError> {
        let each = stream::iter(0..workers).map(|n| async move {
            let played = self.worker(n).await?;
            done();
            Ok(played)
        });
        each.buffer_unordered(at_once).try_fold(Played::default(), |sum, one| async move { Ok(sum.and(one)) }).await
    }

    /// Plays what comes once a party has joined, for the workers that were played before.
    ///
    /// # Errors
    /// The first step that goes otherwise.
    pub async fn joined(&self, at_once: usize) -> Result<Played, PlayError> {
        let waiting = std::mem::take(&mut *self.waiting());
        let each = stream::iter(waiting).map(|(n, (scope, heads))| async move {
            let run = Run { scope, heads, ..self.run(format!("joined/{n}"), Some(n)) };
            run.steps(&self.script.joined).await.map(|run| run.played)
        });
        each.buffer_unordered(at_once).try_fold(Played::default(), |sum, one| async move { Ok(sum.and(one)) }).await
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u32, (Scope, Heads)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays what comes after all workers.
    ///
    /// # Errors
    /// The first step that goes otherwise.
    pub async fn finally(&self) -> Result<Played, PlayError> {
        Ok(self.run("finally".to_owned(), None).steps(&self.script.finally).await?.played)
    }

    fn run(&self, label: String, worker: Option<u32>) -> Run<'_, 'a> {
        let scope = worker.map_or_else(|| self.general.clone(), |n| self.general.worker(n));
        Run { player: self, scope, heads: self.after_once.clone(), label, worker, played: Played::default() }
    }
}

impl Run<'_, '_> {
    async fn steps(mut self, steps: &[Step]) -> Result<Self, PlayError> {
        for step in steps {
            if let Err(problem) = self.step(step).await {
                return Err(PlayError::of(self.player.script, step, self.worker, problem));
            }
        }
        Ok(self)
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        self.caught_up(step).await?;
        if let Some(when) = &step.when {
            let name = self.scope.text(&when.placement)?;
            self.shows(&step.by, &name, when).await?;
        }
        let body = self.scope.fill(&step.body)?;
        self.decided(step, &body).await?;
        // The same for a repeated call, another one for every step and worker.
        let agreement = self.player.agreement;
        let request_id = id(self.player.seed, &format!("{agreement}/{}/line/{}", self.label, step.line));
        let request = self.player.stage.request(&step.call, &body, &request_id)?;
        let answer = self.call(step, request).await;
        match (&step.refused, answer) {
            (None, Ok(answer)) => self.taken(step, &body, &answer).await,
            (Some(expected), Err(status)) if refused(&status).is(expected) => {
                self.played.refused += 1;
                Ok(())
            }
            (_, Err(status)) => Err(told(&status)),
            (Some(expected), Ok(_)) => Err(format!("was taken, not refused with {:?}", expected.reason)),
        }
    }

    /// Calls, again while the node is away or an earlier act is undecided.
    async fn call(&self, step: &Step, request: DynamicMessage) -> Result<DynamicMessage, Status> {
        let (until, mut wait) = (Instant::now() + PATIENCE, FIRST_WAIT);
        loop {
            let answer = match self.player.nodes.channel(&step.by) {
                Ok(channel) => self.player.stage.call(channel, &step.call, request.clone()).await,
                Err(status) => Err(status),
            };
            match answer {
                Err(status) if passes(&status) && Instant::now() < until => {}
                answer => return answer,
            }
            pause(&mut wait).await;
        }
    }

    async fn taken(&mut self, step: &Step, body: &Value, answer: &DynamicMessage) -> Result<(), String> {
        self.played.taken += 1;
        if let Some(variable) = &step.save {
            let name = answer.get_field_by_name("name").and_then(|name| name.as_str().map(str::to_owned));
            let name = name.filter(|name| !name.is_empty());
            self.scope.save(variable, name.ok_or("save: the answer has no `name`")?);
        }
        for exchange in self.exchanges(&step.by).await? {
            self.heads.insert((step.by.clone(), exchange.agreement), exchange.own_size);
        }
        if let Some(expected) = &step.rejected {
            let name = placement_of(body).ok_or("rejected: the request names no placement")?;
            self.rejection(&step.by, &name, act_of(body), expected).await?;
            self.played.rejected += 1;
        }
        Ok(())
    }

    /// Waits until the node of this step has judged what the other states recorded in the steps before.
    async fn caught_up(&self, step: &Step) -> Result<(), String> {
        let agreement = step.agreement.as_deref().unwrap_or(self.player.agreement);
        let before: Vec<_> = self.heads.iter().filter(|((party, _), _)| *party != step.by).collect();
        if before.is_empty() {
            return Ok(());
        }
        let parties = self.player.stage.parties(agreement).unwrap_or_default();
        let (until, mut wait) = (Instant::now() + PATIENCE, FIRST_WAIT);
        loop {
            let exchanges = self.exchanges(&step.by).await?;
            let behind = before.iter().find(|((party, agreement), size)| {
                let from = |exchange: &&Exchange| exchange.agreement == *agreement && parties.contains(party);
                exchanges.iter().find(from).is_some_and(|exchange| exchange.judged_size < **size)
            });
            let Some(((party, agreement), size)) = behind else { return Ok(()) };
            if Instant::now() >= until {
                return Err(format!("does not judge entry {size} of {party}'s log under {agreement}"));
            }
            pause(&mut wait).await;
        }
    }

    /// Waits until the partner has decided what the caller itself proposed before, where there is a partner and the step
    /// says nothing else.
    async fn decided(&self, step: &Step, body: &Value) -> Result<(), String> {
        let agreement = step.agreement.as_deref().unwrap_or(self.player.agreement);
        let parties = self.player.stage.parties(agreement).unwrap_or_default();
        let alone = parties.iter().any(|party| self.player.nodes.channel(party).is_err());
        let said = step.when.as_ref().is_some_and(|when| when.pending.is_some());
        let Some(name) = placement_of(body).filter(|_| !alone && !said) else { return Ok(()) };
        self.until(&step.by, &name, |placement| {
            let pending = placement.map_or(0, |placement| placement.pending_acts.len());
            if pending == 0 { Ok(()) } else { Err(format!("{pending} acts are pending")) }
        })
        .await
    }

    /// The exchanges of a party's node.
    async fn exchanges(&self, party: &str) -> Result<Vec<Exchange>, String> {
        let asked = self.asked(party, |channel| async move { call::exchanges(channel).await }).await;
        asked.map(|answer| answer.exchanges).map_err(|status| told(&status))
    }

    /// Waits until the caller's own placement shows what is wanted.
    async fn shows(&self, party: &str, name: &str, when: &When) -> Result<(), String> {
        self.until(party, name, |placement| {
            let missing = placement.map_or_else(|| vec!["there is no such placement".to_owned()], |p| missing(when, p));
            if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) }
        })
        .await
    }

    /// Waits until the placement shows the rejection of this act.
    async fn rejection(&self, party: &str, name: &str, act: Option<&str>, expected: &Expected) -> Result<(), String> {
        self.until(party, name, |placement| {
            let rejection = placement.and_then(|placement| placement.last_rejection.as_ref());
            let Some(told) = rejection.filter(|told| act.is_none_or(|act| told.act == act)) else {
                return Err("is not rejected".to_owned());
            };
            let refused = Refused {
                reason: told.reason.clone(),
                gate: told.gate.clone(),
                // Not told with a placement: the audit and the OUTCOME hold them.
                clause: expected.clause.clone().unwrap_or_default(),
                fact: expected.fact.clone().unwrap_or_default(),
                fields: told.field_paths.clone(),
            };
            if refused.is(expected) { Ok(()) } else { Err(format!("is rejected with {refused}")) }
        })
        .await
    }

    async fn until(
        &self,
        party: &str,
        name: &str,
        shown: impl Fn(Option<&convenio_wire::registry::v1::Placement>) -> Result<(), String>,
    ) -> Result<(), String> {
        let (until, mut wait) = (Instant::now() + PATIENCE, FIRST_WAIT);
        loop {
            let asked = self.asked(party, |channel| async move { call::placement(channel, name).await }).await;
            let placement = match asked {
                Ok(placement) => Some(placement),
                Err(status) if status.code() == Code::NotFound => None,
                Err(status) => return Err(told(&status)),
            };
            let Err(problem) = shown(placement.as_ref()) else { return Ok(()) };
            if Instant::now() >= until {
                return Err(format!("{name} at {party}: {problem}"));
            }
            pause(&mut wait).await;
        }
    }

    /// Asks a node that may be away for a while.
    async fn asked<R, F: Future<Output = Result<R, Status>>>(
        &self,
        party: &str,
        ask: impl Fn(tonic::transport::Channel) -> F,
    ) -> Result<R, Status> {
        let (until, mut wait) = (Instant::now() + PATIENCE, FIRST_WAIT);
        loop {
            let answer = match self.player.nodes.channel(party) {
                Ok(channel) => ask(channel).await,
                Err(status) => Err(status),
            };
            match answer {
                Err(status) if passes(&status) && Instant::now() < until => {}
                answer => return answer,
            }
            pause(&mut wait).await;
        }
    }
}

async fn pause(wait: &mut Duration) {
    sleep(*wait).await;
    *wait = (*wait * 2).min(LONGEST_WAIT);
}

fn told(status: &Status) -> String {
    format!("{:?}: {} ({})", status.code(), status.message(), refused(status))
}

/// The first name of a placement in a request.
fn placement_of(body: &Value) -> Option<String> {
    match body {
        Value::String(text) => text.starts_with(PLACEMENTS).then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(placement_of),
        Value::Object(fields) => fields.values().find_map(placement_of),
        _ => None,
    }
}

/// Transition or fact of a request.
fn act_of(body: &Value) -> Option<&str> {
    body.get("transition").or_else(|| body.get("fact"))?.as_str()
}

impl Played {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            taken: self.taken + other.taken,
            refused: self.refused + other.refused,
            rejected: self.rejected + other.rejected,
        }
    }
}

impl PlayError {
    fn of(script: &Script, step: &Step, worker: Option<u32>, problem: String) -> Self {
        Self(Box::new(Went {
            path: script.path.display().to_string(),
            line: step.line,
            call: step.call.clone(),
            by: step.by.clone(),
            worker: worker.map(|n| format!(", worker {n}")).unwrap_or_default(),
            problem,
        }))
    }
}
