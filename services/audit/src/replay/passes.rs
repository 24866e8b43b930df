//! The passes of a replay over what was spooled.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use convenio_agreement::Pack;
use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::World;
use convenio_model::Ref;

use super::act::read;
use super::chain::{Chain, Seen, Steps, chains};
use super::fold::{Case, Fold, Orders, Verdict};
use super::gather::Gather;
use super::shared::compared;
use super::spool::{OrderEvent, Spool, Spooled, Writer};
use super::timeline::{Shared, settle};
use crate::audit::Options;
use crate::bundle::{cores, on_every_core};
use crate::history::{At, ErasedRecord, Exchange, History, Place, ReplaySummary, ReplayedRecord, SubjectView, Visit};
use crate::verify::Checked;
use crate::verify::store::Work;

/// Records of one share, about.
const SHARE: u64 = 2_048;
/// Most shares.
const MAX_SHARES: u64 = 4_096;
/// Shares of the orders.
const ORDER_SHARES: usize = 64;

/// Registry paths from which a placement's order is known.
const ORDER_PATH: &str = "placement.job_order";

#[allow(clippy::too_many_arguments)] // the parts of one job, named by its only caller
pub(super) fn run(
    checked: &Checked,
    other: Option<&Checked>,
    exchange: &Exchange,
    logs: &[Vec<usize>; 2],
    at: &At,
    options: &Options,
    work: &Work,
    visit: &mut dyn Visit,
) -> io::Result<ReplaySummary> {
    let chains = chains(checked, other, [&logs[0], &logs[1]], at)?;
    let seen = |own: usize, name| Seen::write(&checked.logs, &chains[own], &chains[1 - own], &work.path(name));
    let seen = [seen(0, "seen-origin")?, seen(1, "seen-destination")?];
    let total: u64 = chains.iter().map(super::chain::Chain::len).sum();
    let shares = usize::try_from((total / SHARE).clamp(1, MAX_SHARES)).unwrap_or(1);
    let spool = Spool::create(&work.path("records"), shares, cores())?;
    Gather { checked, other, chains: &chains, seen: &seen, options }.run(&spool)?;
    let here = |(digest, pack): (&[u8; 32], &Pack)| Some((*digest, pack.corridor(exchange.pack.id())?));
    let packs = checked.packs.iter().filter_map(here).collect();
    let orders = orders(checked, &chains, &seen)?;
    let passes = Passes { orders: &orders, packs: &packs, last: &exchange.pack, checked, spool: &spool };
    let demand = Spool::create(&work.path("orders"), ORDER_SHARES, cores())?;
    let mut sides = passes.first(&demand)?;
    let mut short = Vec::new();
    for share in 0..demand.shares() {
        short.extend(settle(&demand.read::<OrderEvent>(share)?, &mut sides));
    }
    sides.iter_mut().for_each(Shared::settle_quotas);
    short.sort_by_key(|(order, _)| *order);
    visit.start(exchange, &short);
    passes.second(&sides, visit)
}

/// What the parties ordered, by the step from which each side knows it; the origin's side first.
fn orders(checked: &Checked, chains: &[Chain; 2], seen: &[Seen; 2]) -> io::Result<[Orders; 2]> {
    let mut known: [Orders; 2] = Default::default();
    for (direction, chain) in chains.iter().enumerate() {
        let (mut own, mut peer) = (Steps::new(&seen[direction]), Steps::new(&seen[1 - direction]));
        for piece in &chain.pieces {
            for (index, given) in &checked.logs[piece.at].orders {
                let Some(place) = chain.place(piece.at, *index) else { continue };
                known[direction].push((own.own(place)?, given.clone()));
                known[1 - direction].push((peer.peer(place)?, given.clone()));
            }
        }
    }
    Ok(known)
}

struct Passes<'p> {
    orders: &'p [Orders; 2],
    packs: &'p BTreeMap<[u8; 32], Pack>,
    last: &'p Pack,
    checked: &'p Checked,
    spool: &'p Spool,
}

/// What one share tells.
struct Told {
    histories: Vec<History>,
    erased: Vec<ErasedRecord>,
}

impl<'p> Passes<'p> {
    /// The records of one share by subject, those without one under the empty name.
    fn subjects(&self, share: usize, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Vec<Case<'p>>>> {
        let mut subjects: BTreeMap<String, Vec<Case<'p>>> = BTreeMap::new();
        for spooled in self.spool.read::<Spooled>(share)? {
            let digest = <[u8; 32]>::try_from(spooled.digest.as_slice()).ok();
            let pack = digest.and_then(|digest| self.packs.get(&digest)).unwrap_or(self.last);
            let read = read(pack, &spooled, wanted);
            let subject = read.as_ref().map(|read| read.subject_ref.clone()).unwrap_or_default();
            subjects.entry(subject).or_default().push(Case { spooled, read });
        }
        Ok(subjects)
    }

