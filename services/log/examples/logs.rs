//! Writes logs of given sizes as a node exports them, for the oracles of `services/testkit/oracles`.
//!
//! ```text
//! cargo run -p convenio-log --example logs -- OUT 0 1 255 256 257
//!
//! OUT/<size>/keys                     `log <vkey>`, `mirror <vkey>`, `witness <vkey>`
//! OUT/<size>/checkpoint               cosigned by mirror and witness
//! OUT/<size>/checkpoints/<older>      kept earlier ones
//! OUT/<size>/tile/…                   tiles and entry bundles
//! OUT/<size>/receipts/<index>         tlog-proof of some entries
//! OUT/<size>/submissions/<older>      the body of add-checkpoint from each earlier size
//! ```
//!
//! Keys and entries follow from the size alone: two runs write the same bytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::Ed25519KeyPair;
use convenio_log::tile::{append_entry, entry_tiles};
use convenio_log::witness::AddCheckpoint;
use convenio_log::{
    Checkpoint, Ed25519Signer, MemoryTree, SignatureType, SignedCheckpoint, TileBuilder, TlogProof, VerifierKey,
    cosignature, leaf_hash,
};

type Failure = Box<dyn std::error::Error>;

const ORIGIN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
/// When the cosigners sign, Unix seconds.
const TIME: u64 = 1_767_225_600;

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let out = PathBuf::from(words.next().ok_or("usage: logs OUT SIZE…")?);
    for size in words {
        let size = size.parse()?;
        Sample::new(size)?.write(&out.join(size.to_string()))?;
    }
    Ok(())
}

/// A log with its tree and those who sign it.
struct Sample {
    entries: Vec<Vec<u8>>,
    tree: MemoryTree,
    log: Ed25519Signer,
    cosigners: [(&'static str, Ed25519Signer); 2],
}

impl Sample {
    fn new(size: u64) -> Result<Self, Failure> {
        let entries: Vec<Vec<u8>> = (0..size).map(entry).collect();
        let tree = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let cosigners =
            [("mirror", signer("node.ca.example/mirror/1", 2)?), ("witness", signer("witness.example/w1", 3)?)];
        Ok(Self { entries, tree, log: signer(ORIGIN, 1)?, cosigners })
    }

    fn write(&self, dir: &Path) -> Result<(), Failure> {
        let size = self.entries.len() as u64;
        put(&dir.join("keys"), self.keys()?.as_bytes())?;
        let head = self.checkpoint(size)?;
        put(&dir.join("checkpoint"), head.to_string().as_bytes())?;
        let older: BTreeSet<u64> = [0, 1, size / 3, size / 2, size.saturating_sub(1)].into();
        for older in older.range(..size) {
            let kept = self.checkpoint(*older)?;
            put(&dir.join(format!("checkpoints/{older}")), kept.to_string().as_bytes())?;
            let submission = AddCheckpoint::prove(&self.tree, *older, head.clone())?;
            put(&dir.join(format!("submissions/{older}")), submission.to_string().as_bytes())?;
        }
        let proven: BTreeSet<u64> = [0, 1, 254, 255, 256, size / 2, size.saturating_sub(1)].into();
        for index in proven.range(..size) {
            let receipt = TlogProof::new(&self.tree, *index, head.clone())?;
            put(&dir.join(format!("receipts/{index}")), receipt.to_string().as_bytes())?;
        }
        self.write_tiles(dir)
    }

    fn write_tiles(&self, dir: &Path) -> Result<(), Failure> {
        let mut builder = TileBuilder::new();
        for leaf in self.tree.leaves() {
            for full in builder.append(*leaf) {
                put(&dir.join(full.tile().to_string()), &full.bytes())?;
            }
        }
        for (tile, bytes) in builder.partial_tiles() {
            put(&dir.join(tile.to_string()), &bytes)?;
        }
        let mut entries = self.entries.iter();
        for tile in entry_tiles(builder.size()) {
            let mut bundle = Vec::new();
            for entry in entries.by_ref().take(tile.width().into()) {
                append_entry(&mut bundle, entry)?;
            }
            put(&dir.join(tile.to_string()), &bundle)?;
        }
        Ok(())
    }

    fn checkpoint(&self, size: u64) -> Result<SignedCheckpoint, Failure> {
        let root = convenio_log::proof::root_from(&self.tree, size)?;
        let mut signed = Checkpoint::new(ORIGIN, size, root)?.sign(&self.log)?;
        for (_, cosigner) in &self.cosigners {
            cosignature::append(&mut signed, cosigner, TIME + size)?;
        }
        Ok(signed)
    }

    fn keys(&self) -> Result<String, Failure> {
        let mut lines = format!("log {}\n", VerifierKey::of(&self.log, SignatureType::Ed25519)?);
        for (role, cosigner) in &self.cosigners {
            lines += &format!("{role} {}\n", VerifierKey::of(cosigner, SignatureType::CosignatureV1)?);
        }
        Ok(lines)
    }
}

fn signer(name: &str, seed: u8) -> Result<Ed25519Signer, Failure> {
    Ok(Ed25519Signer::new(name, Ed25519KeyPair::from_seed_unchecked(&[seed; 32])?)?)
}

/// Entry `index`: none to 400 bytes, different from every other but for the empty ones.
fn entry(index: u64) -> Vec<u8> {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let length = (mixed >> 32) as usize % 400;
    mixed.to_be_bytes().into_iter().cycle().take(length).collect()
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, bytes)?)
}
