//! The files of a log while it grows, and the bundles of both sides: the second one links the files of the first.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use convenio_log::tile::{EntryTile, append_entry};
use convenio_log::{Checkpoint, Note, SignatureType, TileBuilder, VerifierKey, leaf_hash};
use convenio_wire::exchange::v1::EntryParts;
use prost::Message;

use crate::season::{CA, Exchange, NODES, Named, SV, origin};

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}

/// A log and the files that it has filled.
pub struct LogWriter {
    dir: PathBuf,
    origin: String,
    folder: String,
    builder: TileBuilder,
    entries: Vec<u8>,
    parts: Vec<u8>,
    files: Vec<(String, String)>,
}

impl LogWriter {
    pub fn new(dir: &Path, origin: &str) -> Self {
        let folder = format!("logs/{}/", sha256(origin.as_bytes()));
        let (builder, entries, parts, files) = Default::default();
        Self { dir: dir.to_owned(), origin: origin.to_owned(), folder, builder, entries, parts, files }
    }

    pub fn size(&self) -> u64 {
        self.builder.size()
    }

    pub fn head(&self) -> Checkpoint {
        Checkpoint::new(self.origin.as_str(), self.size(), self.builder.root()).expect("a sound origin")
    }

    pub fn append(&mut self, entry: &[u8], parts: EntryParts) {
        append_entry(&mut self.entries, entry).expect("a short entry");
        if !parts.parts.is_empty() {
            let bytes = parts.encode_to_vec();
            self.parts.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            self.parts.extend_from_slice(&bytes);
        }
        for full in self.builder.append(leaf_hash(entry)) {
            if full.tile().level() == 0 {
                self.chunk();
            }
            self.write(&full.tile().to_string(), &full.bytes());
        }
    }

    /// Writes the entry bundle and the parts of the chunk that ends here.
    fn chunk(&mut self) {
        let tile = EntryTile::at((self.size() - 1) / 256, self.size()).expect("not empty");
        let entries = std::mem::take(&mut self.entries);
        self.write(&tile.to_string(), &entries);
        let parts = std::mem::take(&mut self.parts);
        if !parts.is_empty() {
            let full = EntryTile::new(tile.index(), 256).expect("a whole tile").to_string();
            self.write(&full.replacen("tile/entries/", "parts/", 1), &parts);
        }
    }

    fn write(&mut self, name: &str, bytes: &[u8]) {
        let path = format!("{}{name}", self.folder);
        put(&self.dir.join(&path), bytes);
        self.files.push((path, sha256(bytes)));
    }

    /// Writes what is not full yet, and the head.
    fn finish(&mut self, head: &str) {
        if !self.entries.is_empty() {
            self.chunk();
        }
        let partial: Vec<_> = self.builder.partial_tiles().collect();
        partial.into_iter().for_each(|(tile, bytes)| self.write(&tile.to_string(), &bytes));
        self.write("checkpoint", head.as_bytes());
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("within the bundle")).expect("a folder can be made");
    fs::write(path, bytes).expect("a file can be written");
}

/// Writes `sv`, `ca` and `trust` below `dir`; the logs were written to `sv` while they grew.
pub fn write(exchange: &mut Exchange, dir: &Path) {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut heads = Vec::new();
    for node in [SV, CA] {
        let head = exchange.nodes[node].head.clone().expect("cosigned");
        exchange.nodes[node].log.finish(&head.to_string());
        let root = head.checkpoint().text();
        heads.push(format!(
            "log {} {} {}\n",
            origin(node),
            head.checkpoint().size(),
            root.lines().nth(2).unwrap_or("")
        ));
        files.append(&mut exchange.nodes[node].log.files);
    }
    heads.sort();
    let sv = dir.join("sv");
    let mut small = |path: String, bytes: &[u8]| {
        put(&sv.join(&path), bytes);
        files.push((path, sha256(bytes)));
    };
    let digest = hex::encode(exchange.pack.digest());
    for (path, bytes) in exchange.pack.files().iter() {
        small(format!("packs/{digest}/{path}"), bytes);
    }
    for node in [SV, CA] {
        let envelope = exchange.ratification(node).to_json();
        small(format!("ratifications/{digest}/{}.dsse.json", NODES[node].0), envelope.as_bytes());
    }
    small("evidence/refusals".into(), b"");
    small("policy".into(), policy(exchange).as_bytes());
    files.sort();
    for (path, _) in &files {
        let target = dir.join("ca").join(path);
        fs::create_dir_all(target.parent().expect("within the bundle")).expect("a folder can be made");
        fs::hard_link(sv.join(path), target).expect("one file system");
    }
    for node in [SV, CA] {
        let (party, name) = NODES[node];
        let mut manifest = format!("convenio-bundle/v1\nkind full\nexporter {name} {party}\n{}\n", heads.concat());
        files.iter().for_each(|(path, hash)| manifest.push_str(&format!("{hash}  {path}\n")));
        let text = format!("convenio-bundle/v1\nsha256 {}\n", sha256(manifest.as_bytes()));
        let mut note = Note::new(text).expect("two lines");
        note.sign(&Named(origin(node), &exchange.nodes[node].keys.log)).expect("one signature");
        fs::write(dir.join(party).join("manifest"), manifest).expect("a file can be written");
        fs::write(dir.join(party).join("manifest.sig"), note.to_string()).expect("a file can be written");
    }
    let root = |node: usize| format!("root {} 1 {}\n", NODES[node].0, exchange.nodes[node].root.public().spki_base64());
    let trust = format!("agreement sv-ca {digest}\n{}{}", root(SV), root(CA));
    fs::write(dir.join("trust"), trust).expect("a file can be written");
}

fn policy(exchange: &Exchange) -> String {
    let mut text = String::new();
    for node in [CA, SV] {
        let key = VerifierKey::of(&Named(origin(node), &exchange.nodes[node].keys.log), SignatureType::Ed25519);
        text += &format!("log {}\n", key.expect("a sound name"));
    }
    for node in [CA, SV] {
        let mirror = Named(format!("{}/mirror/1", NODES[node].1), &exchange.nodes[node].keys.mirror);
        let key = VerifierKey::of(&mirror, SignatureType::CosignatureV1).expect("a sound name");
        text += &format!("witness {} {key}\n", NODES[node].0);
    }
    text + "group mirrors any ca sv\nquorum mirrors\n"
}
