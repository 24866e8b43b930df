//! What the agreement rests on (`[[legal]]`, fundamento jurídico), each text with what is not certain about it.

use serde::Deserialize;

use super::check::{code, count, text};
use super::{Config, Day, Origin};
use crate::pack::PackError;

/// A legal text that clauses refer to by its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Legal {
    /// Key, unique in the agreement, for example `decree-43527`.
    pub key: String,
    /// Title as published.
    pub title: String,
    /// Day of signature or publication, where known.
    pub date: Option<Day>,
    /// Party whose law it is; absent for what is common.
    pub party: Option<String>,
    /// How much of it the authors read.
    pub status: LegalStatus,
    /// Where it was read; demanded unless it is uncertain.
    #[serde(default)]
    pub source: String,
    /// What is not certain; demanded where `status` is `uncertain`.
    #[serde(default)]
    pub doubt: String,
}

/// How much of a text the authors of the agreement read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegalStatus {
    /// The whole text.
    Read,
    /// A part, or what others say of it.
    ReadExcerpt,
    /// Whether it exists, is in force or says so is not certain.
    Uncertain,
}

impl LegalStatus {
    /// As `agreement.toml` writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadExcerpt => "read-excerpt",
            Self::Uncertain => "uncertain",
        }
    }
}

pub(super) fn check(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    count(at, "legal", config.legal.len(), 1, 64)?;
    for (index, legal) in config.legal.iter().enumerate() {
        let key = |field: &str| format!("legal[{index}].{field}");
        code(at, &key("key"), &legal.key, b"-_.", 1)?;
        if config.legal.iter().take(index).any(|earlier| earlier.key == legal.key) {
            at.note(at.error(&key("key"), format!("`{}` is named twice", legal.key)))?;
        }
        text(at, &key("title"), &legal.title, 1, 400)?;
        text(at, &key("source"), &legal.source, usize::from(legal.status != LegalStatus::Uncertain), 400)?;
        text(at, &key("doubt"), &legal.doubt, usize::from(legal.status == LegalStatus::Uncertain), 1000)?;
        if let Some(party) = &legal.party {
            config.known_party(at, &key("party"), party)?;
        }
    }
    Ok(())
}
