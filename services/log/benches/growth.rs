//! How the cost of a log grows with its size: `cargo bench -p convenio-log`.
//!
//! Proofs, in hashes and in time, against log2(n); and the cost of an append at 10 million leaves over that at 10,000.
//! Times are those of this thread on its processor, so that a busy machine does not change the ratios.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use convenio_log::{Hash, HashSource, TileBuilder, leaf_hash, proof};
use rustix::time::{ClockId, clock_gettime};

/// Appends of one measure.
const BATCH: u64 = 20_000;
/// Measures of each size, taken in turns.
const ROUNDS: usize = 41;
const SMALL: u64 = 10_000;
const LARGE: u64 = 10_000_000;

fn main() {
    proofs();
    appends();
}

/// Hashes that cost nothing to fetch: what is timed is the proof.
struct Synthetic;

impl HashSource for Synthetic {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let mut bytes = [level; 32];
        bytes[..8].copy_from_slice(&index.to_be_bytes());
        Ok(Hash::from(bytes))
    }
}

fn proofs() {
    println!("entries     log2  inclusion            consistency          verification");
    println!("                  hashes    us  us/log2  hashes    us  us/log2      us  us/log2");
    for power in [10, 14, 17, 20, 23, 27, 30, 35, 40] {
        // Neither a power of two nor an even number: an ordinary log.
        let size = (1u64 << power) + (1 << (power - 2)) + 12_345 % (1 << (power - 3)) + 1;
        let index = size / 3;
        let inclusion = proof::inclusion(&Synthetic, index, size).unwrap_or_default();
        let consistency = proof::consistency(&Synthetic, index, size).unwrap_or_default();
        let one = per_call(|| drop(black_box(proof::inclusion(&Synthetic, index, size))));
        let two = per_call(|| drop(black_box(proof::consistency(&Synthetic, index, size))));
        let leaf = leaf_hash(b"leaf");
        // The root is wrong, which shows only after the last hash.
        let check = per_call(|| drop(black_box(proof::verify_inclusion(&inclusion, &leaf, index, size, &leaf))));
        let log = (size as f64).log2();
        let (a, b) = (inclusion.len(), consistency.len());
        println!(
            "2^{power:<9} {log:>4.1}  {a:>6} {one:>5.2} {:>8.3}  {b:>6} {two:>5.2} {:>8.3}  {check:>6.2} {:>8.3}",
            one / log,
            two / log,
            check / log
        );
    }
}

/// Median microseconds of one call.
fn per_call(call: impl Fn()) -> f64 {
    const CALLS: u32 = 500;
    let measure = |_| {
        let watch = stopwatch();
        (0..CALLS).for_each(|_| call());
        watch().as_secs_f64() * 1e6 / f64::from(CALLS)
    };
    median((0..15).map(measure).collect())
}

fn appends() {
    let grown = |size: u64| {
        let mut builder = TileBuilder::new();
        (0..size).for_each(|index| drop(builder.append(leaf(index))));
        builder
    };
    let (small, large) = (grown(SMALL), grown(LARGE));
    let leaves: Vec<Hash> = (0..BATCH).map(leaf).collect();
    let measure = |from: &TileBuilder| {
        let mut builder = from.clone();
        let watch = stopwatch();
        for leaf in &leaves {
            black_box(builder.append(*leaf));
        }
        black_box(builder.root());
        watch().as_secs_f64() * 1e9 / BATCH as f64
    };
    let (mut at_small, mut at_large, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let pair = (measure(&small), measure(&large));
        at_small.push(pair.0);
        at_large.push(pair.1);
        ratios.push(pair.1 / pair.0);
    }
    let (at_small, at_large, ratio) = (median(at_small), median(at_large), median(ratios));
    println!("\nappend at {SMALL} entries {at_small:.0} ns, at {LARGE} entries {at_large:.0} ns: ratio {ratio:.3}");
}

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn stopwatch() -> impl Fn() -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or_default())
    };
    let start = now();
    move || now().saturating_sub(start)
}
