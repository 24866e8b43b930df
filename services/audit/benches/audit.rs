//! What an audit costs beside the signatures that it must verify, in one run: `cargo bench -p convenio-audit --bench audit`.
//! `CONVENIO_BENCH_ENTRIES` sets the size (default 200000), `CONVENIO_BENCH_BUNDLES` names a folder that the generator
//! wrote. Rates are by processor time, so that a busy machine does not change the ratios; wall time stands beside.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a bench measures time

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use convenio_audit::{At, Audit, History, Options, Visit, load_trust, verify};
use convenio_seal::SigningKey;

#[path = "../examples/bundle_generator/files.rs"]
mod files;
#[path = "../tests/it/records.rs"]
#[allow(dead_code)]
mod records;
#[path = "../examples/bundle_generator/season.rs"]
mod season;

/// Processor time of this process, seconds, of all threads (proc_pid_stat(5), fields 14 and 15, 100 a second).
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Peak resident memory, MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

struct Cost {
    processor: f64,
    wall: f64,
}

fn cost(work: impl FnOnce()) -> Cost {
    let (processor_before, wall) = (processor(), Instant::now());
    work();
    Cost { processor: processor() - processor_before, wall: wall.elapsed().as_secs_f64() }
}

/// Ed25519 verifications of a message as long as a statement, on every core.
fn ed25519(count: u64) -> Cost {
    let key = SigningKey::from_seed(&[7; 32]);
    let message = [42; 400];
    let signature = key.sign(&message);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    cost(|| {
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < count {
                        assert!(key.public().verify(&message, &signature));
                    }
                });
            }
        });
    })
}

struct Count(u64);

impl Visit for Count {
    fn history(&mut self, history: History) {
        self.0 += history.records.len() as u64;
        assert!(history.disagreement.is_none());
        assert!(history.records.iter().all(|r| r.act.unentitled.is_none() && r.divergence.is_none()));
    }
}

fn line(what: &str, count: u64, cost: &Cost, base: f64) {
    let rate = count as f64 / cost.processor;
    println!(
        "{what:<28} {rate:>10.0} a core-second ({:>6.2} µs), {:>9.0} a second of wall time, ratio {:.2}",
        1e6 / rate,
        count as f64 / cost.wall,
        rate / base
    );
}

fn main() {
    let kept = std::env::var_os("CONVENIO_BENCH_BUNDLES").map(PathBuf::from);
    let entries = std::env::var("CONVENIO_BENCH_ENTRIES").ok().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let temporary = tempfile::tempdir().unwrap();
    let dir: &Path = kept.as_deref().unwrap_or(temporary.path());
    if kept.is_none() {
        let mut exchange = season::Exchange::new(&dir.join("sv"));
        exchange.fill(entries);
        files::write(&mut exchange, dir);
    }
    let trust = load_trust(&dir.join("trust")).unwrap();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores; peak memory after generation {} MiB", peak());
    // Once before and once after, so that a change of the clock shows.
    let before = ed25519(100_000);
    let mut total = 0;
    let verified = cost(|| {
        let found = verify(&dir.join("sv"), &trust).unwrap();
        assert!(found.holds, "{:#?}", found.problems);
        total = found.logs.iter().map(|log| log.size).sum();
    });
    println!("peak memory after verify {} MiB", peak());
    let audit = Audit::open(&dir.join("sv"), None, &trust, &Options::default()).unwrap();
    let mut records = Count(0);
    let replayed = cost(|| {
        for exchange in audit.exchanges() {
            audit.replay(&exchange, &At::End, &mut records).unwrap();
        }
    });
    let after = ed25519(100_000);
    let signatures = Cost { processor: before.processor + after.processor, wall: before.wall + after.wall };
    let base = 200_000.0 / signatures.processor;
    line("Ed25519 verification", 200_000, &signatures, base);
    line(&format!("verify, {total} entries"), total, &verified, base);
    line(&format!("replay, {} records", records.0), total, &replayed, base);
    println!("peak memory {} MiB", peak());
}
