//! The verification of one bundle, step by step.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use convenio_agreement::Pack;
use convenio_agreement::config::WitnessPolicy;
use convenio_seal::TrustFile;

use super::chunk::Scope;
use super::cross::{self, Partner};
use super::heads::Context;
use super::ids::{self, Spool};
use super::ledger::Ledger;
use super::orders;
use super::outcomes::Recorder;
use super::revocation::{self, Revoked};
use super::scan::{self, Scanned};
use super::sequence::{Before, Pass, Spoken};
use super::store::Work;
use super::walk::{self, Walked};
use super::witness::{self, Quorum};
use super::{
    AgreementSummary, Checked, CheckedLog, Counts, Verification, agreement, chains, epochs, forks, heads, tree,
};
use crate::audit::Options;
use crate::bundle::{Bundle, FORMAT, Kind, MANIFEST, Opened, REFUSALS};
use crate::evidence::{self, LocalRefusal};
use crate::keys::{self, KeyBook, Opening};
use crate::problem::{Check, OTHER_MANIFEST, Problem, Problems, Unusable};

/// What a verification has come to.
struct Run<'r> {
    path: &'r Path,
    trust: &'r TrustFile,
    options: &'r Options,
    book: KeyBook,
    problems: Problems,
    findings: Problems,
    notes: Vec<String>,
}

/// What is known of a bundle whose logs were read.
struct Read {
    logs: Vec<CheckedLog>,
    packs: BTreeMap<[u8; 32], Pack>,
    refusals: Vec<LocalRefusal>,
    work: Work,
}

/// Checks the bundle in `path`.
pub(crate) fn check(path: &Path, trust: &TrustFile, options: &Options) -> Result<Checked, Unusable> {
    let mut run = Run {
        path,
        trust,
        options,
        book: KeyBook::default(),
        problems: Problems::default(),
        findings: Problems::default(),
        notes: Vec::new(),
    };
    let bundle = match Bundle::open(path)? {
        Opened::Bundle(bundle) => bundle,
        Opened::Damaged(problem) => {
            run.problems.push(problem);
            return Ok(run.finish(None, None));
        }
    };
    let openings = keys::openings(&bundle, trust, &run.book, &mut run.problems);
    let early = keys::manifest_signature(&bundle, &run.book);
    if bundle.manifest().format != FORMAT {
        // What its exporter signed is a newer format; what nobody signed is a damaged one.
        if early.is_ok() {
            let found = bundle.manifest().format.clone();
            return Err(Unusable::Format { path: path.join(MANIFEST), found });
        }
        let text = format!("line 1 is not `{FORMAT}`");
        run.problems.push(Problem::new(Check::Manifest, text).at(MANIFEST));
    }
    let openings: Option<Vec<Opening>> = openings.into_iter().collect();
    let Some(openings) = openings.filter(|_| run.problems.count() == 0) else {
        run.problems.extend(early.err());
        bundle.check_tree(&mut run.problems);
        keys::damaged(&bundle, &run.book, &mut run.problems);
        run.problems.only_damage();
        return Ok(run.finish(Some(bundle), None));
    };
    bundle.check_tree(&mut run.problems);
    if run.problems.count() > 0 {
        run.problems.extend(early.err().filter(|problem| problem.reason == OTHER_MANIFEST));
        return Ok(run.finish(Some(bundle), None));
    }
    let read = run.read(&bundle, openings);
    let read = read.map_err(|source| Unusable::Io { path: path.to_owned(), source })??;
    bundle.unread(&mut run.problems);
    // Nothing that is read from damaged files says more than that they are damaged.
    if run.problems.only_damage() {
        run.findings = Problems::default();
        return Ok(run.finish(Some(bundle), None));
    }
    Ok(run.finish(Some(bundle), Some(read)))
}

