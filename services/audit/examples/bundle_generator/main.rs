//! Writes a pair of bundles with a trust file for benches: real keys, signatures, tiles and parts of the pack `sv-ca`.
//!
//! `cargo run -p convenio-audit --release --example bundle_generator -- --entries 10000000 --out DIR`
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use clap::Parser;

mod files;
#[path = "../../tests/it/records.rs"]
#[allow(dead_code)]
mod records;
mod season;

#[derive(Parser)]
struct Cli {
    /// Entries of both logs together, at least.
    #[arg(long, default_value_t = 100_000)]
    entries: u64,
    /// Folder that gets `sv`, `ca` and `trust`; must not exist.
    #[arg(long)]
    out: PathBuf,
}

fn main() {
    let cli = Cli::parse();
    assert!(!cli.out.exists(), "the folder exists already");
    let mut exchange = season::Exchange::new(&cli.out.join("sv"));
    exchange.fill(cli.entries);
    let sizes = exchange.nodes.each_ref().map(|node| node.log.size());
    files::write(&mut exchange, &cli.out);
    println!("{}: {} and {} entries", cli.out.display(), sizes[0], sizes[1]);
}
