//! Randomness is passed in: the system's in a node, a seeded stream in tests and demonstrations.

use std::sync::Mutex;

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// A source of random bytes.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out`.
    ///
    /// # Panics
    /// If the operating system has no randomness to give: nothing safe can be done then.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Debug, Default)]
pub struct SystemEntropy(SystemRandom);

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        self.0.fill(out).expect("the operating system gives randomness");
    }
}

/// A reproducible stream (SHA-256 in counter mode). For tests and synthetic data, never for keys of a real node.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: [u8; 32],
    counter: Mutex<u64>,
}

impl SeededEntropy {
    /// The stream of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::labelled(seed, "")
    }

    /// A stream of `seed` that is independent of those with other labels.
    #[must_use]
    pub fn labelled(seed: u64, label: &str) -> Self {
        let mut input = seed.to_be_bytes().to_vec();
        input.extend_from_slice(label.as_bytes());
        Self { seed: sha256(&input), counter: Mutex::new(0) }
    }

    fn block(&self) -> [u8; 32] {
        let mut counter = self.counter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *counter += 1;
        let mut input = self.seed.to_vec();
        input.extend_from_slice(&counter.to_be_bytes());
        sha256(&input)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            chunk.copy_from_slice(&self.block()[..chunk.len()]);
        }
    }
}

fn sha256(input: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, input).as_ref());
    out
}

/// A random UUID (RFC 9562 version 4): what a pairwise reference is, so that it tells nothing.
#[must_use]
pub fn uuid_v4(entropy: &dyn Entropy) -> uuid::Uuid {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// A time-ordered UUID (RFC 9562 version 7) of the moment `now_ms`.
#[must_use]
pub fn uuid_v7(now_ms: u64, entropy: &dyn Entropy) -> uuid::Uuid {
    let mut bytes = [0; 10];
    entropy.fill(&mut bytes);
    uuid::Builder::from_unix_timestamp_millis(now_ms, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_and_labels_differ() {
        let draw = |e: SeededEntropy| {
            let mut out = [0; 40];
            e.fill(&mut out);
            out
        };
        assert_eq!(draw(SeededEntropy::new(7)), draw(SeededEntropy::new(7)));
        assert_ne!(draw(SeededEntropy::new(7)), draw(SeededEntropy::new(8)));
        assert_ne!(draw(SeededEntropy::labelled(7, "a")), draw(SeededEntropy::labelled(7, "b")));
    }

    #[test]
    fn uuids_have_their_versions() {
        let entropy = SeededEntropy::new(1);
        assert_eq!(uuid_v4(&entropy).get_version_num(), 4);
        let v7 = uuid_v7(1_700_000_000_000, &entropy);
        assert_eq!(v7.get_version_num(), 7);
        assert_eq!(v7.get_timestamp().map(|t| t.to_unix().0), Some(1_700_000_000));
    }
}