impl Run<'_> {
    fn read(&mut self, bundle: &Bundle, openings: Vec<Opening>) -> io::Result<Result<Read, Unusable>> {
        let packs = agreement::packs(bundle, self.trust, &mut self.problems);
        let work = match Work::open(self.options, &bundle.digest(), self.trust) {
            Ok(work) => work,
            Err(unusable) => return Ok(Err(unusable)),
        };
        let scope = Scope::new(bundle, self.trust, &self.book, packs.values());
        let scanned = scan::run(&scope, &work, self.options, &mut self.problems)?;
        if let Err(problem) = keys::manifest_signature(bundle, &self.book) {
            self.problems.push(problem);
        }
        for log in &scanned {
            tree::check(bundle, log, &mut self.problems);
        }
        agreement::check(bundle, self.trust, &packs, &openings, &self.book, &mut self.problems);
        let revoked = {
            let known = (self.trust, &self.book);
            revocation::collect(bundle, &scanned, known, &mut self.problems, &mut self.findings)?
        };
        let mut logs = self.logs(bundle, scanned, openings, &revoked)?;
        epochs::check(bundle, &mut logs, &mut self.problems);
        self.judged(&mut logs)?;
        let ids = Spool::create(&work.path("ids"), logs.len(), bundle.digest())?;
        self.sequence(&mut logs, &packs, &ids, &work)?;
        self.entries(bundle, &mut logs, &packs, &ids)?;
        epochs::named(bundle, &logs, self.trust, &mut self.problems);
        revocation::check(&logs, bundle, &revoked, &mut self.problems, &mut self.findings);
        self.outside(bundle, &logs, &packs);
        crate::journal::verify(bundle, &self.book, &mut self.problems);
        let refusals = match bundle.read(REFUSALS, evidence::MAX_REFUSALS, &mut self.problems) {
            Some(bytes) => evidence::parse(&bytes, &mut self.problems),
            None => Vec::new(),
        };
        Ok(Ok(Read { logs, packs, refusals, work }))
    }

    /// Keys over time and checkpoints of each log.
    fn logs(
        &mut self,
        bundle: &Bundle,
        scanned: Vec<Scanned>,
        openings: Vec<Opening>,
        revoked: &[Revoked],
    ) -> io::Result<Vec<CheckedLog>> {
        let mut logs = Vec::new();
        for (scanned, opening) in scanned.into_iter().zip(openings) {
            let origin = scanned.line.origin.clone();
            let issuer = self.book.ring(&origin.issuer);
            let keys = revocation::timeline(&scanned, &opening, self.trust, &issuer, &mut self.problems)?;
            let effective = scanned.readable;
            let concerned = revoked.iter().filter(|revoked| revoked.said.log_origin == scanned.line.name);
            let revoked_here: Vec<Revoked> = concerned.cloned().collect();
            let mut log = CheckedLog {
                scanned,
                opening,
                keys,
                activations: Vec::new(),
                orders: Vec::new(),
                echoes: Vec::new(),
                effective,
                delivered: 0,
                judged: 0,
                heads: Vec::new(),
                outcomes: None,
                revoked: revoked_here,
                counts: Counts::default(),
            };
            let recipient = self.book.ring(&origin.recipient);
            let context = Context { bundle, issuer: &issuer, recipient: &recipient, revoked };
            heads::check(&context, &mut log, &mut self.problems);
            logs.push(log);
        }
        Ok(logs)
    }

    /// How far each log was judged, by its partner's own word.
    fn judged(&mut self, logs: &mut [CheckedLog]) -> io::Result<()> {
        let position = |log: &CheckedLog, index: u64| -> io::Result<(u64, u64)> {
            log.scanned.ledger.row(index).map(|row| row.peer)
        };
        for at in 0..logs.len() {
            let log = &logs[at];
            let Some(last) = log.effective.checked_sub(1) else { continue };
            let peer = position(log, last)?.max(position(log, 0)?).max(last_known(&log.scanned.ledger, last)?);
            let Some(of) = super::partner_at(log, logs, peer.0) else { continue };
            let closed = |other: &CheckedLog| log.reverse_of(other) && other.continued_by(&logs[of]);
            let closed: Vec<usize> = (0..logs.len()).filter(|at| closed(&logs[*at])).collect();
            logs[of].judged = logs[of].judged.max(peer.1.min(logs[of].effective));
            // Epochs are judged in order: whoever is within one has come to the end of those before it.
            closed.into_iter().for_each(|at| logs[at].judged = logs[at].effective);
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        logs: &mut [CheckedLog],
        packs: &BTreeMap<[u8; 32], Pack>,
        ids: &Spool,
        work: &Work,
    ) -> io::Result<()> {
        let recorder = |at: usize| Recorder::create(&work.path(&format!("outcomes-{at}")));
        let mut pass = Pass {
            packs,
            trust: self.trust,
            recorders: (0..logs.len()).map(recorder).collect::<io::Result<_>>()?,
            decided: vec![0; logs.len()],
            ids: ids.batch(),
            problems: &mut self.problems,
            findings: &mut self.findings,
        };
        for chain in chains(logs) {
            let mut before = Before::default();
            for at in chain {
                let Spoken { active, orders, echoes } = pass.log(at, logs, before)?;
                before.version = active.last().map(|(_, digest)| *digest).or(before.version);
                before.order = orders.iter().map(|(_, given)| given.order.number).max().unwrap_or(0).max(before.order);
                let log = &mut logs[at];
                (log.activations, log.orders, log.echoes) = (active, orders, echoes);
            }
        }
        pass.ids.flush()?;
        orders::echoed(logs, pass.problems);
        let outcomes = pass.recorders.into_iter().map(Recorder::finish).collect::<io::Result<Vec<_>>>()?;
        logs.iter_mut().zip(outcomes).for_each(|(log, outcomes)| log.outcomes = Some(outcomes));
        Ok(())
    }

    /// What needs every entry: both directions at once.
    fn entries(
        &mut self,
        bundle: &Bundle,
        logs: &mut [CheckedLog],
        packs: &BTreeMap<[u8; 32], Pack>,
        ids: &Spool,
    ) -> io::Result<()> {
        // In the order by which ledgers count them.
        let digests: Vec<[u8; 32]> = packs.keys().copied().collect();
        let (digests, exporter) = (digests.as_slice(), bundle.manifest().node.as_str());
        let all = &*logs;
        let walked: Vec<io::Result<Walked>> = std::thread::scope(|scope| {
            let walk = |(at, log)| scope.spawn(move || walk::walk((log, at), all, digests, exporter, ids));
            let threads: Vec<_> = all.iter().enumerate().map(walk).collect();
            threads.into_iter().map(|thread| thread.join().expect("a walk does not panic")).collect()
        });
        for (at, walked) in walked.into_iter().enumerate() {
            let walked = walked?;
            self.problems.append(walked.problems);
            self.findings.append(walked.findings);
            logs[at].counts = walked.counts;
        }
        let with_parts = bundle.manifest().kind == Kind::Full;
        let now_ms = last_ms(logs);
        let (problems, findings) = ids::check(ids, logs, &bundle.manifest().node, with_parts)?;
        self.problems.append(problems);
        self.findings.append(findings);
        for at in 0..logs.len() {
            let entangled = self.entangled(bundle, logs, at)?;
            self.problems.append(entangled.problems);
            self.findings.append(entangled.findings);
            entangled.heads.into_iter().for_each(|(of, head)| logs[of].take(head));
        }
        for log in logs.iter_mut() {
            log.heads.sort_unstable();
            log.heads.dedup();
        }
        for log in &*logs {
            cross::clocks(log, deadline(log, packs), now_ms, &mut self.findings)?;
        }
        logs.iter_mut().for_each(|log| heads::thin(&mut log.heads, |head| (0, *head)));
        Ok(())
    }

    fn entangled(&self, bundle: &Bundle, logs: &[CheckedLog], at: usize) -> io::Result<cross::Entangled> {
        let own = &logs[at].line().origin;
        let (issuer, recipient) = (self.book.ring(&own.recipient), self.book.ring(&own.issuer));
        let partners: Vec<Partner<'_>> = (0..logs.len())
            .filter(|other| logs[at].reverse_of(&logs[*other]))
            .map(|at| {
                let context = Context { bundle, issuer: &issuer, recipient: &recipient, revoked: &logs[at].revoked };
                Partner { at, log: &logs[at], context }
            })
            .collect();
        cross::entangled(&logs[at], &partners)
    }

    /// What comes from outside the two logs.
    fn outside(&mut self, bundle: &Bundle, logs: &[CheckedLog], packs: &BTreeMap<[u8; 32], Pack>) {
        pinned(bundle, logs, self.trust, &mut self.problems);
        forks::check(bundle, &self.book, &mut self.problems, &mut self.findings);
        witness::witnessed(bundle, &self.book, logs, &mut self.problems);
        let mut collusion = None;
        for pack in packs.values() {
            let of: Vec<&CheckedLog> = logs
                .iter()
                .filter(|log| log.activations.last().is_some_and(|(_, digest)| *digest == pack.digest()))
                .collect();
            if of.is_empty() {
                continue;
            }
            let quorum = match pack.witness_policy() {
                WitnessPolicy::CollusionNotExcluded => None,
                WitnessPolicy::Required { quorum, witnesses } => {
                    let keys = witnesses.iter().map(|witness| witness.key.clone()).collect();
                    let deadline_ms = u64::from(pack.config().cosign_deadline_hours) * 3_600_000;
                    Some(Quorum { needed: *quorum, keys, deadline_ms })
                }
            };
            collusion = collusion.or(witness::independent(bundle, &of, logs, quorum.as_ref(), &mut self.problems));
        }
        self.notes.extend(collusion);
    }

    fn finish(self, bundle: Option<Box<Bundle>>, read: Option<Read>) -> Checked {
        let (logs, packs, refusals, work) = match read {
            Some(read) => (read.logs, read.packs, read.refusals, Some(read.work)),
            None => Default::default(),
        };
        let summary = |pack: &Pack| AgreementSummary {
            id: pack.id().to_owned(),
            digest: hex::encode(pack.digest()),
            amended: !self.trust.trusts(pack.id(), &pack.digest()) && agreement::trusted(pack, &packs, self.trust),
        };
        let verification = Verification {
            bundle: self.path.display().to_string(),
            holds: self.problems.count() == 0,
            exporter: bundle.as_ref().map(|bundle| bundle.manifest().node.clone()).unwrap_or_default(),
            agreements: packs.values().map(summary).collect(),
            logs: logs.iter().map(CheckedLog::summary).collect(),
            problem_count: self.problems.count(),
            problems: self.problems.into_list(),
            finding_count: self.findings.count(),
            findings: self.findings.into_list(),
            notes: self.notes,
        };
        Checked { verification, bundle, logs, packs, refusals, work, book: self.book }
    }
}

