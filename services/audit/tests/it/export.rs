//! Writes a node's bundle, honestly or with one thing changed before it is signed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use convenio_log::tile::{encode_bundle, entry_tiles};
use convenio_log::{Checkpoint, Note, SignatureType, SignedCheckpoint, TileBuilder, VerifierKey, leaf_hash};
use convenio_seal::SigningKey;
use convenio_wire::exchange::v1::EntryParts;
use prost::Message;

use crate::pair::{CA, Named, Pair, SV, node_name, origin, party};

/// Files of a bundle that is not signed yet.
#[derive(Clone)]
pub struct Draft {
    pub exporter: usize,
    pub kind: &'static str,
    pub files: BTreeMap<String, Vec<u8>>,
    pub logs: Vec<String>,
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}

pub fn folder(node: usize) -> String {
    format!("logs/{}/", sha256(origin(node).as_bytes()))
}

/// What `exporter` holds: its own log whole, the partner's as far as it is delivered.
pub fn draft(pair: &Pair, exporter: usize) -> Draft {
    let mut files = BTreeMap::new();
    let mut logs = Vec::new();
    for node in [CA, SV] {
        let delivered = pair.nodes[node].cosigned.keys().last().copied().unwrap_or(0);
        let size = if node == exporter { pair.nodes[node].log.len() as u64 } else { delivered };
        logs.push(log(pair, node, size, &mut files));
    }
    logs.sort();
    let digest = hex::encode(pair.pack.digest());
    for (path, bytes) in pair.pack.files().iter() {
        files.insert(format!("packs/{digest}/{path}"), bytes.to_vec());
    }
    for node in [SV, CA] {
        let envelope = pair.ratification(node).to_json().into_bytes();
        files.insert(format!("ratifications/{digest}/{}.dsse.json", party(node)), envelope);
    }
    let mut refusals = pair.nodes[exporter].refusals.clone();
    refusals.sort();
    files.insert("evidence/refusals".into(), refusals.concat().into_bytes());
    files.insert("policy".into(), policy(pair).into_bytes());
    Draft { exporter, kind: "full", files, logs }
}

/// What an exporter holds of one log.
#[derive(Clone)]
pub struct Held {
    pub entries: Vec<Vec<u8>>,
    pub parts: BTreeMap<u64, EntryParts>,
    pub checkpoint: SignedCheckpoint,
    pub kept: BTreeMap<u64, SignedCheckpoint>,
}

pub fn held(pair: &Pair, node: usize, size: u64) -> Held {
    let from = &pair.nodes[node];
    Held {
        entries: from.log[..size as usize].to_vec(),
        parts: from.parts.range(..size).map(|(index, parts)| (*index, parts.clone())).collect(),
        checkpoint: from.cosigned.get(&size).cloned().unwrap_or_else(|| pair.head(node, size)),
        kept: from.cosigned.range(..size).map(|(size, note)| (*size, note.clone())).collect(),
    }
}

fn log(pair: &Pair, node: usize, size: u64, files: &mut BTreeMap<String, Vec<u8>>) -> String {
    log_files(node, &held(pair, node, size), files)
}

/// Lays out a log, and returns its line of the manifest.
pub fn log_files(node: usize, held: &Held, files: &mut BTreeMap<String, Vec<u8>>) -> String {
    log_files_of(&origin(node), held, files)
}

/// As [`log_files`], of any origin.
pub fn log_files_of(origin: &str, held: &Held, files: &mut BTreeMap<String, Vec<u8>>) -> String {
    let base = format!("logs/{}/", sha256(origin.as_bytes()));
    let size = held.entries.len() as u64;
    let mut builder = TileBuilder::new();
    for entry in &held.entries {
        for full in builder.append(leaf_hash(entry)) {
            files.insert(format!("{base}{}", full.tile()), full.bytes());
        }
    }
    for (tile, bytes) in builder.partial_tiles() {
        files.insert(format!("{base}{tile}"), bytes);
    }
    for tile in entry_tiles(size) {
        let first = tile.first_entry() as usize;
        let bundled = held.entries[first..first + usize::from(tile.width())].iter().map(Vec::as_slice);
        files.insert(format!("{base}{tile}"), encode_bundle(bundled).unwrap());
    }
    let mut parts: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (index, entry) in held.parts.range(..size) {
        if entry.parts.iter().all(|part| part.part.is_empty()) {
            continue;
        }
        let bytes = entry.encode_to_vec();
        let file = parts.entry(index / 256).or_default();
        file.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        file.extend_from_slice(&bytes);
    }
    files.extend(parts.into_iter().map(|(number, bytes)| (format!("{base}parts/{number:03}"), bytes)));
    let kept = held.kept.iter();
    files.extend(kept.map(|(size, note)| (format!("{base}checkpoints/{size}"), note.to_string().into_bytes())));
    files.insert(format!("{base}checkpoint"), held.checkpoint.to_string().into_bytes());
    let head = Checkpoint::new(origin, size, builder.root()).unwrap().text();
    format!("log {origin} {size} {}\n", head.lines().nth(2).unwrap())
}

fn policy(pair: &Pair) -> String {
    let mut text = String::new();
    for node in [CA, SV] {
        let key = VerifierKey::of(&Named(origin(node), &pair.nodes[node].keys.log), SignatureType::Ed25519);
        text += &format!("log {}\n", key.unwrap());
    }
    for node in [CA, SV] {
        let name = format!("{}/mirror/1", node_name(node));
        let key = VerifierKey::of(&Named(name, &pair.nodes[node].keys.mirror), SignatureType::CosignatureV1);
        text += &format!("witness {} {}\n", party(node), key.unwrap());
    }
    text + "group mirrors any ca sv\nquorum mirrors\n"
}

impl Draft {
    /// Without any part.
    pub fn commitments(mut self) -> Self {
        self.kind = "commitments only";
        self.files.retain(|path, _| !path.contains("/parts/"));
        self
    }

    /// Signs and writes it.
    pub fn write(&self, pair: &Pair, dir: &Path) {
        self.write_as(pair, dir, "convenio-bundle/v1");
    }

    /// As [`Draft::write`], under the name of another format.
    pub fn write_as(&self, pair: &Pair, dir: &Path, format: &str) {
        for (path, bytes) in self.sealed(format, &pair.nodes[self.exporter].keys.log) {
            let target = dir.join(path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, bytes).unwrap();
        }
    }

    /// Every file, manifest and its signature included.
    pub fn sealed(&self, format: &str, key: &SigningKey) -> BTreeMap<String, Vec<u8>> {
        let exporter = format!("exporter {} {}\n", node_name(self.exporter), party(self.exporter));
        let mut manifest = format!("{format}\nkind {}\n{exporter}{}\n", self.kind, self.logs.concat());
        for (path, bytes) in &self.files {
            manifest += &format!("{}  {path}\n", sha256(bytes));
        }
        let mut note = Note::new(format!("{format}\nsha256 {}\n", sha256(manifest.as_bytes()))).unwrap();
        note.sign(&Named(origin(self.exporter), key)).unwrap();
        let mut files = self.files.clone();
        files.insert("manifest".into(), manifest.into_bytes());
        files.insert("manifest.sig".into(), note.to_string().into_bytes());
        files
    }
}
