//! Closed lists of values for registry fields (`[[code_lists]]`, catálogos).

use serde::Deserialize;

use super::check::{code, count, distinct};
use super::{Config, Origin};
use crate::pack::PackError;

/// The only values that some registry fields may take under this agreement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeList {
    /// Name, unique in the agreement.
    pub name: String,
    /// The values.
    pub values: Vec<String>,
    /// Paths of the fields from a registry record, for example `contract.terms.piece_unit`.
    pub fields: Vec<String>,
}

pub(super) fn check(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    count(at, "code_lists", config.code_lists.len(), 0, 32)?;
    for (index, list) in config.code_lists.iter().enumerate() {
        let key = |field: &str| format!("code_lists[{index}].{field}");
        code(at, &key("name"), &list.name, b"-_", 1)?;
        if config.code_lists.iter().take(index).any(|earlier| earlier.name == list.name) {
            at.note(at.error(&key("name"), format!("`{}` is named twice", list.name)))?;
        }
        count(at, &key("values"), list.values.len(), 1, 512)?;
        distinct(at, &key("values"), &list.values)?;
        for (entry, value) in list.values.iter().enumerate() {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if !(1..=64).contains(&value.len()) || !value.bytes().all(legal) {
                let problem = "must have 1 to 64 letters, digits, dots, underscores or dashes";
                at.note(at.error(&format!("code_lists[{index}].values[{entry}]"), problem))?;
            }
        }
        count(at, &key("fields"), list.fields.len(), 1, 16)?;
        distinct(at, &key("fields"), &list.fields)?;
        for (entry, path) in list.fields.iter().enumerate() {
            let key = format!("code_lists[{index}].fields[{entry}]");
            let step = |step: &str| {
                !step.is_empty() && step.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            if path.len() > 128 || !path.contains('.') || !path.split('.').all(step) {
                at.note(at.error(&key, "must be the path of a registry field"))?;
            }
            let earlier = config.code_lists.iter().take(index).flat_map(|other| &other.fields);
            if earlier.into_iter().any(|other| other == path) {
                at.note(at.error(&key, format!("`{path}` already has a list")))?;
            }
        }
    }
    Ok(())
}
