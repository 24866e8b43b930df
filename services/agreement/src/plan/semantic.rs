//! What a message says, in terms of the registry, whatever agreement it is of.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, Value};

use super::PathText;
use crate::pack::Pack;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// A number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Number of an enum's value.
    Enum(i32),
    /// An amount.
    Money {
        /// Minor units of the currency.
        minor_units: i64,
        /// ISO 4217 code.
        currency: String,
    },
    /// A civil date.
    Date {
        /// Year.
        year: i32,
        /// Month, 1 to 12.
        month: i32,
        /// Day, 1 to 31.
        day: i32,
    },
    /// A code from a published list.
    Code {
        /// List with its version.
        list: String,
        /// Code.
        value: String,
    },
    /// A place.
    Place {
        /// ISO 3166-1 alpha-2.
        country: String,
        /// ISO 3166-2; may be empty.
        subdivision: String,
        /// Municipality; may be empty.
        locality: String,
    },
    /// A line of a ledger of work.
    Line(Box<Line>),
    /// Several.
    List(Vec<Term>),
}

/// A line of a ledger of work (libreta): one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Year, month and day.
    pub day: (i32, i32, i32),
    /// How much was done, in thousandths of the unit.
    pub quantity_thousandths: i64,
    /// List and value of the unit; none for days.
    pub unit: Option<(String, String)>,
    /// What is due: minor units and currency.
    pub amount: (i64, String),
    /// What was deducted.
    pub deductions: Option<(i64, String)>,
}

/// What a message says, by the registry paths that its fields are built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doc {
    /// Every field of the message, in its order; `None` if it is not set.
    terms: Vec<(PathText, Option<Term>)>,
}

impl Pack {
    /// What a message of this agreement says. Unset message-typed fields are absent, other fields have
    /// their default. Empty for a message that may not cross.
    #[must_use]
    pub fn semantic(&self, full_name: &str, message: &DynamicMessage) -> Doc {
        let Some(plan) = self.message(full_name) else { return Doc::default() };
        let terms = plan.fields.iter().map(|plan| {
            let field = &plan.field;
            let absent = field.supports_presence() && !message.has_field(field);
            let value = (!absent).then(|| message.get_field(field));
            (plan.source.text().clone(), value.as_deref().and_then(term))
        });
        Doc { terms: terms.collect() }
    }
}

impl Doc {
    /// The value built from this registry path.
    #[must_use]
    pub fn term(&self, path: &str) -> Option<&Term> {
        self.terms.iter().find(|(own, _)| **own == *path)?.1.as_ref()
    }