    /// Folds every subject for what others depend on.
    fn first(&self, orders: &Spool) -> io::Result<[Shared; 2]> {
        let brings: HashSet<&str> = self.packs.values().flat_map(|pack| pack_brings(pack)).collect();
        let sides: Mutex<[Shared; 2]> = Mutex::default();
        let next = AtomicUsize::new(0);
        let results = on_every_core(self.spool.shares(), || {
            let mut out = orders.writer();
            let mut work = || -> io::Result<()> {
                loop {
                    let share = next.fetch_add(1, Ordering::Relaxed);
                    if share >= self.spool.shares() {
                        return Ok(());
                    }
                    for (subject, cases) in self.subjects(share, &|name| brings.contains(name))? {
                        self.first_of(&subject, &cases, &sides, &mut out)?;
                    }
                }
            };
            let result = work();
            vec![result.and_then(|()| out.finish())]
        });
        results.into_iter().collect::<io::Result<()>>()?;
        Ok(sides.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn first_of(
        &self,
        subject: &str,
        cases: &[Case<'_>],
        sides: &Mutex<[Shared; 2]>,
        out: &mut Writer<'_>,
    ) -> io::Result<()> {
        let Some((kind, id)) = subject.split_once('/') else { return Ok(()) };
        let Ok(id) = id.parse::<Ref>() else { return Ok(()) };
        for (side, role) in [Role::Origin, Role::Destination].into_iter().enumerate() {
            let mut fold = Fold::new(self.packs, self.last, role, None);
            let (mut order_views, mut agency_views) = (Vec::new(), Vec::new());
            fold.run(cases, |step, world| {
                order_views.extend(world.order(id).filter(|_| kind == "jobOrders").map(|view| (step, view.clone())));
                agency_views.extend(world.agency(id).filter(|_| kind == "agencies").map(|view| (step, view.clone())));
            });
            if !order_views.is_empty() || !agency_views.is_empty() {
                let mut sides = sides.lock().unwrap_or_else(PoisonError::into_inner);
                match kind {
                    "jobOrders" => sides[side].put_orders(id, order_views),
                    _ => sides[side].put_agencies(id, agency_views),
                }
            }
            for event in fold.events.unwrap_or_default() {
                out.push(&event.order, &event)?;
            }
        }
        Ok(())
    }

    /// Folds every subject again, judged beside what it depends on.
    fn second(&self, sides: &[Shared; 2], visit: &mut dyn Visit) -> io::Result<ReplaySummary> {
        let next = AtomicUsize::new(0);
        let cores = cores().min(self.spool.shares());
        let mut summary = ReplaySummary::default();
        std::thread::scope(|scope| {
            let (send, receive) = mpsc::sync_channel(1);
            for _ in 0..cores {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let share = next.fetch_add(1, Ordering::Relaxed);
                        if share >= self.spool.shares() || send.send((share, self.judged(share, sides))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            // What comes before its turn waits; at most as many shares as there are workers.
            let mut waiting: BTreeMap<usize, io::Result<Told>> = BTreeMap::new();
            let mut turn = 0;
            for (share, told) in receive {
                waiting.insert(share, told);
                while let Some(told) = waiting.remove(&turn) {
                    turn += 1;
                    deliver(told?, &mut summary, visit);
                }
            }
            Ok(summary)
        })
    }

    fn judged(&self, share: usize, sides: &[Shared; 2]) -> io::Result<Told> {
        let mut told = Told { histories: Vec::new(), erased: Vec::new() };
        for (subject, cases) in self.subjects(share, &|_| true)? {
            if subject.is_empty() {
                told.erased.extend(cases.iter().map(|case| self.erased(&case.spooled)));
            } else {
                told.histories.push(self.history(subject, cases, sides));
            }
        }
        told.erased.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(told)
    }

    fn erased(&self, of: &Spooled) -> ErasedRecord {
        ErasedRecord {
            issuer: if of.by_origin { Role::Origin } else { Role::Destination },
            place: self.place(of.log, of.index),
            record_id: Ref::from_slice(&of.record_id).unwrap_or(Ref([0; 16])),
            time_ms: of.time_ms,
        }
    }

    fn place(&self, log: u32, index: u64) -> Place {
        Place::new(&self.checked.logs[log as usize].line().name, index)
    }

    fn history(&self, subject: String, cases: Vec<Case<'_>>, sides: &[Shared; 2]) -> History {
        let mut views = Vec::new();
        let mut verdicts: Vec<Verdict> = vec![Verdict::default(); cases.len()];
        for (side, role) in [Role::Origin, Role::Destination].into_iter().enumerate() {
            let mut fold = Fold::new(self.packs, self.last, role, Some(&sides[side]));
            fold.orders = Some(self.orders);
            for (all, own) in verdicts.iter_mut().zip(fold.run(&cases, |_, _| {})) {
                all.act = own.act.or(all.act.take());
                all.divergence = own.divergence.or(all.divergence.take());
            }
            views.push(view(&fold.world, &subject, &sides[side]));
        }
        let undecided = cases.iter().any(|case| case.spooled.decision.is_none());
        let (destination, origin) = (views.pop().flatten(), views.pop().flatten());
        let (mut discrepancies, mut disagreement) = (Vec::new(), None);
        if subject.starts_with("placements/") {
            let placement = |view: &'_ Option<SubjectView>| match view {
                Some(SubjectView::Placement(view)) => Some(view.clone()),
                _ => None,
            };
            let (a, b) = (placement(&origin), placement(&destination));
            (discrepancies, disagreement) = compared(self.last, a.as_ref(), b.as_ref(), undecided);
        }
        let mut records: Vec<(u64, ReplayedRecord)> =
            cases.into_iter().zip(verdicts).filter_map(|(case, verdict)| self.record(case, verdict)).collect();
        records.sort_by_key(|(step, record)| (*step, record.place.index));
        let records = records.into_iter().map(|(_, record)| record).collect();
        History { subject, records, origin, destination, discrepancies, disagreement }
    }

    /// A record with the step at which it stands among those of both sides.
    fn record(&self, case: Case<'_>, verdict: Verdict) -> Option<(u64, ReplayedRecord)> {
        let (of, read) = (case.spooled, case.read?);
        let missing = of.parts.iter().zip(0..16).filter(|(part, _)| part.is_empty()).map(|(_, at)| 1_u16 << at).sum();
        let record = ReplayedRecord {
            issuer: if of.by_origin { Role::Origin } else { Role::Destination },
            place: self.place(of.log, of.index),
            act: verdict.act?,
            kind: read.kind,
            time_ms: of.time_ms,
            event_time_ms: read.event_time_ms,
            historical: read.historical,
            number: read.number,
            known_state: read.known_state,
            supersedes: read.supersedes,
            digest: of.digest.as_slice().try_into().unwrap_or_default(),
            content: read.content,
            missing,
            decided: of.decision.as_ref().map(|decision| self.place(decision.log, decision.index)),
            divergence: verdict.divergence,
        };
        Some((if of.by_origin { of.own_step } else { of.peer_step }, record))
    }
}

fn deliver(told: Told, summary: &mut ReplaySummary, visit: &mut dyn Visit) {
    for history in told.histories {
        summary.placements += u64::from(history.subject.starts_with("placements/"));
        summary.records += history.records.len() as u64;
        summary.indeterminate += history.records.iter().filter(|record| record.missing != 0).count() as u64;
        summary.disagreements += u64::from(history.disagreement.is_some());
        visit.history(history);
    }
    for erased in told.erased {
        summary.records += 1;
        summary.indeterminate += 1;
        visit.erased(erased);
    }
}

fn view(world: &World, subject: &str, shared: &Shared) -> Option<SubjectView> {
    let (kind, id) = subject.split_once('/')?;
    let id = id.parse().ok()?;
    match kind {
        "placements" => world.placement(id).cloned().map(SubjectView::Placement),
        "jobOrders" => {
            let mut view = world.order(id)?.clone();
            view.held = shared.held(id, u64::MAX);
            Some(SubjectView::Order(view))
        }
        "crews" => world.crew(id).cloned().map(SubjectView::Crew),
        _ => world.agency(id).cloned().map(SubjectView::Agency),
    }
}

/// Messages of a pack that name a placement's order.
fn pack_brings(pack: &Pack) -> Vec<&str> {
    let acts = pack.lifecycle();
    let messages =
        acts.transitions.iter().flat_map(|act| &act.messages).chain(acts.facts.iter().flat_map(|f| &f.messages));
    let brings = |name: &&str| {
        let plan = pack.message(name);
        plan.is_some_and(|plan| plan.fields.iter().any(|field| field.source.as_str() == ORDER_PATH))
    };
    messages.map(|name| &**name).filter(brings).collect()
}
