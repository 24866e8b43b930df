//! Paths over HTTP; each resource has one spelling.

use convenio_log::{EntryTile, Tile};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    /// The list of logs.
    Logs,
    /// A file of the log in this folder.
    Log(String, File),
    /// What the witness cosigned last of the log in this folder.
    Witnessed(String),
    /// The submission to the witness.
    AddCheckpoint,
}

/// A file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    /// The latest checkpoint.
    Checkpoint,
    /// A tile of hashes.
    Tile(Tile),
    /// An entry bundle.
    Entries(EntryTile),
}

pub(super) fn resource(path: &str) -> Option<Resource> {
    let path = path.strip_prefix('/')?;
    match path {
        "logs/" => return Some(Resource::Logs),
        convenio_log::witness::ADD_CHECKPOINT => return Some(Resource::AddCheckpoint),
        _ => {}
    }
    let of_log = path.strip_prefix("logs/");
    let (folder, file) = of_log.unwrap_or(path).split_once('/')?;
    if folder.len() != 64 || !folder.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
        return None;
    }
    let folder = folder.to_owned();
    if of_log.is_none() {
        return (file == "checkpoint").then_some(Resource::Witnessed(folder));
    }
    let file = match file {
        "checkpoint" => File::Checkpoint,
        bundle if bundle.starts_with("tile/entries/") => File::Entries(EntryTile::parse(bundle).ok()?),
        tile => File::Tile(Tile::parse(tile).ok()?),
    };
    Some(Resource::Log(folder, file))
}
