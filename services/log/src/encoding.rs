//! The two number-and-byte encodings that all C2SP text formats share, read strictly.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Hash, MAX_SIZE};

/// Standard padded base64 (RFC 4648 §4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads canonical padded base64: no line breaks, no missing padding, no stray trailing bits.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads a 32-byte hash in canonical base64.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    let mut bytes = [0u8; 33];
    if text.len() != 44 || STANDARD.decode_slice(text, &mut bytes).ok()? != 32 {
        return None;
    }
    Hash::try_from(&bytes[..32]).ok()
}

/// Reads an ASCII decimal without sign or leading zeroes, at most 2^63 − 1.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= MAX_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_strict() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("9223372036854775807"), Some(MAX_SIZE));
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "9223372036854775808", "٣"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn base64_is_canonical() {
        assert_eq!(unbase64("QQ=="), Some(b"A".to_vec()));
        for bad in ["QQ", "QQ=", "QR==", "QQ==\n", "Q Q==", "QQ--", "_w=="] {
            assert_eq!(unbase64(bad), None, "{bad:?}");
        }
        let text = base64(&[9; 32]);
        assert_eq!(hash(&text), Some(Hash::from([9; 32])));
        assert_eq!(hash(&base64(&[9; 31])), None);
        assert_eq!(hash(&base64(&[9; 33])), None);
    }
}
