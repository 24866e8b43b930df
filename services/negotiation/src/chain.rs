//! The chain of acts: which act may follow, how a negotiation stands.
//!
//! Whether an act fits depends on the acts before it alone, never on when it arrives: both sides come to the same answer,
//! in whatever order acts cross. Two acts that name the same one fork the chain; both are kept, and told.

use std::collections::{BTreeMap, BTreeSet};

use crate::act::{Deed, DraftLines, SignedAct};
use crate::{Hash, Refusal};

/// Most steps of a negotiation.
pub const MAX_STEPS: u32 = 64;
/// Most acts of a negotiation, on all branches.
pub const MAX_ACTS: usize = 128;

/// How a negotiation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It goes on.
    Open,
    /// Every party has put its initials to the standing draft.
    Initialled,
    /// A party rejected the standing draft.
    Rejected,
    /// The party that made the standing draft took it back.
    Withdrawn,
}

impl State {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Initialled => "INITIALLED",
            Self::Rejected => "REJECTED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// How things stand behind one act, by it and the acts before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Hash of the act.
    pub head: Hash,
    /// Its step.
    pub step: u32,
    /// The standing draft.
    pub draft: DraftLines,
    /// Party that made it.
    pub author: String,
    /// Parties that put their initials to it.
    pub initialled: BTreeSet<String>,
    /// How it stands.
    pub state: State,
}

/// A negotiation: acts that have been verified, each fitting those before it.
#[derive(Debug, Clone, Default)]
pub struct Negotiation {
    acts: BTreeMap<Hash, SignedAct>,
    first: Hash,
}

impl Negotiation {
    /// A negotiation of verified acts in any order.
    ///
    /// # Errors
    /// The [`Refusal`] of the first act that does not fit those before it.
    pub fn of(acts: Vec<SignedAct>) -> Result<Self, Refusal> {
        let mut acts = acts;
        acts.sort_by_key(|signed| (signed.act.step, signed.hash));
        let mut negotiation = Self::default();
        acts.into_iter().try_for_each(|signed| negotiation.add(signed).map(drop))?;
        Ok(negotiation)
    }

    /// Its identifier: the hash of its first act.
    #[must_use]
    pub fn id(&self) -> Hash {
        self.first
    }

    /// Whether it has no act yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    /// The acts, by step, then by hash.
    #[must_use]
    pub fn acts(&self) -> Vec<&SignedAct> {
        let mut acts: Vec<_> = self.acts.values().collect();
        acts.sort_by_key(|signed| (signed.act.step, signed.hash));
        acts
    }

    /// An act by its hash.
    #[must_use]
    pub fn act(&self, hash: &Hash) -> Option<&SignedAct> {
        self.acts.get(hash)
    }

    /// Adds a verified act; false if it is here already.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is added then.
    pub fn add(&mut self, signed: SignedAct) -> Result<bool, Refusal> {
        if self.acts.contains_key(&signed.hash) {
            return Ok(false);
        }
        self.fits(&signed)?;
        if self.acts.is_empty() {
            self.first = signed.hash;
        }
        self.acts.insert(signed.hash, signed);
        Ok(true)
    }

