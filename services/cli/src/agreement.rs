//! `convenio agreement`: packs, and how they come into force. A file for each command, below `agreement/`.

mod check;
mod diff;
mod folder;
mod link;
mod lint;
mod list;
mod matrix;
mod negotiate;
mod new;
pub(crate) mod office;
mod order;
mod show;
mod sign;
mod sign_off;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::{Args, Subcommand};
use convenio_agreement::pack::Pack;

use self::negotiate::Plain;
use crate::output::say;

/// Arguments of `convenio agreement`.
#[derive(Args, Debug)]
pub struct AgreementArgs {
    #[command(subcommand)]
    command: AgreementCommand,
}

#[derive(Subcommand, Debug)]
enum AgreementCommand {
    /// List the packs of a folder
    List(FolderArgs),
    /// Print the digest that both states ratify
    Digest(PackArgs),
    /// Check a pack whole: configuration, messages, lifecycle, disclosure
    Check(PackArgs),
    /// Print what an agreement says, for people, with what is uncertain about it
    Show(show::ShowArgs),
    /// Tell all that is wrong with a pack or doubtful about it, and what to write instead; exit code 1 with errors
    Lint(lint::LintArgs),
    /// Write the folder of a new pack that lints clean, with its open points marked
    New(new::NewArgs),
    /// Print what crosses: field by stage, direction, reduction and retention
    Matrix(matrix::MatrixArgs),
    /// Explain an amendment; exit code 1 if it would break what is in flight
    Diff(diff::DiffArgs),
    /// Begin a negotiation with a draft
    Propose(negotiate::DraftArgs),
    /// Answer a draft with another one
    Counter(negotiate::DraftArgs),
    /// Say something in a negotiation
    Comment(negotiate::ActArgs),
    /// Put a party's initials to the standing draft: it is to be ratified
    Initial(negotiate::ActArgs),
    /// End a negotiation: the standing draft is not acceptable
    Reject(negotiate::ActArgs),
    /// End a negotiation: the own standing draft is taken back
    Withdraw(negotiate::ActArgs),
    /// Verify a negotiation and show it: its chain, its drafts, who agreed to what
    Status(status::StatusArgs),
    /// Write the files of the standing draft
    Draft(status::DraftOutArgs),
    /// Take what is new from the other side's folder of a negotiation
    Import(status::ImportArgs),
    /// Hand a negotiation over to a node
    Submit(link::LinkArgs),
    /// Take what is new of a negotiation from a node
    Fetch(link::FetchArgs),
    /// Make the key of an office that negotiates and signs off
    OfficeKey(office::OfficeKeyArgs),
    /// Say for an office that a pack may be ratified, or object
    SignOff(sign_off::SignOffArgs),
    /// Ratify a pack for a party with its root keys
    Sign(sign::SignArgs),
    /// Suspend an agreement by order of a party's roots
    Suspend(order::SuspendArgs),
    /// Withdraw a suspension, or a notice of termination in time
    Resume(order::ResumeArgs),
    /// Give notice to terminate an agreement
    Terminate(order::TerminateArgs),
}

/// The folder of packs.
#[derive(Args, Debug)]
struct FolderArgs {
    /// Folder of the packs
    #[arg(long, default_value = "proto/agreements")]
    agreements: PathBuf,
}

/// One pack of the folder.
#[derive(Args, Debug)]
struct PackArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// The agreement, e.g. sv-ca
    #[arg(long)]
    id: String,
}

/// Runs `convenio agreement`.
///
/// # Errors
/// One message that names the file, line and key.
pub fn run(args: AgreementArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        AgreementCommand::Lint(args) => return lint::run(&args),
        AgreementCommand::Diff(args) => return diff::run(&args),
        AgreementCommand::Show(args) => show::run(&args),
        AgreementCommand::New(args) => new::run(&args),
        AgreementCommand::Matrix(args) => matrix::run(&args),
        AgreementCommand::List(args) => list::run(&args),
        AgreementCommand::Digest(args) => say(hex::encode(args.load()?.digest())),
        AgreementCommand::Check(args) => check::run(&args),
        AgreementCommand::Propose(args) => negotiate::propose(&args),
        AgreementCommand::Counter(args) => negotiate::counter(&args),
        AgreementCommand::Comment(args) => negotiate::plain(&args, Plain::Comment),
        AgreementCommand::Initial(args) => negotiate::plain(&args, Plain::Initial),
        AgreementCommand::Reject(args) => negotiate::plain(&args, Plain::Reject),
        AgreementCommand::Withdraw(args) => negotiate::plain(&args, Plain::Withdraw),
        AgreementCommand::Status(args) => status::run(&args),
        AgreementCommand::Draft(args) => status::draft(&args),
        AgreementCommand::Import(args) => status::import(&args),
        AgreementCommand::Submit(args) => link::submit(&args),
        AgreementCommand::Fetch(args) => link::fetch(&args),
        AgreementCommand::OfficeKey(args) => office::run(&args),
        AgreementCommand::SignOff(args) => sign_off::run(&args),
        AgreementCommand::Sign(args) => sign::run(&args),
        AgreementCommand::Suspend(args) => order::suspend(&args),
        AgreementCommand::Resume(args) => order::resume(&args),
        AgreementCommand::Terminate(args) => order::terminate(&args),
    }?;
    Ok(ExitCode::SUCCESS)
}

impl PackArgs {
    fn load(&self) -> anyhow::Result<Pack> {
        Ok(Pack::load(&self.folder.agreements, &self.id)?)
    }
}

/// The acknowledged points of the policy basis, sorted; each must be missing in the pack.
fn acknowledged(pack: &Pack, items: &[String]) -> anyhow::Result<Vec<String>> {
    let missing = pack.missing_basis();
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    for item in &items {
        ensure!(missing.contains(item), "--acknowledge {item}: {} does not say that it is missing", pack.id());
    }
    Ok(items)
}
