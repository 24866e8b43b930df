//! Reproducible draws: everything synthetic comes from the seed and a label, so that one draw more changes no other.

use convenio_model::{Entropy, SeededEntropy, uuid_v4};

/// A stream of draws.
pub struct Draw(SeededEntropy);

impl Draw {
    /// The stream of `seed` for `label`.
    pub fn new(seed: u64, label: &str) -> Self {
        Self(SeededEntropy::labelled(seed, label))
    }

    /// A number below `bound`, which is not zero. The bias of the remainder is below 2⁻³² here.
    pub fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % bound.max(1)
    }

    /// A number from `least` to `most`, both possible.
    pub fn between(&self, least: i64, most: i64) -> i64 {
        let span = u64::try_from(most - least).unwrap_or_default();
        least + i64::try_from(self.below(span + 1)).unwrap_or_default()
    }

    /// True in `of_hundred` of a hundred draws.
    pub fn chance(&self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// One of `list`; `None` if there is none.
    pub fn pick<'a, T>(&self, list: &'a [T]) -> Option<&'a T> {
        list.get(usize::try_from(self.below(list.len() as u64)).ok()?)
    }

    /// Puts `list` in a random order.
    pub fn shuffle<T>(&self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or_default();
            list.swap(last, other);
        }
    }
}

/// The UUID of `label`: for names of records and for request ids, so that a repeated request is the same request.
pub fn id(seed: u64, label: &str) -> String {
    uuid_v4(&SeededEntropy::labelled(seed, label)).as_hyphenated().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_stays_in_its_bounds_and_repeats() {
        let (one, two) = (Draw::new(7, "a"), Draw::new(7, "a"));
        for _ in 0..500 {
            let n = one.between(-3, 4);
            assert!((-3..=4).contains(&n));
            assert_eq!(n, two.between(-3, 4));
        }
        assert_ne!(id(7, "x"), id(8, "x"));
        assert_eq!(id(7, "x"), id(7, "x"));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut list: Vec<u32> = (0..100).collect();
        Draw::new(1, "s").shuffle(&mut list);
        assert_ne!(list, (0..100).collect::<Vec<_>>());
        list.sort_unstable();
        assert_eq!(list, (0..100).collect::<Vec<_>>());
    }
}