    /// Whether an act may be added.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn fits(&self, signed: &SignedAct) -> Result<(), Refusal> {
        let act = &signed.act;
        if self.acts.len() >= MAX_ACTS {
            return Err(Refusal::TooManySteps);
        }
        let Some(previous) = act.previous else {
            return if self.acts.is_empty() { Ok(()) } else { Err(Refusal::Other) };
        };
        let before = self.acts.get(&previous).ok_or(Refusal::PreviousUnknown)?;
        if act.step != before.act.step + 1 {
            return Err(Refusal::Step);
        }
        if act.agreement != before.act.agreement || act.parties() != before.act.parties() {
            return Err(Refusal::Other);
        }
        let standing = self.standing(&previous).ok_or(Refusal::PreviousUnknown)?;
        if standing.state != State::Open {
            return Err(Refusal::Closed);
        }
        fits_draft(&act.deed, &act.from, &standing)
    }

    /// How things stand behind an act.
    #[must_use]
    pub fn standing(&self, head: &Hash) -> Option<Standing> {
        let mut path = vec![self.acts.get(head)?];
        // An act stands here only behind the one it names: the path ends at step 1.
        while let Some(previous) = path.last().and_then(|signed| signed.act.previous) {
            path.push(self.acts.get(&previous)?);
        }
        let mut path = path.into_iter().rev();
        let first = path.next()?;
        let mut standing = Standing {
            head: *head,
            step: self.acts.get(head)?.act.step,
            draft: first.act.deed.draft()?.clone(),
            author: first.act.from.clone(),
            initialled: BTreeSet::new(),
            state: State::Open,
        };
        let parties = first.act.parties().len();
        for signed in path {
            match &signed.act.deed {
                Deed::Propose(draft) | Deed::Counter(draft) => {
                    standing.draft = draft.clone();
                    standing.author.clone_from(&signed.act.from);
                    standing.initialled.clear();
                }
                Deed::Comment => {}
                Deed::Initial(_) => {
                    standing.initialled.insert(signed.act.from.clone());
                    if standing.initialled.len() == parties {
                        standing.state = State::Initialled;
                    }
                }
                Deed::Reject(_) => standing.state = State::Rejected,
                Deed::Withdraw(_) => standing.state = State::Withdrawn,
            }
        }
        Some(standing)
    }

    /// The ends of the chain, the longest branch first.
    #[must_use]
    pub fn heads(&self) -> Vec<Standing> {
        let named: BTreeSet<Hash> = self.acts.values().filter_map(|signed| signed.act.previous).collect();
        let ends = self.acts.keys().filter(|hash| !named.contains(*hash));
        let mut heads: Vec<_> = ends.filter_map(|hash| self.standing(hash)).collect();
        heads.sort_by_key(|standing| (std::cmp::Reverse(standing.step), standing.head));
        heads
    }

    /// Steps at which the chain forks: those of several acts that name the same one.
    #[must_use]
    pub fn forks(&self) -> Vec<u32> {
        let mut seen: BTreeMap<Option<Hash>, (u32, u32)> = BTreeMap::new();
        for signed in self.acts.values() {
            seen.entry(signed.act.previous).or_insert((signed.act.step, 0)).1 += 1;
        }
        let steps: BTreeSet<u32> = seen.values().filter(|(_, count)| *count > 1).map(|(step, _)| *step).collect();
        steps.into_iter().collect()
    }

    /// How it stands: open while any branch is; else as the longest branch ended.
    #[must_use]
    pub fn state(&self) -> State {
        let heads = self.heads();
        let open = heads.iter().any(|standing| standing.state == State::Open);
        // Initials of all outweigh a branch that was given up.
        let initialled = heads.iter().any(|standing| standing.state == State::Initialled);
        match heads.first() {
            _ if initialled => State::Initialled,
            Some(longest) if !open => longest.state,
            _ => State::Open,
        }
    }

    /// Digests to which every party has put its initials, on any branch.
    #[must_use]
    pub fn agreed(&self) -> Vec<Hash> {
        let heads = self.heads();
        heads.iter().filter(|head| head.state == State::Initialled).map(|head| head.draft.digest).collect()
    }
}

fn fits_draft(deed: &Deed, from: &str, standing: &Standing) -> Result<(), Refusal> {
    let names = |digest: &Hash| if *digest == standing.draft.digest { Ok(()) } else { Err(Refusal::Standing) };
    match deed {
        Deed::Propose(_) => Err(Refusal::Step),
        Deed::Counter(draft) if draft.digest == standing.draft.digest => Err(Refusal::Standing),
        Deed::Counter(_) | Deed::Comment => Ok(()),
        Deed::Initial(digest) => {
            names(digest)?;
            if standing.initialled.contains(from) { Err(Refusal::Initialled) } else { Ok(()) }
        }
        Deed::Reject(digest) => {
            names(digest)?;
            if from == standing.author { Err(Refusal::Turn) } else { Ok(()) }
        }
        Deed::Withdraw(digest) => {
            names(digest)?;
            if from == standing.author { Ok(()) } else { Err(Refusal::Turn) }
        }
    }
}

#[cfg(test)]
mod tests;
