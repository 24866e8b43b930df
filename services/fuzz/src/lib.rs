//! What must hold of every parser, whatever bytes it is given: it never panics, and what it accepts it writes again
//! as it stood. One function for each format, which `cargo xtask fuzz` hands to libFuzzer (`libfuzzer/`), and an
//! ordinary test plays over the corpus and thousands of its mutations (`tests/`).
//!
//! A function panics where its format is broken; that is what both look for.

use convenio_agreement::Pack;
use convenio_agreement::digest::Files;
use convenio_log::tile::{encode_bundle, parse_bundle};
use convenio_log::witness::{self, AddCheckpoint, Answer, Decision};
use convenio_log::{
    EntryTile, Hash, Note, NoteSignature, Policy, SignedCheckpoint, Tile, TlogProof, VerifierKey, proof,
};
use convenio_seal::{Envelope, LogOrigin, ManifestKeys, TrustFile, open_entry};

/// A format: the folder of its corpus, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// Every format, by name.
pub const TARGETS: &[Target] = &[
    ("checkpoint", checkpoint),
    ("entry", entry),
    ("entry_bundle", entry_bundle),
    ("envelope", envelope),
    ("key_manifest", key_manifest),
    ("note", note),
    ("origin", origin),
    ("pack", pack),
    ("policy", policy),
    ("proof", proofs),
    ("tile_path", tile_path),
    ("tlog_proof", tlog_proof),
    ("trust", trust),
    ("vkey", vkey),
    ("witness_answer", witness_answer),
    ("witness_request", witness_request),
];

/// Plays the target of that name; none is not a format.
///
/// # Panics
/// If the format is broken, or there is no such target.
pub fn play(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of the list");
    target(bytes);
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
        for line in note.signatures() {
            assert_eq!(NoteSignature::parse_line(&line.to_string()).as_ref(), Ok(line));
        }
    }
}

fn checkpoint(bytes: &[u8]) {
    if let Ok(signed) = SignedCheckpoint::parse(bytes) {
        assert_eq!(signed.to_string().as_bytes(), bytes);
        assert_eq!(signed.checkpoint().text(), signed.note().text());
    }
}

fn vkey(bytes: &[u8]) {
    if let Ok(key) = text(bytes).parse::<VerifierKey>() {
        assert_eq!(key.to_string().as_bytes(), bytes);
        assert!(key.verify("text\n", &[0; 64]).is_err());
    }
}

fn tlog_proof(bytes: &[u8]) {
    if let Ok(receipt) = TlogProof::parse(bytes) {
        assert_eq!(receipt.to_string().as_bytes(), bytes);
        let head = receipt.checkpoint().checkpoint();
        let leaf = Hash::from([7; 32]);
        assert!(proof::verify_inclusion(receipt.hashes(), &leaf, receipt.index(), head.size(), &head.root()).is_err());
    }
}

fn policy(bytes: &[u8]) {
    if let Ok(policy) = Policy::parse(bytes) {
        assert_eq!(Policy::parse(policy.to_string().as_bytes()), Ok(policy));
    }
}

fn tile_path(bytes: &[u8]) {
    let path = text(bytes);
    if let Ok(tile) = Tile::parse(path) {
        assert_eq!(tile.to_string(), path);
    }
    if let Ok(tile) = EntryTile::parse(path) {
        assert_eq!(tile.to_string(), path);
    }
}

/// The first two bytes are the width.
fn entry_bundle(bytes: &[u8]) {
    let Some((width, bundle)) = bytes.split_first_chunk() else { return };
    let width = u16::from_be_bytes(*width);
    if let Ok(entries) = parse_bundle(bundle, width) {
        assert_eq!(entries.len(), usize::from(width));
        assert_eq!(encode_bundle(entries).as_deref(), Ok(bundle));
    }
}

