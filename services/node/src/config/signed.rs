//! Keys, packs and what roots have signed: loaded, verified, and checked to fit each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_agreement::pack::Pack;
use convenio_exchange::Partner;
use convenio_seal::dsse::Envelope;
use convenio_seal::epoch::{epoch_open_from, verify_epoch_open};
use convenio_seal::key::{KEY_FILE_SUFFIX, SigningKey};
use convenio_seal::manifest::{ManifestKeys, NodeKeys};
use convenio_seal::order::{order_from, verify_order};
use convenio_seal::origin::LogOrigin;
use convenio_seal::root::{RatifiedBy, RootError, RootSet, ratify_from, verify_ratify};
use convenio_seal::rotation::{key_rotate_from, revoke_from, verify_key_rotate, verify_revoke};
use convenio_seal::signoff::check_counts;
use convenio_seal::trust::{TrustFile, TrustedOffice};
use convenio_wire::exchange::v1::{EpochOpen, Ratify};
use convenio_wire::{KEYS_TYPE, REVOCATION_TYPE};

use super::ConfigError;
use super::file::{NodeFile, PartnerFile};
use super::source::Source;

/// Ending of the names of envelope files; other files in their folders are left alone.
const ENVELOPE_SUFFIX: &str = ".dsse.json";
/// Most envelopes in one folder.
const MAX_ENVELOPES: usize = 256;

/// Envelope files, as they are.
type Files = Vec<Vec<u8>>;
type Agreements = [(Arc<Pack>, Partner)];

/// Most folders of later keys.
const MAX_KEY_SETS: usize = 64;

pub(super) fn node_keys(source: &Source, file: &NodeFile) -> Result<NodeKeys, ConfigError> {
    keys_in(source, &source.resolve(&file.keys))
}

/// The sets in the folders `v<version>` of the folder of keys, ascending.
pub(super) fn other_keys(source: &Source, file: &NodeFile) -> Result<Vec<Arc<NodeKeys>>, ConfigError> {
    let dir = source.resolve(&file.keys);
    let refused = |problem: String| source.error("keys", format!("{}: {problem}", dir.display()));
    let entries = fs::read_dir(&dir).map_err(|error| refused(format!("cannot be read: {error}")))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| refused(format!("cannot be read: {error}")))?.path();
        let version = path.file_name().and_then(|name| name.to_str()?.strip_prefix('v')?.parse::<u64>().ok());
        found.extend(version.filter(|_| path.is_dir()).map(|version| (version, path)));
    }
    if found.len() > MAX_KEY_SETS {
        return Err(refused(format!("more than {MAX_KEY_SETS} sets of keys")));
    }
    found.sort();
    found.into_iter().map(|(_, path)| keys_in(source, &path).map(Arc::new)).collect()
}

fn keys_in(source: &Source, dir: &Path) -> Result<NodeKeys, ConfigError> {
    let load = |of: &str| {
        let path = dir.join(format!("{of}{KEY_FILE_SUFFIX}"));
        SigningKey::load(&path).map_err(|error| source.error("keys", format!("{}: {error}", path.display())))
    };
    Ok(NodeKeys { record: load("record")?, log: load("log")?, mirror: load("mirror")?, witness: load("witness")? })
}

pub(super) fn agreements(source: &Source, file: &NodeFile) -> Result<Vec<(Arc<Pack>, Partner)>, ConfigError> {
    let dir = source.resolve(&file.agreements_dir);
    let mut loaded = Vec::with_capacity(file.agreements.len());
    for (at, id) in file.agreements.iter().enumerate() {
        let key = format!("agreements[{at}]");
        if !dir.is_dir() {
            return Err(source.error("agreements_dir", format!("{}: there is no such folder", dir.display())));
        }
        let pack = Pack::load(&dir, id).map_err(|error| source.error(&key, error))?;
        if pack.config().party(&file.party).is_none() {
            return Err(source.error(&key, format!("{} is no party of {id}", file.party)));
        }
        let corridors = corridors(file, &pack);
        if corridors.is_empty() {
            let others = pack.parties().iter().filter(|party| party.id != file.party);
            let others = others.map(|party| party.id.as_str()).collect::<Vec<_>>().join(" or ");
            return Err(source.error("partners", format!("none is {others}, the other party of {id}")));
        }
        loaded.extend(corridors);
    }
    let joins = |partner: &PartnerFile| {
        loaded.iter().any(|(pack, with)| with.party == partner.party && pack.is_connected(&partner.party))
    };
    if let Some(at) = file.partners.iter().position(|partner| partner.ca.is_none() && joins(partner)) {
        return Err(source.error(&format!("partners[{at}].ca"), "missing: only a party without a node may lack it"));
    }
    // Whoever is believed without need is believed by mistake.
    let idle = file.partners.iter().position(|p| loaded.iter().all(|(_, partner)| partner.party != p.party));
    match idle {
        Some(at) => Err(source.error(&format!("partners[{at}].party"), "is a party of none of the agreements")),
        None => Ok(loaded),
    }
}

