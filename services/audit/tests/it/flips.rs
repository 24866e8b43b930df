//! Every byte of a small bundle counts.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use convenio_audit::verify;
use tempfile::TempDir;

use crate::export::draft;
use crate::integrity::{job, season, trust};
use crate::pair::{Pair, SV};

/// The agreement's protos, most of them vendored, are a hundred times as long as all else and are guarded by the one
/// rule that guards every file, its hash in the manifest. Every so many of their bytes are enough to see that the rule
/// holds for each file; all other bytes are flipped one by one.
const PACK_STEP: usize = 4_001;

#[test]
fn every_flipped_byte_is_found() {
    let pair = shortest();
    let trust = trust(&pair);
    let whole = draft(&pair, SV);
    let bytes_of = |path: &str| whole.files.get(path).map_or(usize::MAX, Vec::len);
    let mut flips: Vec<(PathBuf, usize)> = Vec::new();
    let first = TempDir::new().unwrap();
    whole.write(&pair, first.path());
    for path in whole.files.keys().map(String::as_str).chain(["manifest", "manifest.sig"]) {
        let length = fs::metadata(first.path().join(path)).unwrap().len() as usize;
        assert!(bytes_of(path) == usize::MAX || bytes_of(path) == length);
        let step = if path.starts_with("packs/") { PACK_STEP } else { 1 };
        flips.extend((0..length).step_by(step).map(|at| (PathBuf::from(path), at)));
    }
    assert!(flips.len() > 10_000, "{}", flips.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let dir = TempDir::new().unwrap();
        whole.write(&pair, dir.path());
        while let Some((path, at)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
            flip(&dir.path().join(path), *at);
            let found = verify(dir.path(), &trust);
            assert!(found.is_ok_and(|found| !found.holds), "{} byte {at}", path.display());
            flip(&dir.path().join(path), *at);
        }
        assert!(verify(dir.path(), &trust).unwrap().holds, "flipping twice restores");
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
}

/// Both logs with parts, outcomes, an entangled checkpoint.
fn shortest() -> Pair {
    let mut pair = Pair::new();
    let one = job(1, None);
    pair.order(&one);
    pair.sync();
    season(&mut pair, &one, &[(SV, "nominate")]);
    pair.entangle(SV);
    pair.sync();
    pair
}

/// One bit, a different one from byte to byte.
fn flip(path: &Path, at: usize) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    byte[0] ^= 1 << (at % 8);
    file.write_all_at(&byte, at as u64).unwrap();
}
