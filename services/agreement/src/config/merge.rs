//! How the files of a configuration become one: tables merge by key, arrays of tables are joined, and what two files
//! set is an error unless the later one says that it overrides.

use std::collections::HashMap;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::origin::{Misplaced, Problem};
use super::uses::Use;

/// Most keys that one file overrides.
const MAX_OVERRIDES: usize = 64;
/// What names an entry of an array of tables.
const IDENTITIES: [&str; 3] = ["key", "id", "name"];

/// What a file says of its merge; nothing of it is left in the document.
#[derive(Debug, Default)]
pub(super) struct Preamble {
    /// `[use]`, of the pack alone.
    pub(super) uses: Use,
}

/// The document as it grows.
#[derive(Debug, Default)]
pub(super) struct Merge<'a> {
    pub(super) table: DeTable<'a>,
}

/// Dotted keys that the file which is being merged may set again, with where each stands and whether it was needed.
type Overrides = HashMap<String, (usize, bool)>;

impl<'a> Merge<'a> {
    /// Merges one more file; `is_pack` for `agreement.toml`, which comes last.
    pub(super) fn add(&mut self, mut table: DeTable<'a>, is_pack: bool) -> Result<Preamble, Misplaced> {
        if !is_pack && let Some((key, _)) = ["import", "use"].iter().find_map(|key| table.get_key_value(*key)) {
            return Err(plain(key.span().start, key.get_ref(), "a fragment may not have it"));
        }
        let is_old = table.get("format").is_some_and(|format| integer(format.get_ref()) == Some("1"));
        let merging = ["import", "override", "use"].iter().find_map(|key| table.get_key_value(*key));
        if is_old && let Some((key, _)) = merging {
            return Err(plain(key.span().start, key.get_ref(), "needs format = 2"));
        }
        table.remove("import");
        let mut overrides = overrides(table.remove("override"))?;
        let uses = table.remove("use").map_or(Ok(Use::default()), parse)?;
        merge(&mut self.table, table, "", &mut overrides)?;
        if let Some((key, (at, _))) = overrides.iter().find(|(_, (_, needed))| !needed) {
            return Err(plain(*at, "override", format!("nothing before sets `{key}`")));
        }
        Ok(Preamble { uses })
    }
}

fn overrides(value: Option<Spanned<DeValue<'_>>>) -> Result<Overrides, Misplaced> {
    let Some(value) = value else { return Ok(Overrides::new()) };
    let at = value.span().start;
    let wrong = |at| plain(at, "override", format!("must be a list of at most {MAX_OVERRIDES} dotted keys"));
    let DeValue::Array(list) = value.into_inner() else { return Err(wrong(at)) };
    if list.len() > MAX_OVERRIDES {
        return Err(wrong(at));
    }
    let entry = |entry: Spanned<DeValue<'_>>| {
        let at = entry.span().start;
        let key = entry.get_ref().as_str().ok_or_else(|| wrong(at))?;
        Ok((key.to_owned(), (at, false)))
    };
    list.into_iter().map(entry).collect()
}

/// Reads a part of the document that is not of the configuration.
pub(super) fn parse<T: for<'de> Deserialize<'de> + Default>(value: Spanned<DeValue<'_>>) -> Result<T, Misplaced> {
    let span = value.span();
    let DeValue::Table(table) = value.into_inner() else {
        return Err(plain(span.start, "use", "must be a table"));
    };
    let read = T::deserialize(Deserializer::from(Spanned::new(span.clone(), table)));
    read.map_err(|error| {
        let at = error.span().map_or(span.start, |span| span.start);
        plain(at, "use", error.message().replace('\n', " "))
    })
}

fn merge<'a>(into: &mut DeTable<'a>, from: DeTable<'a>, path: &str, over: &mut Overrides) -> Result<(), Misplaced> {
    for (key, value) in from {
        let path = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        let Some(there) = into.get_mut(key.get_ref().as_ref()) else {
            into.insert(key, value);
            continue;
        };
        let (at, other) = (value.span().start, there.span().start);
        match (there.get_mut(), value.into_inner()) {
            (DeValue::Table(there), DeValue::Table(table)) => merge(there, table, &path, over)?,
            (DeValue::Array(there), DeValue::Array(array)) if is_tables(there) && is_tables(&array) => {
                join(there, array, &path)?;
            }
            (old, new) => {
                let same_kind = !matches!(old, DeValue::Table(_)) && !matches!(new, DeValue::Table(_));
                let listed = over.get_mut(&path).filter(|_| same_kind);
                let Some((_, needed)) = listed else {
                    let problem = Problem::At("is not listed in `override`, and is already set at".into(), other);
                    return Err(Misplaced { at, key: path, problem });
                };
                *needed = true;
                let span = at..at;
                *there = Spanned::new(span, new);
            }
        }
    }
    Ok(())
}

/// Joins two arrays of tables; an entry of the later one may not have the name of one of the earlier.
fn join<'a>(there: &mut DeArray<'a>, array: DeArray<'a>, path: &str) -> Result<(), Misplaced> {
    let mut known: HashMap<String, usize> = HashMap::new();
    for entry in there.iter() {
        known.extend(identity(entry.get_ref()).map(|name| (name.to_owned(), entry.span().start)));
    }
    for entry in array {
        if let Some(name) = identity(entry.get_ref())
            && let Some(other) = known.get(name)
        {
            let problem = Problem::At(format!("`{name}` is already named at"), *other);
            return Err(Misplaced { at: entry.span().start, key: path.to_owned(), problem });
        }
        there.push(entry);
    }
    Ok(())
}

/// Whether an array holds nothing but tables; so does an empty one.
fn is_tables(array: &DeArray<'_>) -> bool {
    array.iter().all(|entry| matches!(entry.get_ref(), DeValue::Table(_)))
}

/// What names an entry of an array of tables.
pub(super) fn identity<'v>(entry: &'v DeValue<'_>) -> Option<&'v str> {
    IDENTITIES.iter().find_map(|key| entry.get(*key)?.get_ref().as_str())
}

fn integer<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    match value {
        DeValue::Integer(number) => Some(number.as_str()),
        _ => None,
    }
}

pub(super) fn plain(at: usize, key: &str, problem: impl Into<String>) -> Misplaced {
    Misplaced { at, key: key.to_owned(), problem: Problem::Plain(problem.into()) }
}
