//! Texts of bytes and numbers, each with one spelling.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// Standard padded base64 (RFC 4648 §4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads canonical padded base64: no line breaks, no missing padding, no stray trailing bits.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads 32 bytes in lower-case hexadecimal.
pub(crate) fn hex32(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

/// Reads an ASCII decimal without sign or leading zeroes, at most 2^63 − 1.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_spelling() {
        assert_eq!(decimal("9223372036854775807"), Some(i64::MAX as u64));
        for bad in ["", "00", "01", "+1", " 1", "1 ", "9223372036854775808"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
        assert_eq!(hex32(&"ab".repeat(32)), Some([0xab; 32]));
        for bad in ["AB".repeat(32), "ab".repeat(31), "ab".repeat(33), "zz".repeat(32)] {
            assert_eq!(hex32(&bad), None);
        }
        assert_eq!(unbase64("QQ=="), Some(b"A".to_vec()));
        for bad in ["QQ", "QR==", "QQ==\n"] {
            assert_eq!(unbase64(bad), None, "{bad:?}");
        }
    }
}
