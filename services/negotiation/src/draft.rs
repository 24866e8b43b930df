//! Drafts: the files of a pack that nobody has ratified, from whoever sends them.

use convenio_agreement::digest::Files;
use convenio_agreement::pack::Pack;

use crate::act::{Act, DraftLines, FileLine};
use crate::{Hash, Refusal, sha256};

/// Largest sum of the files of a draft, bytes.
pub const MAX_DRAFT: usize = 4 * 1024 * 1024;

/// The agreement digest of files, by their lines alone: that of [`Files::digest`].
#[must_use]
pub fn digest_of(files: &[FileLine]) -> Hash {
    let mut lines: Vec<_> = files.iter().map(|file| format!("{}  {}\n", hex::encode(file.sha256), file.path)).collect();
    lines.sort_unstable();
    sha256(("convenio/agreement/v1\n".to_owned() + &lines.concat()).as_bytes())
}

/// The lines of a pack's files.
#[must_use]
pub fn lines(pack: &Pack) -> DraftLines {
    let line = |(path, bytes): (&str, &[u8])| FileLine {
        path: path.to_owned(),
        sha256: sha256(bytes),
        // A pack's file is at most 1 MiB.
        size: bytes.len() as u32,
    };
    DraftLines { digest: pack.digest(), files: pack.files().iter().map(line).collect() }
}

/// Loads the draft of an act through every check of a pack, from files that `find` gives by their SHA-256. Its agreement
/// and parties must be those of the act. Takes time: not for a thread that serves others.
///
/// # Errors
/// [`Refusal`].
pub fn load(act: &Act, draft: &DraftLines, find: impl Fn(&Hash) -> Option<Vec<u8>>) -> Result<Pack, Refusal> {
    let mut files = Files::new();
    let mut missing = 0;
    for line in &draft.files {
        let Some(bytes) = find(&line.sha256) else {
            missing += 1;
            continue;
        };
        if bytes.len() != line.size as usize || sha256(&bytes) != line.sha256 {
            return Err(Refusal::ForeignFile);
        }
        files.insert(&line.path, bytes).map_err(|_| Refusal::Field("files.path"))?;
    }
    if missing > 0 {
        return Err(Refusal::FilesMissing { count: missing });
    }
    let pack = Pack::from_files(files).map_err(|error| Refusal::Draft(Box::new(error)))?;
    let mut parties: Vec<_> = pack.parties().iter().map(|party| party.id.clone()).collect();
    parties.sort_unstable();
    if pack.id() != act.agreement || parties != act.parties() || pack.digest() != draft.digest {
        return Err(Refusal::DraftOther);
    }
    Ok(pack)
}
