//! What the partner tells of a rejection, cut to what a reason, a gate and a path can be: nothing else of it is kept.

use convenio_agreement::act::Detail;
use convenio_wire::exchange::v1::RejectDetail;

/// Longest reason, gate, clause or fact, and longest path, in bytes.
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

/// What the partner tells of one rejection besides its reason: each part cut to what it can be.
pub(crate) fn detail(told: RejectDetail) -> Detail {
    Detail {
        gate: name(told.gate),
        clause: if is_key(&told.clause) { told.clause } else { String::new() },
        fact: name(told.fact),
        field_paths: paths(told.field_paths),
    }
}

/// The name of a gate or fact; empty if it is none.
fn name(told: String) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if told.len() <= MAX_WORD && told.chars().all(legal) { told } else { String::new() }
}

/// A legal key.
fn is_key(told: &str) -> bool {
    told.len() <= MAX_WORD && told.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c))
}

/// Field paths; what is none is left out.
fn paths(told: Vec<String>) -> Vec<String> {
    let path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.[]#-".contains(c);
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
        let told = RejectDetail {
            index: 0,
            gate: "terms_not_worse".into(),
            field_paths: vec!["contract.terms.wage_rate".into(), "A1234567 belongs to …".into()],
            clause: "decree-43527".into(),
            fact: "caq_granted".into(),
        };
        let kept = detail(told);
        assert_eq!((&*kept.gate, &*kept.clause, &*kept.fact), ("terms_not_worse", "decree-43527", "caq_granted"));
        assert_eq!(kept.field_paths, ["contract.terms.wage_rate"]);
        let odd = || "Not A Name".to_owned();
        let told = RejectDetail { gate: odd(), clause: odd(), fact: odd(), ..RejectDetail::default() };
        assert_eq!(detail(told), Detail::default());
    }
}
