//! Everything that the answers need, gathered while the subjects of every exchange pass by once.

use std::collections::BTreeMap;

use convenio_agreement::Pack;
use convenio_agreement::act::Kind;
use convenio_agreement::lifecycle::{Gate, Role};
use convenio_model::Ref;
use convenio_seal::TrustFile;

use super::agencies::Agencies;
use super::answers::{Tally, number};
use super::duties::Duties;
use super::figures::Counts;
use super::orders::Orders;
use super::rejections::{Rejections, falls_with};
use super::scan::Scan;
use super::timeline::Months;
use super::{Asked, Finding, MAX_FINDINGS, findings, integrity};
use crate::audit::Audit;
use crate::evidence::LocalRefusal;
use crate::history::{At, ErasedRecord, Exchange, History, ReplayedRecord, Visit};
use crate::language::Catalogue;
use crate::problem::Unusable;
use crate::replay::{ActOutcome, Demand};

/// What the builders of findings share.
pub(super) struct Case<'a> {
    pub(super) say: &'a Catalogue,
    pub(super) pack: Pack,
    /// Local refusals under this agreement.
    pub(super) refusals: Vec<&'a LocalRefusal>,
}

impl Case<'_> {
    pub(super) fn party(&self, role: Role) -> &str {
        &self.pack.party(role).id
    }

    pub(super) fn country(&self, role: Role) -> &str {
        &self.pack.party(role).country
    }

    /// Attempts that a gate refused at home for a subject.
    pub(super) fn refused(&self, gate: Gate, subject: &str) -> u64 {
        let same = self.refusals.iter().filter(|r| r.gate == gate.as_str() && r.subject == subject);
        same.map(|refusal| refusal.count).sum()
    }

    /// Whether a transition takes a placement over the border for the first time.
    pub(super) fn first_crossing(&self, act: &str) -> bool {
        let lifecycle = self.pack.lifecycle();
        lifecycle.transition(act).is_some_and(|transition| transition.from.contains(&lifecycle.first_crossing))
    }

    /// Whether an act has this built-in gate.
    fn asks(&self, act: &str, gate: Gate) -> bool {
        self.pack.lifecycle().act(act).is_some_and(|def| def.asks(gate))
    }
}

/// Counts and findings of the whole report.
#[derive(Default)]
pub(super) struct Ledger {
    /// One for each question.
    tallies: [Tally; 20],
    pub(super) findings: Vec<Finding>,
    pub(super) finding_count: u64,
    pub(super) timeline: Months,
    pub(super) counts: Counts,
    pub(super) duties: Duties,
    pub(super) scan: Scan,
    /// RECORDs that could not be judged.
    pub(super) gone: u64,
    /// Exchanges that were replayed.
    pub(super) exchanges: u64,
    /// Parts that no bundle holds.
    pub(super) parts_gone: u64,
}

/// Gathers.
pub(super) fn keep(audit: &Audit, trust: &TrustFile, asked: &Asked, say: &Catalogue) -> Result<Ledger, Unusable> {
    let mut ledger = Ledger::default();
    integrity::tally(audit, trust, &mut ledger);
    if !audit.holds() {
        return Ok(ledger);
    }
    ledger.scan = Scan::of(audit);
    for exchange in audit.exchanges() {
        ledger.exchanges += 1;
        let refusals = audit.refusals().filter(|refusal| refusal.agreement == exchange.pack.id()).collect();
        let case = Case { say, pack: exchange.pack.clone(), refusals };
        ledger.duties.begin(&exchange.pack, audit);
        let orders = Orders::new(&case, &[]);
        let mut gather = Gather {
            case,
            ledger: &mut ledger,
            agencies: Agencies::default(),
            orders,
            erased: 0,
            suspected: Vec::new(),
        };
        audit.replay(&exchange, &At::End, &mut gather)?;
        gather.finish();
    }
    Ledger::sort(&mut ledger.findings);
    super::journal::tally(&mut ledger);
    super::retention::tally(&mut ledger);
    super::figures::tally(&mut ledger, asked);
    Ok(ledger)
}

impl Ledger {
    /// The tally of a question.
    pub(super) fn of(&mut self, question: &str) -> &mut Tally {
        &mut self.tallies[number(question)]
    }

    /// Likewise, to be read.
    pub(super) fn at(&self, question: &str) -> &Tally {
        &self.tallies[number(question)]
    }

    /// Notes a finding.
    pub(super) fn find(&mut self, finding: Finding) {
        let cases = matches!(finding.criterion, "A10" | "A11" | "A13");
        let tally = self.of(finding.criterion);
        tally.failed += if cases { 1 } else { finding.count };
        tally.gravity = tally.gravity.max(Some(finding.gravity));
        finding.places.iter().for_each(|place| tally.places.add(place.clone()));
        self.finding_count += 1;
        self.findings.push(finding);
        if self.findings.len() >= 2 * MAX_FINDINGS {
            Self::sort(&mut self.findings);
        }
    }

