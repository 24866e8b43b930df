//! Variables in the values of a step.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::calendar::Day;
use crate::draw::{Draw, id};
use crate::people::Person;

/// Minute of the day at which the events of a play happen at the earliest and the latest.
const DAYTIME: [i64; 2] = [420, 1_080];
/// How far from the first day a date may lie.
const MAX_DAYS: i64 = 3_660;
const NAMES: [&str; 6] = ["n", "uuid", "given", "family", "sex", "birth"];

/// One worker's variables, or those of the steps around all workers.
#[derive(Clone, Debug)]
pub struct Scope {
    seed: u64,
    label: String,
    n: u32,
    person: Person,
    first_day: Day,
    minute: i64,
    saved: BTreeMap<String, String>,
    uuids: u64,
}

/// What stands between `${` and `}`.
enum Variable<'a> {
    Date(i64),
    Millis(i64),
    Sha256(&'a str),
    Named(&'a str),
}

impl Scope {
    /// The variables of what is done once.
    pub fn general(seed: u64, agreement: &str, first_day: Day) -> Self {
        Self::new(seed, agreement.to_owned(), 0, first_day)
    }

    /// The variables of worker `n`, with what was saved before.
    pub fn worker(&self, n: u32) -> Self {
        Self {
            saved: self.saved.clone(),
            ..Self::new(self.seed, format!("{}/worker/{n}", self.label), n, self.first_day)
        }
    }

    fn new(seed: u64, label: String, n: u32, first_day: Day) -> Self {
        let minute = Draw::new(seed, &format!("{label}/minute")).between(DAYTIME[0], DAYTIME[1]);
        Self { seed, n, person: Person::drawn(seed, n), first_day, minute, saved: BTreeMap::new(), uuids: 0, label }
    }

    /// Keeps a name.
    pub fn save(&mut self, variable: &str, name: String) {
        self.saved.insert(variable.to_owned(), name);
    }

    /// A UUID that no other use has.
    pub fn uuid(&mut self) -> String {
        self.uuids += 1;
        id(self.seed, &format!("{}/uuid/{}", self.label, self.uuids))
    }

    /// The value with every variable replaced.
    ///
    /// # Errors
    /// What cannot be replaced: only what [`check`] refuses.
    pub fn fill(&mut self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => self.fill_text(text)?,
            Value::Array(items) => Value::Array(items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?),
            Value::Object(fields) => {
                let mut filled = Map::new();
                for (name, value) in fields {
                    filled.insert(name.clone(), self.fill_field(name, value)?);
                }
                Value::Object(filled)
            }
            other => other.clone(),
        })
    }

    /// The text with every variable replaced.
    ///
    /// # Errors
    /// As [`Scope::fill`].
    pub fn text(&mut self, text: &str) -> Result<String, String> {
        match self.fill_text(text)? {
            Value::String(text) => Ok(text),
            other => Err(format!("{other}: not a text")),
        }
    }

    fn fill_field(&mut self, name: &str, value: &Value) -> Result<Value, String> {
        match value {
            // The type of an Any: proto JSON wants an address before the message's name.
            Value::String(text) if name == "@type" && !text.contains('/') => {
                Ok(Value::from(format!("type.googleapis.com/{text}")))
            }
            other => self.fill(other),
        }
    }

    fn fill_text(&mut self, text: &str) -> Result<Value, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, inner, after)) = next(rest)? {
            filled.push_str(before);
            let value = self.value(&parse(inner)?, inner)?;
            match value {
                Value::String(text) => filled.push_str(&text),
                message if before.is_empty() && after.is_empty() && rest.len() == text.len() => return Ok(message),
                _ => return Err(format!("${{{inner}}}: must stand alone")),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(Value::String(filled))
    }

    fn value(&mut self, variable: &Variable<'_>, inner: &str) -> Result<Value, String> {
        Ok(match variable {
            Variable::Date(days) => date(self.first_day.plus(*days)),
            Variable::Millis(days) => Value::from(self.first_day.plus(*days).at_minute(self.minute).to_string()),
            Variable::Sha256(text) => {
                let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
                Value::from(STANDARD.encode(hash.as_ref()))
            }
            Variable::Named("n") => Value::from(self.n.to_string()),
            Variable::Named("uuid") => Value::from(self.uuid()),
            Variable::Named("given") => Value::from(self.person.given.as_str()),
            Variable::Named("family") => Value::from(self.person.family.as_str()),
            Variable::Named("sex") => Value::from(self.person.sex),
            Variable::Named("birth") => date(self.person.birth),
            Variable::Named(name) => {
                let saved = self.saved.get(*name);
                Value::from(saved.ok_or_else(|| format!("${{{inner}}}: no step before this one saves it"))?.as_str())
            }
        })
    }
}

