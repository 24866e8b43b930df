//! The keys of a bundle's logs: authorised by the roots in EPOCH_OPEN and KEY_ROTATE, and by nothing else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use convenio_log::tile::{EntryTile, parse_bundle};
use convenio_log::{Note, SignatureType, SignedCheckpoint, VerifierKey};
use convenio_seal::rotation::verify_key_rotate;
use convenio_seal::{ManifestKeys, PublicKey, TrustFile, open_entry, verify_epoch_open};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{EpochOpen, KeyRotate};

use crate::bundle::{Bundle, LogLine, MANIFEST, MAX_FILE, Opened, SIGNATURE, log_folder};
use crate::problem::{Check, OTHER_MANIFEST, Problem, Problems, Unusable};

/// Key manifests of one node that its roots authorised, by version. Of one version there may be several, against the rules:
/// all are kept, in an order that does not depend on which was read first.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    versions: BTreeMap<(u64, String, [[u8; 32]; 4]), ManifestKeys>,
}

impl Ring {
    /// The keys of a version; of several the first by their bytes.
    #[must_use]
    pub fn version(&self, version: u64) -> Option<&ManifestKeys> {
        let first = self.versions.range((version, String::new(), [[0; 32]; 4])..).next();
        first.map(|(_, keys)| keys).filter(|keys| keys.version == version)
    }

    /// All of them, by version.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &ManifestKeys> {
        self.versions.values()
    }

    /// Adds a manifest. False if there is another one of its version.
    fn add(&mut self, keys: ManifestKeys) -> bool {
        let other = self.versions.values().any(|known| known.version == keys.version && *known != keys);
        let bytes = [keys.record, keys.log, keys.mirror, keys.witness].map(|key| key.raw());
        self.versions.entry((keys.version, keys.party.clone(), bytes)).or_insert(keys);
        !other
    }

    fn record(&self, key_id: &[u8]) -> Option<PublicKey> {
        self.versions.values().map(|keys| keys.record).find(|key| key.key_id() == key_id)
    }
}

/// The rings of all nodes; grows while logs are read.
#[derive(Debug, Default)]
pub(crate) struct KeyBook {
    rings: RwLock<BTreeMap<String, Ring>>,
}

impl KeyBook {
    /// Adds a manifest. False if the node has another one of that version.
    pub(crate) fn add(&self, keys: ManifestKeys) -> bool {
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        rings.entry(keys.node.clone()).or_default().add(keys)
    }

    /// Adds a manifest that a rotation brings, if it is of the party that opened the node's logs.
    pub(crate) fn add_rotated(&self, keys: ManifestKeys) {
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = rings.get_mut(&keys.node)
            && ring.all().any(|known| known.party == keys.party)
        {
            ring.add(keys);
        }
    }

    /// Manifests in all.
    pub(crate) fn len(&self) -> usize {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.values().map(|ring| ring.versions.len()).sum()
    }

    /// The ring of a node; empty if it has none.
    pub(crate) fn ring(&self, node: &str) -> Ring {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(node).cloned().unwrap_or_default()
    }

    /// Party and node of every manifest for which `wanted` holds.
    pub(crate) fn named(&self, wanted: impl Fn(&ManifestKeys) -> bool) -> Vec<(String, String)> {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        let all = rings.values().flat_map(Ring::all).filter(|keys| wanted(keys));
        all.map(|keys| (keys.party.clone(), keys.node.clone())).collect()
    }

    /// The record key of a node that a signature names.
    pub(crate) fn record(&self, node: &str, key_id: &[u8]) -> Option<PublicKey> {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(node)?.record(key_id)
    }
}

/// What opens a log.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The keys that act from its first entry on.
    pub keys: ManifestKeys,
    /// The first entry's body.
    pub open: EpochOpen,
}

/// Reads and verifies the EPOCH_OPEN of every log, in the manifest's order; none where it is not good.
pub(crate) fn openings(
    bundle: &Bundle,
    trust: &TrustFile,
    book: &KeyBook,
    problems: &mut Problems,
) -> Vec<Option<Opening>> {
    let mut opened = Vec::new();
    for line in &bundle.manifest().logs {
        let opening = open_log(bundle, line, trust, problems);
        if let Ok(opening) = &opening
            && !book.add(opening.keys.clone())
        {
            let text = "EPOCH_OPEN names other keys than another log of this node for the same version";
            problems.push(Problem::new(Check::Trust, text).because("KEY_VERSION").of(&line.name).entry(0));
        }
        opened.push(opening.map_err(|problem| problem.into_iter().for_each(|p| problems.push(p.of(&line.name)))).ok());
    }
    opened
}

