//! What a pack's files must be before anything costly reads them: plain text that shows what it says, of few
//! tokens, not deep. A pack is untrusted code; the limits here hold before a parser sees a byte.

use super::error::PackError;

/// Most tokens of one `.proto` file.
const MAX_TOKENS: usize = 96 * 1024;
/// Deepest nesting of brackets in a `.proto` file.
const MAX_DEPTH: usize = 24;
/// Longest line of any file, bytes.
const MAX_LINE: usize = 4096;
/// Most combining marks on one letter.
const MAX_MARKS: usize = 2;

const PLAIN: &str = "write it in plain letters, one script in a word, without invisible characters";

/// Refuses text that does not show what it says: control, bidirectional and invisible characters, look-alikes.
pub(crate) fn check_text(file: &str, text: &str) -> Result<(), PackError> {
    let mut word = None;
    let mut marks = 0;
    let (mut line, mut start) = (1, 0);
    for (at, c) in text.char_indices() {
        if c == '\n' || at - start > MAX_LINE {
            if at - start > MAX_LINE {
                let problem = format!("a line is longer than {MAX_LINE} bytes");
                return Err(PackError::at(file, Some(line), None, problem).rule("text/line"));
            }
            line += 1;
            start = at + 1;
        }
        check_char(c, &mut word, &mut marks).map_err(|problem| {
            let problem = format!("{problem}, U+{:04X}", u32::from(c));
            PackError::at(file, Some(line), None, problem).rule("text/character").instead(PLAIN)
        })?;
    }
    Ok(())
}

/// The same for a text that was decoded: an escape may hide what the file does not show.
pub(crate) fn check_decoded(text: &str) -> Result<(), String> {
    let (mut word, mut marks) = (None, 0);
    for c in text.chars() {
        check_char(c, &mut word, &mut marks).map_err(|problem| format!("{problem}, U+{:04X}", u32::from(c)))?;
    }
    Ok(())
}

fn check_char(c: char, word: &mut Option<Script>, marks: &mut usize) -> Result<(), &'static str> {
    if c.is_ascii() {
        *marks = 0;
        if c.is_ascii_control() && c != '\n' && c != '\t' {
            return Err("holds a control character");
        }
        return same_script(c.is_ascii_alphabetic().then_some(Script::Latin), c, word);
    }
    if let Some(problem) = odd(c) {
        return Err(problem);
    }
    *marks = if matches!(c, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{20D0}'..='\u{20FF}') {
        *marks + 1
    } else {
        0
    };
    if *marks > MAX_MARKS {
        return Err("stacks marks on one letter");
    }
    same_script(script(c), c, word)
}

/// What a text may not hold, whatever stands beside it.
fn odd(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{80}'..='\u{9F}' => "holds a control character",
        '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
            "holds a character that turns the direction of writing"
        }
        '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' => {
            "holds an invisible character"
        }
        '\u{200B}'..='\u{200D}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' => {
            "holds an invisible character"
        }
        '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFF}' => {
            "holds an invisible character"
        }
        '\u{E0000}'..='\u{E0FFF}' | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}' => "holds an invisible character",
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => {
            "holds a space that is no plain space"
        }
        '\u{FF01}'..='\u{FF5E}' | '\u{1D400}'..='\u{1D7FF}' => "holds a look-alike of a plain letter",
        '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..='\u{10FFFF}' => "holds a character of private use",
        _ => return None,
    })
}

/// Scripts whose letters look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Cherokee,
    Other,
}

fn script(c: char) -> Option<Script> {
    match c {
        '\u{B5}' | '\u{B7}' | '\u{D7}' | '\u{F7}' => None,
        '\u{AA}'..='\u{24F}' | '\u{250}'..='\u{2AF}' | '\u{1E00}'..='\u{1EFF}' | '\u{2C60}'..='\u{2C7F}' => {
            c.is_alphabetic().then_some(Script::Latin)
        }
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => Some(Script::Greek),
        '\u{400}'..='\u{52F}' | '\u{1C80}'..='\u{1C8F}' | '\u{2DE0}'..='\u{2DFF}' => Some(Script::Cyrillic),
        '\u{530}'..='\u{58F}' => Some(Script::Armenian),
        '\u{13A0}'..='\u{13FF}' | '\u{AB70}'..='\u{ABBF}' => Some(Script::Cherokee),
        _ => c.is_alphabetic().then_some(Script::Other),
    }
}

/// A word is of one script; whatever is neither letter, digit nor mark ends it.
fn same_script(of: Option<Script>, c: char, word: &mut Option<Script>) -> Result<(), &'static str> {
    match (of, *word) {
        (Some(new), Some(old)) if new != old => Err("mixes scripts in one word"),
        (Some(new), _) => {
            *word = Some(new);
            Ok(())
        }
        (None, _) => {
            if !c.is_alphanumeric() && c != '_' && !matches!(c, '\u{300}'..='\u{36F}') {
                *word = None;
            }
            Ok(())
        }
    }
}

