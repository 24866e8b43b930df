//! What the partner tells of a rejection, cut to what a reason, a gate and a path can be: nothing else of it is kept.

/// Longest reason or gate, and longest path, in bytes.
const MAX_WORD: usize = 64;
const MAX_PATH: usize = 160;
/// Paths of one rejection.
const MAX_PATHS: usize = 32;

/// A coarse reason; one that is no code becomes `OTHER`.
pub(crate) fn reason(told: &str) -> String {
    let code = |c: char| c.is_ascii_uppercase() || c == '_';
    if !told.is_empty() && told.len() <= MAX_WORD && told.chars().all(code) {
        told.to_owned()
    } else {
        "OTHER".to_owned()
    }
}

/// The name of a gate; empty if it is none.
pub(crate) fn gate(told: &str) -> String {
    let name = |c: char| c.is_ascii_lowercase() || c == '_';
    if told.len() <= MAX_WORD && told.chars().all(name) { told.to_owned() } else { String::new() }
}

/// Field paths; what is none is left out.
pub(crate) fn paths(told: Vec<String>) -> Vec<String> {
    let path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.[]#".contains(c);
    told.into_iter().filter(|p| p.len() <= MAX_PATH && p.chars().all(path)).take(MAX_PATHS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_not_kept() {
        assert_eq!(reason("GATE"), "GATE");
        assert_eq!(reason("María was here"), "OTHER");
        assert_eq!(reason(&"A".repeat(65)), "OTHER");
        assert_eq!(gate("terms_not_worse"), "terms_not_worse");
        assert_eq!(gate("Not A Gate"), "");
        let told = vec!["contract.terms.wage_rate".to_owned(), "A1234567 belongs to …".to_owned()];
        assert_eq!(paths(told), ["contract.terms.wage_rate"]);
    }
}