fn date(day: Day) -> Value {
    let (year, month, day) = day.parts();
    json!({ "year": year, "month": month, "day": day })
}

/// Whether a variable of this name is there without being saved.
pub fn is_built_in(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Checks that every variable of a value is well written, and built in or `known`.
///
/// # Errors
/// The first that is not.
pub fn check(value: &Value, known: &BTreeSet<String>) -> Result<(), String> {
    match value {
        Value::String(text) => check_text(text, known),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, known)),
        Value::Object(fields) => fields.values().try_for_each(|value| check(value, known)),
        _ => Ok(()),
    }
}

fn check_text(text: &str, known: &BTreeSet<String>) -> Result<(), String> {
    let mut rest = text;
    while let Some((before, inner, after)) = next(rest)? {
        let alone = before.is_empty() && after.is_empty() && rest.len() == text.len();
        match parse(inner)? {
            Variable::Date(_) | Variable::Named("birth") if !alone => {
                return Err(format!("${{{inner}}}: must stand alone"));
            }
            Variable::Named(name) if !is_built_in(name) && !known.contains(name) => {
                return Err(format!("${{{inner}}}: no step before this one saves it"));
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

/// What stands before the next variable, in it, and after it.
fn next(text: &str) -> Result<Option<(&str, &str, &str)>, String> {
    let Some((before, rest)) = text.split_once("${") else { return Ok(None) };
    let (inner, after) = rest.split_once('}').ok_or("a `${` without its `}`")?;
    Ok(Some((before, inner, after)))
}

fn parse(inner: &str) -> Result<Variable<'_>, String> {
    let days = |text: &str| {
        let days = text.parse::<i64>().ok().filter(|days| days.abs() <= MAX_DAYS);
        days.ok_or_else(|| format!("${{{inner}}}: not a number of days up to {MAX_DAYS}, such as +10"))
    };
    match inner.split_once(':') {
        Some(("date", text)) => days(text).map(Variable::Date),
        Some(("ms", text)) => days(text).map(Variable::Millis),
        Some(("sha256", text)) => Ok(Variable::Sha256(text)),
        Some(_) => Err(format!("${{{inner}}}: there is no such variable")),
        None => Ok(Variable::Named(inner)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_where_they_stand() {
        let mut general = Scope::general(7, "xx-yy", Day::civil(2026, 1, 30));
        general.save("employer", "employers/1".to_owned());
        let mut scope = general.worker(3);
        let filled = scope.fill(&json!({
            "employer": "${employer}", "n": "worker ${n} of ${employer}", "date": "${date:+3}", "ms": "${ms:-29}",
            "hash": "${sha256:abc}", "list": ["${uuid}", "${uuid}"], "data": { "@type": "a.B" }, "number": 3,
        }));
        let filled = filled.expect("all are known");
        assert_eq!(filled["employer"], "employers/1");
        assert_eq!(filled["n"], "worker 3 of employers/1");
        assert_eq!(filled["date"], json!({ "year": 2026, "month": 2, "day": 2 }));
        let ms: i64 = filled["ms"].as_str().and_then(|text| text.parse().ok()).expect("a number");
        assert_eq!(ms.div_euclid(86_400_000) * 86_400_000, Day::civil(2026, 1, 1).at_minute(0));
        // FIPS 180-4, example of SHA-256.
        assert_eq!(filled["hash"], "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_ne!(filled["list"][0], filled["list"][1]);
        assert_eq!(filled["data"]["@type"], "type.googleapis.com/a.B");
        assert_eq!(filled["number"], 3);
    }
}
