//! The folder of a negotiation: what goes to the other side on a stick is a copy of it.
//!
//! ```text
//! acts/<step>-<party>-<hash>.dsse.json
//! files/<sha256>
//! ratifications/<party>.dsse.json
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use convenio_agreement::pack::Pack;
use convenio_negotiation::chain::{MAX_ACTS, Standing};
use convenio_negotiation::{Act, DraftLines, Hash, Negotiation, SignedAct, State, draft, sha256};
use convenio_seal::dsse::Envelope;
use convenio_seal::root::{RatifiedBy, ratify_from, verify_ratify};
use convenio_seal::trust::TrustFile;

use crate::output::write_file;

/// Ending of the names of envelope files.
const ENVELOPE_SUFFIX: &str = ".dsse.json";
/// Largest file of a draft, bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Most parties of an agreement.
const MAX_PARTIES: usize = 8;

/// A negotiation on disk.
pub(super) struct Folder {
    dir: PathBuf,
    /// Its acts, each verified.
    pub negotiation: Negotiation,
    /// Ratifications of a draft by the roots of each party, verified, with their envelopes.
    pub ratifications: BTreeMap<String, (RatifiedBy, Envelope)>,
}

impl Folder {
    /// Reads a folder and verifies every act and ratification in it. A folder that is not there is an empty one.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub(super) fn load(dir: &Path, trust: &TrustFile) -> anyhow::Result<Self> {
        let mut acts = Vec::new();
        for path in envelopes(&dir.join("acts"), MAX_ACTS)? {
            let told = || path.display().to_string();
            let signed = SignedAct::verify(Envelope::load(&path).with_context(told)?, &trust.offices);
            acts.push(signed.map_err(refused).with_context(told)?);
        }
        let negotiation = Negotiation::of(acts).map_err(refused).with_context(|| dir.display().to_string())?;
        let mut folder = Self { dir: dir.to_owned(), negotiation, ratifications: BTreeMap::new() };
        for path in envelopes(&dir.join("ratifications"), MAX_PARTIES)? {
            let told = || path.display().to_string();
            folder.believe(Envelope::load(&path).with_context(told)?, trust).with_context(told)?;
        }
        Ok(folder)
    }

    /// As [`Folder::load`], and demands that there is a negotiation.
    ///
    /// # Errors
    /// As [`Folder::load`].
    pub(super) fn begun(dir: &Path, trust: &TrustFile) -> anyhow::Result<Self> {
        let folder = Self::load(dir, trust)?;
        ensure!(!folder.negotiation.is_empty(), "{}: holds no act", dir.display());
        Ok(folder)
    }

    /// Verifies and adds an act with the files of its draft; nothing is written where it does not fit or its draft does not
    /// load. False if it is here already.
    ///
    /// # Errors
    /// The refusal with its stable reason.
    pub(super) fn take(&mut self, signed: SignedAct, files: &BTreeMap<Hash, Vec<u8>>) -> anyhow::Result<bool> {
        if self.negotiation.act(&signed.hash).is_some() {
            return Ok(false);
        }
        self.negotiation.fits(&signed).map_err(refused)?;
        if let Some(lines) = signed.act.deed.draft() {
            let found = |hash: &Hash| files.get(hash).cloned().or_else(|| self.file(hash));
            draft::load(&signed.act, lines, found).map_err(refused)?;
            let missing: Vec<_> = lines.files.iter().filter(|line| self.file(&line.sha256).is_none()).collect();
            for line in missing {
                let bytes = files.get(&line.sha256).context("a file of the draft went away")?;
                write_file(&self.file_path(&line.sha256), bytes)?;
            }
        }
        let name = format!("{:02}-{}-{}", signed.act.step, signed.act.from, &hex::encode(signed.hash)[..16]);
        let path = self.dir.join("acts").join(name + ENVELOPE_SUFFIX);
        write_file(&path, signed.envelope.to_json().as_bytes())?;
        self.negotiation.add(signed).map_err(refused)
    }

    /// Verifies a ratification of one of the drafts by the roots of its party, and remembers it.
    fn believe(&mut self, envelope: Envelope, trust: &TrustFile) -> anyhow::Result<()> {
        let ratify = ratify_from(&envelope)?;
        let party = RatifiedBy::parse(&ratify.payload)?.party().to_owned();
        let roots = trust.roots_of(&party).with_context(|| format!("the trust file names no root of {party}"))?;
        let said = verify_ratify(&ratify, roots)?;
        ensure!(
            self.negotiation.agreed().contains(&said.digest),
            "ratifies a version to which not every party has put its initials here"
        );
        self.ratifications.insert(party, (said, envelope));
        Ok(())
    }

    /// As for acts, for a ratification; false if the same is here already.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn take_ratification(&mut self, envelope: Envelope, trust: &TrustFile) -> anyhow::Result<bool> {
        let known = self.ratifications.values().any(|(_, held)| *held == envelope);
        self.believe(envelope, trust)?;
        for (party, (_, envelope)) in self.ratifications.iter().filter(|_| !known) {
            let path = self.dir.join("ratifications").join(format!("{party}{ENVELOPE_SUFFIX}"));
            write_file(&path, envelope.to_json().as_bytes())?;
        }
        Ok(!known)
    }

    /// A file of a draft by its SHA-256; none if it is not here, or not what its name says.
    pub(super) fn file(&self, hash: &Hash) -> Option<Vec<u8>> {
        let path = self.file_path(hash);
        fs::metadata(&path).ok().filter(|found| found.len() <= MAX_FILE)?;
        fs::read(path).ok().filter(|bytes| sha256(bytes) == *hash)
    }

    fn file_path(&self, hash: &Hash) -> PathBuf {
        self.dir.join("files").join(hex::encode(hash))
    }

    /// The files of a draft that are here.
    pub(super) fn files(&self, lines: &DraftLines) -> BTreeMap<Hash, Vec<u8>> {
        lines.files.iter().filter_map(|line| Some((line.sha256, self.file(&line.sha256)?))).collect()
    }

    /// Loads a draft as its receiver must: through every check of a pack.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn pack(&self, act: &Act, lines: &DraftLines) -> anyhow::Result<Pack> {
        draft::load(act, lines, |hash| self.file(hash)).map_err(refused)
    }

    /// The act that the next one follows: the one named by `on`, else the only open end of the chain.
    ///
    /// # Errors
    /// If there are several, or none.
    pub(super) fn head(&self, on: Option<&str>) -> anyhow::Result<Standing> {
        let heads = self.negotiation.heads();
        if let Some(on) = on {
            let mut named = heads.into_iter().filter(|head| on.len() >= 8 && hex::encode(head.head).starts_with(on));
            return named.next().with_context(|| format!("--on {on}: no end of the chain begins so"));
        }
        let mut open = heads.into_iter().filter(|head| head.state == State::Open);
        match (open.next(), open.next()) {
            (Some(head), None) => Ok(head),
            (None, _) => bail!("the negotiation has ended: {}", self.negotiation.state().as_str()),
            (Some(_), Some(_)) => bail!("the chain forks: say with --on which act yours follows (`status` shows them)"),
        }
    }
}

/// The refusal of an act with its stable reason.
fn refused(refusal: convenio_negotiation::Refusal) -> anyhow::Error {
    anyhow::anyhow!("{}: {refusal}", refusal.reason())
}

/// Envelope files of a folder, sorted by name; none if there is no folder.
///
/// # Errors
/// The folder, if it cannot be read or holds more than `most`.
pub(super) fn envelopes(dir: &Path, most: usize) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let shown = dir.display();
    let entries = fs::read_dir(dir).with_context(|| format!("{shown}: cannot be read"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("{shown}: cannot be read"))?.path();
        if path.to_string_lossy().ends_with(ENVELOPE_SUFFIX) {
            ensure!(paths.len() < most, "{shown}: more than {most} files");
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
