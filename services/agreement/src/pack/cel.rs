//! What a CEL rule may say. CEL has no cost limit of its own, so cost is bounded by what can be written: functions
//! from a list, one loop deep, little text built, nothing that a reader would not see.
//!
//! A message that crosses is at most `MAX_PARTS` long, so a rule looks at no more than a few times
//! loops × items × length, which these limits keep to some million steps.

use super::rules::pattern_cost;

/// Longest expression, bytes.
pub(super) const MAX_CEL: usize = 2048;
/// Most tokens of an expression.
const MAX_TOKENS: usize = 512;
/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 16;
/// Most loops of an expression, most conditional choices, most signs in a row.
const MAX_LOOPS: usize = 4;
const MAX_CHOICES: usize = 16;
const MAX_SIGNS: usize = 3;
/// Most additions in a loop and outside: adding texts builds longer ones.
const MAX_SUMS_LOOPED: usize = 4;
const MAX_SUMS: usize = 64;

/// Macros that loop over a list without building one.
const LOOPS: [&str; 5] = ["all", "exists", "exists_one", "existsOne", "filter"];
/// Functions that a rule may call.
const CALLS: [&str; 21] = [
    "has",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "string",
    "bytes",
    "min",
    "max",
    "unique",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfYear",
    "getHours",
    "getSeconds",
];

/// A lexical element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Sign(u8),
}

/// Refuses an expression that may cost much, hides something, or depends on the present time: what is judged again
/// years later must be judged alike.
pub(super) fn check(expression: &str) -> Result<(), String> {
    if expression.len() > MAX_CEL {
        return Err(format!("a CEL expression is longer than {MAX_CEL} bytes"));
    }
    let tokens = tokens(expression)?;
    if tokens.len() > MAX_TOKENS {
        return Err(format!("a CEL expression has more than {MAX_TOKENS} words and signs"));
    }
    let mut state = State::default();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at)).copied();
        match *token {
            Token::Word("now") => return Err("a CEL expression depends on the present time".to_owned()),
            Token::Word(_) | Token::Text(_) => state.signs = 0,
            Token::Sign(sign) => state.sign(sign, before, &tokens[at + 1..])?,
        }
    }
    Ok(())
}

#[derive(Default)]
struct State {
    /// For each open bracket, whether a loop opened it.
    open: Vec<bool>,
    loops: usize,
    choices: usize,
    signs: usize,
    sums: usize,
    sums_looped: usize,
}

impl State {
    fn sign(&mut self, sign: u8, before: Option<Token<'_>>, after: &[Token<'_>]) -> Result<(), String> {
        match sign {
            b'(' => {
                let looping = match before {
                    Some(Token::Word(name)) => self.call(name, after)?,
                    _ => false,
                };
                self.open(looping)?;
            }
            b'[' => self.open(false)?,
            b')' | b']' => {
                self.open.pop();
            }
            b'{' | b'}' => return Err("a CEL expression builds a message or a map".to_owned()),
            b'?' => self.choices += 1,
            b'+' if self.open.contains(&true) => self.sums_looped += 1,
            b'+' => self.sums += 1,
            _ => {}
        }
        self.signs = if matches!(sign, b'!' | b'-') { self.signs + 1 } else { 0 };
        let over = [
            (self.choices > MAX_CHOICES, "makes too many choices"),
            (self.signs > MAX_SIGNS, "has too many signs in a row"),
            (self.sums > MAX_SUMS, "adds too much"),
            (self.sums_looped > MAX_SUMS_LOOPED, "adds too much in a loop"),
        ];
        match over.iter().find(|(over, _)| *over) {
            Some((_, problem)) => Err(format!("a CEL expression {problem}")),
            None => Ok(()),
        }
    }

    fn open(&mut self, looping: bool) -> Result<(), String> {
        self.open.push(looping);
        if self.open.len() > MAX_DEPTH {
            return Err(format!("brackets of a CEL expression nest deeper than {MAX_DEPTH}"));
        }
        Ok(())
    }

    /// Whether the call of `name` loops.
    fn call(&mut self, name: &str, after: &[Token<'_>]) -> Result<bool, String> {
        if LOOPS.contains(&name) {
            self.loops += 1;
            if self.open.contains(&true) {
                return Err("a CEL expression nests one macro in another".to_owned());
            }
            if self.loops > MAX_LOOPS {
                return Err(format!("a CEL expression has more than {MAX_LOOPS} macros"));
            }
            return Ok(true);
        }
        if name == "in" {
            return Ok(false);
        }
        if !CALLS.contains(&name) {
            return Err(format!("a CEL expression calls `{name}`, which no rule may"));
        }
        if name == "matches" {
            return match after.first() {
                Some(Token::Text(pattern)) if after.get(1) == Some(&Token::Sign(b')')) => {
                    pattern_cost(pattern).map(|_| false)
                }
                _ => Err("a CEL expression matches by a pattern that is no literal text".to_owned()),
            };
        }
        Ok(false)
    }
}

/// The tokens of an expression, or why it hides some.
fn tokens(expression: &str) -> Result<Vec<Token<'_>>, String> {
    let bytes = expression.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            _ if byte.is_ascii_whitespace() => at += 1,
            b'"' | b'\'' => {
                if bytes[at..].starts_with(&[byte; 3]) {
                    return Err("a CEL expression holds a multi-line text".to_owned());
                }
                let raw = matches!(found.last(), Some(Token::Word("r" | "R" | "b" | "B" | "br" | "rb")));
                if raw {
                    return Err("a CEL expression holds a raw text or bytes".to_owned());
                }
                let end = end_of_text(bytes, at);
                found.push(Token::Text(expression.get(at + 1..end).unwrap_or_default()));
                at = end + 1;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                return Err("a CEL expression holds a comment".to_owned());
            }
            b'`' | b'\\' | b'@' | b'#' | b'$' => return Err("a CEL expression holds an odd sign".to_owned()),
            _ if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
                let end = at + bytes[at..].iter().take_while(|b| part(b)).count();
                found.push(Token::Word(expression.get(at..end).unwrap_or_default()));
                at = end;
            }
            _ if byte.is_ascii() => {
                found.push(Token::Sign(byte));
                at += 1;
            }
            _ => return Err("a CEL expression holds a letter outside ASCII".to_owned()),
        }
    }
    Ok(found)
}

/// Index of the quote that ends the text which begins at `start`.
fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == bytes[start] {
            return at;
        }
        at += if byte == b'\\' { 2 } else { 1 };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn ordinary_rules_pass() {
        for rule in [
            "this.seats >= 0 && this.languages.all(l, l != 'now')",
            "!has(this.end_date) || this.start_date.year <= this.end_date.year",
            "this.number.matches('^[A-Z]{3}$') ? this.a > 1 : size(this.b) < 3",
            "this.kind in [1, 2, 3] && 'http://x' != this.a",
        ] {
            check(rule).unwrap();
        }
    }

    #[test]
    fn a_comment_or_a_quoted_name_hides_nothing() {
        for rule in ["true // '", "this.`now`", "r'\\' + this.a.all(x, x)", "b'a' == this.a", "this.\u{430}"] {
            assert!(check(rule).is_err(), "{rule}");
        }
    }
}
