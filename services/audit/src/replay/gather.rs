//! Reads the logs once, on every core, and spools their RECORDs by subject.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use convenio_log::tile::{EntryTile, parse_bundle};
use convenio_seal::statement::claimed_statement;
use convenio_wire::exchange::v1::{EntryParts, OutcomeDetail, Part, RejectDetail};
use prost::Message;

use super::chain::{Chain, Piece, Seen, Steps};
use super::cursor::parts_of;
use super::spool::{Decided, Spool, Spooled, Writer};
use crate::audit::{Options, Progress};
use crate::bundle::{MAX_FILE, log_folder, on_every_core};
use crate::problem::Problems;
use crate::verify::outcomes::{Decision, Decisions};
use crate::verify::{Checked, Kind};

/// What the reading of an exchange needs.
pub(super) struct Gather<'g> {
    pub(super) checked: &'g Checked,
    pub(super) other: Option<&'g Checked>,
    pub(super) chains: &'g [Chain; 2],
    /// What each direction had seen of the other.
    pub(super) seen: &'g [Seen; 2],
    pub(super) options: &'g Options,
}

/// By what a record goes to its share: its subject, or itself where that is not known, for there may be millions of those.
fn key<'k>(subject: &'k str, record: &'k Spooled) -> &'k [u8] {
    if subject.is_empty() { &record.record_id } else { subject.as_bytes() }
}

impl Gather<'_> {
    /// Spools every RECORD that counts.
    pub(super) fn run(&self, spool: &Spool) -> io::Result<()> {
        let mut jobs: Vec<(usize, Piece, u64)> = Vec::new();
        for (direction, chain) in self.chains.iter().enumerate() {
            for piece in &chain.pieces {
                jobs.extend((0..piece.len.div_ceil(256)).map(|chunk| (direction, *piece, chunk)));
            }
        }
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let total = self.chains.iter().map(Chain::len).sum();
        let results = on_every_core(jobs.len(), || {
            let mut worker = Worker::new(self, spool.writer());
            let mut work = || -> io::Result<()> {
                while let Some((direction, piece, chunk)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    worker.chunk(*direction, *piece, *chunk)?;
                    let before = done.fetch_add(256, Ordering::Relaxed);
                    if let Some(progress) = self.options.progress.as_ref().filter(|_| before % 16_384 == 0) {
                        progress(Progress { step: "replay", done: before / 2, total });
                    }
                }
                Ok(())
            };
            let result = work();
            vec![result.and_then(|()| worker.out.finish())]
        });
        results.into_iter().collect()
    }
}

