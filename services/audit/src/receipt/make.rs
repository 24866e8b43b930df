//! Makes a receipt from verified bundles.

use convenio_log::{SignedCheckpoint, TileReader, TlogProof};
use convenio_seal::LogOrigin;
use convenio_seal::statement::claimed_statement;
use prost::Message;

use super::{MAX_KEYS, Opened, Proved, Receipt};
use crate::audit::Audit;
use crate::bundle::{Bundle, LogLine, MAX_FILE, log_folder};
use crate::history::EntryRecord;
use crate::keys::cosigner;
use crate::problem::{Problems, Unusable};
use crate::walk;

/// Makes the receipt of a record (any entry has one): none if no bundle holds it under a mirror's cosignature. With
/// `parts` it carries what personal data the record has.
///
/// # Errors
/// [`Unusable`].
pub fn prove(audit: &Audit, record_id: &[u8; 16], parts: bool) -> Result<Option<Receipt>, Unusable> {
    if !audit.holds() {
        return Ok(None);
    }
    for bundle in audit.bundles() {
        for log in &bundle.manifest().logs {
            let Ok(origin) = log.name.parse::<LogOrigin>() else { continue };
            let Some(index) = walk::find(bundle, log, record_id) else { continue };
            let Some(entry) = audit.entry(&log.name, index)? else { continue };
            if let Some(receipt) = receipt(audit, bundle, &Of { log, origin: &origin, index }, &entry, parts)? {
                return Ok(Some(receipt));
            }
        }
    }
    Ok(None)
}

/// The record's place.
struct Of<'o> {
    log: &'o LogLine,
    origin: &'o LogOrigin,
    index: u64,
}

fn receipt(
    audit: &Audit,
    bundle: &Bundle,
    of: &Of<'_>,
    entry: &EntryRecord,
    parts: bool,
) -> Result<Option<Receipt>, Unusable> {
    let Some((head, mirror)) = cosigned(bundle, of) else { return Ok(None) };
    let Some(issuer) = chain(audit, bundle, of.log, &head)? else { return Ok(None) };
    let Some(recipient) = recipient(audit, bundle, of.origin, mirror)? else { return Ok(None) };
    let Some(record) = proved(bundle, of.log, of.index, &entry.bytes, &head) else { return Ok(None) };
    let opened = |part: &Option<(Vec<u8>, convenio_wire::exchange::v1::Part)>| {
        part.as_ref().map(|(salt, part)| Opened { salt: salt.clone(), part: part.encode_to_vec() })
    };
    Ok(Some(Receipt {
        record_id: entry.statement.record_id.clone(),
        record,
        issuer,
        recipient,
        parts: parts.then(|| entry.parts.iter().map(opened).collect()),
    }))
}

/// The smallest head that holds the entry and that the recipient's mirror cosigned, with the version of its keys: the
/// earliest proof of delivery.
fn cosigned(bundle: &Bundle, of: &Of<'_>) -> Option<(SignedCheckpoint, u64)> {
    let folder = log_folder(&of.log.name);
    let kept = format!("{folder}checkpoints/");
    let mut sizes: Vec<u64> = bundle.below(&kept).filter_map(|path| path.strip_prefix(&kept)?.parse().ok()).collect();
    sizes.sort_unstable();
    let kept = sizes.into_iter().filter(|size| *size > of.index).map(|size| format!("{folder}checkpoints/{size}"));
    let mut paths = kept.chain([format!("{folder}checkpoint")]);
    paths.find_map(|path| {
        let head = SignedCheckpoint::parse(&bundle.read(&path, MAX_FILE, &mut Problems::default())?).ok()?;
        let mut lines = head.note().signatures().iter();
        let mirror = lines.find(|line| matches!(cosigner(line.name(), &of.origin.recipient), Some((true, _))))?;
        let (_, version) = cosigner(mirror.name(), &of.origin.recipient)?;
        let head = with_lines(&head, &[&of.log.name, mirror.name()])?;
        (head.checkpoint().size() > of.index).then_some((head, version))
    })
}

