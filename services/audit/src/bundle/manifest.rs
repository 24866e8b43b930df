//! The manifest: every file of a bundle with its hash.

use convenio_log::{Checkpoint, Hash};
use convenio_seal::{JournalOrigin, LogOrigin};

/// First line of the format that this version reads.
pub const FORMAT: &str = "convenio-bundle/v1";
/// Largest manifest, bytes.
pub const MAX_MANIFEST: u64 = 64 * 1024 * 1024;
/// Most logs in one bundle.
pub const MAX_LOGS: usize = 64;
/// Longest path, bytes.
const MAX_PATH: usize = 512;
/// Most entries in one file.
const ENTRIES: u64 = 256;

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

/// A journal that the bundle holds: a log of its exporter alone.
#[derive(Debug, Clone)]
pub struct JournalLine {
    /// Its origin.
    pub origin: JournalOrigin,
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
    /// Journals, sorted by origin.
    pub journals: Vec<JournalLine>,
    /// Whether parts are there.
    pub kind: Kind,
    /// Files with their SHA-256, sorted by path.
    pub files: Files,
}

/// What a bundle holds beside the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `full`: every part that its exporter holds.
    Full,
    /// `commitments only`: no part.
    Commitments,
}

/// The files of a manifest as they stand in it: a long log has many, so nothing is copied.
#[derive(Debug, Clone, Default)]
pub struct Files {
    text: Vec<u8>,
    /// Where the lines begin.
    starts: Vec<u32>,
}

impl Files {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Path of a file by its position; empty past the end.
    #[must_use]
    pub fn path(&self, at: usize) -> &str {
        let line = self.line(at);
        line.get(HASH_DIGITS + 2..).and_then(|path| std::str::from_utf8(path).ok()).unwrap_or_default()
    }

    /// SHA-256 of a file by its position.
    #[must_use]
    pub fn digest(&self, at: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        // The line was read once already.
        let _ = hex::decode_to_slice(self.line(at).get(..HASH_DIGITS).unwrap_or_default(), &mut digest);
        digest
    }

    /// Position of a path.
    #[must_use]
    pub fn position(&self, path: &str) -> Option<usize> {
        let at = self.partition(path);
        (self.path(at) == path).then_some(at)
    }

    /// Number of files whose path is less than `path`.
    #[must_use]
    pub fn partition(&self, path: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.path(middle) < path { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn line(&self, at: usize) -> &[u8] {
        let Some(start) = self.starts.get(at) else { return &[] };
        let end = self.starts.get(at + 1).map_or(self.text.len(), |next| *next as usize);
        self.text.get(*start as usize..end.saturating_sub(1)).unwrap_or_default()
    }
}

/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;

impl Manifest {
    /// Reads a manifest. Its first line may be that of another format.
    ///
    /// # Errors
    /// The number of the first bad line and what is wrong with it.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, (usize, &'static str)> {
        let text = std::str::from_utf8(&bytes).map_err(|_| (0, "is not UTF-8"))?;
        let text = text.strip_suffix('\n').ok_or((0, "does not end in a newline"))?;
        let mut lines = text.split('\n').zip(1usize..);
        let mut line = |what| lines.next().ok_or((0, what));
        let (format, _) = line("is empty")?;
        let (kind, at) = line("has no line `kind`")?;
        let kind = match kind {
            "kind full" => Kind::Full,
            "kind commitments only" => Kind::Commitments,
            _ => return Err((at, "is neither `kind full` nor `kind commitments only`")),
        };
        let (exporter, at) = line("has no line `exporter`")?;
        let exporter = exporter.strip_prefix("exporter ").and_then(|rest| rest.split_once(' '));
        let (node, party) = exporter.ok_or((at, "is not `exporter <node> <party>`"))?;
        if !convenio_seal::name::is_node(node) || !convenio_seal::name::is_party(party) {
            return Err((at, "names no node and party"));
        }
        let mut logs: Vec<LogLine> = Vec::new();
        let mut journals: Vec<JournalLine> = Vec::new();
        loop {
            let (text, at) = line("has no files")?;
            if text.is_empty() {
                break;
            }
            if let Some(journal) = journal_line(text) {
                if journals.last().is_some_and(|last| last.name >= journal.name) || journals.len() >= MAX_LOGS {
                    return Err((at, "is out of order, repeated, or one journal too many"));
                }
                journals.push(journal);
                continue;
            }
            let log =
                log_line(text).filter(|_| journals.is_empty()).ok_or((at, "is not `log <origin> <size> <root>`"))?;
            if logs.last().is_some_and(|last| last.name >= log.name) || logs.len() >= MAX_LOGS {
                return Err((at, "is out of order, repeated, or one log too many"));
            }
            logs.push(log);
        }
        let (format, node, party) = (format.to_owned(), node.to_owned(), party.to_owned());
        let mut starts: Vec<u32> = Vec::new();
        let mut last = "";
        for (text, at) in lines {
            let path = file_line(text).ok_or((at, "is not `<sha256>  <path>`"))?;
            if !starts.is_empty() && last >= path {
                return Err((at, "is out of order or repeated"));
            }
            last = path;
            let start = text.as_ptr() as usize - bytes.as_ptr() as usize;
            starts.push(u32::try_from(start).map_err(|_| (at, "is past the longest manifest"))?);
        }
        starts.shrink_to_fit();
        // Nothing is laid out by a size that the files cannot bear out, before anything of the manifest is verified.
        let sizes = logs.iter().map(|log| log.size).chain(journals.iter().map(|journal| journal.size));
        if sizes.fold(0u64, |sum, size| sum.saturating_add(size.div_ceil(ENTRIES))) > starts.len() as u64 {
            return Err((0, "names more entries than its files can hold"));
        }
        Ok(Self { format, node, party, logs, journals, kind, files: Files { text: bytes, starts } })
    }
}

fn log_line(text: &str) -> Option<LogLine> {
    let (name, head) = head_line(text.strip_prefix("log ")?)?;
    Some(LogLine { origin: name.parse().ok()?, name: name.to_owned(), size: head.size(), root: head.root() })
}

fn journal_line(text: &str) -> Option<JournalLine> {
    let (name, head) = head_line(text.strip_prefix("journal ")?)?;
    Some(JournalLine { origin: name.parse().ok()?, name: name.to_owned(), size: head.size(), root: head.root() })
}

/// `<origin> <size> <root>`.
fn head_line(text: &str) -> Option<(&str, Checkpoint)> {
    let mut fields = text.split(' ');
    let (name, size, root) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    // A checkpoint's text has the same three items in the same spelling.
    Some((name, Checkpoint::parse_text(&format!("{name}\n{size}\n{root}\n")).ok()?))
}

fn file_line(text: &str) -> Option<&str> {
    let (hash, path) = text.split_once("  ")?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hash.len() != HASH_DIGITS || !hash.bytes().all(lower) {
        return None;
    }
    let own = matches!(path, super::MANIFEST | super::SIGNATURE);
    (is_path(path) && !own).then_some(path)
}

/// Whether a path is a plain relative one: no `.`, no `..`, nothing that another system reads otherwise.
pub(crate) fn is_path(path: &str) -> bool {
    let plain = |step: &str| !matches!(step, "" | "." | "..");
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    path.len() <= MAX_PATH && path.bytes().all(legal) && path.split('/').all(plain)
}
