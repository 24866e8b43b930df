//! What people read, in three languages: one Fluent file each, compiled in. Every language has every text with the same
//! placeholders; a test holds the files and the code to that.

use std::fmt;
use std::str::FromStr;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

/// Language of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Spanish (español).
    Spanish,
    /// French (français).
    French,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::English, Self::Spanish, Self::French];

    /// ISO 639-1 code, as `--lang` and the HTML attribute `lang` write it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
            Self::French => "fr",
        }
    }

    /// The Fluent file.
    fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../texts/en.ftl"),
            Self::Spanish => include_str!("../texts/es.ftl"),
            Self::French => include_str!("../texts/fr.ftl"),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// No language of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a report is written in `en`, `es` or `fr`")]
pub struct UnknownLanguage;

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(code: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL.into_iter().find(|language| language.code() == code).ok_or(UnknownLanguage)
    }
}

/// The texts of one language.
pub struct Catalogue {
    language: Language,
    texts: FluentBundle<FluentResource>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalogue({})", self.language)
    }
}

/// A placeholder and what stands in it.
pub type With<'a> = (&'static str, FluentValue<'a>);

impl Catalogue {
    /// The texts of `language`.
    ///
    /// # Panics
    /// If a compiled-in file is no Fluent file; a test reads all of them.
    #[must_use]
    pub fn of(language: Language) -> Self {
        let locale: LanguageIdentifier = language.code().parse().expect("the codes are language identifiers");
        let mut texts = FluentBundle::new_concurrent(vec![locale]);
        // The marks of direction that Fluent would put around values disturb terminals and searches.
        texts.set_use_isolating(false);
        let source = FluentResource::try_new(language.source().to_owned()).expect("a compiled-in file of texts parses");
        texts.add_resource(source).expect("a compiled-in file names each text once");
        Self { language, texts }
    }

    /// Language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// A text without placeholders.
    #[must_use]
    pub fn say(&self, key: &str) -> String {
        self.with(key, [])
    }

    /// A text with its placeholders filled; the key itself if there is no such text.
    #[must_use]
    pub fn with<'a>(&self, key: &str, values: impl IntoIterator<Item = With<'a>>) -> String {
        let mut args = FluentArgs::new();
        values.into_iter().for_each(|(name, value)| args.set(name, value));
        let pattern = self.texts.get_message(key).and_then(|message| message.value());
        let mut errors = Vec::new();
        pattern.map_or_else(
            || key.to_owned(),
            |pattern| self.texts.format_pattern(pattern, Some(&args), &mut errors).into_owned(),
        )
    }
}

#[cfg(test)]
mod tests;
