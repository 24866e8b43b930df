//! From the names of `agreement.toml` to checked indices.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use convenio_wire::MAX_PARTS_COUNT;

use super::{ActRef, Fact, Gate, GateDef, Lifecycle, Notice, StageId, State, StateId, Transition};
use crate::config::{Config, Origin};
use crate::pack::PackError;

/// Gates of one act, at most.
const MAX_GATES: usize = 32;
/// Facts of one placement, at most, where the agreement does not say.
const MAX_FACTS: usize = 256;

/// Names that are being resolved, and where they stand.
struct Names<'a> {
    at: Origin<'a>,
    config: &'a Config,
    is_part: &'a dyn Fn(&str) -> bool,
}

impl Lifecycle {
    /// Checks the lifecycle of `config`; `is_part` tells whether a full name is that of a message with
    /// the `part` option.
    pub(crate) fn build(config: &Config, at: Origin<'_>, is_part: &dyn Fn(&str) -> bool) -> Result<Self, PackError> {
        let names = Names { at, config, is_part };
        let source = &config.lifecycle;
        let (states, transitions) = (names.all_states(), names.transitions());
        let (facts, notices) = (names.facts(), names.notices());
        // The first is returned below; the others are told too.
        let errors = [states.as_ref().err(), transitions.as_ref().err(), facts.as_ref().err(), notices.as_ref().err()];
        errors.into_iter().flatten().skip(1).try_for_each(|error| at.note(error.clone()))?;
        let mut lifecycle = Self {
            stages: config.stages.clone(),
            states: states?,
            transitions: transitions?,
            facts: facts?,
            notices: notices?,
            initial: names.state("lifecycle.initial", &source.initial)?,
            first_crossing: names.state("lifecycle.first_crossing", &source.first_crossing)?,
            holds_seat: names.states("lifecycle.holds_seat", &source.holds_seat)?,
            frees_seat: source.frees_seat.clone(),
            contradictions: source.contradictions.iter().cloned().map(|[a, b]| (a, b)).collect(),
            deadlines: config.deadlines.clone(),
            max_facts: source.max_facts.map_or(MAX_FACTS, usize::from),
            leads: HashMap::new(),
            names: HashMap::new(),
        };
        names.check_fact_names()?;
        lifecycle.index(at)?;
        lifecycle.check_reach(at)?;
        Ok(lifecycle)
    }

    /// Indexes acts by name and by lead message; two acts with one lead could not be told apart.
    fn index(&mut self, at: Origin<'_>) -> Result<(), PackError> {
        let transitions = self.transitions.iter().enumerate().map(|(i, act)| {
            let key = format!("lifecycle.transitions[{i}].messages[0]");
            (key, ActRef::Transition(i), &act.name, act.messages.first())
        });
        let facts = self.facts.iter().enumerate().map(|(i, act)| {
            let key = format!("lifecycle.facts[{i}].messages[0]");
            (key, ActRef::Fact(i), &act.name, act.messages.first())
        });
        let notices = self.notices.iter().enumerate().map(|(i, act)| {
            let key = format!("lifecycle.notices[{i}].message");
            (key, ActRef::Notice(i), &act.name, Some(&act.message))
        });
        for (key, act, name, lead) in transitions.chain(facts).chain(notices) {
            self.names.insert(name.clone(), act);
            let Some(lead) = lead else { continue };
            if self.leads.insert(Arc::clone(lead), act).is_some() {
                at.note(at.error(&key, format!("`{lead}` already leads another act")))?;
            }
        }
        Ok(())
    }

    /// Every state can be reached, and an act stays at home exactly before the first crossing.
    fn check_reach(&self, at: Origin<'_>) -> Result<(), PackError> {
        let reached = self.reach(self.initial);
        for (index, state) in self.states.iter().enumerate() {
            if !reached.contains(&index) {
                let key = format!("lifecycle.states[{index}].name");
                at.note(at.error(&key, format!("`{}` cannot be reached", state.name)))?;
            }
        }
        let crossed = self.reach(self.first_crossing);
        for (index, act) in self.transitions.iter().enumerate() {
            let key = format!("lifecycle.transitions[{index}].from");
            let after = act.from.iter().filter(|from| crossed.contains(&from.index())).count();
            if act.is_local() && after > 0 {
                let problem = "an act without messages may only precede the first crossing";
                at.note(at.error(&key, problem))?;
            }
            if !act.is_local() && after < act.from.len() {
                let problem = "an act with messages may not precede the first crossing";
                at.note(at.error(&key, problem))?;
            }
        }
        Ok(())
    }