/// The position of the last entry at or before `last` that could be read at all.
fn last_known(ledger: &Ledger, last: u64) -> io::Result<(u64, u64)> {
    for index in (last.saturating_sub(256)..=last).rev() {
        let row = ledger.row(index)?;
        if row.peer != (0, 0) {
            return Ok(row.peer);
        }
    }
    Ok((0, 0))
}

/// The last time that anything in the logs tells, Unix ms.
pub(super) fn last_ms(logs: &[CheckedLog]) -> u64 {
    let cosigned = logs.iter().flat_map(|log| &log.heads).map(|head| head.time.saturating_mul(1_000));
    logs.iter().map(|log| log.counts.last_ms).chain(cosigned).max().unwrap_or_default()
}

/// Hours within which the agreement in force wants entries cosigned.
fn deadline(log: &CheckedLog, packs: &BTreeMap<[u8; 32], Pack>) -> Option<u64> {
    let (_, digest) = log.activations.last()?;
    packs.get(digest).map(|pack| u64::from(pack.config().cosign_deadline_hours))
}

/// What the trust file pins must stand in the logs of the agreements that are here.
fn pinned(bundle: &Bundle, logs: &[CheckedLog], trust: &TrustFile, problems: &mut Problems) {
    for pin in &trust.checkpoints {
        let name = pin.origin.to_string();
        let bad = |text: &str, reason| Problem::new(Check::Pinned, text).because(reason).of(&name);
        let log = logs.iter().find(|log| log.line().name == name);
        let nodes = [&pin.origin.issuer, &pin.origin.recipient];
        let same = |log: &&CheckedLog| {
            let origin = &log.line().origin;
            origin.agreement == pin.origin.agreement
                && nodes.iter().all(|n| **n == origin.issuer || **n == origin.recipient)
        };
        match log {
            Some(log) if log.scanned.readable < pin.size => {
                let problem = bad("the log is shorter than the pinned checkpoint", "TRUNCATED");
                problems.push(problem.entry(log.scanned.readable));
            }
            Some(log) => {
                let root = tree::Roots::new(bundle, &log.scanned).at(pin.size);
                if root.is_none_or(|root| *root.as_bytes() != pin.root) {
                    problems.push(bad("the log has another root than the pinned checkpoint", "REWRITTEN"));
                }
            }
            None if logs.iter().any(|log| same(&log)) => {
                problems.push(bad("the pinned log is not in the bundle", "LOG_MISSING"));
            }
            None => {}
        }
    }
}
