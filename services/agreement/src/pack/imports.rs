//! The TOML fragments that an `agreement.toml` imports.

use toml::de::{DeTable, DeValue};

use super::compile::Reader;
use super::{COMMON, CONFIG_NAME, FOLDER, PackError, file_error};

/// Most fragments of a pack.
const MAX_FRAGMENTS: usize = 8;

/// Reads the fragments that `config`, the file `path`, imports, in their order. What is no TOML imports nothing: the
/// parser tells why.
pub(super) fn fragments(path: &str, config: &[u8], read: &Reader) -> Result<Vec<(String, Vec<u8>)>, PackError> {
    let text = std::str::from_utf8(config).unwrap_or_default();
    let Ok(table) = DeTable::parse(text) else { return Ok(Vec::new()) };
    let Some(import) = table.get_ref().get("import") else { return Ok(Vec::new()) };
    let refused = |at: usize, index: Option<usize>, problem: String| {
        let line = text.get(..at).map(|before| before.matches('\n').count() + 1);
        let key = index.map_or_else(|| "import".to_owned(), |index| format!("import[{index}]"));
        PackError::at(path, line.and_then(|line| u32::try_from(line).ok()), Some(&key), problem).rule("config/import")
    };
    let DeValue::Array(list) = import.get_ref() else {
        return Err(refused(import.span().start, None, "must be a list of fragments".into()));
    };
    if list.len() > MAX_FRAGMENTS {
        return Err(refused(import.span().start, None, format!("more than {MAX_FRAGMENTS} fragments")));
    }
    let mut fragments = Vec::<(String, Vec<u8>)>::new();
    for (index, entry) in list.iter().enumerate() {
        let refused = |problem: &str| refused(entry.span().start, Some(index), problem.to_owned());
        let name = entry.get_ref().as_str().filter(|name| is_fragment(name));
        let name = name.ok_or_else(|| refused("must be agreements/common/<name>.toml"))?;
        if fragments.iter().any(|(earlier, _)| earlier == name) {
            return Err(refused("is imported twice"));
        }
        let bytes = read(name).map_err(|error| file_error(&error))?;
        let bytes = bytes.ok_or_else(|| refused("there is no such file"))?;
        fragments.push((name.to_owned(), bytes));
    }
    Ok(fragments)
}

fn is_fragment(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    let folder = format!("{FOLDER}/{COMMON}/");
    let stem = name.strip_prefix(folder.as_str()).filter(|name| *name != CONFIG_NAME);
    let stem = stem.and_then(|name| name.strip_suffix(".toml"));
    stem.is_some_and(|stem| (1..=64).contains(&stem.len()) && stem.bytes().all(legal))
}
