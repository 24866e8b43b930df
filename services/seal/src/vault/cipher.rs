//! AES-256-GCM with random nonces (NIST SP 800-38D §8.2.2: at most 2^32 messages under one key; a subject has few).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use convenio_model::Entropy;

/// Length of a nonce.
pub(super) const NONCE: usize = 12;
/// Length of a tag.
pub(super) const TAG: usize = 16;

/// Nonce || ciphertext || tag.
pub(super) fn seal(key: &[u8; 32], aad: &[u8], plaintext: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    // Room for all of it, so that the plaintext is never moved and left behind.
    let mut out = Vec::with_capacity(NONCE + plaintext.len() + TAG);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plaintext);
    let tag = cipher(key)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut out[NONCE..])
        .expect("AES-GCM seals anything below 64 GiB");
    out.extend_from_slice(tag.as_ref());
    out
}

/// The plaintext, or nothing if it was not sealed with this key and `aad`.
pub(super) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
    let mut text = rest.to_vec();
    let length = cipher(key).open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of AES-256 has 32 bytes"))
}
