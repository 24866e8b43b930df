//! One log against the other: the partner's checkpoints that it entangles.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use convenio_log::SignedCheckpoint;
use convenio_wire::exchange::v1::statement::Body;

use super::CheckedLog;
use super::heads::{Context, Head, by_log, cosignatures, parse, thin};
use super::ledger::Rows;
use super::tree::Roots;
use crate::bundle::on_every_core;
use crate::problem::{Check, Problem, Problems};

/// Seconds that a cosigner's clock may be ahead of a log's.
const SKEW: u64 = 30;
/// Chunks that a worker takes at a time: the checkpoints in them lie close together.
const TAKEN: u64 = 16;
/// Heads that a worker keeps before it thins them.
const MANY: usize = 65_536;

/// What the entangled checkpoints of a log say.
#[derive(Default)]
pub(super) struct Entangled {
    pub(super) problems: Problems,
    pub(super) findings: Problems,
    /// States of the partners' logs that were cosigned: place of the log among those of the bundle, and head.
    pub(super) heads: Vec<(usize, Head)>,
}

/// A partner's log, and what is needed to check its checkpoints.
pub(super) struct Partner<'p> {
    pub(super) at: usize,
    pub(super) log: &'p CheckedLog,
    pub(super) context: Context<'p>,
}

/// Checks every PEER_CHECKPOINT of a log against the logs of its partner.
pub(super) fn entangled(log: &CheckedLog, partners: &[Partner<'_>]) -> io::Result<Entangled> {
    let next = AtomicU64::new(0);
    let chunks = log.effective.min(log.scanned.readable).div_ceil(256);
    let found = on_every_core(usize::try_from(chunks.div_ceil(TAKEN)).unwrap_or(usize::MAX), || {
        let mut found = Entangled::default();
        let mut many = MANY;
        let mut roots: Vec<Roots<'_>> =
            partners.iter().map(|partner| Roots::new(partner.context.bundle, &partner.log.scanned)).collect();
        loop {
            let first = next.fetch_add(TAKEN, Ordering::Relaxed);
            if first >= chunks {
                return vec![Ok(found)];
            }
            for chunk in first..(first + TAKEN).min(chunks) {
                if let Err(error) = one_chunk(log, partners, chunk, &mut roots, &mut found) {
                    return vec![Err(error)];
                }
            }
            if found.heads.len() > many {
                thin(&mut found.heads, |one| *one);
                many = MANY.max(2 * found.heads.len());
            }
        }
    });
    let (mut problems, mut findings, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    let mut counts = (0, 0);
    for found in found {
        let found = found?;
        counts.0 += found.problems.count();
        counts.1 += found.findings.count();
        problems.extend(found.problems.into_list());
        findings.extend(found.findings.into_list());
        heads.extend(found.heads);
    }
    heads.sort_unstable();
    let (problems, findings) = (Problems::sorted(problems, counts.0), Problems::sorted(findings, counts.1));
    Ok(Entangled { problems, findings, heads })
}

fn one_chunk(
    log: &CheckedLog,
    partners: &[Partner<'_>],
    chunk: u64,
    roots: &mut [Roots<'_>],
    out: &mut Entangled,
) -> io::Result<()> {
    let mut rows = Rows::new(&log.scanned.ledger, log.scanned.readable);
    for (index, statement) in log.scanned.specials(chunk)? {
        let Some(Body::PeerCheckpoint(peer)) = &statement.body else { continue };
        if index >= log.effective || rows.at(index)?.is_none_or(|row| log.void(index, row).is_some()) {
            continue;
        }
        let bad = |text: &str, reason| {
            Problem::new(Check::PeerCheckpoint, text).because(reason).of(&log.line().name).entry(index)
        };
        match checked(&peer.note, partners, roots) {
            Err((text, reason)) => out.problems.push(bad(&text, reason)),
            Ok((at, size, time)) => {
                out.heads.push((partners[at].at, Head { size, time, mirror: true }));
                if time > statement.time_ms / 1_000 + SKEW {
                    let text = "entangles a checkpoint that was cosigned later than the entry says it was made";
                    out.findings.push(Problem { check: Check::Clock, ..bad(text, "CLOCK_SKEW") });
                }
            }
        }
    }
    Ok(())
}

type Found = Result<(usize, u64, u64), (String, &'static str)>;

/// The note must be the partner's checkpoint, signed by its log and cosigned by this issuer's mirror, with the root that
/// the partner's log has.
fn checked(note: &[u8], partners: &[Partner<'_>], roots: &mut [Roots<'_>]) -> Found {
    let invalid = |text: String| (text, "CHECKPOINT_INVALID");
    let signed: SignedCheckpoint = parse(note).map_err(invalid)?;
    let head = signed.checkpoint();
    let at = partners.iter().position(|partner| partner.log.line().name == head.origin());
    let at = at.ok_or_else(|| ("a checkpoint of another log than the partner's".to_owned(), "CHECKPOINT_INVALID"))?;
    let partner = &partners[at];
    by_log(&partner.context, partner.log, &signed).map_err(invalid)?;
    let found = cosignatures(&partner.context, partner.log, &signed).map_err(invalid)?;
    let mirror = found.iter().find(|cosigned| cosigned.mirror);
    let mirror = mirror.ok_or_else(|| invalid("not cosigned by the issuer's mirror".into()))?;
    if head.size() > partner.log.line().size {
        let text = "an entangled checkpoint is past the end of the partner's log: that log is truncated";
        return Err((text.into(), "TRUNCATED"));
    }
    if roots[at].at(head.size()) != Some(head.root()) {
        let text = "an entangled checkpoint has another root than the partner's log: that log was rewritten";
        return Err((text.into(), "REWRITTEN"));
    }
    Ok((at, head.size(), mirror.time))
}

/// Whether the clocks of a log and of its cosigner fit, and no cosignature is overdue.
pub(super) fn clocks(
    log: &CheckedLog,
    deadline_hours: Option<u64>,
    now_ms: u64,
    findings: &mut Problems,
) -> io::Result<()> {
    let of =
        |reason, text: &str, index| Problem::new(Check::Clock, text).because(reason).of(&log.line().name).entry(index);
    let mut last: Option<Head> = None;
    for head in log.heads.iter().filter(|head| head.mirror && head.size > 0) {
        if last.is_some_and(|last| last.time > head.time) {
            let text = "cosigned at an earlier time than a smaller size of the log";
            findings.push(of("COSIGNATURE_TIME", text, head.size - 1));
        }
        last = Some(*head);
        if head.size <= log.scanned.readable {
            let made = log.scanned.ledger.row(head.size - 1)?.time_ms / 1_000;
            if made > head.time + SKEW {
                let text = "its log time is later than the time at which its mirror cosigned it";
                findings.push(of("CLOCK_SKEW", text, head.size - 1));
            }
        }
    }
    let open = log.effective.min(log.scanned.readable);
    if let Some(hours) = deadline_hours
        && log.delivered < open
    {
        let made = log.scanned.ledger.row(log.delivered)?.time_ms;
        if made > 0 && now_ms > made.saturating_add(hours.saturating_mul(3_600_000)) {
            let text = format!("not cosigned by its partner's mirror within {hours} hours");
            findings.push(of("COSIGNATURE_OVERDUE", &text, log.delivered));
        }
    }
    Ok(())
}
