//! The merged configuration as one canonical text, so that two programs can tell whether they merged alike.
//!
//! The form: keys in bytewise order; of each table first its plain values and arrays, then its tables, then its arrays
//! of tables; every table by its own header, none inline; integers in decimal; texts in double quotes with `\\`, `\"`
//! and `\u00XX` for control characters; one `\n` after each line, and no empty one.

use std::fmt::Write;

use toml::de::{DeTable, DeValue};

use super::Origin;

impl Origin<'_> {
    /// The document in canonical form.
    pub(crate) fn canonical(&self) -> String {
        let mut text = String::new();
        table(&mut text, "", self.table());
        text
    }
}

fn table(text: &mut String, path: &str, of: &DeTable<'_>) {
    let entries = || of.iter().map(|(name, value)| (key(name.get_ref()), value.get_ref()));
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, value) in entries() {
        if !matches!(value, DeValue::Table(_)) && tables(value).is_none() {
            text.push_str(&name);
            text.push_str(" = ");
            plain(text, value);
            text.push('\n');
        }
    }
    for (name, value) in entries() {
        if let DeValue::Table(inner) = value {
            let path = below(&name);
            text.push_str(&format!("[{path}]\n"));
            table(text, &path, inner);
        }
    }
    for (name, value) in entries() {
        for inner in tables(value).into_iter().flatten() {
            let path = below(&name);
            text.push_str(&format!("[[{path}]]\n"));
            table(text, &path, inner);
        }
    }
}

/// The entries of an array of tables; an empty array is a plain value.
fn tables<'v, 'a>(value: &'v DeValue<'a>) -> Option<Vec<&'v DeTable<'a>>> {
    let DeValue::Array(array) = value else { return None };
    let tables = array.iter().map(|entry| match entry.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    });
    tables.collect::<Option<Vec<_>>>().filter(|tables| !tables.is_empty())
}

fn plain(text: &mut String, value: &DeValue<'_>) {
    match value {
        DeValue::String(value) => quoted(text, value),
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => text.push_str(&number.to_string()),
            Err(_) => text.push_str(&value.to_string()),
        },
        DeValue::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
        // No key of a configuration takes these: it was refused before.
        DeValue::Float(value) => text.push_str(value.as_str()),
        DeValue::Datetime(value) => text.push_str(&value.to_string()),
        DeValue::Array(array) => {
            text.push('[');
            for (index, entry) in array.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                plain(text, entry.get_ref());
            }
            text.push(']');
        }
        // A table among plain values: no key of a configuration takes such a list.
        DeValue::Table(_) => text.push_str("{}"),
    }
}

fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if !name.is_empty() && name.bytes().all(bare) {
        return name.to_owned();
    }
    let mut text = String::new();
    quoted(&mut text, name);
    text
}

fn quoted(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            control if control < ' ' || control == '\u{7f}' => {
                write!(text, "\\u{:04X}", u32::from(control)).expect("a String takes every text");
            }
            plain => text.push(plain),
        }
    }
    text.push('"');
}
