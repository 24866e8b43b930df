//! One walk over the entries that no subject has: orders to erase and their answers.

use std::collections::{BTreeMap, HashMap, VecDeque};

use convenio_log::tile::{EntryTile, parse_bundle};
use convenio_seal::LogOrigin;
use convenio_seal::statement::claimed_statement;
use convenio_wire::exchange::v1::Statement;
use convenio_wire::exchange::v1::statement::Body;

use super::journal::Journal;
use crate::audit::Audit;
use crate::bundle::{Bundle, LogLine};
use crate::history::Place;

/// What the walk saw.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) erasures: Erasures,
    pub(super) journal: Journal,
}

/// A part of a record.
type Part = (Vec<u8>, u32);

/// Orders to erase.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// Orders seen.
    pub(super) ordered: u64,
    /// Those without an answer so far.
    open: HashMap<Part, Order>,
    /// Answers before their order: the clocks of two states differ.
    early: HashMap<Part, u64>,
    /// Answered orders that took longest first: how long, ms, and which.
    slow: Vec<(u64, Order)>,
}

#[derive(Debug, Clone)]
struct Order {
    agreement: String,
    place: Place,
    time_ms: u64,
}

impl Scan {
    /// Walks over every log of the bundles once, all of them side by side in the order of their own times, so that an
    /// answer is met soon after its order.
    pub(super) fn of(audit: &Audit) -> Self {
        let mut longest: BTreeMap<&str, (&Bundle, &LogLine)> = BTreeMap::new();
        for bundle in audit.bundles() {
            for log in &bundle.manifest().logs {
                let held = longest.entry(&log.name).or_insert((bundle, log));
                if held.1.size < log.size {
                    *held = (bundle, log);
                }
            }
        }
        let mut scan = Self { journal: Journal::of(audit), ..Self::default() };
        let mut walks: Vec<Walk<'_>> = longest.into_values().filter_map(Walk::new).collect();
        while let Some(walk) = walks.iter_mut().filter_map(Walk::waiting).min_by_key(|(time_ms, _)| *time_ms) {
            let (_, walk) = walk;
            if let Some((index, statement)) = walk.ready.pop_front() {
                scan.erasures.see(walk.log, &walk.origin.agreement, index, statement);
            }
        }
        scan
    }
}

/// A log read from its first entry to its last; of its entries only those that concern erasures.
struct Walk<'b> {
    bundle: &'b Bundle,
    log: &'b LogLine,
    origin: LogOrigin,
    tile: u64,
    ready: VecDeque<(u64, Statement)>,
}

impl<'b> Walk<'b> {
    /// None for the journal's logs, which have another form.
    fn new((bundle, log): (&'b Bundle, &'b LogLine)) -> Option<Self> {
        Some(Self { bundle, log, origin: log.name.parse().ok()?, tile: 0, ready: VecDeque::new() })
    }

    /// The time of the next entry of interest.
    fn waiting(&mut self) -> Option<(u64, &mut Self)> {
        while self.ready.is_empty() {
            let tile = EntryTile::at(self.tile, self.log.size)?;
            self.tile += 1;
            let bytes = crate::walk::tile(self.bundle, self.log, tile)?;
            let entries = parse_bundle(&bytes, tile.width()).ok()?.into_iter().zip(tile.first_entry()..);
            let statements = entries.filter_map(|(entry, index)| Some((index, claimed_statement(entry)?)));
            let of_interest = |body: &Option<Body>| matches!(body, Some(Body::Erase(_) | Body::EraseAnswer(_)));
            self.ready.extend(statements.filter(|(_, statement)| of_interest(&statement.body)));
        }
        let time_ms = self.ready.front()?.1.time_ms;
        Some((time_ms, self))
    }
}

impl Erasures {
    fn see(&mut self, log: &LogLine, agreement: &str, index: u64, statement: Statement) {
        let time_ms = statement.time_ms;
        match statement.body {
            Some(Body::Erase(erase)) => {
                self.ordered += 1;
                let part = (erase.record_id, erase.part);
                let order = Order { agreement: agreement.to_owned(), place: Place::new(&log.name, index), time_ms };
                match self.early.remove(&part) {
                    Some(answered_ms) => self.answered(order, answered_ms),
                    None => drop(self.open.insert(part, order)),
                }
            }
            // REFUSED is an answer too: the hold that it names is told by its reason.
            Some(Body::EraseAnswer(answer)) => {
                let part = (answer.record_id, answer.part);
                match self.open.remove(&part) {
                    Some(order) => self.answered(order, time_ms),
                    None => drop(self.early.insert(part, time_ms)),
                }
            }
            _ => {}
        }
    }

    /// Keeps the slowest only.
    fn answered(&mut self, order: Order, answered_ms: u64) {
        let took = answered_ms.saturating_sub(order.time_ms);
        let at = self.slow.partition_point(|(other, _)| *other >= took);
        if at < super::MAX_FINDINGS {
            self.slow.insert(at, (took, order));
            self.slow.truncate(super::MAX_FINDINGS);
        }
    }

    /// Orders that were answered too late, or not yet and the time is over. `answer_ms`: how long, by agreement.
    pub(super) fn unanswered<'s>(
        &'s self,
        answer_ms: &'s BTreeMap<String, u64>,
        now_ms: u64,
    ) -> impl Iterator<Item = Place> + 's {
        let granted = |order: &Order| answer_ms.get(&order.agreement).copied().unwrap_or(u64::MAX);
        let open = self.open.values().filter(move |order| order.time_ms.saturating_add(granted(order)) < now_ms);
        let slow = self.slow.iter().filter(move |(took, order)| *took > granted(order)).map(|(_, order)| order);
        open.chain(slow).map(|order| order.place.clone())
    }
}
