//! `convenio trust`: the file that says what a verifier believes.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use convenio_seal::trust::{TrustFile, TrustedAgreement, TrustedNode};

use crate::agreement::office;
use crate::output::{say, write_file};
use crate::root;

/// Arguments of `convenio trust`.
#[derive(Args, Debug)]
pub struct TrustArgs {
    /// A trusted version of an agreement, e.g. sv-ca=<digest>; may be repeated
    #[arg(long = "agreement", value_name = "ID=DIGEST", value_parser = agreement, required = true)]
    agreements: Vec<TrustedAgreement>,
    /// A party's root.json, e.g. from its official gazette; may be repeated
    #[arg(long = "root", value_name = "ROOT.JSON", required = true)]
    roots: Vec<PathBuf>,
    /// Whose a node is, e.g. sv=node.sv.example; may be repeated. A party without one is not bound to any node
    #[arg(long = "node", value_name = "PARTY=NODE", value_parser = node)]
    nodes: Vec<TrustedNode>,
    /// An office's public key, as `convenio agreement office-key` wrote it; may be repeated
    #[arg(long = "office", value_name = "NAME.office")]
    offices: Vec<PathBuf>,
    /// File to write
    #[arg(long)]
    out: PathBuf,
}

/// Runs `convenio trust`.
///
/// # Errors
/// One message that names the file or argument.
pub fn run(args: TrustArgs) -> anyhow::Result<()> {
    let roots = args.roots.iter().map(|path| root::public(path)).collect::<anyhow::Result<_>>()?;
    let TrustArgs { agreements, nodes, offices, out, .. } = args;
    let offices = offices.iter().map(|path| office::public(path)).collect::<anyhow::Result<_>>()?;
    let text = TrustFile { agreements, roots, nodes, offices, checkpoints: Vec::new() }.to_string();
    // What is written is what a verifier can read: repeated items show here.
    TrustFile::parse(&text).context("the arguments do not make a trust file")?;
    write_file(&out, text.as_bytes())?;
    say(out.display())
}

fn agreement(text: &str) -> Result<TrustedAgreement, String> {
    line("agreement", text)?.agreements.into_iter().next().ok_or_else(|| "expected ID=DIGEST".to_owned())
}

fn node(text: &str) -> Result<TrustedNode, String> {
    line("node", text)?.nodes.into_iter().next().ok_or_else(|| "expected PARTY=NODE".to_owned())
}

/// The trust file of one line that begins with `word`.
fn line(word: &str, text: &str) -> Result<TrustFile, String> {
    let item = text.replacen('=', " ", 1);
    TrustFile::parse(&format!("{word} {item}")).map_err(|error| error.fault.to_string())
}
