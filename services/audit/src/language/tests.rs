use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement, Resource};

use super::*;

/// Placeholders of every text of a language.
fn texts(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let resource: Resource<&str> = fluent_syntax::parser::parse(language.source()).unwrap();
    let mut found = BTreeMap::new();
    for entry in resource.body {
        match entry {
            Entry::Message(message) => {
                let mut names = BTreeSet::new();
                placeholders(message.value.as_ref().expect("a text has a value"), &mut names);
                assert!(message.attributes.is_empty(), "{}", message.id.name);
                assert!(found.insert(message.id.name.to_owned(), names).is_none(), "{}", message.id.name);
            }
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
            Entry::Term(_) | Entry::Junk { .. } => panic!("{language}: no text"),
        }
    }
    found
}

fn placeholders(pattern: &Pattern<&str>, names: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else { continue };
        match expression {
            Expression::Inline(inline) => inlined(inline, names),
            Expression::Select { selector, variants } => {
                inlined(selector, names);
                variants.iter().for_each(|variant| placeholders(&variant.value, names));
            }
        }
    }
}

fn inlined(inline: &InlineExpression<&str>, names: &mut BTreeSet<String>) {
    match inline {
        InlineExpression::VariableReference { id } => drop(names.insert(id.name.to_owned())),
        InlineExpression::StringLiteral { .. } => {}
        other => panic!("only variables and literals stand in texts: {other:?}"),
    }
}

/// The source text of this crate, tests excepted.
fn sources(dir: &Path, out: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            out.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_language_has_every_text_with_the_same_placeholders() {
    let english = texts(Language::English);
    for language in [Language::Spanish, Language::French] {
        let other = texts(language);
        assert_eq!(english.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>(), "{language}");
        for (key, names) in &english {
            assert_eq!(names, &other[key], "{language} {key}");
        }
    }
}

#[test]
fn the_code_asks_for_the_texts_that_there_are_and_for_no_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("templates"), &mut code);
    let english = texts(Language::English);
    for key in english.keys() {
        // Those of a question are asked for by its number and the ending.
        let asked = key.split_once('-').filter(|(question, _)| crate::report::QUESTIONS.contains(question));
        let by_ending = asked.is_some_and(|(_, ending)| code.contains(&format!("\"{ending}\"")));
        assert!(by_ending || code.contains(&format!("\"{key}\"")), "no code asks for {key}");
    }
    let keys = code.split("say(\"").chain(code.split(".with(\"")).skip(1).filter_map(|rest| rest.split('"').next());
    for key in
        keys.filter(|key| key.contains('-') && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
    {
        assert!(english.contains_key(key), "there is no text {key}");
    }
    for question in crate::report::QUESTIONS {
        for ending in ["question", "rule", "ok", "finding"] {
            assert!(english.contains_key(&format!("{question}-{ending}")), "{question}-{ending}");
        }
    }
}

#[test]
fn values_are_filled_in_without_marks() {
    for language in Language::ALL {
        let said = Catalogue::of(language).with("label-more", [("count", 7.into())]);
        assert!(said.contains('7') && !said.contains('\u{2068}'), "{said}");
        assert_eq!(language.code().parse(), Ok(language));
    }
    assert_eq!("de".parse::<Language>(), Err(UnknownLanguage));
}
