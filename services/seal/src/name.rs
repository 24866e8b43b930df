//! What parties, nodes and agreements may be called. Names stand in signed texts, so their alphabet is small.

/// `^[a-z]{2,8}$`: a party as the pack names it, for example `sv`.
#[must_use]
pub fn is_party(name: &str) -> bool {
    (2..=8).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// `^[a-z0-9-]{2,64}$`: an agreement, for example `sv-ca`.
#[must_use]
pub fn is_agreement(name: &str) -> bool {
    (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A node: a lower-case host name (RFC 1123 labels, no final dot) of at most 128 bytes, for example `node.sv.example`.
#[must_use]
pub fn is_node(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 128 && name.split('.').all(label)
}

/// `^[a-z0-9_-]{1,64}$`: an office of a party, for example `minrex`.
#[must_use]
pub fn is_office(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(legal)
}

/// `^[a-z][a-z_]{1,39}$`: an item of a policy basis, for example `workers_consulted`.
#[must_use]
pub(crate) fn is_item(name: &str) -> bool {
    (2..=40).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrow() {
        assert!(is_party("sv") && is_agreement("sv-ca") && is_node("node.sv.example") && is_node("localhost"));
        for bad in ["", "s", "SV", "toolongname", "s v", "s\u{e9}"] {
            assert!(!is_party(bad), "{bad:?}");
        }
        for bad in ["", "a", "a/b", "a b", "A-b", "a_b"] {
            assert!(!is_agreement(bad), "{bad:?}");
        }
        assert!(is_office("minrex") && is_office("dol-2_b") && is_item("workers_consulted"));
        for bad in ["", "Ab", "a b", "a/b", "\u{e9}", &"a".repeat(65)] {
            assert!(!is_office(bad), "{bad:?}");
        }
        for bad in ["", "a", "_ab", "a-b", "a1", "a b"] {
            assert!(!is_item(bad), "{bad:?}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "-a", "a-", "a/b", "A", "a+b", "a b", &"a.".repeat(80)] {
            assert!(!is_node(bad), "{bad:?}");
        }
    }
}