/// Index, size, older size, leaf and root, then hashes.
fn proofs(bytes: &[u8]) {
    let Some((numbers, rest)) = bytes.split_first_chunk::<24>() else { return };
    let number = |at: usize| numbers[at * 8..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let hashes: Vec<Hash> = rest.chunks_exact(32).filter_map(|chunk| Hash::try_from(chunk).ok()).collect();
    let [leaf, root, hashes @ ..] = hashes.as_slice() else { return };
    let (index, size, old) = (number(0), number(1), number(2));
    // Whatever holds, holds for one root alone.
    let other = convenio_log::leaf_hash(bytes);
    if proof::verify_inclusion(hashes, leaf, index, size, root).is_ok() {
        assert!(index < size);
        assert!(proof::verify_inclusion(hashes, leaf, index, size, &other).is_err());
    }
    if proof::verify_consistency(hashes, old, leaf, size, root).is_ok() {
        assert!(old <= size);
        assert!(proof::verify_consistency(hashes, old, leaf, size, &other).is_err() || old == 0);
    }
}

fn witness_request(bytes: &[u8]) {
    match AddCheckpoint::parse(bytes) {
        Ok(request) => {
            assert_eq!(request.to_string().as_bytes(), bytes);
            assert_eq!(witness::decide(None, &request, &[]), Decision::UnknownOrigin);
        }
        Err(error) => assert!([400, 422].contains(&error.status())),
    }
}

/// The first two bytes are the status.
fn witness_answer(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_first_chunk() else { return };
    let status = u16::from_be_bytes(*status);
    match Answer::parse(status, Some(witness::SIZE_TYPE), body) {
        Ok(Answer::Cosigned(lines)) => assert_eq!(witness::lines(&lines).as_bytes(), body),
        Ok(Answer::Conflict { size }) => assert_eq!(format!("{size}\n").as_bytes(), body),
        _ => {}
    }
}

fn entry(bytes: &[u8]) {
    // Canonical: the bytes that are hashed are the only ones that say this. The check is `open_entry`'s own.
    if let Ok(opened) = open_entry(bytes) {
        assert!(!opened.entry.statement.is_empty() || opened.statement == Default::default());
    }
}

fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::parse(bytes) {
        let again = Envelope::parse(envelope.to_json().as_bytes()).expect("what was written is read");
        assert_eq!(again.to_json(), envelope.to_json());
    }
}

fn trust(bytes: &[u8]) {
    if let Ok(file) = TrustFile::parse(text(bytes)) {
        let again = TrustFile::parse(&file.to_string()).expect("what was written is read");
        assert_eq!(again.to_string(), file.to_string());
    }
}

fn key_manifest(bytes: &[u8]) {
    if let Ok(keys) = ManifestKeys::parse(bytes) {
        assert!(!keys.party.is_empty() && !keys.node.is_empty());
    }
}

fn origin(bytes: &[u8]) {
    if let Ok(origin) = text(bytes).parse::<LogOrigin>() {
        assert_eq!(origin.to_string().as_bytes(), bytes);
    }
}

/// What stands between an agreement's configuration and its schema.
const BETWEEN: &[u8] = b"\n%%\n";

/// Files that every pack carries; of the rules' own schema only what makes a pack cheap to read.
const SHARED: &[(&str, &[u8])] = &[
    ("buf/validate/validate.proto", include_bytes!("../shared/validate.proto")),
    ("convenio/agreement/v1/options.proto", include_bytes!("../../../proto/convenio/agreement/v1/options.proto")),
    ("convenio/type/v1/value.proto", include_bytes!("../../../proto/convenio/type/v1/value.proto")),
    ("google/protobuf/descriptor.proto", include_bytes!("../../../proto/google/protobuf/descriptor.proto")),
];

/// The files of a pack out of its configuration and schema; `None` where the two are not set apart.
#[must_use]
pub fn pack_files(bytes: &[u8]) -> Option<Files> {
    let at = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN)?;
    let mut files = Files::new();
    let own = [
        ("agreements/hostile/agreement.toml", &bytes[..at]),
        ("agreements/hostile/hostile.proto", &bytes[at + BETWEEN.len()..]),
    ];
    for (path, bytes) in SHARED.iter().chain(&own) {
        files.insert(path, bytes.to_vec()).ok()?;
    }
    Some(files)
}

/// Configuration and schema of a pack, as a partner hands them over.
fn pack(bytes: &[u8]) {
    let Some(files) = pack_files(bytes) else { return };
    match Pack::from_files(files.clone()) {
        Ok(pack) => assert_eq!(pack.digest(), files.digest()),
        Err(error) => assert!(!error.problem.is_empty() && !error.problem.contains('\n') && !error.rule.is_empty()),
    }
}
