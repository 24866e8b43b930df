//! Bundles that are made to exhaust or to stop the auditor; whoever carries a bundle can make them without any key.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use convenio_audit::{Check, Unusable, Verification, verify};
use convenio_log::tile::encode_bundle;
use tempfile::TempDir;

use crate::export::{Draft, draft, folder};
use crate::integrity::{story, trust};
use crate::pair::{CA, Pair, SV};

/// Longest that any of these small bundles may take; without an end it would be for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Verifies on another thread, so that what never ends fails here.
fn verified(pair: &Pair, dir: &Path) -> Result<Verification, Unusable> {
    let (sender, receiver) = mpsc::channel();
    let (dir, trust) = (dir.to_owned(), trust(pair));
    std::thread::spawn(move || drop(sender.send(verify(&dir, &trust))));
    receiver.recv_timeout(PATIENCE).expect("the verification ends")
}

fn written(pair: &Pair, draft: &Draft) -> TempDir {
    let dir = TempDir::new().unwrap();
    draft.write(pair, dir.path());
    dir
}

#[test]
fn repro_a_size_in_the_manifest_takes_no_memory_before_the_files_bear_it_out() {
    let pair = story();
    let mut forged = draft(&pair, SV);
    // What opens the log is genuine, so that the manifest's signature is not what stops the reading.
    let mut entries = vec![pair.nodes[CA].log[0].as_slice()];
    entries.resize(256, b"filler");
    let tile = format!("{}tile/entries/000", folder(CA));
    forged.files.insert(tile, encode_bundle(entries).unwrap());
    let line = forged.logs.iter_mut().find(|line| line.contains("node.ca.example/agreements")).unwrap();
    let fields: Vec<&str> = line.split(' ').collect();
    *line = format!("log {} {} {}", fields[1], 1u64 << 62, fields[3]);
    let dir = written(&pair, &forged);
    let found = verified(&pair, dir.path()).unwrap();
    assert_eq!(found.problems.iter().map(|p| p.check).collect::<Vec<_>>(), [Check::Manifest], "{:#?}", found.problems);
}

#[test]
fn repro_a_pipe_in_place_of_a_file_does_not_stop_the_auditor() {
    let pair = story();
    let first = format!("{}tile/entries/000.p/{}", folder(SV), pair.nodes[SV].log.len());
    for path in ["manifest", "manifest.sig", &first, "policy"] {
        let dir = written(&pair, &draft(&pair, SV));
        let path = dir.path().join(path);
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(verified(&pair, dir.path()).is_ok_and(|found| !found.holds), "{}", path.display());
    }
}

#[test]
fn repro_a_file_without_end_is_not_read() {
    let pair = story();
    let mut whole = draft(&pair, SV);
    whole.files.insert("rows".into(), Vec::new());
    for path in [format!("{}parts/000", folder(SV)), "rows".into(), "policy".into()] {
        let dir = written(&pair, &whole);
        File::options().write(true).open(dir.path().join(&path)).unwrap().set_len(1 << 40).unwrap();
        let found = verified(&pair, dir.path()).unwrap();
        let told: Vec<_> = found.problems.iter().map(|p| (p.check, p.path.as_deref())).collect();
        assert!(told.contains(&(Check::Hash, Some(&*path))), "{path}: {told:?}");
    }
}