    /// All values that are set, with their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Term)> {
        self.terms.iter().filter_map(|(path, term)| Some((&**path, term.as_ref()?)))
    }

    /// A number.
    #[must_use]
    pub fn int(&self, path: &str) -> Option<i64> {
        match self.term(path)? {
            Term::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// Yes or no.
    #[must_use]
    pub fn bool(&self, path: &str) -> Option<bool> {
        match self.term(path)? {
            Term::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.term(path)? {
            Term::Text(value) => Some(value),
            _ => None,
        }
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        match self.term(path)? {
            Term::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// Number of an enum's value.
    #[must_use]
    pub fn enum_number(&self, path: &str) -> Option<i32> {
        match self.term(path)? {
            Term::Enum(value) => Some(*value),
            _ => None,
        }
    }

    /// An amount: minor units and currency.
    #[must_use]
    pub fn money(&self, path: &str) -> Option<(i64, &str)> {
        match self.term(path)? {
            Term::Money { minor_units, currency } => Some((*minor_units, currency)),
            _ => None,
        }
    }

    /// A date: year, month, day.
    #[must_use]
    pub fn date(&self, path: &str) -> Option<(i32, i32, i32)> {
        match self.term(path)? {
            Term::Date { year, month, day } => Some((*year, *month, *day)),
            _ => None,
        }
    }

    /// A code: list and value.
    #[must_use]
    pub fn code(&self, path: &str) -> Option<(&str, &str)> {
        match self.term(path)? {
            Term::Code { list, value } => Some((list, value)),
            _ => None,
        }
    }

    /// A place: country, subdivision, locality.
    #[must_use]
    pub fn place(&self, path: &str) -> Option<(&str, &str, &str)> {
        match self.term(path)? {
            Term::Place { country, subdivision, locality } => Some((country, subdivision, locality)),
            _ => None,
        }
    }

    /// Several values.
    #[must_use]
    pub fn list(&self, path: &str) -> Option<&[Term]> {
        match self.term(path)? {
            Term::List(values) => Some(values),
            _ => None,
        }
    }

    /// The field that is built from this registry path: `None` if the message has none, `Some(None)` if it is not set.
    pub(super) fn field(&self, path: &str) -> Option<Option<&Term>> {
        self.terms.iter().find(|(own, _)| **own == *path).map(|(_, term)| term.as_ref())
    }

    /// The field whose path has this suffix after its root: `None` if the message has none,
    /// `Some(None)` if it is not set.
    pub(super) fn by_suffix(&self, suffix: &str) -> Option<Option<&Term>> {
        let ends = |path: &str| path.split_once('.').is_some_and(|(_, rest)| rest == suffix);
        self.terms.iter().find(|(path, _)| ends(path)).map(|(_, term)| term.as_ref())
    }
}

fn term(value: &Value) -> Option<Term> {
    Some(match value {
        Value::Bool(value) => Term::Bool(*value),
        Value::I32(value) => Term::Int(i64::from(*value)),
        Value::I64(value) => Term::Int(*value),
        Value::U32(value) => Term::Int(i64::from(*value)),
        Value::String(value) => Term::Text(value.clone()),
        Value::Bytes(value) => Term::Bytes(value.to_vec()),
        Value::EnumNumber(value) => Term::Enum(*value),
        Value::List(values) => Term::List(values.iter().filter_map(term).collect()),
        Value::Message(message) => value_type(message)?,
        // Kinds that no agreement may use.
        Value::U64(_) | Value::F32(_) | Value::F64(_) | Value::Map(_) => return None,
    })
}

/// The messages of `convenio.type.v1`, by the fields that only one of them has.
fn value_type(message: &DynamicMessage) -> Option<Term> {
    let text = |name: &str| {
        let value: Option<Cow<'_, Value>> = message.get_field_by_name(name);
        value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let int = |name: &str| message.get_field_by_name(name).and_then(|value| value.as_i32());
    Some(match prost_reflect::ReflectMessage::descriptor(message).name() {
        "Money" => Term::Money {
            minor_units: message.get_field_by_name("minor_units")?.as_i64()?,
            currency: text("currency_code"),
        },
        "Date" => Term::Date { year: int("year")?, month: int("month")?, day: int("day")? },
        "Code" => Term::Code { list: text("list"), value: text("value") },
        "Place" => Term::Place {
            country: text("country_code"),
            subdivision: text("subdivision_code"),
            locality: text("locality"),
        },
        "LedgerEntry" => Term::Line(Box::new(line(message)?)),
        _ => return None,
    })
}

fn line(message: &DynamicMessage) -> Option<Line> {
    let part = |name: &str| {
        let part = message.has_field_by_name(name).then(|| message.get_field_by_name(name))??;
        value_type(part.as_message()?)
    };
    let money = |name: &str| match part(name)? {
        Term::Money { minor_units, currency } => Some((minor_units, currency)),
        _ => None,
    };
    let Some(Term::Date { year, month, day }) = part("day") else { return None };
    let unit = match part("unit") {
        Some(Term::Code { list, value }) => Some((list, value)),
        _ => None,
    };
    Some(Line {
        day: (year, month, day),
        quantity_thousandths: message.get_field_by_name("quantity_thousandths")?.as_i64()?,
        unit,
        amount: money("amount")?,
        deductions: money("deductions"),
    })
}
