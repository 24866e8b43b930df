//! The end of a run: faults stop, and within a bound both sides of every link have nothing more to say and know the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_exchange::bundle::{self, BundleKind, Export};
use convenio_log::Hash;
use convenio_seal::trust::{TrustFile, TrustedAgreement};

use super::model::{Model, Placement};
use super::watch::{End, Violation, need};
use super::world::World;
use crate::{invariants, treaty};

/// Rounds in which an exchange without faults must come to rest: what is under way, its decisions, the last checkpoints.
const ROUNDS: usize = 12;

impl World {
    /// Faults stop: the fair schedule must come to rest, and everything must agree then.
    ///
    /// # Errors
    /// What does not hold.
    pub async fn settle(&mut self) -> Result<(), Violation> {
        self.lines.iter_mut().for_each(super::line::Line::cut);
        self.no_faults();
        self.all_amend().await?;
        let all: Vec<_> = (0..self.states.len()).collect();
        for round in 0.. {
            need(round < ROUNDS, || format!("no rest after {ROUNDS} rounds: {}", self.unrest()))?;
            let before = self.sizes();
            for link in 0..self.accord.links.len() {
                self.exchange(link, false).await?;
                self.look(&[]).await?;
            }
            self.quiet().await?;
            if self.rests() && self.sizes() == before {
                break;
            }
        }
        self.look(&all).await?;
        let rest = self.sizes();
        for _ in 0..2 {
            self.clock.advance(Duration::from_secs(61));
            self.quiet().await?;
        }
        need(self.sizes() == rest, || "a quiet log grew".to_owned())?;
        self.watch.links.iter().try_for_each(agree)?;
        for (_, from, to) in &self.accord.links {
            invariants::check(&self.states[*from].books(), &self.states[*to].books()).await;
        }
        Ok(())
    }

    async fn quiet(&mut self) -> Result<(), Violation> {
        for line in 0..self.lines.len() {
            self.on_line(line, false, super::world::Step::Quiet).await?;
        }
        self.look(&[]).await
    }

    fn rests(&self) -> bool {
        let idle = |end: &End| end.judged == end.mirrored && end.delivered == end.own.len() as u64;
        let held = |[a, b]: &[End; 2]| a.mirrored == b.own.len() as u64 && b.mirrored == a.own.len() as u64;
        self.watch.links.iter().all(|ends| ends.iter().all(idle) && held(ends))
    }

    fn unrest(&self) -> String {
        let told =
            |end: &End| format!("own {}/{}, mirror {}/{}", end.delivered, end.own.len(), end.judged, end.mirrored);
        self.watch.links.iter().flatten().map(told).collect::<Vec<_>>().join("; ")
    }

    fn sizes(&self) -> Vec<u64> {
        self.watch.links.iter().flatten().map(|end| end.own.len() as u64).collect()
    }

    /// Origin and head of every own log.
    #[must_use]
    pub fn heads(&self) -> Vec<(String, u64, Hash)> {
        self.watch.links.iter().flatten().map(End::head).collect()
    }

    /// What was decided, and what placements came to.
    #[must_use]
    pub fn tally(&self) -> BTreeMap<String, u64> {
        let mut tally = BTreeMap::new();
        for ((pack, ..), ends) in self.accord.links.iter().zip(&self.watch.links) {
            ends.iter().for_each(|end| end.tally(pack, &mut tally));
        }
        tally
    }

    /// Exports every state's bundle, and lets the audit verify and compare them.
    ///
    /// # Errors
    /// What the audit finds.
    pub async fn audit(&self) -> Result<(), Violation> {
        let dir = tempfile::tempdir_in(self.states[0].dir.parent().expect("a folder below the run's")).map_err(said)?;
        let agreements = self.accord.links.iter();
        let trust = TrustFile {
            agreements: agreements.map(|(p, ..)| TrustedAgreement { id: p.id().into(), digest: p.digest() }).collect(),
            roots: self.accord.roots(),
            nodes: self.accord.parties.iter().map(treaty::Party::trusted).collect(),
            ..TrustFile::default()
        };
        for state in 0..self.states.len() {
            self.export(state, &dir.path().join(state.to_string())).await?;
        }
        for (_, from, to) in &self.accord.links {
            let path = |state: &usize| dir.path().join(state.to_string());
            let compared = convenio_audit::compare(&path(from), &path(to), &trust).map_err(said)?;
            for side in [&compared.a, &compared.b] {
                need(side.holds, || format!("the audit of {}: {:?}", side.bundle, side.problems))?;
            }
            need(compared.holds, || format!("the audit: {:?}", compared.problems))?;
        }
        Ok(())
    }

    async fn export(&self, state: usize, out: &Path) -> Result<(), Violation> {
        let (own, at) = (&self.accord.parties[state], &self.states[state]);
        let active = bundle::activated(&**at.store()).await.map_err(said)?;
        let all = self.accord.links_of(state).flat_map(|(link, _)| self.accord.ratified(link));
        let packs = all.filter(|(pack, _)| active.contains(&pack.digest()));
        let packs = packs.map(|(pack, ratifications)| (Pack::clone(&pack), ratifications));
        let books = at.books();
        let (_, keys) = at.latest_keys(own);
        let export = Export {
            kind: BundleKind::Full,
            store: &**at.store(),
            vault: &books.vault,
            keys: &keys,
            node: &own.node,
            party: &own.party,
            packs: packs.collect(),
            refusals: Vec::new(),
            only: None,
        };
        bundle::export(&export, out).await.map(drop).map_err(said)
    }
}

fn said(error: impl std::fmt::Display) -> Violation {
    error.to_string()
}

/// Both ends know the same.
fn agree([origin, destination]: &[End; 2]) -> Result<(), Violation> {
    let (a, b) = (&origin.model, &destination.model);
    let shared = |model: &Model, placement: &Placement| {
        let mut facts: Vec<_> = placement.facts.iter().map(|f| (f.record, f.name.clone(), f.known.clone())).collect();
        facts.sort();
        let open = placement.pending.len() + placement.facts.iter().filter(|f| f.undecided).count();
        (placement.state, placement.number, placement.reached, facts, open, model.discrepancies(placement))
    };
    let ids = a.placements.keys().chain(b.placements.keys());
    for id in ids {
        let (ours, theirs) = (shared(a, &a.placement(*id)), shared(b, &b.placement(*id)));
        need(ours.4 == 0 && theirs.4 == 0, || format!("placement {id} waits for an outcome for ever"))?;
        need(ours == theirs, || format!("the sides disagree on placement {id}: {ours:?} / {theirs:?}"))?;
    }
    for id in a.orders.keys().chain(b.orders.keys()) {
        let (ours, theirs) = ((a.orders.get(id), a.held(*id)), (b.orders.get(id), b.held(*id)));
        need(ours == theirs, || format!("the sides disagree on order {id}: {ours:?} / {theirs:?}"))?;
    }
    need(a.agencies == b.agencies, || format!("the sides disagree on licences: {:?} / {:?}", a.agencies, b.agencies))
}
