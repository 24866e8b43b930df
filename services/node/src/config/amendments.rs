//! Later versions of the agreements: a folder with one tree a version, named by its digest.
//!
//! The name is the decision of the officer who puts the tree there: a node takes no amendment that nobody placed, and needs no
//! further line in the trust file for one that all parties' roots have ratified.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use convenio_agreement::pack::Pack;
use convenio_exchange::{MAX_VERSIONS, Partner};

use super::ConfigError;
use super::file::NodeFile;
use super::source::Source;

/// The key of the configuration.
const KEY: &str = "amendments";

/// Every version below the folder: `<amendments>/<hex digest>/agreements/…`. Each is of one of these agreements.
pub(super) fn load(
    source: &Source,
    file: &NodeFile,
    agreements: &[(Arc<Pack>, Partner)],
) -> Result<Vec<Arc<Pack>>, ConfigError> {
    let Some(dir) = &file.amendments else { return Ok(Vec::new()) };
    let dir = source.resolve(dir);
    let refused = |path: &Path, problem: String| source.error(KEY, format!("{}: {problem}", path.display()));
    let entries = fs::read_dir(&dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut folders = entries.map_err(|error| refused(&dir, format!("cannot be read: {error}")))?;
    folders.retain(|entry| entry.path().is_dir());
    if folders.len() > MAX_VERSIONS * agreements.len() {
        return Err(refused(&dir, format!("more than {MAX_VERSIONS} versions of an agreement")));
    }
    folders.sort_by_key(fs::DirEntry::file_name);
    let mut packs = Vec::with_capacity(folders.len());
    for folder in folders {
        let path = folder.path();
        let pack = Pack::read_from(&path).map_err(|error| refused(&path, error.to_string()))?;
        if folder.file_name().to_str() != Some(&hex::encode(pack.digest())) {
            let problem = format!("holds the version with digest {}", hex::encode(pack.digest()));
            return Err(refused(&path, problem));
        }
        let corridors = agreements.iter().filter(|(known, _)| known.agreement() == pack.id());
        let corridors: Vec<_> = corridors.filter_map(|(known, _)| pack.corridor(known.id())).collect();
        if corridors.is_empty() {
            return Err(refused(&path, format!("{} is none of the agreements of this node", pack.id())));
        }
        if pack.amends().is_none() {
            return Err(refused(&path, "amends no version".to_owned()));
        }
        packs.extend(corridors.into_iter().map(Arc::new));
    }
    Ok(packs)
}
