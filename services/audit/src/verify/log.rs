//! One log as a tree: its tiles above the leaves, its checkpoints, what the trust file pins.

use convenio_log::tile::tiles;
use convenio_log::{Hash, MemoryTree, SignedCheckpoint, TileBuilder, proof};
use convenio_seal::TrustFile;

use super::CheckedLog;
use super::chunk::Chunk;
use crate::bundle::{Bundle, LogLine, MAX_FILE, log_folder};
use crate::keys::{LogKeys, cosigned};
use crate::problem::{Check, Problem, Problems};

/// Puts the chunks of a log together and checks it as a whole.
pub(super) fn assemble(
    bundle: &Bundle,
    line: &LogLine,
    keys: Option<&LogKeys>,
    chunks: Vec<Chunk>,
    problems: &mut Problems,
) -> CheckedLog {
    let mut log = CheckedLog {
        line: line.clone(),
        keys: keys.cloned(),
        tree: MemoryTree::new(),
        metas: Vec::new(),
        specials: Vec::new(),
        delivered: 0,
        decisions: Vec::new(),
        reasons: Default::default(),
    };
    let mut builder = TileBuilder::new();
    for (chunk, at) in chunks.into_iter().zip(0u64..) {
        problems.append(chunk.problems);
        // A chunk that could not be read ends what can be said: its hash is reported.
        if builder.size() != at * 256 {
            continue;
        }
        for leaf in chunk.leaves {
            log.tree.append(leaf);
            for full in builder.append(leaf) {
                if full.tile().level() > 0 {
                    check_tile(bundle, line, &full.tile().to_string(), &full.bytes(), problems);
                }
            }
        }
        log.metas.extend(chunk.metas);
        log.specials.extend(chunk.specials);
    }
    log.decisions = vec![super::Decision::default(); log.metas.len()];
    if builder.size() == line.size {
        for (tile, bytes) in builder.partial_tiles().filter(|(tile, _)| tile.level() > 0) {
            check_tile(bundle, line, &tile.to_string(), &bytes, problems);
        }
        if builder.root() != line.root {
            let text = "the entries have another root than the manifest names";
            problems.push(Problem::new(Check::Checkpoint, text).of(&line.name));
        }
    } else if keys.is_some() {
        let text = format!("{} of {} entries can be read", builder.size(), line.size);
        problems.push(Problem::new(Check::Sequence, text).of(&line.name));
    }
    if let Some(missing) = first_missing_tile(bundle, line) {
        problems.push(Problem::new(Check::MissingFile, "the manifest does not name it").at(missing));
    }
    checkpoints(bundle, line, keys, &mut log, problems);
    log
}

fn first_missing_tile(bundle: &Bundle, line: &LogLine) -> Option<String> {
    let folder = log_folder(&line.name);
    tiles(line.size).map(|tile| format!("{folder}{tile}")).find(|path| !bundle.lists(path))
}

fn check_tile(bundle: &Bundle, line: &LogLine, tile: &str, expected: &[u8], problems: &mut Problems) {
    let path = format!("{}{tile}", log_folder(&line.name));
    if let Some(bytes) = bundle.read(&path, MAX_FILE, problems)
        && bytes != expected
    {
        let text = "holds other hashes than the tiles below it have";
        problems.push(Problem::new(Check::Tile, text).of(&line.name).at(path));
    }
}

/// The latest checkpoint and the kept ones.
fn checkpoints(bundle: &Bundle, line: &LogLine, keys: Option<&LogKeys>, log: &mut CheckedLog, problems: &mut Problems) {
    let folder = log_folder(&line.name);
    let latest = format!("{folder}checkpoint");
    let size = one(bundle, line, keys, log, &latest, problems);
    if size.is_some_and(|size| size != line.size) {
        let text = "the checkpoint is of another size than the manifest names";
        problems.push(Problem::new(Check::Checkpoint, text).of(&line.name).at(&latest));
    }
    let own = line.origin.issuer == bundle.manifest().node;
    if !own && size.is_some() && log.delivered < line.size {
        let text = "the exporter's mirror has not cosigned all that it exports of its partner's log";
        problems.push(Problem::new(Check::Cosignature, text).of(&line.name).at(&latest));
    }
    let kept = format!("{folder}checkpoints/");
    let paths: Vec<String> = bundle.below(&kept).map(str::to_owned).collect();
    for path in paths {
        let size = one(bundle, line, keys, log, &path, problems);
        if size.is_some_and(|size| path[kept.len()..] != size.to_string() || size >= line.size) {
            let text = "the checkpoint is of another size than its name, or not an earlier one";
            problems.push(Problem::new(Check::Checkpoint, text).of(&line.name).at(&path));
        }
    }
}

/// Checks one checkpoint; returns its size.
fn one(
    bundle: &Bundle,
    line: &LogLine,
    keys: Option<&LogKeys>,
    log: &mut CheckedLog,
    path: &str,
    problems: &mut Problems,
) -> Option<u64> {
    let bytes = bundle.read(path, MAX_FILE, problems)?;
    let mut bad = |check, text: String| problems.push(Problem::new(check, text).of(&line.name).at(path));
    let signed = match SignedCheckpoint::parse(&bytes) {
        Ok(signed) if signed.to_string().as_bytes() == bytes => signed,
        Ok(_) => {
            bad(Check::Checkpoint, "not in its one spelling".into());
            return None;
        }
        Err(error) => {
            bad(Check::Checkpoint, error.to_string());
            return None;
        }
    };
    let head = signed.checkpoint();
    let keys = keys?;
    if let Err(error) = signed.verify_log(&keys.log) {
        bad(Check::Checkpoint, error.to_string());
        return None;
    }
    if root_at(&log.tree, head.size()) != Some(head.root()) {
        bad(Check::Checkpoint, "names another root than the log has at that size".into());
    }
    if let Some(mirror) = &keys.mirror {
        match cosigned(&signed, &line.origin.recipient, mirror, keys.witness.as_ref()) {
            Ok(Some(_)) => log.delivered = log.delivered.max(head.size()),
            Ok(None) => {}
            Err(error) => bad(Check::Cosignature, error.to_string()),
        }
    }
    Some(head.size())
}

/// The root of the first `size` entries; none if there are not so many.
pub(crate) fn root_at(tree: &MemoryTree, size: u64) -> Option<Hash> {
    if size > tree.size() {
        return None;
    }
    proof::root_from(tree, size).ok()
}

/// What the trust file pins must stand in the logs of the agreements that are here.
pub(super) fn pinned(logs: &[CheckedLog], trust: &TrustFile, problems: &mut Problems) {
    for pin in &trust.checkpoints {
        let name = pin.origin.to_string();
        let bad = |text: &str| Problem::new(Check::Pinned, text).of(&name);
        let log = logs.iter().find(|log| log.line.name == name);
        let nodes = [&pin.origin.issuer, &pin.origin.recipient];
        let same = |log: &&CheckedLog| {
            let origin = &log.line.origin;
            origin.agreement == pin.origin.agreement
                && nodes.iter().all(|n| **n == origin.issuer || **n == origin.recipient)
        };
        match log {
            Some(log) if log.tree.size() < pin.size => {
                problems.push(bad("the log is shorter than the pinned checkpoint"))
            }
            Some(log) if root_at(&log.tree, pin.size) != Some(Hash::from(pin.root)) => {
                problems.push(bad("the log has another root than the pinned checkpoint"));
            }
            Some(_) => {}
            None if logs.iter().any(|log| same(&log)) => problems.push(bad("the pinned log is not in the bundle")),
            None => {}
        }
    }
}