/// Refuses a `.proto` that would cost a parser too much: too many tokens or too deep; and, in a pack's own file,
/// escapes in a text, which hide what it says.
pub(super) fn check_proto(file: &str, text: &str) -> Result<(), PackError> {
    check_text(file, text)?;
    let mut scan = Scan { file, own: file.starts_with("agreements/"), bytes: text.as_bytes(), at: 0, line: 1 };
    let (mut tokens, mut depth) = (0_usize, 0_usize);
    while let Some(token) = scan.next()? {
        tokens += 1;
        match token {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(scan.error(format!("brackets nest deeper than {MAX_DEPTH}")).rule("text/depth"));
        }
        if tokens > MAX_TOKENS {
            let problem = format!("more than {MAX_TOKENS} words and signs");
            return Err(PackError::file(file, problem).rule("text/tokens"));
        }
    }
    Ok(())
}

/// The tokens of a `.proto`, without comments.
struct Scan<'a> {
    file: &'a str,
    own: bool,
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl Scan<'_> {
    fn error(&self, problem: impl Into<String>) -> PackError {
        PackError::at(self.file, Some(self.line), None, problem)
    }

    /// First byte of the next token.
    fn next(&mut self) -> Result<Option<u8>, PackError> {
        while let Some(&byte) = self.bytes.get(self.at) {
            match (byte, self.bytes.get(self.at + 1)) {
                (b'\n', _) => {
                    self.line += 1;
                    self.at += 1;
                }
                (b'/', Some(b'/')) => self.skip_line(),
                (b'#', _) => self.skip_line(),
                (b'/', Some(b'*')) => self.skip_block(),
                (b'"' | b'\'', _) => {
                    self.skip_text(byte)?;
                    return Ok(Some(byte));
                }
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => {
                    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
                    let length = self.bytes[self.at..].iter().take_while(|b| word(b)).count();
                    self.at += length.max(1);
                    return Ok(Some(byte));
                }
            }
        }
        Ok(None)
    }

    fn skip_line(&mut self) {
        self.at += self.bytes[self.at..].iter().take_while(|b| **b != b'\n').count();
    }

    fn skip_block(&mut self) {
        let rest = &self.bytes[self.at + 2..];
        let end = rest.windows(2).position(|two| two == b"*/").map_or(rest.len(), |end| end + 2);
        let lines = rest[..end].iter().filter(|b| **b == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.at += 2 + end;
    }

    fn skip_text(&mut self, quote: u8) -> Result<(), PackError> {
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' => break,
                b'\\' => {
                    let plain = matches!(self.bytes.get(self.at + 1), Some(b'\\' | b'"' | b'\'' | b'n' | b't' | b'?'));
                    if self.own && !plain {
                        let error = self.error("a text holds an escape that hides what it says");
                        return Err(error.rule("text/escape").instead("write the character itself"));
                    }
                    self.at += 2;
                }
                _ => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts_of_any_language_pass() {
        for text in
            ["Años – “coffee” €", "한국 고용허가제", "Περιγραφή", "Соглашение", "µs 10 × 2", "e\u{301}poca", "ভাষা"]
        {
            check_text("f", text).unwrap();
            check_decoded(text).unwrap();
        }
    }

    #[test]
    fn texts_that_hide_something_are_refused() {
        for text in ["a\u{202E}b", "a\u{200B}b", "p\u{430}y", "\u{FF21}", "a\rb", "a\u{7}b", "\u{E0041}", "a\u{A0}b"] {
            assert!(check_text("f", text).is_err(), "{text:?}");
            assert!(check_decoded(text).is_err(), "{text:?}");
        }
        let stacked = format!("a{}", "\u{301}".repeat(9));
        assert_eq!(check_text("f", &format!("x\n{stacked}")).unwrap_err().line, Some(2));
    }

    #[test]
    fn depth_counts_neither_comments_nor_texts() {
        let deep = "{".repeat(MAX_DEPTH + 1);
        check_proto("f", &format!("// {deep}\n/* {deep} */ x = \"{deep}\\\"{deep}\";")).unwrap();
        assert_eq!(check_proto("f", &format!("/*\n*/{deep}")).unwrap_err().line, Some(2));
        assert!(check_proto("agreements/x/x.proto", r#"x = "\u202e";"#).is_err());
        assert!(check_proto("agreements/x/x.proto", r#"x = "\x41";"#).is_err());
        check_proto("agreements/x/x.proto", r#"x = "\\d\"";"#).unwrap();
    }
}
