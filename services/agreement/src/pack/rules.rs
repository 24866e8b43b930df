//! Whether the `buf.validate` rules of a field bound it, and whether their CEL is cheap.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::cel;

/// Most entries of a list.
const MAX_ITEMS: u64 = 1024;
/// Most characters or bytes of a text.
const MAX_TEXT: u64 = 16 * 1024;
/// Most CEL rules of one field or message.
const MAX_RULES: usize = 16;
/// Longest pattern, bytes.
const MAX_PATTERN: usize = 512;
/// Most states that a pattern may have, about: repetitions multiply.
const MAX_PATTERN_COST: u64 = 8 * 1024;
/// `IGNORE_ALWAYS` of `buf.validate.Ignore`.
const IGNORE_ALWAYS: i32 = 3;

/// Refuses a field that its rules do not bound.
pub(super) fn check_field(field: &FieldDescriptor, rules: Option<&DynamicMessage>) -> Result<(), String> {
    if let Some(rules) = rules {
        check_meta(rules)?;
    }
    if !field.is_list() {
        return check_value(&field.kind(), rules);
    }
    let list = rules.and_then(|rules| sub(rules, "repeated")).ok_or("the list has no max_items")?;
    no_predefined(&list)?;
    match list.get_field_by_name("max_items").and_then(|value| value.as_u64()) {
        Some(1..=MAX_ITEMS) => {}
        _ => return Err(format!("the list needs max_items of 1 to {MAX_ITEMS}")),
    }
    let items = sub(&list, "items");
    if let Some(items) = &items {
        check_meta(items)?;
    }
    check_value(&field.kind(), items.as_ref())
}

/// Refuses expensive CEL among the rules of a message.
pub(super) fn check_message(rules: &DynamicMessage) -> Result<(), String> {
    no_predefined(rules)?;
    check_cel_of(rules)
}

/// What the rules of a field or of a list's items must not do.
fn check_meta(rules: &DynamicMessage) -> Result<(), String> {
    no_predefined(rules)?;
    let ignore = rules.get_field_by_name("ignore").and_then(|value| value.as_enum_number());
    if ignore == Some(IGNORE_ALWAYS) {
        return Err("its rules are ignored".to_owned());
    }
    check_cel_of(rules)
}

/// Predefined rules are CEL that hides in an extension of the rules themselves.
fn no_predefined(rules: &DynamicMessage) -> Result<(), String> {
    if rules.extensions().next().is_some() || rules.unknown_fields().next().is_some() {
        return Err("uses rules that are not of buf.validate".to_owned());
    }
    Ok(())
}

fn check_value(kind: &Kind, rules: Option<&DynamicMessage>) -> Result<(), String> {
    let of = |name: &str| {
        let rules = rules.and_then(|rules| sub(rules, name));
        if let Some(rules) = &rules {
            no_predefined(rules)?;
        }
        Ok::<_, String>(rules)
    };
    match kind {
        Kind::Bool | Kind::Enum(_) | Kind::Message(_) => Ok(()),
        Kind::String => check_text(of("string")?.as_ref()),
        Kind::Bytes => check_text(of("bytes")?.as_ref()),
        Kind::Int32 => check_number(of("int32")?.as_ref(), true),
        Kind::Int64 => check_number(of("int64")?.as_ref(), true),
        Kind::Uint32 => check_number(of("uint32")?.as_ref(), false),
        _ => Err("of a kind that no agreement may use; numbers are int32, int64 or uint32".into()),
    }
}

/// A text or bytes: an exact value or list, a length, or a pattern that bounds it.
fn check_text(rules: Option<&DynamicMessage>) -> Result<(), String> {
    let unbounded = "the text is not bounded: it needs max_len, len, const, in or a bounded pattern";
    let rules = rules.ok_or(unbounded)?;
    if rules.has_field_by_name("const") || rules.has_field_by_name("in") {
        return Ok(());
    }
    let limits = ["len", "max_len", "len_bytes", "max_bytes"];
    if let Some(limit) = limits.iter().find(|limit| rules.has_field_by_name(limit)) {
        return match rules.get_field_by_name(limit).and_then(|value| value.as_u64()) {
            Some(0..=MAX_TEXT) => Ok(()),
            _ => Err(format!("{limit} is more than {MAX_TEXT}")),
        };
    }
    match rules.get_field_by_name("pattern").as_deref() {
        Some(Value::String(pattern)) if !pattern.is_empty() => check_pattern(pattern),
        _ => Err(unbounded.to_owned()),
    }
}

/// A pattern bounds a text if it is anchored at both ends and matches nothing longer than the limit.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let hir = parse_pattern(pattern)?;
    let properties = hir.properties();
    let anchored =
        properties.look_set_prefix().contains(Look::Start) && properties.look_set_suffix().contains(Look::End);
    if !anchored {
        return Err("the pattern is not anchored with ^ and $".to_owned());
    }
    match properties.maximum_len() {
        Some(bytes) if bytes as u64 <= MAX_TEXT => Ok(()),
        _ => Err("the pattern matches texts of any length".to_owned()),
    }
}

fn parse_pattern(pattern: &str) -> Result<Hir, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
    }
    let parsed = regex_syntax::ParserBuilder::new().nest_limit(32).build().parse(pattern);
    let hir = parsed.map_err(|_| "the pattern is no regular expression")?;
    if cost(&hir) > MAX_PATTERN_COST {
        return Err("the pattern costs too much: its repetitions multiply".to_owned());
    }
    Ok(hir)
}

/// About how many states an automaton of the pattern has.
///
/// # Errors
/// Why the pattern may not be used at all.
pub(super) fn pattern_cost(pattern: &str) -> Result<u64, String> {
    parse_pattern(pattern).map(|hir| cost(&hir))
}

fn cost(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => class.ranges().len() as u64,
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() as u64,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            cost(&repetition.sub).saturating_mul(u64::from(times))
        }
        HirKind::Capture(capture) => cost(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(0, |sum, part| sum.saturating_add(cost(part)))
        }
    }
}

fn check_number(rules: Option<&DynamicMessage>, signed: bool) -> Result<(), String> {
    let bounded = rules.is_some_and(|rules| {
        let has = |name| rules.has_field_by_name(name);
        let low = !signed || has("gt") || has("gte");
        has("const") || has("in") || (low && (has("lt") || has("lte")))
    });
    if bounded { Ok(()) } else { Err("the number is not bounded on both sides".to_owned()) }
}

fn sub(rules: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    if !rules.has_field_by_name(name) {
        return None;
    }
    rules.get_field_by_name(name)?.as_message().cloned()
}

/// Checks the expressions in `cel` and `cel_expression`.
fn check_cel_of(rules: &DynamicMessage) -> Result<(), String> {
    debug_assert!(rules.descriptor().full_name().starts_with("buf.validate."));
    let list = |name: &str| rules.get_field_by_name(name).map(|value| value.into_owned());
    for name in ["cel", "cel_expression"] {
        let Some(Value::List(entries)) = list(name) else { continue };
        if entries.len() > MAX_RULES {
            return Err(format!("more than {MAX_RULES} CEL rules in one place"));
        }
        for entry in entries {
            let expression = match &entry {
                Value::String(text) => text.clone(),
                Value::Message(rule) => match rule.get_field_by_name("expression").as_deref() {
                    Some(Value::String(text)) => text.clone(),
                    _ => String::new(),
                },
                _ => String::new(),
            };
            cel::check(&expression)?;
        }
    }
    Ok(())
}
