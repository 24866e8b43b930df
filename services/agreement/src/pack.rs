//! A pack: an agreement's configuration and messages, loaded once and checked whole.

mod cel;
mod census;
mod compile;
mod corridor;
mod error;
mod guard;
mod imports;
mod known;
mod lint;
mod options;
mod outlive;
mod ratify;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use prost_protovalidate::Validator;
use prost_reflect::{DescriptorPool, MessageDescriptor};

use crate::config::{Config, Origin, Party, Retention, Sources, WitnessPolicy};
use crate::digest::{Files, FilesError, read_bounded, sha256};
use crate::floor::Seen;
use crate::lifecycle::{Lifecycle, Role};
use crate::plan::{MessagePlan, Root, TermRule};

pub use error::PackError;
pub(crate) use guard::{check_decoded, check_text};
pub(crate) use lint::Messages;
pub(crate) use options::Place;

/// An agreement, ready for use. Cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Pack {
    inner: Arc<Inner>,
    corridor: Option<Arc<corridor::Corridor>>,
}

/// What a pack holds.
struct Inner {
    digest: [u8; 32],
    files: Files,
    config: Config,
    effective: String,
    witness: WitnessPolicy,
    lifecycle: Lifecycle,
    pool: DescriptorPool,
    plans: BTreeMap<String, MessagePlan>,
    extensions: HashMap<Root, MessageDescriptor>,
    terms: Vec<TermRule>,
    validator: Validator,
}