struct Worker<'g> {
    with: &'g Gather<'g>,
    out: Writer<'g>,
    /// Steps at the issuer of each direction.
    steps: [Steps<'g>; 2],
    /// The same, for OUTCOMEs.
    told: [Steps<'g>; 2],
    decisions: HashMap<usize, Decisions<'g>>,
    /// Details of the rejections of one OUTCOME.
    detail: Option<((usize, u64), Vec<RejectDetail>)>,
}

impl<'g> Worker<'g> {
    fn new(with: &'g Gather<'g>, out: Writer<'g>) -> Self {
        let steps = || [Steps::new(&with.seen[0]), Steps::new(&with.seen[1])];
        Self { with, out, steps: steps(), told: steps(), decisions: HashMap::new(), detail: None }
    }

    fn chunk(&mut self, direction: usize, piece: Piece, chunk: u64) -> io::Result<()> {
        let checked = self.with.checked;
        let log = &checked.logs[piece.at];
        let line = log.line();
        let (Some(tile), Some(bundle)) = (EntryTile::at(chunk, line.size), &checked.bundle) else { return Ok(()) };
        let path = format!("{}{tile}", log_folder(&line.name));
        let gone = || io::Error::other(format!("{path} has changed since it was verified"));
        let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default()).ok_or_else(gone)?;
        let metas = log.scanned.ledger.chunk(chunk, usize::from(tile.width()))?;
        let mut first = parts_of(checked, line, tile);
        let mut second = self.with.other.map(|other| parts_of(other, line, tile)).unwrap_or_default();
        let entries = parse_bundle(&bytes, tile.width()).map_err(|_| gone())?;
        for ((entry, meta), index) in entries.into_iter().zip(&metas).zip(tile.first_entry()..) {
            if index >= piece.len || meta.kind != Kind::Record || log.void(index, meta).is_some() {
                continue;
            }
            let parts = merged(first.remove(&index), second.remove(&index), usize::from(meta.parts));
            let statement = claimed_statement(entry).ok_or_else(gone)?;
            let place = piece.base + index;
            let record = Spooled {
                log: piece.at as u32,
                index,
                by_origin: direction == 0,
                own_step: self.steps[direction].own(place)?,
                peer_step: self.steps[1 - direction].peer(place)?,
                record_id: statement.record_id,
                time_ms: statement.time_ms,
                digest: statement.agreement_digest,
                decision: self.decided(direction, piece.at, index)?,
                parts,
            };
            let lead = record.parts.first().filter(|lead| !lead.is_empty());
            let lead = lead.and_then(|lead| Part::decode(lead.as_slice()).ok());
            let subject = lead.map(|lead| lead.subject_ref).unwrap_or_default();
            self.out.push(key(&subject, &record), &record)?;
        }
        Ok(())
    }

    fn decided(&mut self, direction: usize, at: usize, index: u64) -> io::Result<Option<Decided>> {
        let Some(outcomes) = &self.with.checked.logs[at].outcomes else { return Ok(None) };
        let decisions = self.decisions.entry(at).or_insert_with(|| Decisions::new(outcomes));
        let (by, reason) = match decisions.of(index)? {
            Decision::Undecided => return Ok(None),
            Decision::Accepted(by) => (by, String::new()),
            Decision::Rejected(by, reason) => (by, outcomes.reason(reason).to_owned()),
        };
        let (log, told) = (by.0 as usize, by.1);
        let Some(place) = self.with.chains[1 - direction].place(log, told) else { return Ok(None) };
        let step = self.told[direction].peer(place)?;
        let detail = if reason.is_empty() { None } else { self.detail(log, told, index) };
        Ok(Some(Decided { step, log: by.0, index: told, reason, told: detail }))
    }

    /// Gate, clause, fact and paths of a rejection, from the OUTCOME's own part; none if it is erased.
    fn detail(&mut self, log: usize, told: u64, index: u64) -> Option<RejectDetail> {
        if self.detail.as_ref().is_none_or(|(own, _)| *own != (log, told)) {
            self.detail = Some(((log, told), self.details(log, told).unwrap_or_default()));
        }
        let details = self.detail.as_ref().map_or(&[][..], |(_, details)| details);
        details.iter().find(|detail| detail.index == index).cloned()
    }

    fn details(&self, log: usize, told: u64) -> Option<Vec<RejectDetail>> {
        let line = self.with.checked.logs[log].line();
        let tile = EntryTile::at(told / 256, line.size)?;
        let first = parts_of(self.with.checked, line, tile).remove(&told);
        let second = self.with.other.and_then(|other| parts_of(other, line, tile).remove(&told));
        let part = merged(first, second, 1).into_iter().next().filter(|part| !part.is_empty())?;
        let part = Part::decode(part.as_slice()).ok()?;
        Some(OutcomeDetail::decode(part.message.as_slice()).ok()?.rejects)
    }
}

/// Each part from the first bundle that holds it: both were checked against the same commitments.
fn merged(first: Option<EntryParts>, second: Option<EntryParts>, count: usize) -> Vec<Vec<u8>> {
    let mut sources = [first.unwrap_or_default().parts, second.unwrap_or_default().parts];
    let mut take = |slot: usize| {
        let held = sources.iter_mut().filter_map(|parts| parts.get_mut(slot)).find(|part| !part.part.is_empty());
        held.map(|part| std::mem::take(&mut part.part)).unwrap_or_default()
    };
    (0..count).map(&mut take).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repro_records_without_a_subject_do_not_all_come_to_one_share() {
        let (dir, shares, each) = (tempfile::tempdir().unwrap(), 16, 64);
        let spool = Spool::create(&dir.path().join("records"), shares, 1).unwrap();
        let mut out = spool.writer();
        for number in 0..(shares * each) as u128 {
            // As a node makes them in one second: they differ in a few bytes.
            let record_id = (0x018f_0000_0000_7000_8000_0000_0000_0000 | number << 8).to_be_bytes().to_vec();
            let record = Spooled { record_id, ..Spooled::default() };
            out.push(key("", &record), &record).unwrap();
        }
        let one = Spooled { record_id: vec![1; 16], ..Spooled::default() };
        let other = Spooled { record_id: vec![2; 16], ..Spooled::default() };
        assert_eq!(key("placements/1", &one), key("placements/1", &other));
        out.finish().unwrap();
        let held: Vec<usize> = (0..shares).map(|share| spool.read::<Spooled>(share).unwrap().len()).collect();
        assert_eq!(held.iter().sum::<usize>(), shares * each);
        assert!(held.iter().all(|count| *count < 3 * each), "{held:?}");
    }
}
