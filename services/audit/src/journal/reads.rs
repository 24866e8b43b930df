//! Who read whom.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use convenio_model::Ref;
use convenio_seal::TrustFile;
use convenio_wire::exchange::v1::{JournalAction, JournalPart};
use serde::Serialize;

use super::fold::kind_named;
use super::walk::{Told, walk};
use crate::audit::Options;
use crate::problem::{Problems, Unusable};
use crate::verify::check;

/// One access, or change, as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Journal.
    pub origin: String,
    /// Index of the entry.
    pub index: u64,
    /// When, Unix ms.
    pub time_ms: u64,
    /// `READ`, `WRITTEN`, `REMOVED`, `ERASED`, `EXPORTED`, `HELD`.
    pub action: &'static str,
    /// SPIFFE id; `system` for the node itself.
    pub caller: String,
    /// Organisation and post.
    pub office: String,
    /// Purpose; empty if none was given.
    pub purpose: String,
    /// Method.
    pub method: String,
    /// Records that a list gave.
    pub count: u64,
    /// True where the subject is not named: the list gave more records than its entry names.
    pub unnamed: bool,
    /// Origin of the log whose entries were read; empty if none were.
    pub log: String,
    /// First index that was read.
    pub begin: u64,
    /// Index past the last one that was read; 0 for a stream that followed the log, whose pages stand by themselves.
    pub end: u64,
}

/// Accesses to one subject, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Accesses {
    /// Whether the bundle is whole and signed as the trust file demands; nothing is told otherwise.
    pub holds: bool,
    /// In the order of the journal.
    pub accesses: Vec<Access>,
    /// Entries whose part is gone: what they told is not known any more.
    pub indeterminate: u64,
}

/// Who read, wrote or exported `subject` (`workers/<uuid>`, `placements/<uuid>` …), or anybody if there is none, as the
/// journal of the bundle in `path` tells. Exports and long lists may hold the subject without naming it.
///
/// # Errors
/// [`Unusable`]; [`Unusable::Subject`] if that is not a subject.
pub fn accesses(
    path: &Path,
    trust: &TrustFile,
    subject: Option<&str>,
    options: &Options,
) -> Result<Accesses, Unusable> {
    let wanted = subject.map(|text| named(text).ok_or_else(|| Unusable::Subject(text.to_owned()))).transpose()?;
    let checked = check(path, trust, options)?;
    let mut found = Accesses { holds: checked.verification.holds, ..Accesses::default() };
    let Some(bundle) = checked.bundle.filter(|_| checked.verification.holds) else { return Ok(found) };
    for line in super::by_epoch(&bundle) {
        walk(&bundle, line, &BTreeSet::new(), &mut Problems::default(), &mut |told| match told.part {
            Some(part) => found.accesses.extend(access(&told, part, wanted.as_ref())),
            None => found.indeterminate += 1,
        });
    }
    Ok(found)
}

impl Accesses {
    /// For people: one line an entry.
    #[must_use]
    pub fn text(&self) -> String {
        if !self.holds {
            return "the bundle is not whole: its journal tells nothing\n".to_owned();
        }
        let mut out = String::new();
        for access in &self.accesses {
            let Access { origin, index, time_ms, action, caller, office, purpose, method, count, unnamed, .. } = access;
            let purpose = if purpose.is_empty() { "-" } else { purpose };
            let named = if *unnamed { format!(" (one of {count}, not named)") } else { String::new() };
            let range = access.range();
            let _ =
                writeln!(out, "{time_ms} {action} {caller} {office} {purpose} {method} {origin}#{index}{named}{range}");
        }
        let _ = writeln!(
            out,
            "{} accesses, {} entries that tell nothing any more",
            self.accesses.len(),
            self.indeterminate
        );
        out
    }
}

impl Access {
    /// The entries that were read, for people; empty if it was no log.
    fn range(&self) -> String {
        let Self { log, begin, end, .. } = self;
        match (log.as_str(), end) {
            ("", _) => String::new(),
            (_, 0) => format!(" of {log}, from {begin} on"),
            _ => format!(" of {log}, from {begin} to before {end}"),
        }
    }
}

fn named(subject: &str) -> Option<(u32, Ref)> {
    let (collection, id) = subject.split_once('/')?;
    Some((kind_named(collection)?, id.parse().ok()?))
}

fn access(told: &Told<'_>, part: &JournalPart, wanted: Option<&(u32, Ref)>) -> Option<Access> {
    let is = |(kind, id): &(u32, Ref)| part.rows.iter().any(|row| row.kind == *kind && row.id == id.0);
    let more = part.count > part.rows.len() as u64 || part.action() == JournalAction::Exported;
    let unnamed = wanted.is_some_and(|wanted| !is(wanted));
    (!unnamed || more).then(|| Access {
        origin: told.line.name.clone(),
        index: told.index,
        time_ms: told.entry.time_ms,
        action: part.action().as_str_name().trim_start_matches("JOURNAL_ACTION_"),
        caller: part.caller.clone(),
        office: part.office.clone(),
        purpose: part.purpose.clone(),
        method: part.method.clone(),
        count: part.count,
        unnamed,
        log: part.log.clone(),
        begin: part.begin,
        end: part.end,
    })
}