/// The head with the first signature line of each of these names and no other.
fn with_lines(head: &SignedCheckpoint, names: &[&str]) -> Option<SignedCheckpoint> {
    let (text, lines) = head.to_string().split_once("\n\n").map(|(text, lines)| (text.to_owned(), lines.to_owned()))?;
    let of = |name: &&str| {
        let start = format!("\u{2014} {name} ");
        lines.lines().find(|line| line.starts_with(&start)).map(str::to_owned)
    };
    let kept = names.iter().map(of).collect::<Option<Vec<_>>>()?;
    SignedCheckpoint::parse(format!("{text}\n\n{}\n", kept.join("\n")).as_bytes()).ok()
}

/// What authorises the recipient's keys up to those of its mirror, from the first of its logs that has them.
fn recipient(audit: &Audit, bundle: &Bundle, of: &LogOrigin, version: u64) -> Result<Option<Vec<Proved>>, Unusable> {
    for log in &bundle.manifest().logs {
        let Ok(origin) = log.name.parse::<LogOrigin>() else { continue };
        let reverse = origin.issuer == of.recipient && origin.recipient == of.issuer;
        if !reverse || origin.agreement != of.agreement {
            continue;
        }
        let path = format!("{}checkpoint", log_folder(&log.name));
        let head = bundle.read(&path, MAX_FILE, &mut Problems::default());
        let head = head.and_then(|bytes| SignedCheckpoint::parse(&bytes).ok());
        let Some(head) = head.and_then(|head| with_lines(&head, &[&log.name])) else { continue };
        let last = head.checkpoint().size().saturating_sub(1);
        let newest = audit.entry(&log.name, last)?.map_or(0, |entry| entry.key_version);
        if newest >= version
            && let Some(chain) = chain(audit, bundle, log, &head)?
        {
            return Ok(Some(chain));
        }
    }
    Ok(None)
}

/// EPOCH_OPEN and every KEY_ROTATE below the head: those that the head's own key needs, in any case.
fn chain(
    audit: &Audit,
    bundle: &Bundle,
    log: &LogLine,
    head: &SignedCheckpoint,
) -> Result<Option<Vec<Proved>>, Unusable> {
    let size = head.checkpoint().size();
    let mut found = Vec::new();
    let mut next = Some(0);
    while let Some(index) = next.filter(|index| *index < size && found.len() < MAX_KEYS) {
        let Some(entry) = audit.entry(&log.name, index)? else { return Ok(None) };
        let Some(proved) = proved(bundle, log, index, &entry.bytes, head) else { return Ok(None) };
        found.push(proved);
        next = rotation_after(audit, log, index, size, entry.key_version)?;
    }
    Ok(Some(found))
}

/// The first entry after `from` that later keys signed: versions only grow.
fn rotation_after(audit: &Audit, log: &LogLine, from: u64, size: u64, version: u64) -> Result<Option<u64>, Unusable> {
    let (mut low, mut high) = (from + 1, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let later = audit.entry(&log.name, middle)?.is_some_and(|entry| entry.key_version > version);
        if later { high = middle } else { low = middle + 1 }
    }
    Ok((low < size).then_some(low))
}

fn proved(bundle: &Bundle, log: &LogLine, index: u64, entry: &[u8], head: &SignedCheckpoint) -> Option<Proved> {
    claimed_statement(entry)?;
    let folder = log_folder(&log.name);
    let tile = |tile: convenio_log::Tile| {
        let of = |tile: convenio_log::Tile| {
            let path = format!("{folder}{tile}");
            bundle.lists(&path).then(|| bundle.read(&path, MAX_FILE, &mut Problems::default())).flatten()
        };
        Ok::<_, std::convert::Infallible>(of(tile).or_else(|| of(tile.full())))
    };
    let reader = TileReader::new(tile, log.size);
    let proof = TlogProof::new(&reader, index, head.clone()).ok()?;
    Some(Proved { entry: entry.to_vec(), proof })
}