    /// In their order, and not too many.
    fn sort(findings: &mut Vec<Finding>) {
        findings.sort_by(|a, b| {
            (number(a.criterion), a.code, &a.subject, &a.places).cmp(&(
                number(b.criterion),
                b.code,
                &b.subject,
                &b.places,
            ))
        });
        findings.truncate(MAX_FINDINGS);
    }
}

/// Receives the subjects of one exchange.
struct Gather<'a, 'l> {
    case: Case<'a>,
    ledger: &'l mut Ledger,
    agencies: Agencies,
    orders: Orders,
    /// Records of which not even the subject is known.
    erased: u64,
    /// What the rules say against a subject of which a record is missing: for an erased one it is no finding.
    suspected: Vec<Finding>,
}

impl Visit for Gather<'_, '_> {
    fn start(&mut self, _exchange: &Exchange, oversubscribed: &[(Ref, Demand)]) {
        self.orders = Orders::new(&self.case, oversubscribed);
    }

    fn history(&mut self, history: History) {
        let mut rejections = Rejections::default();
        for record in &history.records {
            self.count(record);
            let rejected = matches!(record.act.outcome, ActOutcome::Rejected { .. });
            if rejected && !self.agencies.takes(&self.case, &history.subject, record) && !falls_with(&history, record) {
                rejections.add(&self.case, &history.subject, record);
            }
        }
        self.agencies.notices(&history);
        self.orders.see(&self.case, &history);
        self.ledger.counts.subject(&history);
        self.ledger.duties.subject(&self.case, &history);
        let gap = findings::has_gap(&history);
        for finding in findings::of(&self.case, &history) {
            if gap && findings::needs_the_past(&finding) && self.suspected.len() < MAX_FINDINGS {
                self.suspected.push(finding);
            } else {
                self.ledger.find(finding);
            }
        }
        let now_ms = self.ledger.duties.now_ms;
        super::retention::early(&self.case, &history, now_ms).for_each(|finding| self.ledger.find(finding));
        rejections.into_findings(&self.case).into_iter().for_each(|finding| self.ledger.find(finding));
        if history.subject.starts_with("jobOrders/") {
            self.ledger.of("A10").examined += 1;
        }
    }

    fn erased(&mut self, record: ErasedRecord) {
        self.erased += 1;
        self.ledger.gone += 1;
        self.ledger.timeline.record(&record.place, record.time_ms, None);
        self.ledger.counts.add("records");
        for question in ["A8", "A9", "A10", "A11", "A12", "A13", "A14", "A16", "A18", "A19"] {
            self.ledger.of(question).gone += 1;
        }
    }
}

impl Gather<'_, '_> {
    /// What was examined by each question.
    fn count(&mut self, record: &ReplayedRecord) {
        self.ledger.timeline.record(&record.place, record.time_ms, Some(&record.act.outcome));
        self.ledger.counts.record(record);
        self.ledger.parts_gone += u64::from(record.missing.count_ones());
        let asks = |gate| self.case.asks(&record.act.act, gate);
        let terms = record.content.iter().any(|content| self.case.pack.carries_terms(&content.message_name));
        let applies: [(&str, bool); 5] = [
            ("A8", true),
            ("A9", record.kind != Kind::Notice),
            ("A11", record.act.agency.is_some() && asks(Gate::AgencyTwoLicences)),
            ("A13", terms || asks(Gate::TermsNotWorse)),
            ("A16", true),
        ];
        let gone = record.missing != 0;
        self.ledger.gone += u64::from(gone);
        for (question, _) in applies.into_iter().filter(|(_, applies)| *applies) {
            let tally = self.ledger.of(question);
            if gone {
                tally.gone += 1;
            } else {
                tally.examined += if question == "A16" { record.content.len() as u64 } else { 1 };
            }
        }
        if self.case.first_crossing(&record.act.act) && record.act.outcome == ActOutcome::Accepted {
            self.ledger.of("A17").examined += 1;
        }
    }

    fn finish(self) {
        let Self { case, ledger, agencies, orders, erased, suspected } = self;
        for finding in suspected {
            if erased > 0 {
                ledger.of(finding.criterion).gone += 1;
            } else {
                ledger.find(finding);
            }
        }
        let found = agencies.into_findings(&case).into_iter().chain(orders.into_findings(&case));
        found.for_each(|finding| ledger.find(finding));
    }
}

/// Counts by name, for those that need no more.
pub(super) type Counted = BTreeMap<String, u64>;