    /// Indices of the states that can be reached from `start`, itself included.
    fn reach(&self, start: StateId) -> HashSet<usize> {
        let mut reached = HashSet::from([start.index()]);
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            for act in self.transitions.iter().filter(|act| act.from.contains(&state)) {
                if reached.insert(act.to.index()) {
                    open.push(act.to);
                }
            }
        }
        reached
    }
}

impl Names<'_> {
    fn all_states(&self) -> Result<Vec<State>, PackError> {
        let states = self.config.lifecycle.states.iter().enumerate();
        self.at.each(states.map(|(index, state)| {
            let stage = self.stage(&format!("lifecycle.states[{index}].stage"), &state.stage)?;
            Ok(State { name: state.name.clone(), governor: state.governor, stage })
        }))
    }

    fn transitions(&self) -> Result<Vec<Transition>, PackError> {
        let transitions = self.config.lifecycle.transitions.iter().enumerate();
        self.at.each(transitions.map(|(index, act)| {
            let key = format!("lifecycle.transitions[{index}]");
            if act.from.is_empty() {
                return Err(self.at.error(&format!("{key}.from"), "names no state"));
            }
            Ok(Transition {
                name: act.name.clone(),
                from: self.states(&format!("{key}.from"), &act.from)?,
                to: self.state(&format!("{key}.to"), &act.to)?,
                by: act.by,
                messages: self.messages(&format!("{key}.messages"), &act.messages)?,
                gates: self.gates(&format!("{key}.gates"), &act.gates)?,
            })
        }))
    }

    fn facts(&self) -> Result<Vec<Fact>, PackError> {
        let facts = self.config.lifecycle.facts.iter().enumerate();
        self.at.each(facts.map(|(index, act)| {
            let key = format!("lifecycle.facts[{index}]");
            if act.messages.is_empty() {
                return Err(self.at.error(&format!("{key}.messages"), "names no message"));
            }
            let stage = |field: &str, name: &Option<String>| {
                let key = format!("{key}.{field}");
                name.as_ref().map(|name| self.stage(&key, name)).transpose()
            };
            Ok(Fact {
                name: act.name.clone(),
                by: act.by,
                messages: self.messages(&format!("{key}.messages"), &act.messages)?,
                needs_stage: stage("needs_stage", &act.needs_stage)?,
                stage: stage("stage", &act.stage)?,
                gates: self.gates(&format!("{key}.gates"), &act.gates)?,
                alert_unless: self.states(&format!("{key}.alert_unless"), &act.alert_unless)?,
                terms: act.terms,
            })
        }))
    }

    fn notices(&self) -> Result<Vec<Notice>, PackError> {
        let notices = self.config.lifecycle.notices.iter().enumerate();
        self.at.each(notices.map(|(index, act)| {
            let key = format!("lifecycle.notices[{index}]");
            if act.by.is_empty() || act.by.len() > 2 {
                return Err(self.at.error(&format!("{key}.by"), "must name 1 or 2 roles"));
            }
            Ok(Notice {
                name: act.name.clone(),
                by: act.by.clone(),
                message: self.message(&format!("{key}.message"), &act.message)?,
                subject: act.subject,
            })
        }))
    }

    fn check_fact_names(&self) -> Result<(), PackError> {
        let lifecycle = &self.config.lifecycle;
        let frees = lifecycle.frees_seat.iter().enumerate();
        let frees = frees.map(|(i, name)| (format!("lifecycle.frees_seat[{i}]"), name));
        let pairs = lifecycle.contradictions.iter().enumerate().flat_map(|(i, pair)| {
            let key = move |j| format!("lifecycle.contradictions[{i}][{j}]");
            pair.iter().enumerate().map(move |(j, name)| (key(j), name))
        });
        for (key, name) in frees.chain(pairs) {
            if !lifecycle.facts.iter().any(|fact| fact.name == *name) {
                self.at.note(self.at.error(&key, format!("no fact `{name}`")))?;
            }
        }
        Ok(())
    }

    fn stage(&self, key: &str, name: &str) -> Result<StageId, PackError> {
        let index = self.config.stages.iter().position(|stage| stage == name);
        let index = index.and_then(|index| u8::try_from(index).ok());
        index.map(StageId).ok_or_else(|| self.at.error(key, format!("no stage `{name}`")))
    }

    fn state(&self, key: &str, name: &str) -> Result<StateId, PackError> {
        let states = &self.config.lifecycle.states;
        let index = states.iter().position(|state| state.name == name);
        let index = index.and_then(|index| u8::try_from(index).ok());
        index.map(StateId).ok_or_else(|| self.at.error(key, format!("no state `{name}`")))
    }

    fn states(&self, key: &str, list: &[String]) -> Result<Vec<StateId>, PackError> {
        let mut states = Vec::new();
        for (index, name) in list.iter().enumerate() {
            let key = format!("{key}[{index}]");
            let state = self.state(&key, name)?;
            if states.contains(&state) {
                return Err(self.at.error(&key, format!("`{name}` is named twice")));
            }
            states.push(state);
        }
        Ok(states)
    }

    fn message(&self, key: &str, name: &str) -> Result<Arc<str>, PackError> {
        let full = self.config.own_packages().map(|package| format!("{package}.{name}"));
        let mut parts = full.filter(|full| (self.is_part)(full));
        let Some(found) = parts.next() else {
            let problem = format!("no message `{name}` with the option `part`");
            return Err(self.at.error(key, problem));
        };
        if parts.next().is_some() {
            return Err(self.at.error(key, format!("more than one package has a message `{name}`")));
        }
        Ok(found.into())
    }

    fn messages(&self, key: &str, list: &[String]) -> Result<Vec<Arc<str>>, PackError> {
        if list.len() > MAX_PARTS_COUNT {
            return Err(self.at.error(key, format!("more than {MAX_PARTS_COUNT} messages")));
        }
        let mut messages = Vec::new();
        for (index, name) in list.iter().enumerate() {
            let key = format!("{key}[{index}]");
            let message = self.message(&key, name)?;
            if messages.contains(&message) {
                return Err(self.at.error(&key, format!("`{name}` is named twice")));
            }
            messages.push(message);
        }
        Ok(messages)
    }

    fn gates(&self, key: &str, list: &[String]) -> Result<Vec<Arc<GateDef>>, PackError> {
        if list.len() > MAX_GATES {
            return Err(self.at.error(key, format!("more than {MAX_GATES} gates")));
        }
        let gates = list.iter().enumerate();
        self.at.each(gates.map(|(index, name)| self.gate(&format!("{key}[{index}]"), name)))
    }

    fn gate(&self, key: &str, name: &str) -> Result<Arc<GateDef>, PackError> {
        let declared = self.config.gates.iter().find(|gate| gate.name == name).map(GateDef::declared);
        let gate = declared.or_else(|| GateDef::built_in(name));
        let gate = gate.ok_or_else(|| self.at.error(key, format!("unknown gate `{name}`")))?;
        if let Some(asked) = gate.fact()
            && !self.config.lifecycle.facts.iter().any(|fact| fact.name == asked.fact)
        {
            return Err(self.at.error(key, format!("`{name}` asks for `{}`, which is no fact here", asked.fact)));
        }
        // A profile asks for quotas once for all its agreements; one that has none holds nobody back.
        let needs = [
            (Gate::WithinStay, self.config.stay.is_some(), "[stay]"),
            (Gate::SectorAllowed, !self.config.sectors.is_empty(), "[[sectors]]"),
            (Gate::FeesLawful, self.config.fees.is_some(), "[fees]"),
        ];
        match needs.into_iter().find(|(asked, there, _)| gate.is(*asked) && !there) {
            Some((_, _, table)) => Err(self.at.error(key, format!("`{name}` needs {table}"))),
            None => Ok(Arc::new(gate)),
        }
    }
}
