//! `convenio-audit`: verifies, compares, replays and reports on exported bundles, without a node.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("convenio-audit: {error}");
            ExitCode::from(cli::UNUSABLE)
        }
    }
}