/// The log in the other direction, by position; of several epochs the last.
pub(crate) fn partner_of(logs: &[LogLine], line: &LogLine) -> Option<usize> {
    let reverse = |other: &LogLine| {
        let (a, b) = (&line.origin, &other.origin);
        a.agreement == b.agreement && a.issuer == b.recipient && a.recipient == b.issuer
    };
    (0..logs.len()).filter(|at| reverse(&logs[*at])).max_by_key(|at| logs[*at].origin.epoch)
}

fn open_log(
    bundle: &Bundle,
    line: &LogLine,
    trust: &TrustFile,
    problems: &mut Problems,
) -> Result<Opening, Option<Problem>> {
    let open = first_entry(bundle, line)?;
    let claimed = ManifestKeys::parse(&open.key_manifest);
    let claimed = claimed.map_err(|error| Some(Problem::new(Check::Trust, error.to_string()).entry(0)))?;
    let Some(roots) = trust.roots_of(&claimed.party) else {
        let text = format!("the trust file names no root of `{}`", claimed.party);
        return Err(Some(Problem::new(Check::Trust, text).because("NO_ROOT").entry(0)));
    };
    let keys = verify_epoch_open(&open, &line.name, roots);
    let keys = keys.map_err(|error| Some(Problem::new(Check::Trust, format!("EPOCH_OPEN: {error}")).entry(0)))?;
    if !trust.allows(&keys.party, &keys.node) {
        let text = format!("the trust file does not name `{}` as a node of `{}`", keys.node, keys.party);
        return Err(Some(Problem::new(Check::Trust, text).because("OTHER_NODE").entry(0)));
    }
    if line.origin.issuer == bundle.manifest().node && keys.party != bundle.manifest().party {
        problems.push(Problem::new(Check::Manifest, "the exporter is of another party than its log").at(MANIFEST));
    }
    Ok(Opening { keys, open })
}

/// What opens a log. No problem where the file itself is the problem: that is reported where it is read in full.
fn first_entry(bundle: &Bundle, line: &LogLine) -> Result<EpochOpen, Option<Problem>> {
    let no_log = || Some(Problem::new(Check::Sequence, "the log is empty: it has no EPOCH_OPEN"));
    let tile = EntryTile::at(0, line.size).ok_or_else(no_log)?;
    let path = format!("{}{tile}", log_folder(&line.name));
    let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default()).ok_or(None)?;
    let entries = parse_bundle(&bytes, tile.width()).unwrap_or_default();
    let opened = entries.first().and_then(|entry| open_entry(entry).ok());
    match opened.and_then(|entry| entry.statement.body) {
        Some(Body::EpochOpen(open)) => Ok(open),
        _ => Err(Some(Problem::new(Check::Sequence, "the log does not begin with EPOCH_OPEN").entry(0))),
    }
}

/// Says of every log whose first entries cannot be read that it is damaged.
pub(crate) fn damaged(bundle: &Bundle, book: &KeyBook, problems: &mut Problems) {
    for line in &bundle.manifest().logs {
        let Some(tile) = EntryTile::at(0, line.size) else { continue };
        let path = format!("{}{tile}", log_folder(&line.name));
        let before = problems.count();
        if bundle.read(&path, MAX_FILE, problems).is_none() {
            problems.locate(&line.name, 0);
            if problems.count() == before {
                let text = "the first entries of the log cannot be read";
                problems.push(Problem::new(Check::MissingFile, text).of(&line.name).entry(0).at(path));
            }
        }
    }
    if book.len() == 0 && problems.count() == 0 {
        problems.push(Problem::new(Check::Trust, "no log opens with keys that the roots authorised"));
    }
}

/// The manifest that a KEY_ROTATE brings, if the roots of the issuer of that log signed it.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn rotated(rotate: &KeyRotate, line: &LogLine, trust: &TrustFile) -> Result<ManifestKeys, String> {
    let claimed = ManifestKeys::parse(&rotate.key_manifest).map_err(|error| error.to_string())?;
    if claimed.node != line.origin.issuer {
        return Err("the keys are of another node".into());
    }
    let roots = trust.roots_of(&claimed.party).ok_or("the trust file names no root of its party")?;
    verify_key_rotate(rotate, roots).map_err(|error| error.to_string())
}

