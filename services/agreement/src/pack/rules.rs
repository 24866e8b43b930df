//! Whether the `buf.validate` rules of a field bound it, and whether their CEL is cheap.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};
use regex_syntax::hir::Look;

/// Most entries of a list.
const MAX_ITEMS: u64 = 1024;
/// Most characters or bytes of a text.
const MAX_TEXT: u64 = 16 * 1024;
/// Longest CEL expression, bytes.
const MAX_CEL: usize = 2048;
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
    let hir = regex_syntax::parse(pattern).map_err(|_| "the pattern is no regular expression")?;
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
        for entry in entries {
            let expression = match &entry {
                Value::String(text) => text.clone(),
                Value::Message(rule) => match rule.get_field_by_name("expression").as_deref() {
                    Some(Value::String(text)) => text.clone(),
                    _ => String::new(),
                },
                _ => String::new(),
            };
            check_cel(&expression)?;
        }
    }
    Ok(())
}

/// CEL has no cost limit: a comprehension within another is refused. So is `now`: what is judged again
/// years later must be judged alike.
pub(super) fn check_cel(expression: &str) -> Result<(), String> {
    const MACROS: [&str; 11] = [
        "all",
        "exists",
        "exists_one",
        "existsOne",
        "map",
        "filter",
        "sortBy",
        "transformList",
        "transformMap",
        "transformMapEntry",
        "reduce",
    ];
    if expression.len() > MAX_CEL {
        return Err(format!("a CEL expression is longer than {MAX_CEL} bytes"));
    }
    if expression.contains("'''") || expression.contains("\"\"\"") {
        return Err("a CEL expression holds a multi-line text".to_owned());
    }
    let bytes = expression.as_bytes();
    let mut open = Vec::new();
    let mut word = "";
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_alphabetic() || byte == b'_' {
            let end = end_of_word(bytes, at);
            word = expression.get(at..end).unwrap_or_default();
            if word == "now" {
                return Err("a CEL expression depends on the present time".to_owned());
            }
            at = end;
            continue;
        }
        match byte {
            b'(' => {
                let looping = MACROS.contains(&word);
                if looping && open.contains(&true) {
                    return Err("a CEL expression nests one macro in another".to_owned());
                }
                open.push(looping);
            }
            b')' => {
                open.pop();
            }
            b'"' | b'\'' => at = end_of_text(bytes, at, matches!(word, "r" | "R")),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            word = "";
        }
        at += 1;
    }
    Ok(())
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    start + bytes.iter().skip(start).take_while(|b| part(b)).count()
}

/// Index of the quote that ends the text which begins at `start`.
fn end_of_text(bytes: &[u8], start: usize, raw: bool) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == bytes[start] {
            return at;
        }
        at += if byte == b'\\' && !raw { 2 } else { 1 };
    }
    bytes.len()
}