/// What is open between this party and its partners: the agreement itself, or both corridors with each partner that is
/// a party of a regional one.
fn corridors(file: &NodeFile, pack: &Pack) -> Vec<(Arc<Pack>, Partner)> {
    let with = |partner: &PartnerFile| {
        let both = [pack.between(&file.party, &partner.party), pack.between(&partner.party, &file.party)];
        let partner = Partner { party: partner.party.clone(), node: partner.node.clone() };
        both.into_iter().flatten().map(move |corridor| (Arc::new(corridor), partner.clone()))
    };
    file.partners.iter().flat_map(with).collect()
}

pub(super) fn trust(source: &Source, file: &NodeFile) -> Result<TrustFile, ConfigError> {
    let path = source.resolve(&file.trust);
    let refused = |problem: String| source.error("trust", format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| refused(format!("cannot be read: {error}")))?;
    TrustFile::parse(&text).map_err(|error| refused(error.to_string()))
}

/// Demands a ratification by both parties' trusted roots for each pack.
pub(super) fn ratifications(
    source: &Source,
    file: &NodeFile,
    agreements: &Agreements,
    trust: &TrustFile,
) -> Result<Vec<Vec<u8>>, ConfigError> {
    let folder = Folder { source, key: "ratifications", path: source.resolve(&file.ratifications) };
    let envelopes = folder.envelopes(|envelope| {
        let ratify = ratify_from(envelope)?;
        RatifiedBy::parse(&ratify.payload).map(|said| (ratify, said))
    })?;
    for (pack, partner) in agreements {
        if !trust.trusts(pack.id(), &pack.digest()) {
            let problem = format!("does not trust {} with digest {}", pack.id(), hex::encode(pack.digest()));
            let shown = source.resolve(&file.trust);
            return Err(source.error("trust", format!("{}: {problem}", shown.display())));
        }
        for (party, node) in [(&file.party, &file.node), (&partner.party, &partner.node)] {
            if !pack.is_connected(party) && *party != file.party && trust.roots_of(party).is_none() {
                continue; // it has not joined
            }
            let roots = roots_of(source, file, trust, party)?;
            if !trust.allows(party, node) {
                let path = source.resolve(&file.trust);
                return Err(
                    source.error("trust", format!("{}: does not name {node} as a node of {party}", path.display()))
                );
            }
            ratified(&folder, &envelopes, pack, node, roots, &trust.offices)?;
        }
    }
    Ok(envelopes.into_iter().map(|envelope| envelope.bytes).collect())
}

fn ratified(
    folder: &Folder<'_>,
    envelopes: &[Loaded<(Ratify, RatifiedBy)>],
    pack: &Pack,
    node: &str,
    roots: &RootSet,
    offices: &[TrustedOffice],
) -> Result<(), ConfigError> {
    let (id, digest) = (pack.agreement(), hex::encode(pack.digest()));
    let of_party = |said: &RatifiedBy| said.party() == roots.party() && said.agreement == id;
    let Some(found) = envelopes.iter().find(|e| of_party(&e.content.1) && e.content.1.digest == pack.digest()) else {
        let other = envelopes.iter().find(|e| of_party(&e.content.1));
        let why = match other {
            Some(other) => format!("{} is for another digest", other.path.display()),
            None => "no such file".to_owned(),
        };
        return Err(folder.refuse(format!("{} has not ratified {id} with digest {digest}: {why}", roots.party())));
    };
    let refused = |problem: String| folder.refuse(format!("{}: {problem}", found.path.display()));
    verify_ratify(&found.content.0, roots).map_err(|error| refused(error.to_string()))?;
    if found.content.1.node != node {
        return Err(refused(format!("names the node {}, not {node}", found.content.1.node)));
    }
    let rule = pack.ratification_rule(roots.party());
    check_counts(&found.content.1, &rule, offices, None).map_err(|why| refused(format!("{}: {why}", why.reason())))
}

/// Demands for each agreement an authorisation of this node's log by the own roots, the latest of which names the keys
/// that were loaded.
pub(super) fn epochs(
    source: &Source,
    file: &NodeFile,
    agreements: &Agreements,
    trust: &TrustFile,
    held: &[Arc<NodeKeys>],
) -> Result<(Files, Files), ConfigError> {
    let folder = Folder { source, key: "epochs", path: source.resolve(&file.epochs) };
    let roots = roots_of(source, file, trust, &file.party)?;
    let all = folder.envelopes(|envelope| signed_by(envelope, roots))?;
    let (mut envelopes, mut changes) = (Vec::new(), Vec::new());
    for Loaded { path, bytes, content } in all {
        match content {
            Signed::Epoch(epoch) => envelopes.push(Loaded { path, bytes, content: *epoch }),
            Signed::Keys(version) => changes.push((version, path, bytes)),
        }
    }
    // New keys in the order of their versions, then what revokes old ones.
    changes.sort();
    if let Some(other) = envelopes.iter().find(|envelope| envelope.content.0.issuer != file.node) {
        let issuer = &other.content.0.issuer;
        return Err(folder.refuse(format!("{}: opens a log of {issuer}, not of this node", other.path.display())));
    }
    for (pack, partner) in agreements {
        let mine = |at: &LogOrigin| at.agreement == pack.id() && at.recipient == partner.node;
        let logs = envelopes.iter().filter(|envelope| mine(&envelope.content.0));
        let Some(latest) = logs.max_by_key(|envelope| envelope.content.0.epoch) else {
            let problem = format!("no authorisation to open a log of {} for {}", pack.id(), partner.node);
            return Err(folder.refuse(problem));
        };
        if !held.iter().any(|keys| keys.matches(&latest.content.2)) {
            let problem = format!("names other keys than those in {}", source.resolve(&file.keys).display());
            return Err(folder.refuse(format!("{}: {problem}", latest.path.display())));
        }
    }
    let epochs = envelopes.into_iter().map(|envelope: Loaded<Epoch>| envelope.bytes).collect();
    Ok((epochs, changes.into_iter().map(|(_, _, bytes)| bytes).collect()))
}

