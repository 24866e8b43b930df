//! Bundles of each released format, kept as they were exported: they verify for ever.
//!
//! `tests/golden/<format>/` holds `trust`, and `sv` and `ca` without their packs; those stand once for all formats in
//! `tests/golden/packs/<digest>/`. `cargo xtask golden` writes the present format's anew, before its release only.

use std::fs;
use std::path::{Path, PathBuf};

use convenio_audit::{compare, load_trust};
use convenio_wire::exchange::v1::Erase;
use convenio_wire::exchange::v1::statement::Body;
use tempfile::TempDir;

use crate::export::draft;
use crate::integrity::{job, season};
use crate::pair::{CA, Pair, SV, origin, pack, party};

/// The format that `write` writes.
const PRESENT: &str = "v1";

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn bundles_of_every_released_format_hold() {
    let formats: Vec<PathBuf> = fs::read_dir(home())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("trust").is_file())
        .collect();
    assert!(formats.contains(&home().join(PRESENT)), "{formats:?}");
    for format in formats {
        let trust = load_trust(&format.join("trust")).unwrap();
        assert_eq!(trust.checkpoints.len(), 2, "both logs are pinned");
        let dir = TempDir::new().unwrap();
        let [sv, ca] = ["sv", "ca"].map(|state| whole(&format, state, &dir.path().join(state)));
        let both = compare(&sv, &ca, &trust).unwrap();
        assert!(both.holds, "{}: {:#?} {:#?} {:#?}", format.display(), both.a.problems, both.b.problems, both.problems);
        assert_eq!((both.placements, both.logs.len()), (1, 2));
        // What holds for ever must not have become what holds always.
        let path = ca.join("policy");
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(path, bytes).unwrap();
        assert!(!compare(&sv, &ca, &trust).unwrap().holds);
    }
}

/// Puts a state's bundle together with its packs.
fn whole(format: &Path, state: &str, to: &Path) -> PathBuf {
    copy(&format.join(state), to);
    let manifest = fs::read_to_string(to.join("manifest")).unwrap();
    for pack in fs::read_dir(home().join("packs")).unwrap() {
        let pack = pack.unwrap();
        let digest = pack.file_name().into_string().unwrap();
        if manifest.contains(&format!("  packs/{digest}/")) {
            copy(&pack.path(), &to.join("packs").join(digest));
        }
    }
    to.to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target)
        } else {
            let _ = fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
#[ignore = "writes the repository: cargo xtask golden"]
fn write() {
    let pair = past();
    let home = home().join(PRESENT);
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).unwrap();
    for node in [SV, CA] {
        for (path, bytes) in draft(&pair, node).sealed("convenio-bundle/v1", &pair.nodes[node].keys.log) {
            let below = if path.starts_with("packs/") { "..".to_owned() } else { party(node).to_owned() };
            let target = home.join(below).join(path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, bytes).unwrap();
        }
    }
    let pin = |node: usize| {
        let (size, note) = pair.nodes[node].cosigned.iter().next_back().unwrap();
        format!("checkpoint {} {size} {}\n", origin(node), note.checkpoint().text().lines().nth(2).unwrap())
    };
    fs::write(home.join("trust"), format!("{}{}{}", pair.trust(), pin(SV), pin(CA))).unwrap();
}

/// A season with everything that a bundle may hold: parts, an erasure, entangled checkpoints.
fn past() -> Pair {
    let mut pair = Pair::seeded(pack(), 2026);
    let one = job(1, None);
    pair.order(&one);
    pair.sync();
    season(&mut pair, &one, &[(SV, "nominate"), (CA, "offer"), (CA, "contract_offered"), (SV, "contract")]);
    pair.entangle(SV);
    pair.entangle(CA);
    pair.sync();
    let (index, parts) = pair.nodes[SV].parts.iter_mut().next().unwrap();
    parts.parts[1] = Default::default();
    let erased = convenio_seal::open_entry(&pair.nodes[SV].log[*index as usize]).unwrap().statement.record_id;
    pair.append(SV, Body::Erase(Erase { record_id: erased, part: 1, ground: "REQUEST".into() }), Vec::new());
    pair.sync();
    pair
}
