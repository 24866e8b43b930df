//! The manifest: every file of a bundle with its hash.

use convenio_log::{Checkpoint, Hash};
use convenio_seal::LogOrigin;

/// First line of the format that this version reads.
pub const FORMAT: &str = "convenio-bundle/v1";
/// Largest manifest, bytes.
pub const MAX_MANIFEST: u64 = 64 * 1024 * 1024;
/// Most logs in one bundle.
pub const MAX_LOGS: usize = 64;
/// Longest path, bytes.
const MAX_PATH: usize = 512;

/// A log that the bundle holds.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// Its origin.
    pub origin: LogOrigin,
    /// The origin's text.
    pub name: String,
    /// Number of entries.
    pub size: u64,
    /// Root hash at that size.
    pub root: Hash,
}

/// A manifest whose form is right; nothing in it is verified.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// First line.
    pub format: String,
    /// Node that exported.
    pub node: String,
    /// Its party.
    pub party: String,
    /// Logs, sorted by origin.
    pub logs: Vec<LogLine>,
    /// Files with their SHA-256, sorted by path.
    pub files: Vec<(String, [u8; 32])>,
}

impl Manifest {
    /// Reads a manifest. Its first line may be that of another format.
    ///
    /// # Errors
    /// The number of the first bad line and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, (usize, &'static str)> {
        let text = std::str::from_utf8(bytes).map_err(|_| (0, "is not UTF-8"))?;
        let text = text.strip_suffix('\n').ok_or((0, "does not end in a newline"))?;
        let mut lines = text.split('\n').zip(1usize..);
        let mut line = |what| lines.next().ok_or((0, what));
        let (format, _) = line("is empty")?;
        let (kind, at) = line("has no line `kind`")?;
        if kind != "kind full" {
            return Err((at, "is not `kind full`"));
        }
        let (exporter, at) = line("has no line `exporter`")?;
        let exporter = exporter.strip_prefix("exporter ").and_then(|rest| rest.split_once(' '));
        let (node, party) = exporter.ok_or((at, "is not `exporter <node> <party>`"))?;
        if !convenio_seal::name::is_node(node) || !convenio_seal::name::is_party(party) {
            return Err((at, "names no node and party"));
        }
        let mut logs: Vec<LogLine> = Vec::new();
        loop {
            let (text, at) = line("has no files")?;
            if text.is_empty() {
                break;
            }
            let log = log_line(text).ok_or((at, "is not `log <origin> <size> <root>`"))?;
            if logs.last().is_some_and(|last| last.name >= log.name) || logs.len() >= MAX_LOGS {
                return Err((at, "is out of order, repeated, or one log too many"));
            }
            logs.push(log);
        }
        let mut files: Vec<(String, [u8; 32])> = Vec::new();
        for (text, at) in lines {
            let file = file_line(text).ok_or((at, "is not `<sha256>  <path>`"))?;
            if files.last().is_some_and(|last| last.0 >= file.0) {
                return Err((at, "is out of order or repeated"));
            }
            files.push(file);
        }
        Ok(Self { format: format.to_owned(), node: node.to_owned(), party: party.to_owned(), logs, files })
    }
}

fn log_line(text: &str) -> Option<LogLine> {
    let mut fields = text.strip_prefix("log ")?.split(' ');
    let (name, size, root) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    // A checkpoint's text has the same three items in the same spelling.
    let head = Checkpoint::parse_text(&format!("{name}\n{size}\n{root}\n")).ok()?;
    let origin = name.parse().ok()?;
    Some(LogLine { origin, name: name.to_owned(), size: head.size(), root: head.root() })
}

fn file_line(text: &str) -> Option<(String, [u8; 32])> {
    let (hash, path) = text.split_once("  ")?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let mut digest = [0; 32];
    if hash.len() != 64 || !hash.bytes().all(lower) || hex::decode_to_slice(hash, &mut digest).is_err() {
        return None;
    }
    let own = matches!(path, super::MANIFEST | super::SIGNATURE);
    (is_path(path) && !own).then(|| (path.to_owned(), digest))
}

/// Whether a path is a plain relative one: no `.`, no `..`, nothing that another system reads otherwise.
pub(crate) fn is_path(path: &str) -> bool {
    let plain = |step: &str| !matches!(step, "" | "." | "..");
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    path.len() <= MAX_PATH && path.bytes().all(legal) && path.split('/').all(plain)
}
