//! `convenio`: everything an operator, an officer of the ministry or a consulate runs.
//!
//! Exit codes: 0 done, 2 wrong usage or unusable input; commands that judge say theirs in their help.

mod agreement;
mod bundle;
mod demo;
mod node;
mod output;
mod pki;
mod recover;
mod root;
mod trust;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exchange of signed records between two states, each with its own node.
#[derive(Parser, Debug)]
#[command(name = "convenio", version, about, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// See it work: two states, a season of placements, an audit at the end
    Demo(demo::DemoArgs),
    /// Run a state's node, check its configuration, or make its operational keys
    Node(node::NodeArgs),
    /// What a ministry does with its root keys, offline
    Root(root::RootArgs),
    /// Look at agreement packs, and ratify one
    Agreement(agreement::AgreementArgs),
    /// Write a trust file: which agreements and root keys a verifier believes
    Trust(trust::TrustArgs),
    /// Hand a node's logs to an auditor
    Bundle(bundle::BundleArgs),
    /// Make certificates for development
    Pki(pki::PkiArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("convenio: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => return demo::run(args),
        Command::Node(args) => node::run(args)?,
        Command::Root(args) => root::run(args)?,
        Command::Agreement(args) => return agreement::run(args),
        Command::Trust(args) => trust::run(args)?,
        Command::Bundle(args) => bundle::run(args)?,
        Command::Pki(args) => pki::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