/// The orders that the own roots signed, ascending by number; none without a folder.
pub(super) fn orders(source: &Source, file: &NodeFile, trust: &TrustFile) -> Result<Files, ConfigError> {
    let Some(path) = &file.orders else { return Ok(Vec::new()) };
    let folder = Folder { source, key: "orders", path: source.resolve(path) };
    let roots = roots_of(source, file, trust, &file.party)?;
    let mut envelopes = folder.envelopes(|envelope| {
        let (body, said) = order_from(envelope)?;
        verify_order(&body, roots).map(|_| said.number)
    })?;
    envelopes.sort_by_key(|envelope| envelope.content);
    Ok(envelopes.into_iter().map(|envelope| envelope.bytes).collect())
}

type Epoch = (LogOrigin, EpochOpen, ManifestKeys);

/// What the own roots have signed about this node's logs and keys.
enum Signed {
    Epoch(Box<Epoch>),
    /// New keys of this version; a revocation as the highest one.
    Keys(u64),
}

fn signed_by(envelope: &Envelope, roots: &RootSet) -> Result<Signed, RootError> {
    match envelope.payload_type.as_str() {
        KEYS_TYPE => Ok(Signed::Keys(verify_key_rotate(&key_rotate_from(envelope)?, roots)?.version)),
        REVOCATION_TYPE => verify_revoke(&revoke_from(envelope)?, roots).map(|_| Signed::Keys(u64::MAX)),
        _ => {
            let (origin, open) = epoch_open_from(envelope)?;
            let manifest = verify_epoch_open(&open, &origin.to_string(), roots)?;
            Ok(Signed::Epoch(Box::new((origin, open, manifest))))
        }
    }
}

fn roots_of<'a>(
    source: &Source,
    file: &NodeFile,
    trust: &'a TrustFile,
    party: &str,
) -> Result<&'a RootSet, ConfigError> {
    trust.roots_of(party).ok_or_else(|| {
        let path = source.resolve(&file.trust);
        source.error("trust", format!("{}: has no root keys of {party}", path.display()))
    })
}

/// A folder of envelopes that a key of the configuration names.
struct Folder<'a> {
    source: &'a Source,
    key: &'static str,
    path: PathBuf,
}

/// An envelope with its file.
struct Loaded<T> {
    path: PathBuf,
    bytes: Vec<u8>,
    content: T,
}

impl Folder<'_> {
    /// A problem with what the folder holds; the text names the file.
    fn refuse(&self, problem: impl ToString) -> ConfigError {
        let problem = problem.to_string();
        let shown = self.path.display().to_string();
        let problem = if problem.starts_with(&shown) { problem } else { format!("{shown}: {problem}") };
        self.source.error(self.key, problem)
    }

    /// Every envelope of the folder, in the order of the files' names.
    fn envelopes<T>(
        &self,
        read: impl Fn(&Envelope) -> Result<T, convenio_seal::RootError>,
    ) -> Result<Vec<Loaded<T>>, ConfigError> {
        let mut paths = self.paths().map_err(|error| self.refuse(format!("cannot be read: {error}")))?;
        if paths.len() > MAX_ENVELOPES {
            return Err(self.refuse(format!("more than {MAX_ENVELOPES} envelopes")));
        }
        paths.sort_unstable();
        paths.into_iter().map(|path| self.load(path, &read)).collect()
    }

    fn paths(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ENVELOPE_SUFFIX)) {
                paths.push(path);
            }
        }
        Ok(paths)
    }

    fn load<T>(
        &self,
        path: PathBuf,
        read: &impl Fn(&Envelope) -> Result<T, convenio_seal::RootError>,
    ) -> Result<Loaded<T>, ConfigError> {
        let refused = |path: &Path, problem: String| self.refuse(format!("{}: {problem}", path.display()));
        let envelope = Envelope::load(&path).map_err(|error| refused(&path, error.to_string()))?;
        let content = read(&envelope).map_err(|error| refused(&path, error.to_string()))?;
        Ok(Loaded { bytes: envelope.to_json().into_bytes(), path, content })
    }
}