/// Whether the exporter's log key signed the manifest: the key of any of its versions.
pub(crate) fn manifest_signature(bundle: &Bundle, book: &KeyBook) -> Result<(), Problem> {
    let bad = |text: &str| Problem::new(Check::Manifest, text).at(SIGNATURE);
    let manifest = bundle.manifest();
    let own = manifest.logs.iter().find(|line| line.origin.issuer == manifest.node);
    let own = own.ok_or_else(|| bad("no log of the exporter is there to name its key"))?;
    let bytes = bundle.signature().ok_or_else(|| bad("cannot be read"))?;
    let note = Note::parse(&bytes).map_err(|error| bad(&error.to_string()))?;
    if note.text() != bundle.signed_text() {
        return Err(bad("signs another manifest").because(OTHER_MANIFEST));
    }
    if note.signatures().len() != 1 || note.to_string().as_bytes() != bytes {
        return Err(bad("is not one signature in its one spelling"));
    }
    let mut found = Err(bad("no log key of the exporter that its roots authorised signed it"));
    for keys in book.ring(&manifest.node).all().rev() {
        let Ok(key) = VerifierKey::new(&own.name, SignatureType::Ed25519, keys.log.raw()) else { continue };
        if note.signatures().iter().any(|line| line.is_by(&key)) {
            found = note.verify([&key]).map(drop).map_err(|error| bad(&error.to_string()));
            break;
        }
    }
    found
}

/// The version of the log key that signed a checkpoint, of those from `from` on.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn log_signed(signed: &SignedCheckpoint, name: &str, ring: &Ring, from: u64) -> Result<u64, String> {
    if signed.checkpoint().origin() != name {
        return Err("a checkpoint of another log".into());
    }
    for keys in ring.all().filter(|keys| keys.version >= from) {
        let key = VerifierKey::new(name, SignatureType::Ed25519, keys.log.raw()).map_err(|error| error.to_string())?;
        if signed.note().signatures().iter().any(|line| line.is_by(&key)) {
            return signed.verify_log(&key).map(|()| keys.version).map_err(|error| error.to_string());
        }
    }
    Err("not signed by a log key that was valid then".into())
}

/// One cosignature that verifies.
#[derive(Debug, Clone)]
pub(crate) struct Cosigned {
    /// True for the mirror, false for the witness.
    pub(crate) mirror: bool,
    /// As it names itself.
    pub(crate) key: VerifierKey,
    /// The key alone.
    pub(crate) public: PublicKey,
    /// Its time, Unix seconds.
    pub(crate) time: u64,
}

/// What the cosigners of a node signed on a checkpoint. Lines by others say nothing.
///
/// # Errors
/// A signature of a known key that does not verify.
pub(crate) fn cosigned(
    checkpoint: &SignedCheckpoint,
    node: &str,
    ring: &Ring,
) -> Result<Vec<Cosigned>, convenio_log::note::NoteError> {
    let mut found = Vec::new();
    for line in checkpoint.note().signatures() {
        let Some((mirror, version)) = cosigner(line.name(), node) else { continue };
        let Some(keys) = ring.version(version) else { continue };
        let public = if mirror { keys.mirror } else { keys.witness };
        let key = VerifierKey::new(line.name(), SignatureType::CosignatureV1, public.raw())?;
        if line.is_by(&key) {
            let time = key.verify(checkpoint.note().text(), line.signature())?.unwrap_or_default();
            found.push(Cosigned { mirror, key, public, time });
        }
    }
    Ok(found)
}

/// `<node>/mirror/<version>` or `<node>/witness/<version>`: whether it is the mirror, and the version.
pub(crate) fn cosigner(name: &str, node: &str) -> Option<(bool, u64)> {
    let (role, version) = name.strip_prefix(node)?.strip_prefix('/')?.split_once('/')?;
    let mirror = match role {
        "mirror" => true,
        "witness" => false,
        _ => return None,
    };
    let digits = !version.is_empty() && !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
    Some((mirror, version.parse().ok().filter(|_| digits)?))
}

