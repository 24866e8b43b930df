//! `convenio agreement suspend|resume|terminate`: orders of a party about an agreement, signed by its roots. The file goes into
//! the folder `orders` of the party's node.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use convenio_agreement::config::Day;
use convenio_seal::name::is_agreement;
use convenio_seal::order::sign_order;
use convenio_wire::exchange::v1::agreement_order::Order;
use convenio_wire::exchange::v1::{AgreementOrder, ResumptionOrder, SuspensionOrder, TerminationNotice};

use crate::output::{say, write_file};
use crate::root::Root;

const DAY_MS: i64 = 86_400_000;

/// What every order says.
#[derive(Args, Debug)]
struct OrderArgs {
    /// Folder of the party's root keys; every key that is there signs
    #[arg(long)]
    root: PathBuf,
    /// The agreement, e.g. sv-ca
    #[arg(long)]
    id: String,
    /// Number of the order, above every earlier one of this party under this agreement
    #[arg(long)]
    number: u64,
    /// Why, a code
    #[arg(long, default_value = "")]
    reason: String,
    /// File to write, NAME.dsse.json
    #[arg(long)]
    out: PathBuf,
}

/// Arguments of `convenio agreement suspend`.
#[derive(Args, Debug)]
pub(super) struct SuspendArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// An act that it concerns; without any, all of them
    #[arg(long = "act")]
    acts: Vec<String>,
    /// Day on which it ends by itself, YYYY-MM-DD, UTC; without it, it stands until it is withdrawn
    #[arg(long)]
    until: Option<String>,
}

/// Arguments of `convenio agreement resume`.
#[derive(Args, Debug)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Number of the party's suspension, or of its notice of termination, that is withdrawn
    #[arg(long)]
    of: u64,
}

/// Arguments of `convenio agreement terminate`.
#[derive(Args, Debug)]
pub(super) struct TerminateArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Day on which the agreement ends, YYYY-MM-DD, UTC; alone not before the period of notice has passed
    #[arg(long)]
    on: String,
}

/// Writes a suspension.
///
/// # Errors
/// One message that names the file or argument.
pub(super) fn suspend(args: &SuspendArgs) -> anyhow::Result<()> {
    let until_ms = args.until.as_deref().map(|day| day_ms("--until", day)).transpose()?.unwrap_or(0);
    sign(&args.order, "suspends", Order::Suspend(SuspensionOrder { scope: args.acts.clone(), until_ms }))
}

/// Writes the withdrawal of an order.
///
/// # Errors
/// As [`suspend`].
pub(super) fn resume(args: &ResumeArgs) -> anyhow::Result<()> {
    sign(&args.order, "resumes", Order::Resume(ResumptionOrder { of: args.of }))
}

/// Writes a notice of termination.
///
/// # Errors
/// As [`suspend`].
pub(super) fn terminate(args: &TerminateArgs) -> anyhow::Result<()> {
    let effective_ms = day_ms("--on", &args.on)?;
    sign(&args.order, "terminates", Order::Terminate(TerminationNotice { effective_ms }))
}

fn sign(args: &OrderArgs, does: &str, order: Order) -> anyhow::Result<()> {
    ensure!(is_agreement(&args.id), "--id {:?} is not the id of an agreement", args.id);
    let root = Root::load(&args.root)?;
    let party = root.set.party();
    let said = AgreementOrder {
        agreement: args.id.clone(),
        party: party.to_owned(),
        number: args.number,
        reason_code: args.reason.clone(),
        order: Some(order),
    };
    let envelope = sign_order(&said, &root.signers()).context("the order")?;
    write_file(&args.out, envelope.to_json().as_bytes())?;
    say(format_args!("{}  {party} {does} {}, order {}", args.out.display(), args.id, args.number))
}

/// Beginning of a civil day, UTC, Unix ms.
fn day_ms(argument: &str, text: &str) -> anyhow::Result<u64> {
    let day: Day = text.parse().with_context(|| format!("{argument} {text:?}"))?;
    u64::try_from(day.number() * DAY_MS).ok().filter(|ms| *ms > 0).with_context(|| format!("{argument} {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_utc() {
        assert_eq!(day_ms("--on", "2024-01-31").unwrap(), 1_706_659_200_000);
        for no in ["1969-12-31", "1970-01-01", "2024-02-30", "tomorrow"] {
            assert!(day_ms("--on", no).is_err(), "{no}");
        }
    }
}
