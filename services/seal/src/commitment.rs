//! The commitment of a part: what an entry holds in place of content.

use aws_lc_rs::digest::{Context, SHA256};

const LABEL: &[u8] = b"convenio/commitment/v1\0";

/// `SHA-256("convenio/commitment/v1\0" || salt || u64 BE length || part)` over the encoded part (exchange-log.md,
/// "Entry"). The salt is fresh for each part: without it the content of a short part could be guessed.
#[must_use]
pub fn commit(salt: &[u8; 32], part: &[u8]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(LABEL);
    hash.update(salt);
    hash.update(&(part.len() as u64).to_be_bytes());
    hash.update(part);
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        // printf 'convenio/commitment/v1\0' + 32 × 0x07 + u64 BE 4 + 'part' | sha256sum
        let expected = "25bacbdc96487fa23732ddf8ec852c4598cf77c8e3babad5145893a1ffc12c8a";
        assert_eq!(hex::encode(commit(&[7; 32], b"part")), expected);
        assert_ne!(commit(&[8; 32], b"part"), commit(&[7; 32], b"part"));
    }
}