/// The keys that a bundle's logs name, one line each: `<origin> log <vkey>`, `<origin> record <spki base64>`,
/// `<origin> mirror <vkey>` (the mirror that cosigns the log of that origin); of a journal, which is signed by its node's
/// log key and whose entries are not signed, `<origin> journal <vkey>` alone. Read from EPOCH_OPEN without roots: nothing
/// is verified; for other programs that need the keys. Empty if no log can be read.
///
/// # Errors
/// [`Unusable`] if there is no bundle.
pub fn listed(path: &Path) -> Result<Vec<String>, Unusable> {
    let Opened::Bundle(bundle) = Bundle::open(path)? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    for line in &bundle.manifest().logs {
        let Some(keys) = claimed(&bundle, line) else { continue };
        if let Ok(log) = VerifierKey::new(&line.name, SignatureType::Ed25519, keys.log.raw()) {
            lines.push(format!("{} log {log}", line.name));
        }
        lines.push(format!("{} record {}", line.name, keys.record.spki_base64()));
        let partner = partner_of(&bundle.manifest().logs, line).map(|at| &bundle.manifest().logs[at]);
        let mirror = partner.and_then(|partner| claimed(&bundle, partner)).and_then(|partner| {
            let path = format!("{}checkpoint", log_folder(&line.name));
            let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default())?;
            let signed = SignedCheckpoint::parse(&bytes).ok()?;
            let book = KeyBook::default();
            book.add(partner);
            let found = cosigned(&signed, &line.origin.recipient, &book.ring(&line.origin.recipient)).ok()?;
            found.into_iter().find(|cosigned| cosigned.mirror).map(|cosigned| cosigned.key)
        });
        if let Some(mirror) = mirror {
            lines.push(format!("{} mirror {mirror}", line.name));
        }
    }
    lines.extend(journals(&bundle));
    Ok(lines)
}

/// The keys of the journals, as the exporter's own logs name them.
fn journals(bundle: &Bundle) -> Vec<String> {
    let manifest = bundle.manifest();
    let own = manifest.logs.iter().filter(|line| line.origin.issuer == manifest.node);
    let Some(keys) = own.filter_map(|line| claimed(bundle, line)).next() else { return Vec::new() };
    let named = manifest.journals.iter().filter_map(|journal| {
        let key = VerifierKey::new(&journal.name, SignatureType::Ed25519, keys.log.raw()).ok()?;
        Some(format!("{} journal {key}", journal.name))
    });
    named.collect()
}

fn claimed(bundle: &Bundle, line: &LogLine) -> Option<ManifestKeys> {
    let open = first_entry(bundle, line).ok()?;
    ManifestKeys::parse(&open.key_manifest).ok()
}

#[cfg(test)]
mod tests {
    use convenio_model::SeededEntropy;
    use convenio_seal::NodeKeys;
    use prost::Message;

    use super::*;

    #[test]
    fn repro_which_of_two_manifests_counts_does_not_depend_on_their_order() {
        let manifest = |seed| {
            let keys = NodeKeys::generate(&SeededEntropy::new(seed)).manifest("sv", "node.sv.example", 2);
            ManifestKeys::parse(&keys.encode_to_vec()).unwrap()
        };
        let book = |seeds: [u64; 2]| {
            let book = KeyBook::default();
            let added = seeds.map(|seed| book.add(manifest(seed)));
            assert_eq!(added, [true, false]);
            book
        };
        let (one, other) = (book([1, 2]), book([2, 1]));
        let version = |book: &KeyBook| book.ring("node.sv.example").version(2).cloned();
        assert_eq!(version(&one), version(&other));
        // What either of them signed is judged by its key, whichever counts.
        for seed in [1, 2] {
            let id = manifest(seed).record.key_id();
            assert!(one.record("node.sv.example", &id).is_some() && other.record("node.sv.example", &id).is_some());
        }
    }

    #[test]
    fn a_rotation_by_another_party_adds_no_keys() {
        let manifest = |party: &str, seed, version| {
            let keys = NodeKeys::generate(&SeededEntropy::new(seed)).manifest(party, "node.sv.example", version);
            ManifestKeys::parse(&keys.encode_to_vec()).unwrap()
        };
        let book = KeyBook::default();
        book.add_rotated(manifest("sv", 1, 2));
        assert_eq!(book.len(), 0);
        assert!(book.add(manifest("sv", 1, 1)));
        book.add_rotated(manifest("gt", 2, 2));
        book.add_rotated(manifest("sv", 3, 3));
        assert_eq!(book.len(), 2);
    }
}