/// Identifiers of the packs below `agreements_dir`, sorted.
///
/// # Errors
/// [`PackError`] if the folder cannot be read.
pub fn list(agreements_dir: &Path) -> Result<Vec<String>, PackError> {
    let error = |e: std::io::Error| PackError::file(agreements_dir.display().to_string(), e.to_string());
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(agreements_dir).map_err(error)? {
        let entry = entry.map_err(error)?;
        if entry.file_name() != COMMON
            && entry.path().join(CONFIG_NAME).is_file()
            && let Ok(id) = entry.file_name().into_string()
        {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Name of the configuration in a pack's folder.
const CONFIG_NAME: &str = "agreement.toml";
/// Folder of what packs share; no pack itself.
pub(crate) const COMMON: &str = "common";
/// Folder of all packs, below the import root.
const FOLDER: &str = "agreements";

impl Pack {
    /// Loads the pack `id` from a source tree. Imports are found below the parent of `agreements_dir`,
    /// for example `proto/` for `proto/agreements`.
    ///
    /// # Errors
    /// The first [`PackError`]; its file is a path on disk.
    pub fn load(agreements_dir: &Path, id: &str) -> Result<Self, PackError> {
        let (pack, errors, _) = Self::examine_on_disk(agreements_dir, id);
        first(pack, errors)
    }

    /// As [`Pack::load`], with every error and, where there is none, every warning.
    pub(crate) fn examine_on_disk(agreements_dir: &Path, id: &str) -> (Option<Self>, Vec<PackError>, Vec<PackError>) {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        let pack = match Self::on_disk(agreements_dir, id) {
            Ok((bytes, read)) => Self::examine(id, bytes, read, &mut errors, &mut warnings),
            Err(error) => {
                errors.push(error);
                None
            }
        };
        for error in errors.iter_mut().chain(&mut warnings) {
            if !Path::new(&error.file).is_absolute() {
                error.file = agreements_dir.with_file_name("").join(&error.file).display().to_string();
            }
        }
        (pack, errors, warnings)
    }

    /// The configuration of the pack `id`, and what reads its other files.
    fn on_disk(agreements_dir: &Path, id: &str) -> Result<(Vec<u8>, compile::Reader), PackError> {
        let shown = agreements_dir.display().to_string();
        let dir = agreements_dir.canonicalize().map_err(|e| PackError::file(&shown, e.to_string()))?;
        let (Some(root), true) = (dir.parent(), dir.ends_with(FOLDER)) else {
            return Err(PackError::file(shown, "the folder of packs must be named `agreements`"));
        };
        let config = format!("{FOLDER}/{id}/{CONFIG_NAME}");
        if id.contains('/') || !crate::digest::is_import_path(&config) {
            return Err(PackError::file(shown, "not the id of an agreement"));
        }
        let bytes = read_bounded(&root.join(&config)).map_err(|e| file_error(&e))?;
        let root = root.to_owned();
        let read = move |name: &str| match read_bounded(&root.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FilesError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        Ok((bytes, Box::new(read)))
    }

    /// Loads a pack from its files alone: nothing else resolves, and none may be left over.
    ///
    /// # Errors
    /// The first [`PackError`]; its file is an import path.
    pub fn from_files(files: Files) -> Result<Self, PackError> {
        let id = {
            let ids: Vec<&str> = files.iter().filter_map(|(path, _)| config_id(path)).collect();
            let [id] = ids.as_slice() else {
                return Err(PackError::file(CONFIG_NAME, "there must be exactly one"));
            };
            (*id).to_owned()
        };
        let config = format!("{FOLDER}/{id}/{CONFIG_NAME}");
        let bytes = files.file(&config).unwrap_or_default().to_vec();
        let given = Arc::new(files);
        let source = Arc::clone(&given);
        let read = move |name: &str| Ok(source.file(name).map(<[u8]>::to_vec));
        let pack = Self::build(&id, bytes, Box::new(read))?;
        match given.iter().find(|(path, _)| pack.files().file(path).is_none()) {
            Some((path, _)) => Err(PackError::file(path, "not part of the agreement")),
            None => Ok(pack),
        }
    }

    /// Reads the tree below `dir`, as [`Files::write_to`] wrote it, and nothing else.
    ///
    /// # Errors
    /// The first [`PackError`].
    pub fn read_from(dir: &Path) -> Result<Self, PackError> {
        Self::from_files(Files::read_from(dir).map_err(|e| file_error(&e))?)
    }

    fn build(id: &str, config: Vec<u8>, read: compile::Reader) -> Result<Self, PackError> {
        let mut found = Vec::new();
        let pack = Self::examine(id, config, read, &mut found, &mut Vec::new());
        first(pack, found)
    }

    /// Checks a pack whole; every problem joins `found`, and where there is one no pack is given. What would cost
    /// much is not begun once a problem is found.
    fn examine(
        id: &str,
        config: Vec<u8>,
        read: compile::Reader,
        found: &mut Vec<PackError>,
        warnings: &mut Vec<PackError>,
    ) -> Option<Self> {
        let mut noted = Noted(found);
        let path = format!("{FOLDER}/{id}/{CONFIG_NAME}");
        let fragments = noted.note(imports::fragments(&path, &config, &read))?;
        let sources = noted.note(Sources::new(&fragments, (&path, &config)))?;
        let origin = sources.origin();
        let parsed = noted.note_at(origin, Config::parse(origin, id))?;
        let witness = noted.note_at(origin, parsed.witness_policy(origin));
        let compiled = compile::compile(&parsed.proto, read);
        if compiled.is_err() {
            // Without messages, the names of the lifecycle can still be wrong.
            noted.note_at(
                origin,
                Lifecycle::build(&parsed, origin, &|name| {
                    name.rsplit_once('.').is_some_and(|(package, _)| package == parsed.package)
                }),
            );
        }
        let (pool, mut files) = noted.note(compiled)?;
        let messages = lint::messages(&pool, &parsed, noted.0)?;
        let is_part = |name: &str| messages.parts.iter().any(|(m, _)| m.full_name() == name);
        let lifecycle = noted.note_at(origin, Lifecycle::build(&parsed, origin, &is_part));
        noted.note_at(origin, outlive::check(&messages, &parsed, origin));
        let plans = crate::plan::plans(&messages, &parsed, noted.0);
        let lifecycle = lifecycle?;
        let terms = noted.note(crate::plan::term_rules(&plans, &lifecycle, origin));
        let seen = Seen { config: &parsed, lifecycle: &lifecycle, plans: &plans };
        let (broken, doubtful) = crate::floor::check(&seen, origin);
        noted.0.extend(broken);
        noted.0.extend(crate::lint::unreachable(&seen, origin));
        warnings.extend(doubtful);
        warnings.extend(crate::lint::doubts(&seen, &messages, origin));
        let effective = origin.canonical();
        for (path, bytes) in fragments.iter().chain([&(path.clone(), config.clone())]) {
            noted.note(files.insert(path, bytes.clone()).map_err(|e| file_error(&e)));
        }
        if !noted.0.is_empty() {
            return None;
        }
        let validator = noted.note(lint::dry_run(&messages))?;
        Some(Self {
            inner: Arc::new(Inner {
                digest: files.digest(),
                files,
                config: parsed,
                effective,
                witness: witness?,
                lifecycle,
                pool,
                plans,
                extensions: messages.extensions,
                terms: terms?,
                validator,
            }),
            corridor: None,
        })
    }

    /// Identifier, for example `sv-ca`; of a corridor its own.
    #[must_use]
    pub fn id(&self) -> &str {
        self.corridor.as_ref().map_or(&self.inner.config.id, |corridor| &corridor.id)
    }

    /// The agreement digest ([`Files::digest`]).
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.inner.digest
    }

    /// The files that the digest covers.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.inner.files
    }

    /// `agreement.toml` with what it imports.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The configuration after all imports, as canonical TOML: the same text wherever it is merged.
    #[must_use]
    pub fn effective(&self) -> &str {
        &self.inner.effective
    }

    /// SHA-256 of [`Self::effective`].
    #[must_use]
    pub fn effective_sha256(&self) -> [u8; 32] {
        sha256(self.effective().as_bytes())
    }

    /// Whether independent witnesses are required, and which.
    #[must_use]
    pub fn witness_policy(&self) -> &WitnessPolicy {
        &self.inner.witness
    }

    /// How long what crossed is kept, when it may be erased before, and what may hold it.
    #[must_use]
    pub fn retention(&self) -> &Retention {
        &self.inner.config.retention
    }

    /// The checked lifecycle.
    #[must_use]
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.inner.lifecycle
    }

    /// The two parties; all of a regional agreement that is not seen as one corridor.
    #[must_use]
    pub fn parties(&self) -> &[Party] {
        self.corridor.as_ref().map_or(&self.inner.config.parties, |corridor| &corridor.parties)
    }

    /// Role of a party, by its id; None for a regional agreement that is not seen as one corridor.
    #[must_use]
    pub fn role_of(&self, party: &str) -> Option<Role> {
        self.parties().iter().find(|p| p.id == party)?.role.role()
    }

    /// The party that has a role.
    ///
    /// # Panics
    /// For a regional agreement that is not seen as one corridor: it has no party of one role.
    #[must_use]
    pub fn party(&self, role: Role) -> &Party {
        let party = self.parties().iter().find(|party| party.role == role);
        party.expect("a pack of two parties, or a corridor, has one of each role")
    }

    /// Descriptors of the agreement's messages and of all they import.
    #[must_use]
    pub fn pool(&self) -> &DescriptorPool {
        &self.inner.pool
    }

    /// Plans of all messages that may cross, by full name.
    pub fn messages(&self) -> impl Iterator<Item = &MessagePlan> {
        self.inner.plans.values()
    }

    /// The plan of a message that may cross, by full name.
    #[must_use]
    pub fn message(&self, full_name: &str) -> Option<&MessagePlan> {
        self.inner.plans.get(full_name)
    }

    /// The agreement's own message that extends a registry record.
    #[must_use]
    pub fn extension(&self, of: Root) -> Option<&MessageDescriptor> {
        self.inner.extensions.get(&of)
    }

    pub(crate) fn terms(&self) -> &[TermRule] {
        &self.inner.terms
    }

    pub(crate) fn validator(&self) -> &Validator {
        &self.inner.validator
    }
}

/// The pack, or the first of its errors.
fn first(pack: Option<Pack>, errors: Vec<PackError>) -> Result<Pack, PackError> {
    match (errors.into_iter().next(), pack) {
        (None, Some(pack)) => Ok(pack),
        (Some(error), _) => Err(error),
        (None, None) => Err(PackError::file(CONFIG_NAME, "cannot be looked at")),
    }
}

/// Problems so far.
struct Noted<'a>(&'a mut Vec<PackError>);

impl Noted<'_> {
    /// With what was noted on the way.
    fn note_at<T>(&mut self, origin: Origin<'_>, result: Result<T, PackError>) -> Option<T> {
        self.0.extend(origin.noted());
        self.note(result)
    }

    fn note<T>(&mut self, result: Result<T, PackError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack")
            .field("id", &self.id())
            .field("digest", &hex::encode(self.digest()))
            .finish_non_exhaustive()
    }
}

/// The agreement's id, if `path` is that of its configuration.
fn config_id(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
    let id = rest.strip_suffix(CONFIG_NAME)?.strip_suffix('/')?;
    (!id.contains('/')).then_some(id)
}

fn file_error(error: &FilesError) -> PackError {
    match error {
        FilesError::Io { path, source } => PackError::file(path.display().to_string(), source.to_string()),
        FilesError::Refused { path, problem } => PackError::file(path.display().to_string(), *problem),
    }
}
