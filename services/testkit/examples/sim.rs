//! Simulates many seeds: `cargo xtask sim --seeds 1000 --seed 1`. A failing one is cut down and printed as a test.

#![allow(clippy::disallowed_methods, reason = "tells how long it took; nothing in a run reads it")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use convenio_testkit::sim::{Failure, Plan, code, shrink, simulate};

const USAGE: &str = "usage: sim [--seeds N] [--seed FIRST] [--states 2|3] [--replay SEED] [--threads N]";

struct Options {
    seeds: u64,
    first: u64,
    states: Option<usize>,
    threads: usize,
}

fn options() -> Option<Options> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options { seeds: 200, first: 1, states: None, threads };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--seeds" => options.seeds = value.parse().ok()?,
            "--seed" => options.first = value.parse().ok()?,
            "--states" => options.states = Some(value.parse().ok().filter(|n| (2..=3).contains(n))?),
            "--replay" => (options.first, options.seeds) = (value.parse().ok()?, 1),
            "--threads" => options.threads = value.parse().ok().filter(|n| *n > 0)?,
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let tally = Mutex::new(BTreeMap::<String, u64>::new());
    let (next, steps, failed) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::<Failure>::new()));
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= options.seeds {
                        return;
                    }
                    let seed = options.first + at;
                    let states = options.states.unwrap_or_else(|| Plan::of(seed).states);
                    match simulate(Plan { seed, states }) {
                        Ok(played) => {
                            steps.fetch_add(played.ops.len() as u64, Ordering::Relaxed);
                            let mut all = tally.lock().expect("no thread panics");
                            played.tally.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
                        }
                        Err(failure) => {
                            println!("seed {seed} with {states} states: {}", failure.what);
                            failed.lock().expect("no thread panics").push(failure);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no thread panics");
    let took = begun.elapsed().as_secs_f64();
    let steps = steps.into_inner();
    println!("{} seeds, {steps} operations in {took:.1} s: {} failed", options.seeds, failed.len());
    for (what, count) in tally.into_inner().expect("no thread panics") {
        println!("{count:9} {what}");
    }
    let Some(first) = failed.into_iter().min_by_key(|failure| failure.ops.len()) else { return ExitCode::SUCCESS };
    println!("to see it again: cargo xtask sim --replay {} --states {}", first.plan.seed, first.plan.states);
    println!("{}", code(&shrink(first)));
    ExitCode::FAILURE
}
